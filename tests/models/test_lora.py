"""LoRA adapters: the numbers are PEFT's, on every path to an answer, and the base's weights are in memory once."""

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peft
import pytest
import safetensors.torch
import torch
import transformers
from torch import Tensor

from inference_server.cpu import dtype
from inference_server.engine import engine
from inference_server.engine.engine import Engine
from inference_server.errors import LoadFailed
from inference_server.kvcache.logits_cache import LogitsCache
from inference_server.messages import TopKQuery
from inference_server.models import adapter as adapters
from inference_server.models.adapter import AdapterFiles
from inference_server.models.bases import Bases
from inference_server.runtime.lora import LoraLayer
from inference_server.runtime.model import Model
from inference_server.runtime.network import Network
from inference_server.scheduler.scheduler import Scheduler
from inference_server.settings import Settings
from models import architectures, image_text, tokenizers

IDS = [5, 6, 7, 11, 40, 2, 99, 31]
CACHE = 1 << 20
ATTENTION = ["q_proj", "v_proj"]
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("llama", {"r": 4, "lora_alpha": 16, "target_modules": ATTENTION}),
    "rslora": ("qwen3", {"r": 8, "lora_alpha": 8, "target_modules": [*ATTENTION, "down_proj"], "use_rslora": True}),
    "patterns": (
        "llama",
        {
            "r": 4,
            "target_modules": [*ATTENTION, "up_proj"],
            "rank_pattern": {"layers.1.self_attn.q_proj": 2, r"^model\.layers\.0\.mlp.up_proj": 6},
            "alpha_pattern": {"v_proj": 32, ".*1.mlp.up_proj": 3},
        },
    ),
    "all linear": ("gemma2", {"r": 2, "lora_alpha": 4, "target_modules": "all-linear"}),
    "embedding and head": ("mistral_sliding", {"r": 3, "lora_alpha": 9, "target_modules": ["embed_tokens", "lm_head"]}),
    "scaled embedding": ("gemma3", {"r": 3, "lora_alpha": 6, "target_modules": ["embed_tokens", "q_proj"]}),
    "one layer": ("phi3", {"r": 2, "target_modules": ["qkv_proj"], "layers_to_transform": [1]}),
    "convolutions": ("gpt2", {"r": 4, "lora_alpha": 8, "target_modules": ["c_attn"], "fan_in_fan_out": True}),
    "no paged pass": ("bloom", {"r": 4, "lora_alpha": 8, "target_modules": ["query_key_value"]}),
}


def make(base: Path, folder: Path, strength: float = 0.3, **options: Any) -> Any:
    """An adapter of random matrices as PEFT saves it, and PEFT's own network with it."""
    torch.manual_seed(9)
    plain: Any = transformers.AutoModelForCausalLM.from_pretrained(base, dtype="float32").eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network: Any = peft.get_peft_model(plain, peft.LoraConfig(task_type="CAUSAL_LM", **options))
        for name, parameter in network.named_parameters():
            if "lora_" in name:
                parameter.data.normal_(0, strength)
        network.save_pretrained(folder, save_embedding_layers=False)
        plain = transformers.AutoModelForCausalLM.from_pretrained(base, dtype="float32")
        return peft.PeftModel.from_pretrained(plain, folder).eval()


def logits(network: Any, ids: list[int]) -> Tensor:
    with torch.inference_mode():
        found: Tensor = network(input_ids=torch.tensor([ids]), use_cache=False).logits[0].float()
    return found


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    made: dict[str, Path] = {}

    def build(architecture: str) -> Path:
        if architecture not in made:
            made[architecture] = tmp_path_factory.mktemp(architecture)
            tokenizers.build("byte_bpe", made[architecture])
            architectures.build(architecture, 800, made[architecture])
        return made[architecture]

    return build


def load(scheduler: Scheduler, names: dict[str, Any]) -> dict[str, Engine]:
    """Engines of several listed models, loaded in order."""
    bases = Bases(names)
    settings = Settings(device="cpu")
    return {
        name: engine.load(name, files, scheduler, LogitsCache(CACHE), CACHE, settings, bases)
        for name, files in names.items()
    }


def halves(folder: Path, below: Path) -> Path:
    """The same model in bfloat16."""
    copied = Path(shutil.copytree(folder, below / "halved"))
    tensors = safetensors.torch.load_file(folder / "model.safetensors")
    narrow = {name: each.bfloat16() if each.is_floating_point() else each for name, each in tensors.items()}
    safetensors.torch.save_file(narrow, copied / "model.safetensors", metadata={"format": "pt"})
    return copied


