"""The gateway's plain values as messages of the contract, and back. Knows no calls, no errors and no limits."""

from collections.abc import Iterable
from typing import Any

from msgspec import UNSET
from nexttoken.v1 import next_token_pb2 as pb

from web_gateway import about, messages

MODEL_STATES: dict[int, messages.ModelState] = {
    pb.MODEL_STATE_QUEUED: "queued",
    pb.MODEL_STATE_DOWNLOADING: "downloading",
    pb.MODEL_STATE_LOADING: "loading",
    pb.MODEL_STATE_READY: "ready",
    pb.MODEL_STATE_FAILED: "failed",
}


def top_k_request(query: messages.NextTokenRequest) -> pb.TopKRequest:
    """The question as the contract spells it."""
    return pb.TopKRequest(
        **prompt(query),
        **given(query, "top_k", "temperature", "watch_token_ids", "top_p", "min_p", "draws"),
        include_prompt_tokens=query.include_prompt_tokens,
        include_partition=query.include_partition,
    )


def score_request(query: messages.ScoreRequest) -> pb.ScoreRequest:
    """The question as the contract spells it."""
    return pb.ScoreRequest(**prompt(query), **given(query, "top_k"))


def prompt(query: messages.NextTokenRequest | messages.ScoreRequest) -> dict[str, Any]:
    """The prompt and the model, as a request's keywords."""
    return {
        **given(query, "model", "text"),
        **({} if query.token_ids is UNSET else {"token_ids": pb.TokenIds(ids=query.token_ids)}),
    }


def given(query: messages.NextTokenRequest | messages.ScoreRequest, *names: str) -> dict[str, Any]:
    """The fields that were given: the server knows the defaults of the others."""
    return {name: value for name in names if (value := getattr(query, name)) is not UNSET}


def next_token_answer(answer: pb.TopKResponse, with_prompt_tokens: bool) -> messages.NextTokenAnswer:
    """The answer in the gateway's shape."""
    return messages.NextTokenAnswer(
        model=answer.model,
        prompt=messages.Prompt(
            token_count=answer.prompt.token_count,
            cached_tokens=answer.prompt.cached_tokens,
            context_limit=answer.prompt.context_limit,
            tokens=[messages.Token(**spelling(token)) for token in answer.prompt.tokens]
            if with_prompt_tokens
            else UNSET,
        ),
        candidates=candidates(answer.candidates),
        watched=candidates(answer.watched),
        drawn=candidates(answer.drawn),
        kept=messages.Kept(count=answer.kept.count, probability=answer.kept.probability),
        partition=[
            messages.PartitionPoint(
                inverse_temperature=point.inverse_temperature,
                log_sum_exp=point.log_sum_exp,
                mean_logit=point.mean_logit,
                variance=point.variance,
            )
            for point in answer.partition
        ],
        other_probability=answer.other_probability,
        entropy_bits=answer.entropy_bits,
        vocab_size=answer.vocab_size,
        lookahead_hit=answer.lookahead_hit,
        timings_ms=timings(answer.timings),
    )


def score_answer(answer: pb.ScoreResponse) -> messages.ScoreAnswer:
    """The answer in the gateway's shape."""
    return messages.ScoreAnswer(
        model=answer.model,
        tokens=[scored_token(token) for token in answer.tokens],
        total_logprob=answer.total_logprob,
        perplexity=answer.perplexity,
        bits_per_byte=answer.bits_per_byte,
        context_limit=answer.context_limit,
        timings_ms=timings(answer.timings),
    )


def scored_token(token: pb.ScoredToken) -> messages.ScoredToken:
    """One token of a scored text."""
    place = token.candidate
    known = not token.unconditioned
    return messages.ScoredToken(
        **spelling(place.token),
        rank=place.rank if known else None,
        logit=place.logit if known else None,
        probability=place.probability if known else None,
        logprob=place.logprob if known else None,
        entropy_bits=token.entropy_bits if known else None,
        unconditioned=token.unconditioned,
        alternatives=candidates(token.alternatives),
    )


def spelling(token: pb.Token) -> dict[str, Any]:
    """What every kind of token says of itself."""
    return {
        "token_id": token.token_id,
        "text": token.text if token.HasField("text") else None,
        "bytes": token.bytes,
        "is_special": token.is_special,
    }


def candidates(found: Iterable[pb.Candidate]) -> list[messages.Candidate]:
    """Tokens and their places."""
    return [
        messages.Candidate(
            **spelling(place.token),
            rank=place.rank,
            logit=place.logit,
            probability=place.probability,
            logprob=place.logprob,
        )
        for place in found
    ]


def timings(spent: pb.Timings) -> messages.Timings:
    """Milliseconds, rounded to what a clock can tell."""
    return messages.Timings(
        queue=round(spent.queue_ms, 3),
        tokenize=round(spent.tokenize_ms, 3),
        model=round(spent.model_ms, 3),
        total=round(spent.total_ms, 3),
    )


def model_list(models: Iterable[pb.Model]) -> messages.ModelList:
    """Models in the server's order."""
    return messages.ModelList(models=[model(one) for one in models])


def model(one: pb.Model) -> messages.Model:
    """A model's state, and its facts once it has them."""
    facts = one.facts
    return messages.Model(
        name=one.name,
        state=MODEL_STATES.get(one.state, "unknown"),
        is_default=one.is_default,
        bytes_done=one.bytes_done,
        bytes_total=one.bytes_total,
        reason=one.reason,
        facts=None
        if not one.HasField("facts")
        else messages.ModelFacts(
            parameters=facts.parameters,
            device=facts.device,
            dtype=facts.dtype,
            vocab_size=facts.vocab_size,
            context_limit=facts.context_limit,
            architecture=facts.architecture,
            end_of_text_ids=list(facts.end_of_text_ids),
            prefix_token_ids=list(facts.prefix_token_ids),
        ),
    )


def server_info(answer: pb.InfoResponse) -> about.ServerInfo:
    """What the inference server says of itself."""
    return about.ServerInfo(
        versions=about.ServerVersions(**fields(answer.versions)),
        limits=about.ServerLimits(**fields(answer.limits)),
        default_model=answer.default_model,
        uptime_s=answer.uptime_s,
    )


def fields(message: pb.Versions | pb.Limits) -> dict[str, Any]:
    """A message of plain fields as keywords."""
    return {field.name: getattr(message, field.name) for field in message.DESCRIPTOR.fields}
