"""Runs the cells of docs/notebook.ipynb and keeps what they show: `make notebook`. Needs no Jupyter.

Outputs are those of Jupyter: what is printed, the value of a cell's last expression and the figures it draws.
"""

import ast
import base64
import contextlib
import io
import json
from typing import Any

from servers import ROOT, run_inference_server

NOTEBOOK = ROOT / "docs" / "notebook.ipynb"
TARGET = "localhost:50051"  # where the notebook's server is


def run(notebook: dict[str, Any], target: str) -> list[list[dict[str, Any]]]:
    """The outputs of each code cell, run one after the other against a server."""
    import matplotlib as mpl  # only where figures are drawn

    mpl.use("agg")
    names: dict[str, Any] = {}
    return [shown(code.replace(TARGET, target), names) for code in cells(notebook)]


def cells(notebook: dict[str, Any]) -> list[str]:
    """The code of each code cell."""
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


def shown(code: str, names: dict[str, Any]) -> list[dict[str, Any]]:
    """The outputs of one cell."""
    from matplotlib import pyplot

    body = ast.parse(code).body
    silent = code.rstrip().endswith(";")
    last = body.pop() if isinstance(body[-1], ast.Expr) and not silent else None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(ast.Module(body, []), "cell", "exec"), names)  # noqa: S102
        value = eval(compile(ast.Expression(last.value), "cell", "eval"), names) if isinstance(last, ast.Expr) else None  # noqa: S307
    outputs: list[dict[str, Any]] = []
    if printed.getvalue():
        outputs.append({"name": "stdout", "output_type": "stream", "text": lines(printed.getvalue())})
    if value is not None:
        data: dict[str, Any] = {"text/plain": lines(repr(value))}
        if hasattr(value, "_repr_html_"):
            data["text/html"] = lines(value._repr_html_())
        outputs.append({"data": data, "metadata": {}, "output_type": "execute_result"})
    for number in pyplot.get_fignums():
        picture = io.BytesIO()
        pyplot.figure(number).savefig(picture, format="png", dpi=80, bbox_inches="tight", metadata={"Software": None})
        data = {"image/png": base64.b64encode(picture.getvalue()).decode() + "\n", "text/plain": ["<Figure>"]}
        outputs.append({"data": data, "metadata": {}, "output_type": "display_data"})
    pyplot.close("all")
    return outputs


def lines(text: str) -> list[str]:
    """A text as notebooks keep it."""
    return text.splitlines(keepends=True)


def main() -> None:
    """Runs the notebook and writes its outputs into it."""
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    with run_inference_server() as target:
        outputs = run(notebook, target)
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for count, (cell, each) in enumerate(zip(code, outputs, strict=True), 1):
        results = [
            output | {"execution_count": count} if "execute" in output["output_type"] else output for output in each
        ]
        cell |= {"execution_count": count, "outputs": results}
    NOTEBOOK.write_text(json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
