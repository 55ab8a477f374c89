"""From requests of this API to the questions that answer them, and back to its names in errors."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from msgspec import UNSET

from web_gateway.api.openai.requests import ChatCompletionRequest, CompletionRequest, Message, Sampling
from web_gateway.api.openai.steps import guides, steps
from web_gateway.chat_messages import ChatMessage, RenderChatRequest
from web_gateway.errors import InvalidRequest
from web_gateway.generate_messages import GenerateRequest
from web_gateway.messages import ScoreRequest
from web_gateway.tokenize_messages import TokenizeRequest

DEFAULT_TOKENS = 16  # of /v1/completions
UNLIMITED = 1_000_000  # the context window ends it
TEXT_NAMES = {
    "text": "prompt",
    "token_ids": "prompt",
    "resume": "prompt",
    "top_k": "logprobs",
    "samplers": "logit_bias",
}
CHAT_NAMES = {
    "text": "messages",
    "token_ids": "messages",
    "resume": "messages",
    "top_k": "top_logprobs",
    "samplers": "logit_bias",
}


@dataclass(frozen=True, slots=True)
class Ask:
    """One prompt, and what to do with it."""

    prompt: str | list[int]
    model: str | None
    n: int
    generate: GenerateRequest | None
    """None: nothing is generated."""
    score_top: int | None = None
    """Alternatives to tell of the prompt's tokens; None: the prompt is not scored."""
    echo: bool = False
    bare: bool = False
    """The tokenizer puts no special tokens in front of a text."""
    stops: Sequence[str] = ()

    def score(self, token_ids: list[int] | None) -> ScoreRequest:
        """The question how likely the prompt is; by ids, if they are known."""
        top_k = self.score_top or 0
        if token_ids is None and isinstance(self.prompt, str):
            return ScoreRequest(text=self.prompt, model=self.model or UNSET, top_k=top_k)
        return ScoreRequest(token_ids=token_ids or list(self.prompt), model=self.model or UNSET, top_k=top_k)  # type: ignore[arg-type]

    @property
    def tokenize(self) -> TokenizeRequest:
        """The question what the prompt's tokens are."""
        if isinstance(self.prompt, str):
            return TokenizeRequest(text=self.prompt, model=self.model or UNSET, bare=self.bare)
        return TokenizeRequest(token_ids=self.prompt, model=self.model or UNSET)


def asks(query: CompletionRequest) -> list[Ask]:
    """One per prompt. Raises InvalidRequest."""
    try:
        prompts = query.prompts()
    except ValueError as error:
        raise InvalidRequest(f"prompt: {error}", "prompt") from None
    echoed = query.logprobs if query.echo else None
    wanted = [count for count in (echoed, query.prompt_logprobs) if count is not None]
    max_tokens = DEFAULT_TOKENS if query.max_tokens is None else query.max_tokens
    return [
        Ask(
            prompt=prompt,
            model=query.model,
            n=query.n or 1,
            generate=continuing(query, prompt, max_tokens, query.logprobs) if max_tokens else None,
            score_top=max(wanted) if wanted else None,
            echo=bool(query.echo),
            bare=query.add_special_tokens is False and isinstance(prompt, str),
            stops=query.stops,
        )
        for prompt in prompts
    ]


def chat_ask(query: ChatCompletionRequest, token_ids: list[int]) -> Ask:
    """The conversation, in the model's template, to be continued."""
    if query.top_logprobs and not query.logprobs:
        raise InvalidRequest("top_logprobs: only with logprobs true", "top_logprobs")
    max_tokens = query.max_completion_tokens or query.max_tokens or UNLIMITED
    top = query.top_logprobs if query.logprobs else None
    generate = continuing(query, token_ids, max_tokens, top)
    return Ask(prompt=token_ids, model=query.model, n=query.n or 1, generate=generate, stops=query.stops)


def continuing(query: Sampling, prompt: str | list[int], max_tokens: int, top_k: int | None) -> GenerateRequest:
    """The question how a prompt goes on."""

    def given(value: object) -> object:
        return UNSET if value is None else value

    stop_ids = [] if query.ignore_eos and query.stop_token_ids is None else query.stop_token_ids
    samplers = steps(query)
    plain = {name: given(getattr(query, name)) for name in ("temperature", "top_p", "min_p")}
    fields = {
        "text" if isinstance(prompt, str) else "token_ids": prompt,
        "model": query.model or UNSET,
        "max_tokens": max_tokens,
        **({"samplers": samplers} if samplers else plain),
        "seed": given(None if query.seed == -1 else query.seed),
        "n": given(query.n),
        "stop": list(query.stops) or UNSET,
        "stop_token_ids": given(stop_ids),
        "top_k": given(top_k),
    }
    return GenerateRequest(**fields)  # type: ignore[arg-type]


def rendering(
    messages: Sequence[Message], model: str | None, *, begins_turn: bool, continued: bool
) -> RenderChatRequest:
    """The question how a conversation is written in the model's template."""
    return RenderChatRequest(
        messages=[
            ChatMessage(role="system" if each.role == "developer" else each.role, content=each.text)
            for each in messages
        ],
        model=model or UNSET,
        add_generation_prompt=begins_turn,
        continue_final_message=continued,
    )


def names_of(query: Sampling, names: Mapping[str, str]) -> dict[str, str]:
    """Names, and that of the field that the query has for a mask."""
    found = guides(query)
    return {**names, "mask": found[0]} if found else {**names}


@contextmanager
def naming(names: Mapping[str, str]) -> Iterator[None]:
    """Errors about our questions' fields become errors about the request's."""
    try:
        yield
    except InvalidRequest as error:
        if error.field is None or error.field not in names:
            raise
        name = names[error.field]
        if error.field == "samplers" and "mask" in str(error):
            name = names.get("mask", name)
        raise InvalidRequest(f"{name}: {str(error).removeprefix(f'{error.field}: ')}", name) from error
