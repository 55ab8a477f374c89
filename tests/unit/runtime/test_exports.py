"""The names that transformers' files export are those that it finds by itself."""

import os
import subprocess
import sys
from pathlib import Path

import transformers
from transformers.utils import import_utils

from inference_server.runtime.exports import quick

FILES = sorted(Path(transformers.__path__[0], "models").rglob("*.py"))
SCRIPT = """
import sys
from inference_server.runtime import exports

finders = list(sys.meta_path)
package = exports.import_transformers()
from transformers.utils import import_utils

print(import_utils.fetch__all__.__module__, set(finders) <= set(sys.meta_path), package.__name__)
"""


def test_the_same_names_are_found() -> None:
    found = 0
    for path in FILES[::7]:
        content = path.read_text(encoding="utf-8")
        names = import_utils.fetch__all__(content)
        assert quick(import_utils.fetch__all__)(content) == names, path
        found += len(names)
    assert found > 500


def test_of_several_lists_the_last_one_counts_and_other_lines_do_not() -> None:
    names = quick(import_utils.fetch__all__)
    assert names('__all__ = ["A"]\nx = 1\n__all__ = [\n    "B",\n    "C",\n]\n') == ["B", "C"]
    assert names('__all__ = ["A"]') == ["A"]
    assert names("x = '__all__'\n    __all__ = 1\n") == []


def test_transformers_looks_for_them_in_this_way() -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == ["inference_server.runtime.exports", "True", "transformers"]
