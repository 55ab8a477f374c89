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
print(torch.where(torch.ones(3, device="meta") > 0, 1.0, 2.0).shape)
"""
FINDS_TEXT = """
import sys
from inference_server.runtime import meta_kernels

meta_kernels.import_torch()
from inference_server.runtime import slim_import

slim_import.networks()
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

from inference_server.runtime import network_class

rope = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
rope |= {"original_max_position_embeddings": 64, "rope_theta": 1e4}  # chosen between by torch.where
sizes = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2)
text = LlamaConfig(**sizes, vocab_size=48, max_position_embeddings=128, rope_parameters=rope)
images = CLIPVisionConfig(**sizes, image_size=8, patch_size=4, projection_dim=8)
network = LlavaForConditionalGeneration(LlavaConfig(vision_config=images, text_config=text, image_token_id=47))
without = "torch._refs" in sys.modules
print(without, type(network_class.text_part(network.eval())).__name__)
"""
FAILS = """
from inference_server.runtime import meta_kernels

meta_kernels.import_torch()
calls = []


def make():
    calls.append(meta_kernels.sys.modules[meta_kernels.MODULE].__class__.__name__)
    raise ValueError("no such network")


for _ in range(2):
    try:
        meta_kernels.built(make)
    except ValueError as reason:
        print(reason)
print(calls)
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
    *_, plain, chooses, shape = printed(BUILDS)
    assert (plain, chooses) == ("True False", "True True")
    assert shape == "torch.Size([3])"


def test_they_are_imported_for_the_text_of_an_image_text_model() -> None:
    """Its rotations are those of Llama 3, as in models that are made of it."""
    assert printed(FINDS_TEXT)[-1] == "False LlamaForCausalLM"


def test_what_can_not_be_built_with_them_either_is_told_as_it_is() -> None:
    *told, calls = printed(FAILS)
    assert told == ["no such network"] * 2
    assert calls == str(["StandIn", "module", "module"])


def test_whoever_asks_for_one_by_name_gets_it() -> None:
    left_out, found, same = printed(ASKS)
    assert left_out == "False False"
    assert found == "torch._meta_registrations True"
    assert same == "True where"
