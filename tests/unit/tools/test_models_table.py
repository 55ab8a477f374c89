"""docs/models.md says what the code does."""

import models_table

from inference_server.runtime.network_class import KINDS


def test_the_tables_are_those_of_the_code() -> None:
    page = models_table.PAGE.read_text(encoding="utf-8")
    assert models_table.written(page) == page, "run: python tools/models_table.py"


def test_every_type_and_method_is_in_a_table() -> None:
    page = models_table.PAGE.read_text(encoding="utf-8")
    rows = " ".join(page.split("<!-- image-text -->")[1].split("<!-- /image-text -->")[0].split())
    named = [name for row in rows.split("|") for name in row.strip().split(", ")]
    assert len(KINDS) == 97
    assert KINDS - set(named) == set()
    assert len([name for name in named if name in KINDS]) == 97
