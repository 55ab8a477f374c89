"""What an answer says of one row of logits."""

import pytest
import torch
from workers import FakeExecutor

from inference_server.engine.sampled import told
from inference_server.engine.top_k import TopK
from inference_server.messages import ModelFacts, TopKAnswer, TopKQuery
from inference_server.models import bundled
from inference_server.sequence import Sequence
from inference_server.tokenizer.tokenizer import ModelTokenizer


@pytest.fixture(scope="module")
def tokenizer() -> ModelTokenizer:
    return ModelTokenizer.load(bundled.FOLDER)


def answered(tokenizer: ModelTokenizer, query: TopKQuery) -> TopKAnswer:
    """The answer about a row whose logits fall from id to id."""
    facts = ModelFacts(1, "cpu", "float32", tokenizer.size, 512, "Any")
    sequence = Sequence((0, 300), FakeExecutor("any", list), TopK(query, facts, tokenizer).describe)
    sequence.num_computed_tokens = 1
    sequence.receive(-torch.arange(float(tokenizer.size))[None])
    assert sequence.done
    answer: TopKAnswer = told(sequence.outputs[0])
    return answer


def test_everything_asked_of_a_row_is_told(tokenizer: ModelTokenizer) -> None:
    query = TopKQuery(
        token_ids=(0, 300),
        top_k=3,
        watch_token_ids=(9,),
        top_p=0.5,
        draws=(0.0, 0.99),
        include_prompt_tokens=True,
        include_partition=True,
    )
    answer = answered(tokenizer, query)
    assert [candidate.token for candidate in answer.candidates] == [tokenizer.token(i, (0, 300)) for i in range(3)]
    assert [candidate.rank for candidate in (*answer.candidates, *answer.watched)] == [1, 2, 3, 10]
    assert [candidate.token.token_id for candidate in answer.drawn] == [0, 0]  # top_p keeps the first alone
    assert (answer.kept_count, answer.kept_probability) == (1, answer.candidates[0].probability)
    assert (answer.token_count, answer.cached_tokens, answer.context_limit) == (2, 1, 512)
    assert [token.token_id for token in answer.prompt_tokens] == [0, 300]
    assert len(answer.partition) == 33
    assert answer.partition_at_zero is not None
    ids = torch.arange(float(tokenizer.size), dtype=torch.float64)
    assert answer.partition_at_zero.mean_logit == -float(ids.mean())
    assert answer.partition_at_zero.variance == pytest.approx(float(ids.var(correction=0)), rel=1e-12)


def test_nothing_else_is_computed(tokenizer: ModelTokenizer) -> None:
    answer = answered(tokenizer, TopKQuery(token_ids=(0, 300)))
    assert (answer.prompt_tokens, answer.partition, list(answer.watched), list(answer.drawn)) == ((), (), [], [])
    assert answer.partition_at_zero is None
    assert answer.kept_count == answer.vocab_size == tokenizer.size