async def answers_as_in_peft(
    folder: Path, adapter: Path, scheduler: Scheduler, options: dict[str, Any], strength: float = 0.3
) -> Model:
    """A model with a new adapter, after its answers and its base's have been compared with PEFT's."""
    theirs = make(folder, adapter, strength, **options)
    expected = logits(theirs, IDS)
    with theirs.disable_adapter():
        plain = logits(theirs, IDS)
    loaded = load(scheduler, {"b": folder, "b + a": AdapterFiles(folder, adapter)})
    model = loaded["b + a"].executor.model
    rows: list[Tensor] = []
    model.whole_pass.each_logits(IDS, lambda found: rows.append(found.clone()))
    torch.testing.assert_close(torch.cat(rows), expected, atol=1e-4, rtol=1e-4)
    assert float((expected.softmax(-1) - plain.softmax(-1)).abs().max()) > 0.05
    for count in (3, 5, 6, len(IDS)):  # paged, cached, and a prefetched click
        for name, wanted in (("b + a", expected), ("b", plain)):
            answer = await loaded[name].top_k(TopKQuery(token_ids=tuple(IDS[:count]), top_k=5), None)
            right = wanted[count - 1].softmax(0)
            for each in answer.candidates:
                assert each.probability == pytest.approx(float(right[each.token.token_id]), abs=1e-4)
    return model


EACH_LAYER = ("plain", "embedding and head", "scaled embedding", "convolutions")  # a variant for each kind of layer


@pytest.mark.parametrize(
    ("variant", "halved"),
    [
        *(pytest.param(name, False, id=f"{name}, float32") for name in VARIANTS),
        *(pytest.param(name, True, id=f"{name}, 16 bits") for name in EACH_LAYER),
    ],
)
async def test_an_adapted_model_answers_as_in_peft(
    base: Callable[[str], Path],
    tmp_path: Path,
    scheduler: Scheduler,
    monkeypatch: pytest.MonkeyPatch,
    variant: str,
    halved: bool,
) -> None:
    architecture, options = VARIANTS[variant]
    folder = base(architecture)
    if halved:
        monkeypatch.setattr(dtype, "LEAST_ELEMENTS", 1)
        folder = halves(folder, tmp_path)
    model = await answers_as_in_peft(folder, tmp_path / "adapter", scheduler, options)
    if halved:
        assert model.facts.dtype == "bfloat16"


