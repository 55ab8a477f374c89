"""Random numbers that depend on nothing but their place: a counter-based generator, Philox4x64-10."""

from numpy.random import Generator, Philox

TOKEN, XTC_COIN = 0, 1  # what a number is for


def uniform(seed: int, index: int, position: int, purpose: int = TOKEN) -> float:
    """The number in [0, 1) that draws the token at a position of a continuation, as the contract defines it.

    `seed` below 2**64. The same on every machine, whatever else was drawn before or beside it.
    """
    return float(Generator(Philox(key=seed, counter=[position, index, purpose, 0])).random())
