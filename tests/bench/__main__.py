"""Runs every benchmark: `make bench`. Tables for people, the last line of standard output for programs."""

import asyncio
import json

from bench import clicks, failures, overhead, overload, soak, startup, step


async def main() -> None:
    figures = {
        **await overhead.measure(),
        **await startup.measure(),
        **step.measure(),
        **await clicks.measure(),
        **await overload.measure(),
        **await soak.measure(),
        **await asyncio.to_thread(failures.measure),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    asyncio.run(main())
