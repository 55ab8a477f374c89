"""Prompts as ids: text, ids and both in turn, within a model's context and vocabulary, long texts beside the loop."""

import asyncio
import time
from collections.abc import Iterator

import pytest

from inference_server.compare_messages import ComparedQuestion
from inference_server.engine.prompts import LONG_TEXT, Prompts, Question
from inference_server.errors import DeadlineExpired, InvalidField
from inference_server.messages import ModelFacts, ScoreQuery, TopKQuery
from inference_server.models import bundled
from inference_server.scheduler.scheduler import Scheduler
from inference_server.sequence import Ids
from inference_server.tokenizer.tokenizer import ModelTokenizer

LIMIT = 3000


@pytest.fixture(scope="module")
def tokenizer() -> ModelTokenizer:
    return ModelTokenizer.load(bundled.FOLDER)


@pytest.fixture
def scheduler() -> Iterator[Scheduler]:
    scheduler = Scheduler(queue_limit=4, batch_size=4)
    yield scheduler
    asyncio.run(scheduler.close(grace_s=5))


async def encoded(
    tokenizer: ModelTokenizer, scheduler: Scheduler, query: Question, deadline: float | None = None, rows: int = 0
) -> Ids:
    facts = ModelFacts(1, "cpu", "float32", rows or tokenizer.size, LIMIT, "Any")
    with scheduler.admit() as permit:
        ids, spent_s = await Prompts(tokenizer, scheduler, facts).encode(query, permit, deadline)
    assert spent_s >= 0
    return ids


@pytest.mark.parametrize("text", ["Once upon a time", "x " * (LONG_TEXT // 4), "word " * (LONG_TEXT // 5 + 1)])
async def test_every_form_of_a_prompt(tokenizer: ModelTokenizer, scheduler: Scheduler, text: str) -> None:
    ids = tuple(tokenizer.encode(text))
    for query in (TopKQuery(text=text), ScoreQuery(text=text), ComparedQuestion(text=text), TopKQuery(token_ids=ids)):
        assert await encoded(tokenizer, scheduler, query) == ids
    assert await encoded(tokenizer, scheduler, TopKQuery(parts=(text, ids))) == ids * 2
    assert await encoded(tokenizer, scheduler, TopKQuery(text="")) == (tokenizer.bos_id,)


async def test_what_does_not_fit_is_refused_by_field(tokenizer: ModelTokenizer, scheduler: Scheduler) -> None:
    for query, field in (
        (TopKQuery(token_ids=(5,) * (LIMIT + 1)), "token_ids"),
        (TopKQuery(text="word " * (LIMIT + 1)), "text"),
        (TopKQuery(parts=((5,) * LIMIT, "word")), "parts"),
    ):
        with pytest.raises(InvalidField, match=f"context window is {LIMIT:,}") as refused:
            await encoded(tokenizer, scheduler, query)
        assert refused.value.field == field
    for query in (TopKQuery(token_ids=(2000,)), TopKQuery(parts=((2000,),))):
        with pytest.raises(InvalidField):
            await encoded(tokenizer, scheduler, query, rows=2000)


async def test_a_long_text_has_a_deadline_too(tokenizer: ModelTokenizer, scheduler: Scheduler) -> None:
    with pytest.raises(DeadlineExpired):
        await encoded(tokenizer, scheduler, TopKQuery(text="word " * LONG_TEXT), time.monotonic())
