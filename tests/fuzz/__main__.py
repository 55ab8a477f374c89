"""Fuzzes with coverage: `python -m fuzz SECONDS [TARGET]`, each target in a process of its own; faults end it.

What reached new code is kept in build/fuzz/TARGET, beside what is committed; an input that fails is written to
tests/fuzz/corpus/TARGET, where every later `make test` tries it again.
"""

import logging
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
FOUND = HERE.parents[1] / "build" / "fuzz"
LONGEST = 4096  # bytes of an input
WITHIN_S = 20  # that one input may take
IN_NODE = "link"
QUIET = {"RUST_BACKTRACE": "0"}  # the tokenizers library panics at some decoders, and would print where each time


def begin(name: str, seconds: str) -> None:
    """Fuzzes one target in this process, which the fuzzer ends."""
    import atheris

    with atheris.instrument_imports(include=["web_gateway", "inference_server", "uvicorn", "h11", "json"]):
        from fuzz.targets import TARGETS

    logging.disable()
    TARGETS[name](b"")  # what is built once is not part of any input's time
    corpus, found = HERE / "corpus" / name, FOUND / name
    found.mkdir(parents=True, exist_ok=True)
    corpus.mkdir(parents=True, exist_ok=True)
    options = [f"-max_total_time={seconds}", f"-max_len={LONGEST}", f"-timeout={WITHIN_S}", "-rss_limit_mb=4096"]
    options += [f"-artifact_prefix={corpus}/", "-print_final_stats=1", "-verbosity=1", str(found), str(corpus)]
    atheris.Setup([sys.argv[0], *options], TARGETS[name])
    atheris.Fuzz()


def main(seconds: str = "300", *names: str) -> int:
    """Fuzzes the targets one after the other; 1 if any found a fault."""
    from fuzz.targets import TARGETS

    failed = []
    for name in names or (*TARGETS, IN_NODE):
        sys.stderr.write(f"\n=== {name}, {seconds} s\n")
        command = [sys.executable, "-m", "fuzz", "--begin", name, seconds]
        if name == IN_NODE:
            command = [str(Path(sys.executable).with_name("node")), str(HERE / "link.js"), seconds]
        if subprocess.run(command, env=os.environ | QUIET).returncode:
            failed.append(name)
    sys.stderr.write(f"faults found by: {', '.join(failed) or 'none'}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--begin"]:
        begin(*sys.argv[2:])
    else:
        sys.exit(main(*sys.argv[1:]))
