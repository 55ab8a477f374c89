"""Command-line options for the services' settings: `--queue-limit 100` is NEXTTOKEN_QUEUE_LIMIT=100."""

from collections.abc import Mapping

import click
from msgspec import Struct

from service_kit.settings import PREFIX, describe


def options(*kinds: type[Struct]) -> list[click.Parameter]:
    """One option per setting of these services; settings that both have become one."""
    found: dict[str, click.Parameter] = {}
    for kind in kinds:
        for variable, default, meaning in describe(kind):
            help_text = f"{meaning[:1].upper()}{meaning[1:]}." + (f"  [default: {default}]" if default else "")
            name = variable.removeprefix(PREFIX).lower()
            found.setdefault(
                name,
                click.Option([f"--{name.replace('_', '-')}", name], help=help_text, metavar="VALUE", envvar=variable),
            )
    return list(found.values())


def environment(given: Mapping[str, object]) -> dict[str, str]:
    """The variables for the options that were given."""
    return {PREFIX + name.upper(): str(value) for name, value in given.items() if value is not None}
