"""Which package may import which, and which libraries each may know. Every module belongs to a package listed here."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# A package imports from those below it; packages on one line don't know each other. A name is a package or a module.
TIERS = {
    "inference_server": (
        ("__main__",),
        ("server",),
        ("api",),
        ("ops",),
        ("engine",),
        ("masks",),
        ("scheduler", "tokenizer", "runtime"),
        ("sampling",),
        ("cpu", "gpu"),
        ("attention",),
        ("kvcache",),
        ("models",),
        ("host",),
        (
            "sequence",
            "chat_messages",
            "layer_messages",
            "generate_messages",
            "compare_messages",
            "grow_messages",
            "influence_messages",
            "tokenize_messages",
        ),
        ("messages", "stats", "errors", "settings", "interruption"),
        ("sampler_messages",),
    ),
    "web_gateway": (
        ("__main__",),
        ("app",),
        ("api",),
        ("http",),
        ("inference",),
        ("about", "metrics"),
        ("errors",),
        (
            "chat_messages",
            "layer_messages",
            "generate_messages",
            "compare_messages",
            "grow_messages",
            "influence_messages",
            "model_messages",
            "tokenize_messages",
            "openai_errors",
        ),
        ("messages", "settings"),
        ("sampler_messages",),
    ),
    "next_token_visualizer": (
        ("__main__",),
        ("cli",),
        ("client", "async_client", "tables"),
        ("progress", "requests"),
        ("connection", "errors", "events", "options"),
        ("samplers",),
    ),
}
GRPC = {"grpc", "grpc_health", "grpc_reflection"}
PROTOBUF = {"nexttoken", "google", "grpc_status"}
LIBRARIES = {
    "inference_server": {
        "__main__": {"uvloop"},
        "server": GRPC | PROTOBUF,
        "api": GRPC | PROTOBUF | {"msgspec"},
        "ops": {"prometheus_client"},
        "ops.probe": {"grpc", "grpc_health"},
        "ops.http_listener": {"h11"},
        "models": {"huggingface_hub", "httpx2", "safetensors", "tqdm"},
        "tokenizer": {"tokenizers", "transformers"},
        "tokenizer.vocab_files": {"sentencepiece"},
        "tokenizer.chat_sandbox": {"jinja2"},
        "runtime": {"torch", "transformers", "numpy"},
        "runtime.gguf_tensors": {"gguf"},
        "runtime.lora": {"torch", "transformers", "safetensors"},
        "runtime.weight_loader": {"torch", "transformers", "safetensors"},
        "runtime.packed_checkpoint": {"torch", "safetensors"},
        "masks": {"llguidance", "numpy"},
        "sampling": {"torch", "numpy"},
        "cpu": {"torch", "transformers", "numba", "numpy", "llvmlite"},
        "cpu.packed_linear": {"gguf"},
        "gpu": {"torch", "numpy"},
        "attention": {"torch", "transformers", "numpy"},
        "kvcache.kv_blocks": {"torch"},
        "host.openmp": {"torch"},
        "settings": {"msgspec"},
    },
    "web_gateway": {
        "__main__": {"msgspec"},
        "app": {"starlette"},
        "http": {"starlette", "uvicorn", "httptools", "h11", "throttled", "anyio", "msgspec"},
        "api": {"starlette", "msgspec"},
        "inference": GRPC | PROTOBUF | {"msgspec"},
        "about": {"msgspec"},
        "metrics": {"prometheus_client"},
        "errors": {"starlette", "msgspec"},
        "messages": {"msgspec"},
        "layer_messages": {"msgspec"},
        "generate_messages": {"msgspec"},
        "chat_messages": {"msgspec"},
        "compare_messages": {"msgspec"},
        "grow_messages": {"msgspec"},
        "influence_messages": {"msgspec"},
        "sampler_messages": {"msgspec"},
        "model_messages": {"msgspec"},
        "tokenize_messages": {"msgspec"},
        "openai_errors": {"msgspec"},
        "settings": {"msgspec"},
    },
    "next_token_visualizer": {
        "cli": {"click", "rich", "msgspec", "nexttoken"},
        "client": GRPC | PROTOBUF,
        "async_client": GRPC | PROTOBUF,
        "connection": {"grpc"},
        "requests": PROTOBUF,
        "errors": {"grpc"} | PROTOBUF,
        "events": PROTOBUF,
        "progress": PROTOBUF,
        "tables": PROTOBUF | {"pandas"},
    },
}
EVERYWHERE = {"inference_server", "web_gateway", "service_kit", "next_token_visualizer", "structlog"}


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


def modules(service: str) -> dict[str, Path]:
    """Every module of a service but its own `__init__`, dotted below the service's name."""
    paths = {path.relative_to(ROOT / service).with_suffix(""): path for path in (ROOT / service).rglob("*.py")}
    return {".".join(at.parts): path for at, path in sorted(paths.items()) if at != Path("__init__")}


