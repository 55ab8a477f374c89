"""The text of a release is what the changelog says of it."""

import subprocess
import tomllib

import pytest
from servers import ROOT


def told(version: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([ROOT / "tools/changelog", version], capture_output=True, text=True, check=False)


def test_the_section_of_a_version_and_nothing_else() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert told(version).returncode == 0
    assert told("Unreleased").stdout.startswith("### Added\n- ")
    changelog = (ROOT / "CHANGELOG.md").read_text()
    for name in (version, "Unreleased"):
        assert told(name).stdout.strip() in changelog
        assert "## [" not in told(name).stdout


@pytest.mark.parametrize("version", ["9.9.9", "", "nreleased"])
def test_a_version_without_a_section_is_refused(version: str) -> None:
    done = told(version)
    assert done.returncode == 1
    assert done.stderr.strip() == f"CHANGELOG.md has no section [{version}]"
    assert not done.stdout
