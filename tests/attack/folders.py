"""Model folders to make hostile, and what becomes of them. Knows no attack."""

import asyncio
import json
import resource
from pathlib import Path
from typing import Any

import pytest
from models import architectures, tokenizers

from inference_server.engine import engine
from inference_server.errors import LoadFailed
from inference_server.kvcache.logits_cache import LogitsCache
from inference_server.scheduler.scheduler import Scheduler
from inference_server.settings import Settings
from inference_server.tokenizer.tokenizer import ModelTokenizer

WEIGHTS = "model.safetensors"
DEEP = 200_000
MOST_BYTES = 2_000_000_000  # of memory that a refusal must stay far below


def build(folder: Path) -> Path:
    """A folder that loads."""
    tokenizers.build("byte_bpe", folder)
    architectures.build("llama", ModelTokenizer.load(folder).size, folder)
    return folder


def load(folder: Path) -> None:
    """Makes a folder an engine, which nobody asks anything."""
    scheduler = Scheduler(queue_limit=1, batch_size=1)
    try:
        engine.load("hostile", folder, scheduler, LogitsCache(0), 0, Settings(device="cpu"))
    finally:
        asyncio.run(scheduler.close(grace_s=5))


def refusal(folder: Path) -> str:
    """Why a folder does not become an engine."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(LoadFailed) as failed:
        load(folder)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < MOST_BYTES
    reason = str(failed.value)
    assert len(reason) < 500
    assert "\n" not in reason
    return reason


def reconfigure(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
