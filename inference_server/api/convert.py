"""Messages of the contract to plain values and back. Knows no errors, no limits and no calls."""

from dataclasses import asdict
from typing import Any

from nexttoken.v1 import next_token_pb2 as pb

from inference_server import messages
from inference_server.models.registry import ModelState, ModelStatus

STATE = {
    ModelState.QUEUED: pb.MODEL_STATE_QUEUED,
    ModelState.DOWNLOADING: pb.MODEL_STATE_DOWNLOADING,
    ModelState.LOADING: pb.MODEL_STATE_LOADING,
    ModelState.READY: pb.MODEL_STATE_READY,
    ModelState.FAILED: pb.MODEL_STATE_FAILED,
}


def read_prompt(request: pb.TopKRequest | pb.ScoreRequest) -> dict[str, Any]:
    """The prompt as the query's keyword: text, token_ids, or neither where the request has none."""
    match request.WhichOneof("prompt"):
        case "text":
            return {"text": request.text}
        case "token_ids":
            return {"token_ids": tuple(request.token_ids.ids)}
        case _:
            return {}


def given(request: pb.TopKRequest | pb.ScoreRequest, *names: str) -> dict[str, Any]:
    """The optional fields the request sets; the query has the defaults of the others."""
    return {name: getattr(request, name) for name in names if request.HasField(name)}


def read_top_k(request: pb.TopKRequest) -> messages.TopKQuery:
    """The query a request stands for."""
    return messages.TopKQuery(
        **read_prompt(request),
        **given(request, "top_k", "temperature", "top_p", "min_p"),
        watch_token_ids=tuple(request.watch_token_ids),
        draws=tuple(request.draws),
        include_prompt_tokens=request.include_prompt_tokens,
        include_partition=request.include_partition,
    )


def read_score(request: pb.ScoreRequest) -> messages.ScoreQuery:
    """The query a request stands for."""
    return messages.ScoreQuery(**read_prompt(request), **given(request, "top_k"))


def write_token(token: messages.Token) -> pb.Token:
    """The token, with text where its bytes are text by themselves."""
    try:
        text = token.bytes.decode()
    except UnicodeDecodeError:
        text = None
    return pb.Token(token_id=token.token_id, bytes=token.bytes, text=text, is_special=token.is_special)


def write_candidate(candidate: messages.Candidate) -> pb.Candidate:
    """The candidate as the contract spells it."""
    return pb.Candidate(
        token=write_token(candidate.token),
        rank=candidate.rank,
        logit=candidate.logit,
        probability=candidate.probability,
        logprob=candidate.logprob,
    )


def write_timings(timings: messages.Timings) -> pb.Timings:
    """The timings as the contract spells them."""
    return pb.Timings(
        queue_ms=timings.queue_ms,
        tokenize_ms=timings.tokenize_ms,
        model_ms=timings.model_ms,
        total_ms=timings.total_ms,
    )


def write_top_k(model: str, answer: messages.TopKAnswer) -> pb.TopKResponse:
    """The answer as the contract spells it."""
    return pb.TopKResponse(
        model=model,
        prompt=pb.Prompt(
            token_count=answer.token_count,
            cached_tokens=answer.cached_tokens,
            context_limit=answer.context_limit,
            tokens=map(write_token, answer.prompt_tokens),
        ),
        candidates=map(write_candidate, answer.candidates),
        watched=map(write_candidate, answer.watched),
        drawn=map(write_candidate, answer.drawn),
        kept=pb.Kept(count=answer.kept_count, probability=answer.kept_probability),
        other_probability=answer.other_probability,
        entropy_bits=answer.entropy_bits,
        vocab_size=answer.vocab_size,
        partition=[
            pb.PartitionPoint(
                inverse_temperature=point.inverse_temperature,
                log_sum_exp=point.log_sum_exp,
                mean_logit=point.mean_logit,
                variance=point.variance,
            )
            for point in answer.partition
        ],
        lookahead_hit=answer.lookahead_hit,
        timings=write_timings(answer.timings),
    )


def write_score(model: str, answer: messages.ScoreAnswer) -> pb.ScoreResponse:
    """The answer as the contract spells it."""
    return pb.ScoreResponse(
        model=model,
        tokens=[
            pb.ScoredToken(
                candidate=(
                    pb.Candidate(token=write_token(token.candidate.token))
                    if token.unconditioned
                    else write_candidate(token.candidate)
                ),
                entropy_bits=token.entropy_bits,
                alternatives=map(write_candidate, token.alternatives),
                unconditioned=token.unconditioned,
            )
            for token in answer.tokens
        ],
        total_logprob=answer.total_logprob,
        perplexity=answer.perplexity,
        bits_per_byte=answer.bits_per_byte,
        context_limit=answer.context_limit,
        timings=write_timings(answer.timings),
    )


def write_model(model: ModelStatus) -> pb.Model:
    """A model's status as the contract spells it."""
    facts = model.facts
    return pb.Model(
        name=model.name,
        state=STATE[model.state],
        is_default=model.is_default,
        bytes_done=model.bytes_done,
        bytes_total=model.bytes_total,
        reason=model.reason,
        facts=None
        if facts is None
        else pb.ModelFacts(
            parameters=facts.parameters,
            device=facts.device,
            dtype=facts.dtype,
            vocab_size=facts.vocab_size,
            context_limit=facts.context_limit,
            architecture=facts.architecture,
            end_of_text_ids=facts.end_of_text_ids,
            prefix_token_ids=facts.prefix_token_ids,
        ),
    )


def write_info(info: messages.Info) -> pb.InfoResponse:
    """What the server is, as the contract spells it."""
    return pb.InfoResponse(
        versions=pb.Versions(**info.versions),
        limits=pb.Limits(**asdict(info.limits)),
        default_model=info.default_model,
        uptime_s=info.uptime_s,
    )
