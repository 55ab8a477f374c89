"""transformers without torch's compiler: everything else is there, and so is the compiler for whoever needs it."""

import os
import subprocess
import sys

import pytest

PATIENCE_S = 120.0
MODELS = """
import sys
from inference_server.runtime import meta_kernels

meta_kernels.import_torch()
from inference_server.runtime import slim_import

slim_import.networks()
"""
ANSWERS = """
import transformers
from transformers.utils import import_utils

models = transformers.models
again = type(models)(
    models.__name__, models.__file__, import_utils.define_import_structure(models.__file__), models.__spec__
)
print(len(models._class_to_module) > 1000, models._class_to_module == again._class_to_module)
print(sorted(models.__all__) == sorted(again.__all__))

import asyncio
import os

from inference_server.host.memory import divide
from inference_server.influence_messages import InfluenceQuery
from inference_server.kvcache.logits_cache import LogitsCache
from inference_server.layer_messages import LayersQuery
from inference_server.messages import TopKQuery
from inference_server.models import bundled
from inference_server.scheduler.scheduler import Scheduler
from inference_server.server import loader
from inference_server.settings import Settings

load = loader(Settings(), Scheduler(8, 8, 8, 8), LogitsCache(1 << 20), divide(1 << 26, 0))


async def main():
    engine = load(bundled.NAME, bundled.FOLDER)
    print(len((await engine.top_k(TopKQuery(text="Once upon", top_k=5), None)).candidates))
    async for _ in engine.influence(InfluenceQuery(text="Once upon", target=5, method="gradient"), None):
        pass
    await engine.layers(LayersQuery(text="Once upon"), None)


asyncio.run(main())
print(sorted(each.partition(".")[2] for each in sys.modules if each.startswith("torch._dynamo")))
print(*(name in sys.modules for name in ("torch.distributed.tensor", "sympy", "llguidance", "torch._refs")))
"""
COMPILES = """
from torch._dynamo.utils import counters
import torch

print(torch.distributed.is_available(), torch._dynamo.disable is not slim_import.unmarked)
print(torch.compile(lambda x: 2 * x + 1, backend="eager")(torch.tensor(3)), counters["frames"]["ok"])
sys.stdout.flush()
os._exit(0)  # as the server does: an interpreter that ends may crash on threads inside torch
"""


@pytest.fixture(scope="module")
def printed() -> list[str]:
    """What an interpreter of its own prints that answers first, and compiles then."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", MODELS + ANSWERS + COMPILES]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_models_are_all_there_and_answers_are_given_without_the_compiler(printed: list[str]) -> None:
    same_models, same_names, *_, bars, compiler, others, _, _ = printed
    assert (same_models, same_names) == ("True True", "True")
    assert bars == "5"
    assert compiler == str(["_dynamo", "_dynamo._trace_wrapped_higher_order_op", "_dynamo.config"])
    assert others == "False False False False"  # nor without a mask the library of masks


def test_whoever_imports_a_part_of_the_compiler_gets_all_of_it(printed: list[str]) -> None:
    assert printed[-2:] == ["True True", "tensor(7) 1"]
