"""Small models in the shapes that published folders have and a fresh `save_pretrained` has not."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Regex, Tokenizer, pre_tokenizers

from inference_server.tokenizer.tokenizer import ModelTokenizer
from models import architectures, tokenizers

PADDING = 3  # ids that only the logits know, as in models whose vocabulary is rounded up
INDEX = "model.safetensors.index.json"


@dataclass(frozen=True)
class Shape:
    """How a folder comes about: its tokenizer's files, the rows of logits beyond the tokens, and what is done last."""

    tokenizer: Callable[[Path], None]
    padding: int = PADDING
    finish: Callable[[Path], None] = lambda folder: None


def rewrite(folder: Path, name: str, **changes: object) -> None:
    """Changes keys of a JSON file, which may be missing."""
    path = folder / name
    held = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    path.write_text(json.dumps(held | changes), encoding="utf-8")


def digits_step(folder: Path) -> None:
    """As SmolLM2's: the file splits digits from each other before all else, of which its class knows nothing."""
    tokenizers.build("byte_bpe", folder)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    steps = [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
    tokenizer.save(str(folder / "tokenizer.json"))
    rewrite(folder, "tokenizer_config.json", tokenizer_class="GPT2Tokenizer")


def own_pattern(folder: Path) -> None:
    """A pattern of its own, under a class that brings another."""
    tokenizers.build("byte_bpe", folder)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    pairs = pre_tokenizers.Split(Regex(r"\p{L}{1,2}"), behavior="isolated")
    bytes_alone = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pairs, bytes_alone])
    tokenizer.save(str(folder / "tokenizer.json"))
    rewrite(folder, "tokenizer_config.json", tokenizer_class="Qwen2Tokenizer")


def unigram_as_llama(folder: Path) -> None:
    """A Unigram file under a class that is for pairs."""
    tokenizers.build("unigram", folder)
    (folder / "tokenizer.model").unlink(missing_ok=True)
    rewrite(folder, "tokenizer_config.json", tokenizer_class="LlamaTokenizer")


def oddly_named_shards(folder: Path) -> None:
    """Weights in files that only the index knows, beside a copy that it does not."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    shards = {"weights.00.safetensors": names[::2], "layers-b.safetensors": names[1::2]}
    for file, held in shards.items():
        save_file({name: tensors[name] for name in held}, folder / file, metadata={"format": "pt"})
    places = {name: file for file, held in shards.items() for name in held}
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": places}))
    stray = {name: torch.zeros_like(tensor).half() for name, tensor in tensors.items()}
    save_file(stray, folder / "model-fp16-copy.safetensors", metadata={"format": "pt"})


def several_ends(folder: Path) -> None:
    """More than one token ends a text, and one of them is no end to the tokenizer."""
    rewrite(folder, "generation_config.json", eos_token_id=[2, 0])


def in_half_precision(folder: Path) -> None:
    """bfloat16 weights and a config that says so."""
    tensors = load_file(folder / "model.safetensors")
    halves = {name: tensor.bfloat16() for name, tensor in tensors.items()}
    save_file(halves, folder / "model.safetensors", metadata={"format": "pt"})
    rewrite(folder, "config.json", dtype="bfloat16")


def a_kind(kind: str) -> Callable[[Path], None]:
    return lambda folder: tokenizers.build(kind, folder)


SHAPES: dict[str, Shape] = {
    "much_padding": Shape(a_kind("byte_bpe"), padding=267),
    "digits_step": Shape(digits_step),
    "own_pattern": Shape(own_pattern),
    "unigram_as_llama": Shape(unigram_as_llama),
    "oddly_named_shards": Shape(a_kind("byte_bpe"), finish=oddly_named_shards),
    "several_ends": Shape(a_kind("tiktoken"), finish=several_ends),
    "half_precision": Shape(a_kind("sentencepiece_bpe"), finish=in_half_precision),
}
CELLS = [(architecture, shape) for shape in SHAPES for architecture in ("llama", "gpt2")]
"""An architecture and the name of a shape, beside those of every architecture with every kind of tokenizer."""


def build(architecture: str, name: str, folder: Path) -> None:
    """Writes a whole folder in one of SHAPES."""
    shape = SHAPES[name]
    shape.tokenizer(folder)
    architectures.build(architecture, ModelTokenizer.load(folder).size + shape.padding, folder)
    shape.finish(folder)