def tier_of(service: str, name: str) -> int:
    """How far down a package stands. Raises LookupError for one that is not listed."""
    return next(at for at, tier in enumerate(TIERS[service]) if name in tier)


def trespasses(service: str) -> list[str]:
    """Imports that point to a package above or beside the importing one."""
    wrong = []
    for name, path in modules(service).items():
        own = name.partition(".")[0]
        for other in {used.split(".")[1] for used in imports(path) if used.startswith(f"{service}.")} - {own}:
            if not (ROOT / service / other).exists() and not (ROOT / service / f"{other}.py").exists():
                continue  # a name out of the service's own __init__
            if tier_of(service, other) <= tier_of(service, own):
                wrong.append(f"{name} imports {other}")
    return wrong


def libraries(service: str) -> dict[str, set[str]]:
    """The libraries that modules import and must not know."""
    allowed = LIBRARIES[service]
    found = {}
    for name, path in modules(service).items():
        own = allowed.get(name, set()) | allowed.get(name.partition(".")[0], set())
        used = {each.partition(".")[0] for each in imports(path)} - set(sys.stdlib_module_names) - EVERYWHERE
        if used - own:
            found[name] = used - own
    return found


@pytest.mark.parametrize("service", TIERS)
def test_every_module_belongs_to_a_listed_package(service: str) -> None:
    listed = {name for tier in TIERS[service] for name in tier}
    assert {name.partition(".")[0] for name in modules(service)} == listed


@pytest.mark.parametrize("service", TIERS)
def test_packages_import_only_from_those_below(service: str) -> None:
    assert trespasses(service) == []


@pytest.mark.parametrize("service", TIERS)
def test_packages_know_only_their_libraries(service: str) -> None:
    assert libraries(service) == {}


@pytest.mark.parametrize(
    ("service", "strangers"),
    [
        ("web_gateway", {"inference_server", "torch", "transformers"}),
        ("inference_server", {"web_gateway"}),
        ("inference_server", {"next_token_visualizer"}),
        ("web_gateway", {"next_token_visualizer"}),
        ("service_kit", {"inference_server", "web_gateway", "starlette", "torch", *GRPC, *PROTOBUF}),
    ],
)
def test_services_that_must_not_meet(service: str, strangers: set[str]) -> None:
    used = {name: {each.partition(".")[0] for each in imports(path)} for name, path in modules(service).items()}
    assert {name: found & strangers for name, found in used.items() if found & strangers} == {}


def test_only_the_clients_command_line_knows_the_services() -> None:
    services = {"inference_server", "web_gateway", "service_kit", "torch"}
    used = {
        name: {each.partition(".")[0] for each in imports(path)}
        for name, path in modules("next_token_visualizer").items()
    }
    assert {name for name, found in used.items() if found & services} == {"cli.commands", "cli.settings"}


def test_handlers_hold_no_try_and_no_status_code() -> None:
    tree = ast.parse((ROOT / "web_gateway" / "api" / "handlers.py").read_text(encoding="utf-8"))
    assert not [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Try)]
    numbers = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and type(n.value) is int]
    assert not [number for number in numbers if 100 <= number < 600]


def test_the_walk_sees_an_import() -> None:
    assert "service_kit.logs" in imports(ROOT / "inference_server" / "settings.py")
