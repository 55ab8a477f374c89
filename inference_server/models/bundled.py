"""The demo model that ships with the project."""

from pathlib import Path

NAME = "bundled"
FOLDER = Path(__file__).parents[1] / "bundled"
