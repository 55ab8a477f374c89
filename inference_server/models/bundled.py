"""The demo model that ships with the project: its name and where it lies. Its README.md is the model card."""

from pathlib import Path

NAME = "bundled"
FOLDER = Path(__file__).parents[1] / "bundled"
