"""Tests mirror the house: who knows a module of the inference server knows the file of its tests, and the reverse."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVER, UNIT = ROOT / "inference_server", ROOT / "tests" / "unit"
NEEDS_MORE = ("models", "integration")  # folders beside unit's, for what needs whole models or real sockets
WITHOUT = {
    "__main__": "starts a server: tests/integration/test_server.py",
    "cpu/kernels": "code that numba compiles, tested through what calls it",
}

MODULES = [
    module
    for module in sorted(path.relative_to(SERVER).with_suffix("") for path in SERVER.rglob("*.py"))
    if module.name != "__init__" and not {str(module), str(module.parent)} & WITHOUT.keys()
]


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_module_has_a_test_file_of_its_name(module: Path) -> None:
    name = f"test_{module.name}.py"
    beside = [path for folder in NEEDS_MORE for path in (ROOT / "tests" / folder).rglob(name)]
    assert (UNIT / module.parent / name).exists() or beside


@pytest.mark.parametrize("package", sorted({module.parent for module in MODULES} - {Path()}), ids=str)
def test_a_test_file_is_named_after_a_module_of_its_package(package: Path) -> None:
    """test_<module>.py, or test_<module>_<what of it>.py."""
    known = tuple(f"test_{module.name}" for module in MODULES if module.parent == package)
    tests = [path.stem for path in (UNIT / package).glob("test_*.py")]
    assert [name for name in tests if not any(name == test or name.startswith(f"{test}_") for test in known)] == []
