"""The process of a sandbox: `python -I sandbox_runner.py SCRIPT CPU_S MEMORY_BYTES`. Knows nothing of this project.

Writes an empty line once the script is loaded, then answers each line of JSON with what the script's `answer` returns
for it. Ends at a request that takes more processor time, or more memory in all; the script can't write files.
"""

import contextlib
import importlib.util
import json
import resource
import signal
import sys
from typing import Any


def load(script: str) -> Any:
    """The script as a module; it need not lie where Python looks for modules."""
    spec: Any = importlib.util.spec_from_file_location("script", script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(script: str, cpu_s: float, memory_bytes: int) -> None:
    """Answers until the other side closes."""
    answer = load(script).answer
    with contextlib.suppress(ValueError, OSError):  # macOS can't limit memory
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    sys.stdout.write("\n")
    sys.stdout.flush()
    for line in sys.stdin:
        signal.setitimer(signal.ITIMER_PROF, cpu_s)
        words = json.dumps(answer(json.loads(line)))
        signal.setitimer(signal.ITIMER_PROF, 0)
        sys.stdout.write(words + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))
