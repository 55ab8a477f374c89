"""`make plan`: prints the tables for each profile, or writes them into docs/operations.md."""

import argparse
from pathlib import Path

import msgspec

from capacity.load import Load
from capacity.plan import Planner, Target, Unmet
from capacity.profile import PROFILES, read
from capacity.table import PAGE, STEPS, tables, written


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="capacity", description=__doc__)
    parser.add_argument("--visits", type=visits, action="append", help="daily visits; may be given several times")
    parser.add_argument("--profile", type=Path, action="append", help="JSON that bench.service_times printed")
    parser.add_argument("--load", type=Path, help="JSON with fields of capacity.load.Load, for other visits than usual")
    parser.add_argument("--p95-ms", type=float, default=Target().p95_ms, help="what 95 of 100 clicks may take at most")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true", help=f"writes the usual tables into docs/{PAGE.name}")
    chosen = parser.parse_args()
    if chosen.write:
        PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
        return
    path = chosen.load
    try:
        load = Load() if path is None else msgspec.json.decode(path.read_bytes(), type=Load)
        for path in chosen.profile or sorted(PROFILES.glob("*.json")):
            planner = Planner(read(path), load, Target(p95_ms=chosen.p95_ms), seed=chosen.seed)
            print(tables(planner, chosen.visits or STEPS), end="\n\n")
    except Unmet as error:
        parser.error(f"--p95-ms: {error}")
    except (OSError, msgspec.DecodeError) as error:
        parser.error(f"{path}: {error}")


def visits(text: str) -> int:
    """A number of daily visits."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


if __name__ == "__main__":
    main()
