"""Evaluates the demo model on held-out stories: `PYTHONPATH=tools python -m train_demo_model.evaluate CORPUS`."""

import argparse
import json
import math
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, PreTrainedModel

from inference_server.models.bundled import FOLDER
from train_demo_model import corpus

PROMPTS = ("Once upon a time", "The little girl was very", "Tom and his dog went to the")


@torch.inference_mode()
def held_out_loss(
    model: PreTrainedModel, tokenizer: Tokenizer, stories: list[str], window: int, batch: int = 16
) -> dict[str, float]:
    """Mean loss over windows of the concatenated stories; the first token of each window is not predicted.

    Returns nats per predicted token, bytes per token (separators count as tokens without bytes) and bits per byte.
    """
    encoded = corpus.encode(tokenizer, stories)
    rows = torch.from_numpy(corpus.windows(encoded, window)).to(model.device)
    total, count = 0.0, 0
    for start in range(0, len(rows), batch):
        ids = rows[start : start + batch]
        logits = model(input_ids=ids, use_cache=False).logits[:, :-1].float()
        total += torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="sum").item()
        count += ids[:, 1:].numel()
    nats = total / count
    bytes_per_token = sum(len(story.encode()) for story in stories) / sum(len(ids) for ids in encoded)
    return {
        "nats_per_token": round(nats, 4),
        "bytes_per_token": round(bytes_per_token, 4),
        "bits_per_byte": round(nats / math.log(2) / bytes_per_token, 4),
    }


@torch.inference_mode()
def top_tokens(model: PreTrainedModel, tokenizer: Tokenizer, prompt: str, k: int = 5) -> list[tuple[str, float]]:
    """The k most likely next tokens of a prompt, as (text, probability)."""
    ids = torch.tensor([tokenizer.encode(prompt).ids], device=model.device)
    probabilities = model(input_ids=ids, use_cache=False).logits[0, -1].float().softmax(-1)
    best = probabilities.topk(k)
    return [
        (tokenizer.decode([i]), round(p, 4)) for p, i in zip(best.values.tolist(), best.indices.tolist(), strict=True)
    ]


def report(folder: Path, stories: list[str]) -> dict[str, object]:
    """Evaluates a saved model: held-out loss at windows of 256 and 512 tokens, top five tokens after three prompts."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    return {
        "parameters": model.num_parameters(),
        "held_out_stories": len(stories),
        "windows_of_256": held_out_loss(model, tokenizer, stories, 256),
        "windows_of_512": held_out_loss(model, tokenizer, stories, 512),
        "top_5": {prompt: top_tokens(model, tokenizer, prompt) for prompt in PROMPTS},
    }


def main() -> None:
    """Prints the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    _, held_out = corpus.split(corpus.read_stories(arguments.corpus))
    print(json.dumps(report(arguments.folder, held_out), indent=1))


if __name__ == "__main__":
    main()
