"""Passes without a cache, beside the network's own pass over the same prompt."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor

from inference_server.runtime import whole_pass
from inference_server.runtime.whole_pass import WholePass
from models import architectures

VOCABULARY = 60
IDS = [3, 14, 15, 9, 26, 5, 35]
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder: Path = tmp_path_factory.mktemp("whole")
    architectures.build("llama", VOCABULARY, folder)
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def wanted(network: Any) -> Tensor:
    with torch.inference_mode():
        logits: Tensor = network(input_ids=torch.tensor([IDS]), use_cache=False).logits[0]
    return logits


@pytest.mark.parametrize("selects_rows", [True, False])
def test_the_last_row_and_any_others(network: Any, wanted: Tensor, selects_rows: bool) -> None:
    passes = WholePass(network, CPU, selects_rows=selects_rows, vocab_size=VOCABULARY)
    torch.testing.assert_close(passes.last_logits(IDS), wanted[-1])
    torch.testing.assert_close(passes.logits(IDS, torch.tensor([4, 1])), wanted[[4, 1]])


def test_rows_come_a_few_at_a_time_from_one_pass_of_the_body(
    network: Any, wanted: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole_pass, "LOGITS_BYTES", 3 * 4 * VOCABULARY)
    passes = WholePass(network, CPU, selects_rows=True, vocab_size=VOCABULARY)
    runs, found = list[int](), list[Tensor]()
    handle = network.model.layers[0].register_forward_pre_hook(lambda *_: runs.append(1))
    passes.each_logits(IDS, found.append)
    handle.remove()
    assert [len(rows) for rows in found] == [3, 3, 1]
    assert runs == [1]
    torch.testing.assert_close(torch.cat(found), wanted)
    torch.testing.assert_close(passes.last_logits(IDS[:2]), wanted[1])  # the body computes again


def test_a_network_that_gives_every_row_gives_them_at_once(network: Any, wanted: Tensor) -> None:
    found = list[Tensor]()
    WholePass(network, CPU, selects_rows=False, vocab_size=VOCABULARY).each_logits(IDS, found.append)
    assert len(found) == 1
    torch.testing.assert_close(found[0], wanted)


def test_a_pass_runs_within_its_context(network: Any) -> None:
    entered = list[int]()

    @contextmanager
    def context(tokens: int) -> Iterator[None]:
        entered.append(tokens)
        yield

    WholePass(network, CPU, selects_rows=True, vocab_size=VOCABULARY, context=context).last_logits(IDS)
    assert entered == [len(IDS)]
