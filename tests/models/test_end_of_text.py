"""What a loaded model says of the end and the beginning of its texts."""

import json
from pathlib import Path

import pytest

from inference_server.engine import engine
from inference_server.errors import LoadFailed
from inference_server.kvcache.logits_cache import LogitsCache
from inference_server.scheduler.scheduler import Scheduler
from inference_server.settings import Settings
from inference_server.tokenizer.tokenizer import ModelTokenizer
from models import architectures, tokenizers
from models.conftest import PADDING


def load(folder: Path, scheduler: Scheduler) -> engine.Engine:
    return engine.load("m", folder, scheduler, LogitsCache(0), 0, Settings(device="cpu"))


def test_the_facts_hold_every_end_that_is_a_row_and_no_other_mark(tmp_path: Path, scheduler: Scheduler) -> None:
    tokenizers.build("tiktoken", tmp_path)
    words = ModelTokenizer.load(tmp_path)
    role, end, begin = (words.encode(name)[-1] for name in ("<|eot_id|>", "<|end_of_text|>", "<|begin_of_text|>"))
    architectures.build("llama", words.size + PADDING, tmp_path)
    assert load(tmp_path, scheduler).facts.end_of_text_ids == (end,)
    generation = tmp_path / "generation_config.json"
    generation.write_text(json.dumps({"eos_token_id": [role, words.size + PADDING, -1]}))
    facts = load(tmp_path, scheduler).facts
    assert facts.end_of_text_ids == tuple(sorted({role, end}))
    assert facts.prefix_token_ids == (begin,)
    generation.write_text("{")
    with pytest.raises(LoadFailed, match=r"^generation_config.json can't be read"):
        load(tmp_path, scheduler)
