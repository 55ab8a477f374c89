"""Tokenizing without the model: as transformers does it, spelled, with what the tokenizer says of itself."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from transformers import AutoTokenizer

from inference_server.engine.prompts import LONG_TEXT
from inference_server.engine.tokenize import Tokenizing
from inference_server.errors import DeadlineExpired, InvalidField
from inference_server.messages import ModelFacts
from inference_server.models import bundled
from inference_server.scheduler.scheduler import Scheduler
from inference_server.tokenize_messages import TokenizeAnswer, TokenizeQuery
from inference_server.tokenizer.tokenizer import ModelTokenizer

LIMIT = 8


@pytest.fixture(scope="module")
def tokenizer() -> ModelTokenizer:
    return ModelTokenizer.load(bundled.FOLDER)


@pytest.fixture
def scheduler() -> Iterator[Scheduler]:
    scheduler = Scheduler(queue_limit=4, batch_size=4)
    yield scheduler
    asyncio.run(scheduler.close(grace_s=5))


@pytest.fixture
def asking(tokenizer: ModelTokenizer, scheduler: Scheduler) -> Any:
    facts = ModelFacts(1, "cpu", "float32", tokenizer.size, LIMIT, "Any")
    return Tokenizing(tokenizer, scheduler, facts, max_text_bytes=100_000).answer


def ids(answer: TokenizeAnswer) -> list[int]:
    return [token.token_id for token in answer.tokens]


@pytest.mark.parametrize("text", ["Once upon a time", "", "é 😀", "<|endoftext|> there", "word " * LONG_TEXT])
async def test_a_text_has_the_ids_of_transformers(asking: Any, text: str) -> None:
    """However long it is: nothing of it goes through the model."""
    judge = AutoTokenizer.from_pretrained(bundled.FOLDER, local_files_only=True)
    bare = await asking(TokenizeQuery(text=text, bare=True), None)
    assert ids(bare) == judge.encode(text, add_special_tokens=False)
    assert (bare.context_limit, bare.timings.model_ms, bare.tokenizer) == (LIMIT, 0, None)
    whole = await asking(TokenizeQuery(text=text), None)
    assert ids(whole) == [0, *ids(bare)]
    spelled = await asking(TokenizeQuery(token_ids=tuple(ids(bare))), None)
    assert b"".join(token.bytes for token in spelled.tokens).decode() == text


async def test_names_of_special_tokens_may_be_characters(asking: Any) -> None:
    (token,) = (await asking(TokenizeQuery(text="<|endoftext|>", bare=True), None)).tokens
    assert (token.token_id, token.is_special) == (0, True)
    told = await asking(TokenizeQuery(text="<|endoftext|>", bare=True, special="text"), None)
    assert not [token for token in told.tokens if token.is_special]


async def test_what_the_tokenizer_says_of_itself(asking: Any) -> None:
    facts = (await asking(TokenizeQuery(token_ids=(), include_tokenizer=True), None)).tokenizer
    assert (facts.bos.text, facts.eos.text, facts.chat_template) == ("<|endoftext|>", "<|endoftext|>", "")


async def test_what_is_refused(asking: Any, tokenizer: ModelTokenizer) -> None:
    for query, field in (
        (TokenizeQuery(), "text"),
        (TokenizeQuery(token_ids=(tokenizer.size,)), "token_ids"),
        (TokenizeQuery(text="a" * 100_001), "text"),
    ):
        with pytest.raises(InvalidField) as refused:
            await asking(query, None)
        assert refused.value.field == field
    with pytest.raises(DeadlineExpired):
        await asking(TokenizeQuery(text="word " * LONG_TEXT), 0.0)
