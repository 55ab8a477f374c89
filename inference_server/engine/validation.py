"""Limits on a request, as pure functions. Each raises InvalidField, which names the fault and what is allowed."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from inference_server.compare_messages import MAX_COMPARED, ComparedQuestion, CompareQuery
from inference_server.engine.sampler_checks import check_samplers
from inference_server.errors import InvalidField
from inference_server.generate_messages import (
    MAX_CONTINUATIONS,
    MAX_NEW_TOKENS,
    MAX_SEED,
    MAX_STOP_BYTES,
    MAX_STOP_TOKENS,
    MAX_STOPS,
    GenerateQuery,
)
from inference_server.grow_messages import MAX_DEPTH, MAX_NODES, MAX_WIDTH, GrowQuery
from inference_server.messages import (
    MAX_ALTERNATIVES,
    MAX_DRAWS,
    MAX_PARTS,
    MAX_TEMPERATURE,
    MAX_TOP_K,
    MAX_WATCHED,
    ScoreQuery,
    TopKQuery,
)
from inference_server.sampler_messages import Ban, LogitBias, Xtc


def check_top_k(query: TopKQuery, vocab_size: int, max_text_bytes: int) -> None:
    """All of a TopKQuery that can be checked without the tokenizer."""
    if query.parts is None and query.text is None and query.token_ids is None:
        raise InvalidField("text", "exactly one of text, token_ids and parts must be given, got none")
    if query.parts is None:
        check_prompt(query.text, query.token_ids, vocab_size, max_text_bytes)
    else:
        check_parts(query, vocab_size, max_text_bytes)
    check_count("top_k", query.top_k, 1, MAX_TOP_K, vocab_size)
    check_sampling(query, vocab_size)
    check_watched(query.watch_token_ids, vocab_size)
    if len(query.draws) > MAX_DRAWS:
        raise InvalidField("draws", f"must be at most {MAX_DRAWS:,} numbers, got {len(query.draws):,}")
    for at, draw in enumerate(query.draws):
        if not 0 <= draw < 1:
            raise InvalidField("draws", f"must be at least 0 and below 1, got {draw!r} at index {at}")


def check_score(query: ScoreQuery, vocab_size: int, max_text_bytes: int) -> None:
    """All of a ScoreQuery that can be checked without the tokenizer."""
    check_prompt(query.text, query.token_ids, vocab_size, max_text_bytes)
    check_count("top_k", query.top_k, 0, MAX_ALTERNATIVES, vocab_size)


def check_generate(query: GenerateQuery, vocab_size: int, max_text_bytes: int) -> None:
    """All of a GenerateQuery that can be checked without the tokenizer."""
    check_prompt(query.text, query.token_ids, vocab_size, max_text_bytes)
    check_range("max_tokens", query.max_tokens, 1, MAX_NEW_TOKENS)
    check_sampling(query, vocab_size)
    if any(isinstance(step, Xtc) and step.coin is not None for step in query.samplers):
        raise InvalidField("samplers", "coin of xtc can't be given: the seed decides")
    if query.seed is not None:
        check_range("seed", query.seed, 0, MAX_SEED)
    check_range("n", query.n, 1, MAX_CONTINUATIONS)
    check_count("top_k", query.top_k, 0, MAX_TOP_K, vocab_size)
    if query.n > 1 and query.top_k > MAX_ALTERNATIVES:
        raise InvalidField("top_k", f"must be at most {MAX_ALTERNATIVES} with n = {query.n}, got {query.top_k:,}")
    if len(query.stop) > MAX_STOPS:
        raise InvalidField("stop", f"must be at most {MAX_STOPS} texts, got {len(query.stop):,}")
    for at, text in enumerate(query.stop):
        if not 1 <= (size := len(text.encode(errors="surrogatepass"))) <= MAX_STOP_BYTES:
            raise InvalidField("stop", f"must be texts of 1 to {MAX_STOP_BYTES} bytes, got {size:,} at index {at}")
    stop_ids = query.stop_token_ids or ()
    if len(stop_ids) > MAX_STOP_TOKENS:
        raise InvalidField("stop_token_ids", f"must be at most {MAX_STOP_TOKENS} ids, got {len(stop_ids):,}")
    check_ids("stop_token_ids", stop_ids, vocab_size)
    check_resume(query, vocab_size)


def check_resume(query: GenerateQuery, vocab_size: int) -> None:
    """Different continuations of this query, none of which has too many tokens; and the ids and the seed of theirs."""
    seen: set[int] = set()
    for each in query.resume:
        if not 0 <= each.index < query.n:
            raise InvalidField("resume", f"index must be from 0 to {query.n - 1} (n = {query.n}), got {each.index:,}")
        if each.index in seen:
            raise InvalidField("resume", f"continuation {each.index} is given twice")
        seen.add(each.index)
        if len(each.token_ids) > query.max_tokens:
            count = len(each.token_ids)
            raise InvalidField(
                "resume", f"continuation {each.index} has {count:,} tokens; max_tokens is {query.max_tokens:,}"
            )
        check_ids("resume", each.token_ids, vocab_size)
    if query.resume and query.seed is None and query.temperature:
        raise InvalidField("resume", "needs the seed of the stream that broke off")
    if query.resume and query.token_ids is None:
        raise InvalidField("resume", "needs the prompt as token_ids, as the stream that broke off began")


def check_sampling(query: TopKQuery | GenerateQuery | ComparedQuestion, vocab_size: int) -> None:
    """Temperature and filters, or sampler steps."""
    check_temperature(query.temperature)
    if not 0 < query.top_p <= 1:
        raise InvalidField("top_p", f"must be above 0 and at most 1, got {query.top_p!r}")
    if not 0 <= query.min_p <= 1:
        raise InvalidField("min_p", f"must be from 0 to 1, got {query.min_p!r}")
    if query.samplers:
        check_samplers(query)
    for at, step in enumerate(query.samplers):
        if isinstance(step, Ban | LogitBias):
            check_ids("samplers", step.token_ids, vocab_size, f" of step {at} ({step.name})")


def check_compare(query: CompareQuery, vocab_sizes: tuple[int, int], max_text_bytes: int) -> None:
    """All of a CompareQuery that can be checked without the tokenizers."""
    for side, question, vocab_size in zip("ab", (query.a, query.b), vocab_sizes, strict=True):
        with of_side(side):
            check_prompt(question.text, question.token_ids, vocab_size, max_text_bytes)
            check_sampling(question, vocab_size)
    check_count("top_k", query.top_k, 1, MAX_COMPARED, min(vocab_sizes))


def check_grow(query: GrowQuery, vocab_size: int, max_text_bytes: int) -> None:
    """All of a GrowQuery that can be checked without the tokenizer."""
    check_prompt(query.text, query.token_ids, vocab_size, max_text_bytes)
    check_range("depth", query.depth, 1, MAX_DEPTH)
    if not 0 < query.coverage <= 1:  # false for NaN
        raise InvalidField("coverage", f"must be above 0 and at most 1, got {query.coverage!r}")
    check_range("max_nodes", query.max_nodes, 1, MAX_NODES)
    if query.width is not None:
        check_range("width", query.width, 1, MAX_WIDTH)


def check_depth(depth: int, prompt_tokens: int, context_limit: int) -> None:
    """A tree whose paths, but for their last tokens, fit into the context window behind the prompt."""
    most = context_limit - prompt_tokens + 1
    if depth > most:
        raise InvalidField(
            "depth",
            f"must be from 1 to {most:,} after a prompt of {prompt_tokens:,} tokens (this model's context window is "
            f"{context_limit:,}), got {depth:,}",
        )


def check_range(field: str, number: int, least: int, most: int) -> None:
    """A whole number within bounds."""
    if not least <= number <= most:
        raise InvalidField(field, f"must be from {least:,} to {most:,}, got {number:,}")


@contextmanager
def of_side(side: str) -> Iterator[None]:
    """Within, the fields of an InvalidField are those of one side of a comparison."""
    try:
        yield
    except InvalidField as error:
        raise InvalidField(f"{side}.{error.field}", error.fault) from error


def check_prompt(text: str | None, token_ids: Sequence[int] | None, vocab_size: int, max_text_bytes: int) -> None:
    """Exactly one of text and ids; the text valid and not too large, the ids in the vocabulary."""
    if (text is None) == (token_ids is None):
        raise InvalidField(
            "text", f"exactly one of text and token_ids must be given, got {'none' if text is None else 'both'}"
        )
    if token_ids is not None:
        check_ids("token_ids", token_ids, vocab_size)
    elif text is not None:
        try:
            size = len(text.encode())
        except UnicodeEncodeError as error:
            raise InvalidField("text", f"contains an unpaired surrogate at index {error.start}") from error
        if size > max_text_bytes:
            raise InvalidField("text", f"must be at most {max_text_bytes:,} bytes of UTF-8, got {size:,}")


def check_temperature(temperature: float) -> None:
    """What divides the logits."""
    if not 0 <= temperature <= MAX_TEMPERATURE:  # false for NaN
        raise InvalidField("temperature", f"must be from 0 to {MAX_TEMPERATURE:g}, got {temperature!r}")


def check_watched(token_ids: Sequence[int], vocab_size: int) -> None:
    """Ids to report whatever their rank."""
    if len(token_ids) > MAX_WATCHED:
        raise InvalidField("watch_token_ids", f"must be at most {MAX_WATCHED} ids, got {len(token_ids):,}")
    check_ids("watch_token_ids", token_ids, vocab_size)


def check_parts(query: TopKQuery, vocab_size: int, max_text_bytes: int) -> None:
    """Parts alone; not too many of them, their texts valid and together not too large, their ids in the vocabulary."""
    parts = query.parts or ()
    if query.text is not None or query.token_ids is not None:
        raise InvalidField("parts", "can't be given with text or token_ids")
    if not 1 <= len(parts) <= MAX_PARTS:
        raise InvalidField("parts", f"must be from 1 to {MAX_PARTS} parts, got {len(parts):,}")
    size = 0
    for at, part in enumerate(parts):
        if not isinstance(part, str):
            check_ids("parts", part, vocab_size, f" of part {at}")
            continue
        try:
            size += len(part.encode())
        except UnicodeEncodeError as error:
            raise InvalidField("parts", f"part {at} contains an unpaired surrogate at index {error.start}") from error
    if size > max_text_bytes:
        raise InvalidField("parts", f"must be at most {max_text_bytes:,} bytes of UTF-8 together, got {size:,}")


def check_count(field: str, count: int, least: int, most: int, vocab_size: int) -> None:
    """A number of tokens to return."""
    allowed = min(most, vocab_size)
    if not least <= count <= allowed:
        why = " (all of this model's vocabulary)" if allowed < most else ""
        raise InvalidField(field, f"must be from {least} to {allowed:,}{why}, got {count:,}")


def check_ids(field: str, token_ids: Sequence[int], vocab_size: int, where: str = "") -> None:
    """Ids of this model's tokens. `where`: what they are in, for the message."""
    if token_ids and not (min(token_ids) >= 0 and max(token_ids) < vocab_size):
        at, wrong = next((at, i) for at, i in enumerate(token_ids) if not 0 <= i < vocab_size)
        raise InvalidField(field, f"must be ids from 0 to {vocab_size - 1:,}, got {wrong:,} at index {at:,}{where}")


def check_length(field: str, count: int, context_limit: int) -> None:
    """A prompt within the context window."""
    if count > context_limit:
        raise InvalidField(
            field, f"{count:,} tokens; this model's context window is {context_limit:,}. Shorten the text."
        )
