"""Collections around imports, in an interpreter of its own since they concern all of it."""

import subprocess
import sys

SCRIPT = """
import gc

from inference_server.host import collector


class Knot:
    def __init__(self):
        self.itself = self


def knots():
    return sum(isinstance(each, Knot) for each in gc.get_objects())


collections = []
gc.callbacks.append(lambda phase, facts: collections.append(phase))
try:
    with collector.importing():
        kept = [[] for _ in range(100_000)]
        during = len(collections)
        raise ImportError
except ImportError:
    print(during, gc.isenabled(), gc.get_freeze_count() > 100_000)
Knot()
gc.collect()
print(knots(), len(gc.get_objects()) < 100_000)
gc.disable()
with collector.importing():
    pass
print(gc.isenabled())
"""


def test_imports_are_neither_interrupted_by_collections_nor_looked_through_by_later_ones() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines() == ["0 True True", "0 True", "False"]
