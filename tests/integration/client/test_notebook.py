"""docs/notebook.ipynb runs against a server, and shows what it is committed with."""

import json
import re
from typing import Any

import notebook_run
import pytest
from servers import run_inference_server

NOTEBOOK = json.loads(notebook_run.NOTEBOOK.read_text(encoding="utf-8"))
NUMBER = re.compile(r"-?\d+\.\d+")


def words(outputs: list[dict[str, Any]]) -> list[str]:
    """What outputs say, as text."""
    return ["".join(output.get("text") or output["data"]["text/plain"]) for output in outputs]


def test_its_cells_show_what_it_has() -> None:
    with run_inference_server() as target:
        shown = notebook_run.run(NOTEBOOK, target)
    kept = [cell["outputs"] for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
    assert len(kept) > 8
    for found, expected in zip(shown, kept, strict=True):
        assert [output["output_type"] for output in found] == [output["output_type"] for output in expected]
        for one, other in zip(words(found), words(expected), strict=True):
            assert NUMBER.sub("#", one) == NUMBER.sub("#", other)
            numbers = [float(number) for number in NUMBER.findall(other)]
            places = max([len(number.partition(".")[2]) for number in NUMBER.findall(other)], default=0)
            assert [float(number) for number in NUMBER.findall(one)] == pytest.approx(numbers, abs=1.5 * 10**-places)


def test_its_figures_are_kept_and_small() -> None:
    source = notebook_run.NOTEBOOK.read_text(encoding="utf-8")
    assert source.count('"image/png"') == 2
    assert len(source) < 200_000


def test_its_outputs_name_no_machine() -> None:
    outputs = json.dumps([cell.get("outputs", []) for cell in NOTEBOOK["cells"]])
    assert not re.search(r"/(home|root|tmp|usr|work)/|localhost|127\.0\.0\.1", outputs)
