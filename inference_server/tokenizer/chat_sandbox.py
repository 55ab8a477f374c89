"""Renders chat templates in a sandbox of its own (`host/sandbox.py`). Knows nothing of this project.

A template is somebody else's program. Jinja's sandbox keeps it from files, modules and attributes; only a process can
be kept from using up time and memory, for a loop within a loop never returns, and `"a" * 10**10` is one instruction.

A request is {"template", "variables", "conversations": [{"messages", "add_generation_prompt"}]}, its answer {"texts":
[text or null where the template refuses]} with the refusal of the first, or {"fault"}. The environment is that of
transformers' `apply_chat_template`.
"""

import json
from datetime import datetime
from functools import lru_cache
from typing import Any

import jinja2
import jinja2.ext
import jinja2.sandbox

CPU_S = 2.0  # of one request
MEMORY_BYTES = 512 << 20
MAX_TEXT = 4_000_000  # characters of one rendered conversation


class Generation(jinja2.ext.Extension):
    """`{% generation %}` marks what a model is trained on; it changes nothing in the text."""

    tags: set[str] = {"generation"}  # noqa: RUF012 - as jinja2 declares it

    def parse(self, parser: Any) -> Any:
        """What stands between the tags."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return jinja2.nodes.Scope(body, lineno=line)


class TemplateDict:
    """`dict` without attributes to break out by."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict(*args, **kwargs)

    def fromkeys(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        """As dict.fromkeys."""
        return dict.fromkeys(*args, **kwargs)


class TemplateNamespace(jinja2.utils.Namespace):
    """`namespace` without names that begin with an underscore."""

    def __init__(*args: Any, **kwargs: Any) -> None:
        self, args = args[0], args[1:]
        attributes = dict(*args, **kwargs)
        for name in attributes:
            TemplateNamespace._check(name)
        jinja2.utils.Namespace.__init__(self, attributes)

    def __setitem__(self, name: str, value: Any) -> None:
        TemplateNamespace._check(name)
        jinja2.utils.Namespace.__setitem__(self, name, value)

    @staticmethod
    def _check(name: object) -> None:
        if isinstance(name, str) and name.startswith("_"):
            raise jinja2.exceptions.SecurityError(f"a namespace can't hold {name!r}")


class Refused(jinja2.exceptions.TemplateError):
    """The template's own words on why it does not take these messages."""


def raise_exception(message: object) -> None:
    """What templates call to refuse messages."""
    raise Refused(str(message))


def tojson(
    value: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, sort_keys: Any = False
) -> str:
    """JSON that is not escaped for HTML."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def strftime_now(pattern: str) -> str:
    """The time here and now."""
    return datetime.now().strftime(pattern)


@lru_cache(maxsize=1)
def compiled(source: str) -> jinja2.Template:
    """Compiling takes a hundred times as long as rendering, and one process renders one template."""
    return environment().from_string(source)


def environment() -> jinja2.sandbox.ImmutableSandboxedEnvironment:
    """As transformers builds it."""
    made = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
    )
    made.filters["tojson"] = tojson
    made.globals |= {
        "raise_exception": raise_exception,
        "strftime_now": strftime_now,
        "dict": TemplateDict(),
        "namespace": TemplateNamespace,
    }
    return made


def rendered(template: jinja2.Template, variables: dict[str, Any], conversation: dict[str, Any]) -> str:
    """One conversation's text. Raises ValueError once that is too long."""
    parts, length = [], 0
    for part in template.generate(tools=None, documents=None, **conversation, **variables):
        parts.append(part)
        length += len(part)
        if length > MAX_TEXT:
            raise ValueError(f"writes more than {MAX_TEXT:,} characters")
    return "".join(parts)


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """The texts, with the words of the first refusal; or what is wrong with the template itself."""
    texts: list[str | None] = []
    refusal: str | None = None
    try:
        template = compiled(request["template"])
        for conversation in request["conversations"]:
            try:
                texts.append(rendered(template, request["variables"], conversation))
            except Refused as refused:
                texts.append(None)
                refusal = refusal if len(texts) > 1 else str(refused)
    except jinja2.exceptions.TemplateSyntaxError as error:
        return {"fault": f"line {error.lineno}: {error.message}"}
    except MemoryError:
        return {"fault": f"needs more than {MEMORY_BYTES >> 20} MiB of memory"}
    except RecursionError:
        return {"fault": "calls itself without end"}
    except Exception as error:  # a template raises whatever Python does
        if texts:  # only a part of the conversation, rendered to tell its messages apart
            return {"texts": texts + [None] * (len(request["conversations"]) - len(texts)), "refusal": refusal}
        return {"fault": str(error) or type(error).__name__}
    return {"texts": texts, "refusal": refusal}
