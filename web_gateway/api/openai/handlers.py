"""Route handlers: read, ask, write. Errors are raised, and get OpenAI's shape where they are sent."""

import asyncio
from collections.abc import Sequence

from msgspec import UNSET, Struct
from starlette.requests import Request
from starlette.responses import Response

from web_gateway.api.openai import answers
from web_gateway.api.openai.answering import Pieces, answering, in_turn, together
from web_gateway.api.openai.asking import CHAT_NAMES, TEXT_NAMES, asks, chat_ask, names_of, naming, rendering
from web_gateway.api.openai.fields import read
from web_gateway.api.openai.pieces import joined
from web_gateway.api.openai.requests import (
    ChatCompletionRequest,
    CompletionRequest,
    DetokenizeRequest,
    Sampling,
    TokenizePromptRequest,
)
from web_gateway.api.openai.spelling import name
from web_gateway.api.openai.writing import ChatWriter, Data, TextWriter, Writer, chunked
from web_gateway.api.schemas import render
from web_gateway.api.streams import lasting, stream
from web_gateway.errors import NotFound
from web_gateway.http import body
from web_gateway.messages import Token
from web_gateway.model_messages import Model
from web_gateway.tokenize_messages import TokenizeRequest

DATA = Data()


async def models(request: Request) -> Response:
    """The models that are ready."""
    return answer(answers.ModelCards(data=[card(model) for model in await ready(request)]))


async def model(request: Request) -> Response:
    """One of them."""
    wanted = request.path_params["model"]
    for each in await ready(request):
        if each.name == wanted:
            return answer(card(each))
    raise NotFound("There is no such model, or it is not ready; GET /v1/models lists those that are.")


async def completions(request: Request) -> Response:
    """Prompts, continued or scored."""
    query, ignored = read(body.taken(request), CompletionRequest)
    call, n = lasting(request), query.n or 1
    names, inference = names_of(query, TEXT_NAMES), request.state.inference
    sources = [answering(ask, at * n, inference, call, names) for at, ask in enumerate(asks(query))]
    writer = TextWriter(
        call.request_id,
        with_usage(query),
        query.logprobs,
        query.prompt_logprobs,
        by_id=bool(query.return_tokens_as_token_ids),
    )
    return await written(request, query, ignored, sources, writer)


async def chat_completions(request: Request) -> Response:
    """The next turn of a conversation, or the rest of its last one."""
    query, ignored = read(body.taken(request), ChatCompletionRequest)
    asked = rendering(query.messages, query.model, begins_turn=query.begins_turn, continued=query.continued)
    rendered = await request.state.inference.render_chat(asked, request.state.call)
    call = lasting(request)
    ask = chat_ask(query, rendered.token_ids)
    source = answering(ask, 0, request.state.inference, call, names_of(query, CHAT_NAMES))
    top = (query.top_logprobs or 0) if query.logprobs else None
    by_id = bool(query.return_tokens_as_token_ids)
    writer = ChatWriter(call.request_id, with_usage(query), top, by_id, ask.n)
    return await written(request, query, ignored, [source], writer)


async def tokenize(request: Request) -> Response:
    """A prompt's ids."""
    query, ignored = read(body.taken(request), TokenizePromptRequest)
    tokens: Sequence[Token]
    if query.messages is not None:
        begins = (
            not query.continue_final_message if query.add_generation_prompt is None else query.add_generation_prompt
        )
        continued = bool(query.continue_final_message)
        asked = rendering(query.messages, query.model, begins_turn=begins, continued=continued)
        rendered = await request.state.inference.render_chat(asked, request.state.call)
        tokens, limit = rendered.tokens, rendered.context_limit
    else:
        bare = query.add_special_tokens is False
        text = TokenizeRequest(text=query.prompt or "", model=query.model or UNSET, bare=bare)
        with naming(TEXT_NAMES):
            spelled = await request.state.inference.tokenize(text, request.state.call)
        tokens, limit = spelled.tokens, spelled.context_limit
    told = answers.TokenizedPrompt(
        count=len(tokens),
        max_model_len=limit,
        tokens=[token.token_id for token in tokens],
        token_strs=[name(token, by_id=False) for token in tokens] if query.return_token_strs else None,
    )
    return answer(told, ignored)


async def detokenize(request: Request) -> Response:
    """The text of ids."""
    query, ignored = read(body.taken(request), DetokenizeRequest)
    with naming({"token_ids": "tokens"}):
        asked = TokenizeRequest(token_ids=query.tokens, model=query.model or UNSET)
        spelled = await request.state.inference.tokenize(asked, request.state.call)
    return answer(answers.DetokenizedPrompt(prompt=joined(spelled.tokens)), ignored)


async def tokenizer_info(request: Request) -> Response:
    """What the default model's tokenizer says of itself."""
    asked = TokenizeRequest(text="", include_tokenizer=True)
    told = await request.state.inference.tokenize(asked, request.state.call)
    facts = told.tokenizer
    return answer(
        answers.TokenizerInfo(
            model=told.model,
            bos_token=facts.bos and facts.bos.text,
            eos_token=facts.eos and facts.eos.text,
            chat_template=facts.chat_template or None,
            add_bos_token=bool(facts.bos and facts.bos.token_id in {token.token_id for token in told.tokens}),
            model_max_length=told.context_limit,
        )
    )


async def written(
    request: Request, query: Sampling, ignored: list[str], sources: list[Pieces], writer: Writer
) -> Response:
    """The answer, streamed or whole."""
    if query.stream:
        return await stream(request, chunked(in_turn(sources), writer), DATA, heads(ignored))
    told = await together(sources, request.state.settings.timeout_s)
    content = await asyncio.to_thread(lambda: render(writer.whole(told)))
    return Response(content, headers=heads(ignored), media_type="application/json")


def answer(content: Struct, ignored: Sequence[str] = ()) -> Response:
    """An uncached JSON response."""
    return Response(render(content), headers=heads(ignored), media_type="application/json")


def heads(ignored: Sequence[str]) -> dict[str, str]:
    """Headers that also name the fields that had no effect."""
    return {"cache-control": "no-store", **({"x-ignored-fields": ", ".join(ignored)} if ignored else {})}


def with_usage(query: Sampling) -> bool:
    """Whether a stream ends with its usage."""
    return query.stream_options is not None and bool(query.stream_options.include_usage)


async def ready(request: Request) -> list[Model]:
    """The models that are ready, the default first."""
    listed = await request.state.inference.models(request.state.call)
    return sorted((each for each in listed.models if each.facts), key=lambda each: not each.is_default)


def card(each: Model) -> answers.ModelCard:
    """A ready model."""
    return answers.ModelCard(id=each.name, max_model_len=each.facts.context_limit if each.facts else 0)
