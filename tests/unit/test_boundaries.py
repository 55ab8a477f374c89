"""Who may import whom: a file imports only from files further down its service's list, and the services never meet."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

INFERENCE_PATH = (
    "__main__",
    "probe",
    "server",
    "health",
    "guard",
    "interceptors",
    "monitor",
    "listener",
    "service",
    "about",
    "connections",
    "metrics",
    "readiness",
    "wire",
    "registry",
    "reasons",
    "hub",
    "transfer",
    "listing",
    "engine",
    "checks",
    "end_of_text",
    "vocabulary",
    "converted",
    "lexicon",
    "roles",
    "spelling",
    "scheduler",
    "progress",
    "jobs",
    "gate",
    "reader",
    "lookahead",
    "readings",
    "pace",
    "prefix_cache",
    "model",
    "trial",
    "states",
    "capability",
    "runner",
    "fixed_step",
    "fused_step",
    "row_attention",
    "ragged",
    "replay",
    "batch",
    "prefix_tree",
    "siblings",
    "page_pool",
    "kv_store",
    "precision",
    "filling",
    "calibration",
    "held",
    "blueprint",
    "architecture",
    "leftovers",
    "checkpoint",
    "headers",
    "processors",
    "memory",
    "distribution",
    "partition",
    "gauges",
)
GATEWAY_PATH = (
    "__main__",
    "server",
    "protocol",
    "framing",
    "app",
    "edge",
    "handlers",
    "feed",
    "body",
    "shares",
    "visitors",
    "schemas",
    "client",
    "calls",
    "channel",
    "diagnosis",
    "wire",
    "about",
    "errors",
    "values",
)
PROTOBUF = {"nexttoken", "google", "grpc_status", "grpc_health", "grpc_reflection"}
TORCH = {
    *("model.py", "filling.py", "blueprint.py", "distribution.py", "train.py", "evaluate.py"),
    *("batch.py", "kv_store.py", "ragged.py", "runner.py", "capability.py"),
    *("fixed_step.py", "replay.py", "states.py"),
    *("held.py", "calibration.py", "fused_step.py", "row_attention.py", "precision.py", "partition.py"),
    *("team.py", "openmp.py"),
}
HEAVY = {"torch", "transformers", "numpy", "tokenizers", "safetensors", "huggingface_hub"}


def imports(path: Path) -> set[str]:
    """Every module a file imports, anywhere in it, dotted."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path} imports relatively"
            found.update({node.module, *(f"{node.module}.{alias.name}" for alias in node.names)})
    return found


def tops(path: Path) -> set[str]:
    """The top-level packages a file imports."""
    return {name.split(".")[0] for name in imports(path)}


def files(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def upstream(package: str, order: tuple[str, ...]) -> list[str]:
    """Imports that point from a file of the path to one that stands before it."""
    wrong = []
    for at, name in enumerate(order):
        used = imports(ROOT / package / f"{name}.py")
        wrong += [f"{name} imports {before}" for before in order[:at] if f"{package}.{before}" in used]
    return wrong


@pytest.mark.parametrize(("package", "order"), [("inference_server", INFERENCE_PATH), ("web_gateway", GATEWAY_PATH)])
def test_imports_point_downstream(package: str, order: tuple[str, ...]) -> None:
    assert upstream(package, order) == []


@pytest.mark.parametrize(
    ("package", "strangers"),
    [
        ("web_gateway", {"inference_server"} | HEAVY),
        ("inference_server", {"web_gateway", "starlette", "uvicorn"}),
        ("service_kit", {"inference_server", "web_gateway", "starlette"} | HEAVY | PROTOBUF),
    ],
)
def test_packages_that_must_not_meet(package: str, strangers: set[str]) -> None:
    assert {path.name: tops(path) & strangers for path in files(package) if tops(path) & strangers} == {}


@pytest.mark.parametrize(
    ("package", "of", "allowed"),
    [
        ("web_gateway", PROTOBUF | {"grpc"}, {"client.py", "calls.py", "channel.py", "wire.py"}),
        (
            "inference_server",
            PROTOBUF | {"grpc"},
            {"service.py", "wire.py", "server.py", "guard.py", "probe.py", "health.py", "interceptors.py"},
        ),
        ("inference_server", {"torch"}, TORCH),
    ],
)
def test_what_only_some_files_know(package: str, of: set[str], allowed: set[str]) -> None:
    assert {path.name for path in files(package) if tops(path) & of} <= allowed


def test_handlers_hold_no_try_and_no_status_code() -> None:
    tree = ast.parse((ROOT / "web_gateway" / "handlers.py").read_text(encoding="utf-8"))
    assert not [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Try)]
    numbers = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and type(n.value) is int]
    assert not [number for number in numbers if 100 <= number < 600]


def test_the_walk_sees_an_import() -> None:
    assert "service_kit.logs" in imports(ROOT / "inference_server" / "settings.py")
