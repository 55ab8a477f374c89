"""Runs every benchmark: `make bench`. Tables for people, the last line of standard output for programs."""

import asyncio
import json

from bench import (
    clicks,
    crowd,
    failures,
    floods,
    generate,
    gguf_step,
    grow,
    influence,
    layers,
    llamacpp,
    lookup,
    overhead,
    overload,
    page,
    plan,
    real,
    resident,
    score,
    soak,
    startup,
    step,
)


async def main() -> None:
    figures = {**await overhead.measure(), **await startup.measure()}
    for here in (step, llamacpp, lookup):
        figures |= here.measure()
    for each in (
        clicks,
        real,
        crowd,
        score,
        generate,
        grow,
        layers,
        influence,
        resident,
        gguf_step,
        overload,
        soak,
        page,
        plan,
    ):
        figures |= await each.measure()
    figures |= await asyncio.to_thread(failures.measure)
    figures |= await asyncio.to_thread(floods.measure)
    print(json.dumps(figures))


if __name__ == "__main__":
    asyncio.run(main())
