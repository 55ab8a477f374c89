"""Which Chromium browser tests drive, and how it starts."""

from pathlib import Path

INSTALLED = Path("/usr/bin/chromium")
SHELL = Path("/usr/bin/chromium-headless-shell")  # the same engine without windows: a page opens in half the time
EXECUTABLE = SHELL if SHELL.exists() else INSTALLED
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
