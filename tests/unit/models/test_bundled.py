"""The demo model that ships with the project: its size, its figures, and what it says."""

import json
import re

import pytest
import torch
from safetensors import safe_open
from tokenizers import Tokenizer
from train_demo_model import evaluate
from transformers import AutoModelForCausalLM

from inference_server.models.bundled import FOLDER

FACTS = json.loads((FOLDER / "training.json").read_text())
CARD = (FOLDER / "README.md").read_text(encoding="utf-8")
SENSIBLE = {
    "Once upon a time": {",", " there", " in"},
    "The little girl was very": {" excited", " happy", " curious", " sad"},
    "Tom and his dog went to the": {" beach", " park", " store"},
}


def test_it_is_small() -> None:
    assert sum((FOLDER / name).stat().st_size for name in ("model.safetensors", "tokenizer.json")) <= 12_000_000
    assert 1_000_000 <= FACTS["parameters"] <= 6_000_000
    assert 2_000 <= Tokenizer.from_file(str(FOLDER / "tokenizer.json")).get_vocab_size() <= 4_096


def test_its_weights_are_float16() -> None:
    with safe_open(FOLDER / "model.safetensors", framework="pt") as weights:
        assert {weights.get_slice(name).get_dtype() for name in weights.keys()} == {"F16"}  # noqa: SIM118 - no mapping


def test_it_predicts_held_out_stories_well_enough() -> None:
    assert FACTS["held_out_stories"] == 500
    assert FACTS["windows_of_256"]["bits_per_byte"] <= 0.75


def test_the_card_states_the_figures_of_the_run() -> None:
    rows = dict(re.findall(r"^\| (\d+) tokens \| [\d.]+ \| ([\d.]+) \|", CARD, re.MULTILINE))
    assert rows == {size: f"{FACTS[f'windows_of_{size}']['bits_per_byte']:.4f}" for size in ("256", "512")}
    assert f"{FACTS['parameters']:,}" in CARD
    assert f"{FACTS['steps']:,} steps" in CARD


@pytest.mark.parametrize("prompt", evaluate.PROMPTS)
def test_it_says_what_a_story_would(prompt: str) -> None:
    tokenizer = Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
    model = AutoModelForCausalLM.from_pretrained(FOLDER, dtype=torch.float32).eval()
    top = evaluate.top_tokens(model, tokenizer, prompt, 5)
    assert SENSIBLE[prompt] <= {text for text, _ in top}
    assert [text for text, _ in top] == [text for text, _ in FACTS["top_5"][prompt]]
    assert [probability for _, probability in top] == pytest.approx([p for _, p in FACTS["top_5"][prompt]], abs=1e-3)
