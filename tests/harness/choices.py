"""A local task for lm-evaluation-harness: multiple-choice items that are made, not downloaded."""

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAME = "made_choices"
PASSAGES = Path(__file__).parents[1] / "bench" / "passages.txt"
ODD = ("日本語", "😀 yes", "naïve café", "e\u0301", "\tx", "100 %", "<b>", "Ω≈ç", "don't", "  two spaces")
TASK = f"""task: {NAME}
dataset_path: json
dataset_kwargs:
  data_files:
    test: %s
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{context}}}}"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: gold
target_delimiter: ""
metric_list:
  - metric: acc
"""


def items() -> Iterator[dict[str, Any]]:
    """Items without end: a text, four ways to go on, and which of them it does."""
    chance = random.Random(1)
    sentences = [each for each in re.split(r"(?<=[.!?])\s+", PASSAGES.read_text(encoding="utf-8")) if len(each) > 40]
    while True:
        sentence, *others = chance.sample(sentences, 4)
        words = sentence.split(" ")
        at = chance.randrange(3, len(words))
        goes_on = " " + " ".join(words[at : at + 4])
        wrong = [" " + " ".join(each.split(" ")[-chance.randrange(1, 4) :]) for each in others]
        if chance.random() < 0.2:
            wrong[0] = f" {chance.choice(ODD)}"
        gold = chance.randrange(4)
        choices = [*wrong[:gold], goes_on, *wrong[gold:]]
        if len(set(choices)) == 4:
            yield {"context": " ".join(words[:at]), "choices": choices, "gold": gold}


def write(folder: Path, count: int) -> None:
    """The task's file and its first items."""
    lines = [json.dumps(item) + "\n" for item, _ in zip(items(), range(count), strict=False)]
    data = folder / "items.jsonl"
    data.write_text("".join(lines), encoding="utf-8")
    (folder / f"{NAME}.yaml").write_text(TASK % data, encoding="utf-8")
