"""Sequences that go on from transformers' own caches, step by step."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor

from inference_server.runtime.backends import HFCacheBackend
from inference_server.runtime.hf_cache import build_hf_cache
from inference_server.runtime.whole_pass import WholePass
from inference_server.sequence import MAX_RECOMPUTED, Sequence
from models import architectures

VOCABULARY = 60
IDS = (3, 14, 15, 9, 26, 5, 35)
NOBODYS: Any = None  # no executor


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder: Path = tmp_path_factory.mktemp("backends")
    architectures.build("llama", VOCABULARY, folder)
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def wanted(network: Any) -> Tensor:
    with torch.inference_mode():
        logits: Tensor = network(input_ids=torch.tensor([IDS]), use_cache=False).logits[0]
    return logits


def whole_pass(network: Any) -> WholePass:
    return WholePass(network, torch.device("cpu"), selects_rows=True, vocab_size=VOCABULARY)


def cached(network: Any) -> HFCacheBackend:
    cache = build_hf_cache(network, 1 << 20, last_only=True)
    assert cache is not None
    return HFCacheBackend(cache, whole_pass(network))


def asked(every_row: bool = False) -> Sequence[Tensor]:
    return Sequence(IDS, NOBODYS, lambda _, rows: rows, every_row=every_row)


def computed(backend: HFCacheBackend, sequence: Sequence[Tensor], count: int) -> int:
    """How many tokens one step took; what it gave is the sequence's."""
    taken = list[int]()

    def receive(of: Sequence[Any], tokens: int, rows: Tensor | None) -> None:
        taken.append(tokens)
        if rows is not None:
            of.receive(rows)

    backend.match(sequence)
    backend.execute([(sequence, count)], receive)
    backend.release()
    return sum(taken)


def test_a_cache_goes_on_where_the_last_step_ended(network: Any, wanted: Tensor) -> None:
    backend, sequence = cached(network), asked()
    assert computed(backend, sequence, 4) == 4
    assert not sequence.done
    assert computed(backend, sequence, 10) == len(IDS) - 4
    assert sequence.num_cached_tokens == 4
    torch.testing.assert_close(sequence.outputs[0], wanted[-1], atol=1e-4, rtol=1e-4)


def test_a_score_takes_no_cache(network: Any, wanted: Tensor) -> None:
    sequence = asked(every_row=True)
    assert computed(cached(network), sequence, 1) == len(IDS)
    torch.testing.assert_close(torch.stack(sequence.outputs), wanted)


def test_a_prompt_evicted_time_and_again_goes_in_one_pass(network: Any) -> None:
    backend, sequence = cached(network), asked()
    sequence.num_computed_tokens = MAX_RECOMPUTED * len(IDS) + 1
    backend.match(sequence)
    assert sequence.single_pass
