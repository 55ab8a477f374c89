"""One model's requests from end to end: prompts that are empty, too long or odd, what an answer holds, many at once."""

import asyncio
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from inference_server.attention.batch import Segment
from inference_server.engine import engine
from inference_server.errors import ComputeFailed, DeadlineExpired, InvalidField, LoadFailed
from inference_server.kvcache.logits_cache import LogitsCache
from inference_server.messages import ScoreQuery, TopKQuery
from inference_server.scheduler.scheduler import Scheduler
from inference_server.settings import Settings
from models import architectures, tokenizers
from models.conftest import PADDING, Cell

MakeCell = Callable[[str, str], Cell]


@pytest.mark.parametrize("kind", ["byte_bpe", "sentencepiece_bpe", "wordpiece", "tiktoken"])
@pytest.mark.parametrize("empty", [TopKQuery(text=""), TopKQuery(token_ids=())])
async def test_an_empty_prompt_is_the_mark_that_begins_texts(cell: MakeCell, kind: str, empty: TopKQuery) -> None:
    at = cell("llama", kind)
    bos = at.vocabulary.bos_id
    assert bos is not None
    answer = await at.engine.top_k(empty, None)
    same = await at.engine.top_k(TopKQuery(token_ids=(bos,)), None)
    assert answer.token_count == 1
    assert answer.candidates == same.candidates


@pytest.mark.parametrize(("field", "query"), [("text", {"text": ""}), ("token_ids", {"token_ids": ()})])
async def test_a_model_without_such_a_mark_refuses_it(cell: MakeCell, field: str, query: dict[str, str]) -> None:
    at = cell("llama", "unigram")
    assert at.vocabulary.bos_id is None
    for call in (at.engine.top_k(TopKQuery(**query), None), at.engine.score(ScoreQuery(**query), None)):  # type: ignore[arg-type]
        with pytest.raises(InvalidField, match="no BOS token") as refused:
            await call
        assert refused.value.field == field


@pytest.mark.parametrize("architecture", ["gpt2", "opt", "llama"])
async def test_a_prompt_fills_the_context_and_no_more(cell: MakeCell, architecture: str) -> None:
    at = cell(architecture, "byte_bpe")
    limit = at.engine.facts.context_limit
    assert limit == 64
    full = [5 + i for i in range(limit)]
    assert (await at.engine.top_k(TopKQuery(token_ids=full), None)).token_count == limit
    assert len((await at.engine.score(ScoreQuery(token_ids=full), None)).tokens) == limit
    with pytest.raises(InvalidField, match="65 tokens; this model's context window is 64") as refused:
        await at.engine.top_k(TopKQuery(token_ids=[*full, 5]), None)
    assert refused.value.field == "token_ids"
    with pytest.raises(InvalidField, match="context window is 64") as refused:
        await at.engine.score(ScoreQuery(text="zq" * 40), None)
    assert refused.value.field == "text"


async def test_ids_that_only_the_logits_know_are_answered(cell: MakeCell) -> None:
    at = cell("llama", "byte_bpe")
    last = at.engine.facts.vocab_size - 1
    assert last == at.vocabulary.size + PADDING - 1
    answer = await at.engine.top_k(
        TopKQuery(token_ids=(last, 5), watch_token_ids=(last,), include_prompt_tokens=True), None
    )
    assert answer.watched[0].token.bytes == b""
    assert answer.watched[0].token.is_special
    assert [token.token_id for token in answer.prompt_tokens] == [last, 5]
    assert len((await at.engine.score(ScoreQuery(token_ids=(5, last)), None)).tokens) == 2
    with pytest.raises(InvalidField, match=f"from 0 to {last}"):
        await at.engine.top_k(TopKQuery(token_ids=(last + 1,)), None)


