"""Loading a folder: what is refused, in which words, before anything large is read; and what a loaded model is."""

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import transformers

from inference_server.cpu import dtype as dtype_module
from inference_server.errors import LoadFailed
from inference_server.host import memory
from inference_server.runtime import weight_loader
from inference_server.runtime.devices import Place
from inference_server.runtime.load_plan import LoadPlan
from inference_server.runtime.model import Model
from models import architectures

IDS = [5, 6, 7, 11]


def reconfigure(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def shard(folder: Path) -> None:
    """Splits the weights over two files and an index, as large models come."""
    network = transformers.AutoModelForCausalLM.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    network.save_pretrained(folder, max_shard_size="100KB")
    assert (folder / "model.safetensors.index.json").is_file()


def truncate(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def cut_in_header(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:50])


def huge_header(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", 2**60) + b"{}")


def overwrite(name: str, content: bytes) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return damage


def only_pickles(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def lose_a_shard(folder: Path) -> None:
    shard(folder)
    next(folder.glob("model-00002*.safetensors")).unlink()


def lose_the_head(folder: Path) -> None:
    path = folder / "model.safetensors"
    tensors = safetensors.torch.load_file(path)
    del tensors["lm_head.weight"]
    safetensors.torch.save_file(tensors, path, metadata={"format": "pt"})


def bert(folder: Path) -> None:
    """A model that reads in both directions, which transformers would load with a next-token head all the same."""
    config = transformers.BertConfig(
        vocab_size=300, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48,
        initializer_range=0.3,
    )  # fmt: skip
    transformers.BertForMaskedLM(config).save_pretrained(folder)


DAMAGE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "nothing there": (lambda f: shutil.rmtree(f), r"no config\.json"),
    "no config": (lambda f: (f / "config.json").unlink(), r"no config\.json"),
    "config cut": (
        overwrite("config.json", b'{"model_type": "lla'),
        r"config\.json can't be read: .*; download it again",
    ),
    "config no object": (overwrite("config.json", b"[]"), r"config\.json is not a JSON object"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), r"^no safetensors weights$"),
    "only pickles": (only_pickles, r"no safetensors weights \(only pytorch_model\.bin: pickle files can run code"),
    "truncated": (
        truncate,
        r"model\.safetensors is truncated or corrupt: its tensors should take [\d,]+ bytes, not [\d,]+",
    ),
    "cut in header": (cut_in_header, r"model\.safetensors is truncated or corrupt"),
    "empty": (overwrite("model.safetensors", b""), r"model\.safetensors is truncated or corrupt"),
    "no safetensors": (overwrite("model.safetensors", b"\0" * 5000), r"model\.safetensors is truncated or corrupt"),
    "a web page": (overwrite("model.safetensors", b"<html>" * 99), r"model\.safetensors is truncated or corrupt"),
    "header beyond the file": (huge_header, "its header is longer than the file"),
    "a shard lost": (lose_a_shard, r"weights file model-00002-of-.*\.safetensors is missing"),
    "code of its own": (
        lambda f: reconfigure(f, model_type="mine", auto_map={"AutoConfig": "mine.Config"}),
        "it requires custom code .* which this server never runs",
    ),
    "unknown type": (lambda f: reconfigure(f, model_type="mine"), "does not know its model_type, 'mine'"),
    "no type": (lambda f: overwrite("config.json", b"{}")(f), "does not know its model_type"),
    "no next-token head": (lambda f: reconfigure(f, model_type="t5"), "not a causal LM: .*'t5'"),
    "both directions": (bert, "not a causal LM: later tokens change what it says of earlier ones"),
    "head lost": (lose_the_head, r"not a causal LM: its weights lack lm_head\.weight"),
    "another size": (
        lambda f: reconfigure(f, hidden_size=64),
        r"config\.json does not fit the weights: model\.embed_tokens\.weight would be 300 x 64, the file has 300 x 32",
    ),
    "nonsense": (lambda f: reconfigure(f, num_attention_heads="many"), r"transformers can't read its config\.json: "),
    "weights elsewhere": (lambda f: reconfigure(f, transformers_weights="adapter_model.bin"), "not supported"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_can_not_be_loaded_says_why(folder: Path, damage: str) -> None:
    do, reason = DAMAGE[damage]
    do(folder)
    with pytest.raises(LoadFailed, match=reason) as failed:
        Model.load(folder, "cpu")
    assert len(str(failed.value)) < 400
    assert "\n" not in str(failed.value)


@pytest.mark.parametrize(("kernels", "needed"), [(True, r"0\.7"), (False, r"1\.4")])
def test_a_model_larger_than_the_memory_left_is_not_begun(
    folder: Path, monkeypatch: pytest.MonkeyPatch, kernels: bool, needed: str
) -> None:
    """As much is needed as the network takes: in 16 bits where compiled kernels widen them, else in float32."""
    monkeypatch.setattr(dtype_module, "kernels_run", lambda kind: kernels)
    monkeypatch.setattr(memory, "available", lambda: 50_000_000)
    reads: list[Path] = []
    monkeypatch.setattr(weight_loader, "load", lambda folder, *_: reads.append(folder))
    reconfigure(folder, vocab_size=5_470_000)
    write_sparse(folder, 5_470_000)
    with pytest.raises(LoadFailed, match=rf"^out of memory: needs about {needed} GB, 0\.1 GB are free"):
        Model.load(folder, "cpu")
    assert reads == []


def write_sparse(folder: Path, vocab_size: int) -> None:
    """Weights in bfloat16 of a larger vocabulary, and hardly a byte of them on the disk."""
    with torch.device("meta"):
        network = transformers.AutoModelForCausalLM.from_config(architectures.ARCHITECTURES["llama"](vocab_size))
    header, end = {}, 0
    for name, tensor in network.state_dict().items():
        first, end = end, end + 2 * tensor.numel()
        header[name] = {"dtype": "BF16", "shape": [*tensor.shape], "data_offsets": [first, end]}
    with (folder / "model.safetensors").open("wb") as file:
        words = json.dumps(header).encode()
        file.write(struct.pack("<Q", len(words)) + words)
        file.truncate(8 + len(words) + end)


def test_an_allocation_that_fails_is_told_as_such(sound: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(folder: Path, plan: LoadPlan, place: Place) -> Any:
        return torch.empty(2**60, dtype=plan.dtype)  # what the allocator says of more than there can be

    monkeypatch.setattr(weight_loader, "load", load)
    with pytest.raises(LoadFailed, match=r"^out of memory: needs about 0\.1 GB"):
        Model.load(sound, "cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there(sound: Path) -> None:
    with pytest.raises(LoadFailed, match="CUDA is not available on this machine; set NEXTTOKEN_DEVICE to auto or cpu"):
        Model.load(sound, "cuda")
    assert Model.load(sound, "auto").facts.device in ("cpu", "mps")


def test_facts(sound: Path) -> None:
    facts = Model.load(sound, "cpu").facts
    network = transformers.AutoModelForCausalLM.from_pretrained(sound)
    assert facts.parameters == network.num_parameters()
    assert (facts.device, facts.dtype, facts.architecture) == ("cpu", "float32", "LlamaForCausalLM")
    assert (facts.vocab_size, facts.context_limit) == (300, architectures.CONTEXT)


def test_tied_weights_count_once(tmp_path: Path) -> None:
    architectures.build("gpt2", 300, tmp_path)
    network = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    assert Model.load(tmp_path, "cpu").facts.parameters == network.num_parameters()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_weights_are_computed_in_float32(sound: Path, tmp_path: Path, dtype: torch.dtype) -> None:
    transformers.AutoModelForCausalLM.from_pretrained(sound, dtype=dtype).save_pretrained(tmp_path)
    model = Model.load(tmp_path, "cpu")
    assert model.facts.dtype == "float32"
    reference = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    with torch.inference_mode():
        expected = reference(torch.tensor([IDS])).logits[0, -1]
    torch.testing.assert_close(model.whole_pass.last_logits(IDS), expected, atol=1e-5, rtol=1e-5)


def test_weights_in_several_files(folder: Path, sound: Path) -> None:
    shard(folder)
    found, expected = (Model.load(where, "cpu").whole_pass.last_logits(IDS) for where in (folder, sound))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_a_head_that_shares_the_embedding_lacks_nothing(folder: Path) -> None:
    lose_the_head(folder)
    reconfigure(folder, tie_word_embeddings=True)
    assert Model.load(folder, "cpu").facts.vocab_size == 300


@pytest.mark.parametrize(
    ("architecture", "tokenizer", "limit"),
    [
        ("llama", None, architectures.CONTEXT),
        ("llama", 32, architectures.CONTEXT),  # the model's own word counts
        ("mamba", None, 32_768),
        ("mamba", 4096, 4096),
        ("mamba", 1e30, 32_768),  # how tokenizers say "not stated"
        ("bloom", 2048, 2048),
        ("rwkv", None, architectures.CONTEXT),
    ],
)
def test_the_context_limit(tmp_path: Path, architecture: str, tokenizer: float | None, limit: int) -> None:
    architectures.build(architecture, 300, tmp_path)
    if tokenizer is not None:
        (tmp_path / "tokenizer_config.json").write_text(json.dumps({"model_max_length": tokenizer}))
    assert Model.load(tmp_path, "cpu").capabilities.context_limit == limit


@pytest.mark.parametrize("selects_rows", [True, False])
def test_however_positions_may_be_named_the_logits_are_the_same(sound: Path, selects_rows: bool) -> None:
    network = transformers.AutoModelForCausalLM.from_pretrained(sound).eval()
    plain = network.forward

    def every(input_ids: torch.Tensor, attention_mask: Any = None, **ignored: Any) -> Any:
        return plain(input_ids=input_ids, attention_mask=attention_mask)

    network.forward = plain if selects_rows else every
    model = Model.build(network, torch.device("cpu"), 64, 0)
    assert model.capabilities.selects_rows == selects_rows
    for prompt in (IDS, IDS[:2], [9, 8, 7, 6, 5, 4]):
        with torch.inference_mode():
            expected = plain(torch.tensor([prompt])).logits[0]
        torch.testing.assert_close(model.whole_pass.last_logits(prompt), expected[-1], atol=1e-5, rtol=1e-5)
        found = list[torch.Tensor]()
        model.whole_pass.each_logits(prompt, found.append)
        torch.testing.assert_close(torch.cat(found), expected, atol=1e-5, rtol=1e-5)
