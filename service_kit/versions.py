"""Versions of the project and its dependencies, without importing them."""

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

PROJECT = "0.1.0"  # as in pyproject.toml; the images contain the code without package metadata


def versions(distributions: Mapping[str, str]) -> dict[str, str]:
    """Versions by name, for the project, Python and `distributions` (name: PyPI name); empty: not installed."""
    return {"project": PROJECT, "python": platform.python_version()} | {
        name: installed(distribution) for name, distribution in distributions.items()
    }


def installed(distribution: str) -> str:
    """A distribution's version; empty if not installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""
