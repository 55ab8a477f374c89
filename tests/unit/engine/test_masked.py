"""Masks in questions: which tokens the step keeps, from where it holds, and what is said of ids that break it."""

from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from inference_server.engine.masked import Masking
from inference_server.errors import InvalidField
from inference_server.generate_messages import GeneratedSoFar, GenerateQuery
from inference_server.messages import ModelFacts, TopKQuery
from inference_server.models import bundled
from inference_server.sampler_messages import Amount, TextMask
from inference_server.scheduler.scheduler import Scheduler
from inference_server.sequence import Permit
from inference_server.tokenizer.tokenizer import ModelTokenizer

FORM = TextMask("choices", ("a dog", "a cat"))
WAYS = (" cat", " dog")
STEPS = (Amount("top_k", 5), FORM)


@pytest.fixture(scope="module")
def tokenizer() -> ModelTokenizer:
    return ModelTokenizer.load(bundled.FOLDER)


@pytest.fixture
async def masking(tokenizer: ModelTokenizer) -> AsyncIterator[Masking]:
    scheduler = Scheduler(queue_limit=4, batch_size=1)
    facts = ModelFacts(1, "cpu", "float32", tokenizer.size, 512, "Any", end_of_text_ids=(0,))
    yield Masking(tokenizer, scheduler, facts)
    assert await scheduler.close(5)


async def kept(masking: Masking, tokenizer: ModelTokenizer, text: str, start: int | None = None) -> list[str]:
    """The texts of the tokens that a mask keeps after a prompt."""
    query = TopKQuery(text=text, samplers=STEPS, constrained_from=start)
    known = await masking.known(query, tuple(tokenizer.encode(text)), Permit(), None)
    assert [*known.samplers] == [*query.samplers]
    allowed: Any = known.samplers[1].allowed  # type: ignore[union-attr]
    return [tokenizer.token(int(at), [5]).bytes.decode() for at in np.flatnonzero(allowed)]


async def test_it_holds_from_where_it_is_said_to(masking: Masking, tokenizer: ModelTokenizer) -> None:
    start = len(tokenizer.encode("Tom had"))
    assert await kept(masking, tokenizer, "Tom had") == ["a"]
    begun = await kept(masking, tokenizer, "Tom hada", start)
    assert {*WAYS} <= {*begun}
    assert all(any(way.startswith(text) for way in WAYS) for text in begun)
    with pytest.raises(InvalidField) as refused:
        await kept(masking, tokenizer, "Tom had", 1)
    assert refused.value.field == "constrained_from"
    assert refused.value.fault.startswith(f"must be from 0 to {start}, and the ids from there on what the mask allows")


async def test_without_a_mask_nothing_changes(masking: Masking) -> None:
    query = TopKQuery(text="a", samplers=STEPS[:1])
    assert await masking.known(query, (0, 5), Permit(), None) is query
    assert await masking.begun(GenerateQuery(text="a"), (0, 5), Permit(), None) is None


async def test_each_continuation_has_a_text_of_its_own(masking: Masking) -> None:
    found = await masking.begun(GenerateQuery(samplers=STEPS, n=3), (0, 5), Permit(), None)
    assert found is not None
    first, second, _ = found.texts
    before = second.allowed()
    assert first.add([int(np.flatnonzero(before)[0])]) is None
    assert (second.allowed() == before).all()
    resumed = await masking.begun(
        GenerateQuery(samplers=STEPS, n=3, resume=[GeneratedSoFar(1)]), (0, 5), Permit(), None
    )
    assert resumed is not None
    assert len(resumed.texts) == 1
