"""Runs every benchmark: `make bench`. Tables for people, the last line of standard output for programs."""

import asyncio
import json

from bench import clicks, failover, overhead, startup, step


async def main() -> None:
    figures = {**await overhead.measure(), **await startup.measure(), **step.measure(), **await clicks.measure()}
    figures |= await failover.measure()
    print(json.dumps(figures))


if __name__ == "__main__":
    asyncio.run(main())
