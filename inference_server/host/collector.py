"""Python's garbage collector, kept from going through what stays for good."""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """Within, modules are imported without collections, and afterwards no collection looks at them.

    What torch and transformers import stays for good. To go through it again and again took a sixth of the start.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()
