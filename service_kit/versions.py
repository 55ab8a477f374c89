"""Which versions of what a service runs on, without importing any of it."""

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

PROJECT = "0.1.0"  # as in pyproject.toml; the images hold the code and no distribution of it


def versions(distributions: Mapping[str, str]) -> dict[str, str]:
    """The project's, Python's and each distribution's, given as name to show → name on PyPI; empty: not installed."""
    return {"project": PROJECT, "python": platform.python_version()} | {
        name: installed(distribution) for name, distribution in distributions.items()
    }


def installed(distribution: str) -> str:
    """The version of a distribution; empty where it is not installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""
