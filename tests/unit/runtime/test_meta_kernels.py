"""torch without its kernels in Python for tensors without memory: networks that need them are built as with them."""

import os
import subprocess
import sys

PATIENCE_S = 120.0
BUILDS = """
import sys
from inference_server.runtime import meta_kernels

meta_kernels.import_torch()
import torch
from inference_server.runtime import slim_import

slim_import.networks()
from transformers import LlamaConfig, LlamaForCausalLM

from inference_server.models.checkpoint import Weights
from inference_server.models.safetensors_header import Tensor
from inference_server.runtime import meta_model, network_class

sizes = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2, vocab_size=48)
with torch.device("meta"):
    names = {name: tensor.numel() for name, tensor in LlamaForCausalLM(LlamaConfig(**sizes)).named_parameters()}


class Chooses(LlamaForCausalLM):
    def __init__(self, config):
        super().__init__(config)
        ones = torch.ones(3)
        self.register_buffer("chosen", torch.where(ones > 0, ones, -ones))


def drawn(kind):
    network_class.create = kind
    found = meta_model.draw(LlamaConfig(**sizes), Weights(tensors))
    return found.parameters.keys() == names.keys(), "torch._refs" in sys.modules


tensors = {name: Tensor("F32", (count,), 0, 4 * count) for name, count in names.items()}
plain, chooses = drawn(LlamaForCausalLM), drawn(Chooses)
print(*plain)  # after what is logged
print(*chooses)
print(meta_kernels.register(), torch.where(torch.ones(3, device="meta") > 0, 1.0, 2.0).shape)
"""
ASKS = """
import sys
from inference_server.runtime import meta_kernels

meta_kernels.import_torch()
import torch

print("torch._refs" in sys.modules, hasattr(torch._meta_registrations, "__path__"))
print(torch._meta_registrations.meta_index_Tensor.__module__, "torch._refs" in sys.modules)
print(torch._meta_registrations is sys.modules[meta_kernels.MODULE], torch._refs.where.__name__)
"""


def printed(code: str) -> list[str]:
    """By an interpreter of its own, since torch is imported once."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_they_are_imported_once_a_network_needs_one() -> None:
    *_, plain, chooses, again = printed(BUILDS)
    assert (plain, chooses) == ("True False", "True True")
    assert again == "False torch.Size([3])"


def test_whoever_asks_for_one_by_name_gets_it() -> None:
    left_out, found, same = printed(ASKS)
    assert left_out == "False False"
    assert found == "torch._meta_registrations True"
    assert same == "True where"
