"""A random model in the shape of SmolLM2-360M, saved in bfloat16 as the real one is: speed without a download."""

import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from inference_server.models.bundled import FOLDER as BUNDLED

VOCABULARY = 49_152
FOLDER = Path(__file__).parents[2] / "build" / "bench-360m"


def folder() -> Path:
    """The model's folder, made once."""
    return saved(
        FOLDER,
        hidden_size=960,
        num_hidden_layers=32,
        num_attention_heads=15,
        num_key_value_heads=5,
        intermediate_size=2560,
    )


def saved(folder: Path, **sizes: Any) -> Path:
    """A folder with such a model, made once; its tokenizer is the bundled model's, which knows the first 4,096 ids."""
    if not (folder / "tokenizer.json").exists():
        torch.manual_seed(0)
        config = LlamaConfig(vocab_size=VOCABULARY, max_position_embeddings=8192, tie_word_embeddings=True, **sizes)
        LlamaForCausalLM(config).bfloat16().save_pretrained(folder)
        for name in ("tokenizer_config.json", "tokenizer.json"):
            shutil.copy(BUNDLED / name, folder / name)
    return folder