@pytest.mark.parametrize("threads", [1, 2])
async def test_an_adapted_models_steps_are_fused(
    tmp_path: Path, scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    monkeypatch.setattr(dtype, "LEAST_ELEMENTS", 1)
    torch.set_num_threads(threads)
    folder = tmp_path / "base"
    tokenizers.build("byte_bpe", folder)
    shape = {**architectures.GATED, **architectures.UNTIED, "head_dim": 16, "attention_bias": True, "mlp_bias": True}
    torch.manual_seed(4)
    transformers.LlamaForCausalLM(transformers.LlamaConfig(vocab_size=800, **shape)).save_pretrained(folder)
    layers = ["embed_tokens", "lm_head", *(f"{name}_proj" for name in ("q", "k", "v", "o", "gate", "up", "down"))]
    ranks = {"lm_head": 3, "up_proj": 9, "embed_tokens": 2}
    options = {"r": 4, "lora_alpha": 6, "target_modules": layers, "rank_pattern": ranks}
    model = await answers_as_in_peft(halves(folder, tmp_path), tmp_path / "adapter", scheduler, options, strength=0.1)
    assert model.runner is not None
    assert model.runner.fused
    assert sum(isinstance(layer, LoraLayer) for layer in model.network.modules()) == 16


def test_the_bases_tensors_are_in_memory_once(
    base: Callable[[str], Path], tmp_path: Path, scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever order they are listed in, and however many there are; each has caches of its own."""
    folder = base("llama")
    for name in ("one", "two"):
        make(folder, tmp_path / name, r=2, target_modules=ATTENTION)
    reads: list[Path] = []
    read = Network.read

    def counting(folder: Path, device: str) -> Network:
        reads.append(folder)
        return read(folder, device)

    monkeypatch.setattr(Network, "read", counting)
    names = {
        "b + one": AdapterFiles(folder, tmp_path / "one"),
        "b": folder,
        "b + two": AdapterFiles(folder, tmp_path / "two"),
    }
    loaded = load(scheduler, names)
    assert reads == [folder]
    addresses = [
        {each.data_ptr() for name, each in of.executor.model.network.named_parameters() if "lora_" not in name}
        for of in loaded.values()
    ]
    assert addresses[0] == addresses[1] == addresses[2]
    runners = [of.executor.model.runner for of in loaded.values()]
    assert all(runner is not None for runner in runners)
    assert len({id(runner) for runner in runners}) == 3
    extra = loaded["b + one"].facts.parameters - loaded["b"].facts.parameters
    assert extra == sum(
        each.numel() for each in safetensors.torch.load_file(tmp_path / "one" / adapters.WEIGHTS).values()
    )
    assert loaded["b + one"].facts.note == f"adapter made for {folder}"  # it is listed under another name
    wrapped = [part for part in loaded["b"].executor.model.network.modules() if isinstance(part, LoraLayer)]
    assert wrapped == []


def test_an_adapter_of_an_image_text_model_finds_its_language_model(tmp_path: Path) -> None:
    torch.manual_seed(3)
    config = image_text.configuration("llava")
    whole: Any = transformers.LlavaForConditionalGeneration(config).eval()
    for parameter in whole.parameters():
        if parameter.ndim > 1:
            parameter.data.normal_(0, image_text.SPREAD)
    whole.save_pretrained(tmp_path / "base")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pattern = r".*language_model.*(q_proj|o_proj)"
        theirs: Any = peft.get_peft_model(whole, peft.LoraConfig(r=2, target_modules=pattern)).eval()
        for name, parameter in theirs.named_parameters():
            if "lora_" in name:
                parameter.data.normal_(0, 0.3)
        theirs.save_pretrained(tmp_path / "adapter")
    network = Network.read(tmp_path / "base", "cpu").adapted(adapters.inspect(tmp_path / "adapter"), "b")
    assert type(network.module).__name__ == "LlamaForCausalLM"
    torch.testing.assert_close(logits(network.module, IDS), logits(theirs, IDS), atol=1e-4, rtol=1e-4)


CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "another base": ({"architecture": "llama"}, r"does not fit its base: .*; it was made for"),
    "layers it lacks": ({"architecture": "gpt2"}, r"changes model\.layers\.0\..*, which its base doesn't have"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_an_adapter_that_does_not_fit_is_refused(base: Callable[[str], Path], tmp_path: Path, change: str) -> None:
    options, words = CHANGES[change]
    config = transformers.LlamaConfig.from_pretrained(base("llama"))
    config.intermediate_size *= 2
    transformers.LlamaForCausalLM(config).save_pretrained(tmp_path / "wider")
    make(tmp_path / "wider", tmp_path, r=2, target_modules=["o_proj", "gate_proj"])
    network = Network.read(base(options["architecture"]), "cpu")
    with pytest.raises(LoadFailed, match=words):
        network.adapted(adapters.inspect(tmp_path), "b")


def test_an_adapter_needs_memory_for_itself_alone(
    base: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(base("llama"), tmp_path, r=4, target_modules=ATTENTION)
    network, adapter = Network.read(base("llama"), "cpu"), adapters.inspect(tmp_path)
    monkeypatch.setattr("inference_server.host.memory.available", lambda: 4 * adapter.elements - 1)
    with pytest.raises(LoadFailed, match=r"^out of memory"):
        network.adapted(adapter, "b")
    monkeypatch.setattr("inference_server.host.memory.available", lambda: 4 * adapter.elements)
    network.adapted(adapter, "b")


def test_what_peft_saves_of_other_kinds_is_refused_by_name(base: Callable[[str], Path], tmp_path: Path) -> None:
    kinds: dict[str, dict[str, Any]] = {
        "DoRA": {"use_dora": True},
        "modules_to_save": {"modules_to_save": ["lm_head"]},
        "lora_bias": {"lora_bias": True},
        "bias: 'all'": {"bias": "all"},
        "pissa": {"init_lora_weights": "pissa"},
    }
    for at, (words, options) in enumerate(kinds.items()):
        folder = tmp_path / str(at)
        make(base("llama"), folder, r=2, target_modules=ATTENTION, **options)
        with pytest.raises(LoadFailed, match=words):
            adapters.inspect(folder)
        described = json.loads((folder / adapters.CONFIG).read_text())
        assert described["peft_type"] == "LORA"
