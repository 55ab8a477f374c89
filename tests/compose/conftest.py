"""Real containers: both images are built first, once. Needs a Docker engine with Compose 2.24 or newer."""

import shutil
import subprocess

import containers
import pytest


@pytest.fixture(scope="session", autouse=True)
def images() -> dict[str, float]:
    """Builds the images; what each adds to its base, in MB."""
    assert shutil.which("docker"), "make e2e-compose needs Docker"
    assert subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0, "no engine answers"
    containers.build()
    return containers.image_mb()