def folder_with_a_mark_more(folder: Path, rows_less: int) -> int:
    """A model whose tokenizer has a mark, the last of its tokens, beyond the model's rows; the id of that mark."""
    tokenizers.build("byte_bpe", folder)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    mark = tokenizer.get_vocab_size()
    tokenizer.add_special_tokens(["<image>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    architectures.build("llama", mark - rows_less, folder)
    return mark


async def test_a_mark_that_the_model_does_not_know_is_refused_by_name(tmp_path: Path, scheduler: Scheduler) -> None:
    mark = folder_with_a_mark_more(tmp_path, 0)
    at = engine.load("few rows", tmp_path, scheduler, LogitsCache(0), 0, Settings(device="cpu"))
    assert at.facts.vocab_size == mark
    assert (await at.top_k(TopKQuery(text="an image"), None)).vocab_size == mark
    for call in (at.top_k(TopKQuery(text="an <image>"), None), at.score(ScoreQuery(text="an <image>"), None)):
        with pytest.raises(
            InvalidField, match=r"^text: contains <image>, a special token that this model doesn't support"
        ):
            await call
    with pytest.raises(InvalidField, match=f"^token_ids: must be ids from 0 to {mark - 1}"):
        await at.top_k(TopKQuery(token_ids=(mark,)), None)


def test_text_that_the_model_does_not_know_fails_at_load(tmp_path: Path, scheduler: Scheduler) -> None:
    mark = folder_with_a_mark_more(tmp_path, 1)
    with pytest.raises(LoadFailed, match=f"more tokens than the model: .* has the id {mark - 1}"):
        engine.load("few rows", tmp_path, scheduler, LogitsCache(0), 0, Settings(device="cpu"))


async def test_everything_asked_for_is_in_the_answer(cell: MakeCell) -> None:
    at = cell("qwen3", "sentencepiece_bpe")
    text = "Tom and his dog"
    query = TopKQuery(
        text=text,
        top_k=3,
        temperature=0.7,
        watch_token_ids=(9, 3, 9),
        top_p=0.5,
        draws=(0.0, 0.999),
        include_prompt_tokens=True,
        include_partition=True,
    )
    answer = await at.engine.top_k(query, time.monotonic() + 60)
    assert list(answer.prompt_tokens) == at.vocabulary.spell(at.vocabulary.encode(text))
    assert [candidate.rank for candidate in answer.candidates] == [1, 2, 3]
    assert [candidate.token.token_id for candidate in answer.watched] == [9, 3, 9]
    assert answer.drawn[0] == answer.candidates[0]
    assert answer.drawn[1].rank <= answer.kept_count
    assert answer.kept_probability >= 0.5
    assert len(answer.partition) == 33
    assert answer.cached_tokens < answer.token_count
    assert not answer.lookahead_hit
    assert answer.timings.total_ms >= answer.timings.model_ms > 0
    assert answer.timings.tokenize_ms > 0
    bare = await at.engine.top_k(TopKQuery(text=text), None)
    assert (bare.prompt_tokens, bare.partition) == ((), ())
    assert (bare.watched, bare.drawn) == ([], [])
    assert (bare.kept_count, bare.kept_probability) == (at.engine.facts.vocab_size, 1.0)


async def test_all_of_a_vocabulary_may_be_asked_for(cell: MakeCell) -> None:
    at = cell("llama", "byte_bpe")
    answer = await at.engine.top_k(TopKQuery(text="a", top_k=at.engine.facts.vocab_size), None)
    assert answer.other_probability == 0
    assert math.fsum(candidate.probability for candidate in answer.candidates) == pytest.approx(1)
    with pytest.raises(InvalidField, match="all of this model's vocabulary"):
        await at.engine.top_k(TopKQuery(text="a", top_k=at.engine.facts.vocab_size + 1), None)


async def test_a_candidate_is_spelled_as_it_would_follow(cell: MakeCell) -> None:
    """SentencePiece drops the space of a first word; after other tokens it stays."""
    at = cell("llama", "sentencepiece_bpe")
    (word,) = at.vocabulary.encode("the")[1:]
    after = await at.engine.top_k(TopKQuery(text="in", watch_token_ids=(word,)), None)
    first = await at.engine.top_k(TopKQuery(text="", watch_token_ids=(word,)), None)
    assert (after.watched[0].token.bytes, first.watched[0].token.bytes) == (b" the", b"the")


async def test_scores_of_the_shortest_texts(cell: MakeCell) -> None:
    with_mark, without = cell("llama", "tiktoken"), cell("llama", "unigram")
    aside = cell("llama", "byte_bpe")  # it has such a mark, and puts it in front of nothing
    bos = with_mark.vocabulary.bos_id
    assert bos is not None
    for at, query in [
        (with_mark, ScoreQuery(text="")),
        (without, ScoreQuery(token_ids=(5,))),
        (aside, ScoreQuery(text="")),
        (aside, ScoreQuery(token_ids=(40,))),
    ]:
        alone = await at.engine.score(query, None)
        (only,) = alone.tokens
        assert only.unconditioned
        assert (only.candidate.rank, only.candidate.probability, only.candidate.logprob) == (0, 0, 0)
        assert (alone.total_logprob, alone.perplexity, alone.bits_per_byte) == (0, 1, 0)
    one = await with_mark.engine.score(ScoreQuery(token_ids=(40,), top_k=2), None)
    assert not one.tokens[0].unconditioned
    assert len(one.tokens[0].alternatives) == 2
    assert one.bits_per_byte == pytest.approx(-one.total_logprob / math.log(2))
    marks = await with_mark.engine.score(ScoreQuery(token_ids=(bos, bos)), None)
    assert marks.bits_per_byte == 0  # a mark is no bytes of text
    assert marks.total_logprob < 0


async def test_the_mark_typed_before_a_text_is_read_beside_the_tokenizer_s_own(cell: MakeCell) -> None:
    at = cell("llama", "tiktoken")
    bos = at.vocabulary.bos_id
    score = await at.engine.score(ScoreQuery(text="<|begin_of_text|>a"), None)
    assert [token.candidate.token.token_id for token in score.tokens][:2] == [bos, bos]
    assert [token.unconditioned for token in score.tokens] == [True, False, False]


async def test_bits_count_the_bytes_of_the_text(cell: MakeCell) -> None:
    at = cell("llama", "tiktoken")  # which begins every text with a mark, itself unconditioned
    text = "naïve 東京 🎉"
    score = await at.engine.score(ScoreQuery(text=text), None)
    expected = -score.total_logprob / math.log(2) / len(text.encode())
    assert score.bits_per_byte == pytest.approx(expected)
    assert score.tokens[0].unconditioned


async def test_many_at_once_each_get_their_own_answer(cell: MakeCell) -> None:
    at = cell("gpt2", "byte_bpe")
    prompts = [[5 + i, *range(10, 10 + i % 7)] for i in range(40)]
    alone = [await at.engine.top_k(TopKQuery(token_ids=ids), None) for ids in prompts]
    together = await asyncio.gather(*(at.engine.top_k(TopKQuery(token_ids=ids), None) for ids in prompts))
    for one, other in zip(alone, together, strict=True):
        assert [c.token for c in one.candidates] == [c.token for c in other.candidates]
        assert [c.probability for c in one.candidates] == pytest.approx(
            [c.probability for c in other.candidates], abs=1e-5
        )


async def test_the_same_prompt_twice_in_a_batch_is_computed_once(
    cell: MakeCell, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = cell("gpt2", "byte_bpe")
    at.forget()
    runner, passes = at.engine.executor.model.runner, list[list[tuple[int, ...]]]()
    assert runner is not None
    compute = runner.run

    def counting(segments: list[Segment], *more: Any) -> Any:
        passes.append([tuple(segment.token_ids) for segment in segments])
        return compute(segments, *more)

    monkeypatch.setattr(runner, "run", counting)
    queries = [TopKQuery(token_ids=ids, temperature=t) for ids, t in [((7, 8), 0.5), ((9,), 1.0), ((7, 8), 2.0)]]
    sharp, _, flat = await at.together(lambda: [at.engine.top_k(query, None) for query in queries])
    assert passes[:2] == [[(9,)], [(7, 8)]]  # single tokens first
    assert sharp.candidates[0].logit == flat.candidates[0].logit
    assert sharp.candidates[0].probability > flat.candidates[0].probability


async def test_a_long_text_is_read_beside_the_loop_and_refused_whole(cell: MakeCell) -> None:
    at = cell("gpt2", "byte_bpe")
    with pytest.raises(InvalidField, match="context window is 64"):
        await at.engine.top_k(TopKQuery(text="word " * 20_000), None)
    with pytest.raises(DeadlineExpired):
        await at.engine.top_k(TopKQuery(text="word " * 20_000), time.monotonic())
    assert (await at.engine.top_k(TopKQuery(text="a"), None)).token_count == 1


async def test_a_model_whose_output_is_no_number_says_so_and_others_go_on(cell: MakeCell) -> None:
    broken, sound = cell("qwen2", "tiktoken"), cell("llama", "tiktoken")
    weight = broken.engine.executor.model.network.lm_head.weight
    kept = weight[7, 0].item()
    weight.data[7, 0] = math.nan
    try:
        with pytest.raises(ComputeFailed, match="NaN or infinite logits"):
            await broken.engine.top_k(TopKQuery(text="a"), None)
        with pytest.raises(ComputeFailed, match="NaN or infinite logits"):
            await broken.engine.score(ScoreQuery(text="a b"), None)
        assert (await sound.engine.top_k(TopKQuery(text="a"), None)).candidates
    finally:
        weight.data[7, 0] = kept
        broken.forget()
    assert (await broken.engine.top_k(TopKQuery(text="a"), None)).candidates
