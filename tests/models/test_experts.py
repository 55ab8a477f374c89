"""Experts as layers of their own: the numbers of transformers' module in float32, in the memory of the checkpoint."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as tf
from torch import Tensor, nn

from inference_server.cpu import dtype as dtype_module
from inference_server.cpu import experts as experts_module
from inference_server.cpu.experts import Experts, fits
from inference_server.cpu.weight_only_linear import WeightOnlyLinear, replace_linears
from inference_server.runtime import lora
from inference_server.runtime.model import Model
from inference_server.runtime.network import Network
from models import architectures
from models.architectures import GATED, HEAD_DIM

CONFIGS: dict[str, Any] = {
    **{name: architectures.ARCHITECTURES[name](300) for name in ("mixtral", "qwen3_moe")},
    "gpt_oss": tf.GptOssConfig(vocab_size=300, num_local_experts=4, num_experts_per_tok=2, **HEAD_DIM),
    "nemotron_h": tf.NemotronHConfig(
        vocab_size=300, n_routed_experts=4, num_experts_per_tok=2, moe_intermediate_size=24, layers_block_type=["moe"],
        **GATED,
    ),
    "deepseek_v3": tf.DeepseekV3Config(
        vocab_size=300, n_routed_experts=4, num_experts_per_tok=2, n_group=1, topk_group=1, first_k_dense_replace=1,
        moe_intermediate_size=24, q_lora_rank=None, kv_lora_rank=16, qk_rope_head_dim=8, qk_nope_head_dim=8,
        v_head_dim=8, **{**GATED, "num_key_value_heads": GATED["num_attention_heads"]},
    ),
    "olmoe": tf.OlmoeConfig(vocab_size=300, num_experts=4, num_experts_per_tok=2, **GATED),
}  # fmt: skip
"""Gated ones; with biases, across and with a gate of its own; without a gate."""
ROWS = 11


def network(name: str, dtype: torch.dtype = torch.bfloat16) -> Any:
    torch.manual_seed(3)
    made: Any = tf.AutoModelForCausalLM.from_config(CONFIGS[name]).eval()
    return made.to(dtype)


def mixture(name: str, dtype: torch.dtype = torch.bfloat16) -> Any:
    """One module of experts."""
    return next(module for module in network(name, dtype).modules() if fits(module))


def routed(module: Any, rows: int, seed: int = 5) -> tuple[Tensor, Tensor, Tensor]:
    """Rows, and two of all experts but the last for each of them, with weights."""
    draw = torch.Generator().manual_seed(seed)
    width = module.down_proj.shape[2 if module.is_transposed else 1]
    chosen = torch.rand(rows, module.num_experts - 1, generator=draw).topk(2).indices
    return torch.randn(rows, width, generator=draw), chosen, torch.rand(rows, 2, generator=draw)


def same(ours: Tensor, wanted: Tensor) -> bool:
    """To what another order of float32 additions changes."""
    return float((ours - wanted).abs().max()) <= 2e-6 * float(wanted.abs().max())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("rows", [1, 2, ROWS])
def test_the_numbers_are_those_of_float32(name: str, dtype: torch.dtype, rows: int) -> None:
    module = mixture(name, dtype)
    given = routed(module, rows)
    with torch.inference_mode():
        wanted = copy.deepcopy(module).float()(*given)
        ours = Experts(module, WeightOnlyLinear)
        assert same(ours(*given), wanted)
    assert {each.dtype for name, each in ours.named_parameters() if name.endswith("weight")} == {dtype}


@pytest.mark.parametrize("name", CONFIGS)
def test_gradients_are_those_of_float32(name: str) -> None:
    """Of rows and of the weights that a router gives them."""
    module = mixture(name)
    x, chosen, weights = routed(module, ROWS)
    plain, found = copy.deepcopy(module).float(), []
    direction = torch.randn(x.shape, generator=torch.Generator().manual_seed(6))
    for each in (plain, Experts(module, WeightOnlyLinear)):
        inputs = [x.clone().requires_grad_(), weights.clone().requires_grad_()]
        found.append(torch.autograd.grad((each(inputs[0], chosen, inputs[1]) * direction).sum(), inputs))
    assert all(same(ours, wanted) for wanted, ours in zip(*found, strict=True))


def test_only_experts_that_a_row_is_routed_to_are_read() -> None:
    module = mixture("mixtral")
    given, ours = routed(module, 3), Experts(module, WeightOnlyLinear)
    wanted = ours(*given)
    idle = sorted({*range(4)} - {*given[1].flatten().tolist()})
    for at in idle:
        ours.up[at], ours.down[at] = nn.Identity(), nn.Identity()
    assert idle
    assert torch.equal(ours(*given), wanted)


def test_weights_that_are_not_across_are_not_copied() -> None:
    module = mixture("mixtral")
    places = [module.gate_up_proj[at].data_ptr() for at in range(4)]
    ours = Experts(module, WeightOnlyLinear)
    assert [each.data_ptr() for each in ours.up.parameters()] == places
    assert not [*ours.rest.parameters()]


def test_an_adapted_network_shares_them() -> None:
    made = network("gpt_oss")
    replace_linears(made)
    shared = lora.share(made)
    places = {each.data_ptr() for each in made.parameters()}
    assert {each.data_ptr() for each in shared.parameters()} == places
    ids = torch.tensor([[5, 6, 7]])
    with torch.inference_mode():
        assert torch.equal(made(ids).logits, shared(ids).logits)


@pytest.mark.parametrize("change", ["numbers", "arguments"])
def test_what_computes_something_else_is_widened(monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    monkeypatch.setattr(experts_module, "_agreed", {})
    made = network("mixtral")
    reference = copy.deepcopy(made).float()
    kind = type(made.model.layers[0].mlp.experts)
    own = kind.forward.__wrapped__

    def other(module: Any, *arguments: Any) -> Tensor:
        if change == "arguments":
            raise TypeError
        found: Tensor = own(module, *arguments)
        return found * 1.01

    monkeypatch.setattr(kind, "forward", other)
    replace_linears(made)
    assert type(made.model.layers[0].mlp.experts) is kind
    assert made.model.layers[0].mlp.experts.gate_up_proj.dtype == torch.float32
    assert made.model.layers[0].self_attn.q_proj.weight.dtype == torch.bfloat16
    monkeypatch.undo()
    with torch.inference_mode():
        ids = torch.tensor([[5, 6, 7]])
        torch.testing.assert_close(made(ids).logits, reference(ids).logits, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("trait", ["has_post_expert_norm", "has_bias", "is_transposed"])
def test_another_layout_is_left_alone(trait: str) -> None:
    module = mixture("mixtral")
    assert fits(module)
    setattr(module, trait, True)
    assert not fits(module)


def test_experts_with_a_layer_beside_their_weights_are_left_alone() -> None:
    module = mixture("mixtral")
    module.router = nn.Linear(2, 2)
    assert not fits(module)


@pytest.mark.parametrize("name", ["mixtral", "gpt_oss", "deepseek_v3"])
def test_a_loaded_mixture_answers_as_in_float32(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(dtype_module, "LEAST_ELEMENTS", 1)
    made = network(name)
    for buffer in made.buffers():
        if buffer.dtype == torch.bfloat16:  # DeepSeek's biases of a router, which are zero at first
            buffer.normal_()
    made.save_pretrained(tmp_path)
    wanted: Any = tf.AutoModelForCausalLM.from_pretrained(tmp_path, dtype="float32").eval()
    found = Network.read(tmp_path, "cpu").module
    assert any(isinstance(module, Experts) for module in found.modules())
    assert found.get_output_embeddings().weight.dtype == torch.bfloat16
    ids = torch.tensor([[5, 6, 7, 8, 9, 10, 11]])
    with torch.inference_mode():
        torch.testing.assert_close(found(ids).logits, wanted(ids).logits, rtol=1e-4, atol=1e-5)


def test_gradients_of_a_prompt_are_available(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dtype_module, "LEAST_ELEMENTS", 1)
    network("qwen3_moe").save_pretrained(tmp_path)
    model, ids = Model.load(tmp_path, "cpu"), [5, 6, 7, 8, 9]
    plain: Any = tf.AutoModelForCausalLM.from_pretrained(tmp_path, dtype="float32").eval()
    embeddings = plain.get_input_embeddings()(torch.tensor([ids])).detach().requires_grad_()
    logits = plain(inputs_embeds=embeddings).logits[0, -1]
    (gradient,) = torch.autograd.grad(logits[3] - logits[4], embeddings)
    work, found = model.gradient.begin(ids, 3, 4), None
    while found is None:
        found = work.step(10.0)
    torch.testing.assert_close(torch.tensor(found), (gradient * embeddings)[0].sum(-1).detach(), rtol=1e-3, atol=1e-5)
