"""The demo model that ships with the project: where it lies. Its README.md is the model card."""

from pathlib import Path

FOLDER = Path(__file__).parent
