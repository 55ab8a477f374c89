"""Requests of the OpenAI-compatible API. Null means the same as a field that is left out."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from web_gateway.messages import MAX_INT32, TokenId

MAX_PROMPTS = 128
MAX_LOGPROBS = 100

Logprobs = Annotated[int, Meta(ge=0, le=MAX_LOGPROBS)]
Prompt = Annotated[
    str | list[str | TokenId | list[TokenId]],
    Meta(description=f"A text, token ids, or a list of up to {MAX_PROMPTS} texts or of lists of token ids."),
]


class StreamOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a stream holds."""

    include_usage: Annotated[bool | None, Meta(description="End with a chunk that has `usage`.")] = None
    include_obfuscation: Annotated[bool | None, Meta(description="No effect.")] = None


class JsonSchema(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A JSON Schema and what OpenAI has beside it, which has no effect: answers always follow the schema."""

    schema: Annotated[dict[str, Any], Meta(description="What the answer must follow.")]
    name: str | None = None
    description: str | None = None
    strict: bool | None = None


class ResponseFormat(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an answer is: any text, any JSON object, or JSON that follows a schema."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None

    def __post_init__(self) -> None:
        if (self.type == "json_schema") == (self.json_schema is None):
            raise ValueError("json_schema must be given with the type json_schema, and only with it")


Guide = Annotated[str, Meta(min_length=1)]
Choice = Annotated[list[Guide], Meta(min_length=1, max_length=1000)]
Off = Annotated[bool | None, Meta(description="Only false.")]


class StructuredOutputs(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an answer is held to, as vLLM has it: exactly one of the first five."""

    json: Annotated[dict[str, Any] | Guide | None, Meta(description="A JSON Schema, or its text.")] = None
    regex: Guide | None = None
    choice: Choice | None = None
    grammar: Annotated[Guide | None, Meta(description="In llguidance's variant of Lark, or in GBNF.")] = None
    json_object: Annotated[Literal[True] | None, Meta(description="Any JSON object.")] = None
    disable_any_whitespace: Off = None
    disable_additional_properties: Off = None
    disable_fallback: Annotated[bool | None, Meta(description="No effect: there is one engine.")] = None
    whitespace_pattern: None = None
    structural_tag: None = None

    def __post_init__(self) -> None:
        if sum(getattr(self, name) is not None for name in FORMS) != 1:
            raise ValueError(f"exactly one of {', '.join(FORMS)} must be given")
        for name in ("disable_any_whitespace", "disable_additional_properties"):
            if getattr(self, name):
                raise ValueError(f"{name} is not supported; say so in the schema")


FORMS = ("json", "regex", "choice", "grammar", "json_object")


class Sampling(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What both kinds of completion share."""

    model: Annotated[str | None, Meta(description="An id from GET /v1/models. Default: the server's default.")] = None
    temperature: Annotated[float, Meta(ge=0, le=100)] | None = None
    top_p: Annotated[float, Meta(gt=0, le=1)] | None = None
    min_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    n: Annotated[int, Meta(ge=1, le=16)] | None = None
    seed: Annotated[int, Meta(ge=-1, le=2**53 - 1, description="-1: any.")] | None = None
    stop: Annotated[
        str | list[str] | None, Meta(description="Up to 16 texts of up to 256 bytes, which end a completion.")
    ] = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    stop_token_ids: Annotated[list[TokenId], Meta(max_length=64)] | None = None
    presence_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    logit_bias: Annotated[
        dict[str, Annotated[float, Meta(ge=-100, le=100)]] | None,
        Meta(description="By token id, what is added to a token's score; at most 1,000."),
    ] = None
    repetition_penalty: Annotated[float, Meta(gt=0, le=100, description="1: none.")] | None = None
    repeat_penalty: Annotated[float, Meta(gt=0, le=100, description="The same, as llama.cpp has it.")] | None = None
    repetition_penalty_range: (
        Annotated[int, Meta(ge=0, le=MAX_INT32, description="Only so many of the last ids count. 0: all.")] | None
    ) = None
    repeat_last_n: (
        Annotated[int, Meta(ge=-1, le=MAX_INT32, description="The same, as llama.cpp has it. -1: all; 0: no penalty.")]
        | None
    ) = None
    top_k: Annotated[int, Meta(ge=-1, le=MAX_INT32, description="0 or -1: off.")] | None = None
    typical_p: Annotated[float, Meta(gt=0, le=1, description="1: off.")] | None = None
    top_n_sigma: Annotated[float, Meta(ge=-1, le=100, description="0 or less: off.")] | None = None
    xtc_probability: Annotated[float, Meta(ge=0, le=1, description="0: off.")] | None = None
    xtc_threshold: Annotated[float, Meta(ge=0, le=1)] | None = None
    response_format: ResponseFormat | None = None
    guided_json: Annotated[
        dict[str, Any] | Guide | None, Meta(description="A JSON Schema, or its text, as vLLM has it.")
    ] = None
    guided_regex: Guide | None = None
    guided_choice: Choice | None = None
    guided_grammar: Annotated[Guide | None, Meta(description="In llguidance's variant of Lark, or in GBNF.")] = None
    structured_outputs: StructuredOutputs | None = None
    ignore_eos: Annotated[bool | None, Meta(description="Go on after end-of-text tokens.")] = None
    return_tokens_as_token_ids: Annotated[
        bool | None, Meta(description="Name tokens in logprobs `token_id:N` instead of by their text.")
    ] = None

    @property
    def stops(self) -> Sequence[str]:
        """The texts that end a completion."""
        return [self.stop] if isinstance(self.stop, str) else self.stop or ()


class CompletionRequest(Sampling, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /v1/completions: prompts to continue, or to score."""

    prompt: Prompt
    max_tokens: Annotated[int, Meta(ge=0, le=1_000_000, description="Default 16.")] | None = None
    echo: Annotated[bool | None, Meta(description="Begin with the prompt; with max_tokens 0, score it.")] = None
    logprobs: Annotated[Logprobs | None, Meta(description="Tokens to tell at each position.")] = None
    prompt_logprobs: Annotated[
        Logprobs | None, Meta(description="Tokens to tell at each position of the prompt, besides its own.")
    ] = None
    add_special_tokens: Annotated[
        bool | None, Meta(description="Let the tokenizer put its special tokens in front of texts. Default true.")
    ] = None

    def prompts(self) -> list[str | list[int]]:
        """Each as a text or as ids. Raises ValueError."""
        given = self.prompt
        if isinstance(given, str):
            return [given]
        if given and all(isinstance(each, int) for each in given):
            return [[each for each in given if isinstance(each, int)]]
        several = [each for each in given if not isinstance(each, int)]
        if len({type(each) for each in given}) > 1:
            raise ValueError(
                "must be a text, token ids, a list of texts or a list of lists of token ids, not a mixture"
            )
        if not 1 <= len(several) <= MAX_PROMPTS:
            raise ValueError(f"must be from 1 to {MAX_PROMPTS} prompts, not {len(several):,}")
        return several


class TextPart(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a message. Images, sound and files are not supported."""

    type: Literal["text"]
    text: str


class Message(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One turn of a conversation. What only OpenAI's own models have must be null."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]
    prefix: Annotated[bool | None, Meta(description="True: the last turn is the assistant's, to be continued.")] = None
    refusal: None = None
    annotations: None = None
    audio: None = None
    function_call: None = None
    tool_calls: None = None

    def __post_init__(self) -> None:
        if self.prefix and self.role != "assistant":
            raise ValueError("prefix is for the assistant's last turn")

    @property
    def text(self) -> str:
        """The whole content."""
        return self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)


class ChatCompletionRequest(Sampling, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /v1/chat/completions: the next turn of a conversation, or the rest of its last one."""

    messages: Annotated[
        list[Message],
        Meta(min_length=1, max_length=1000, description="The turns. A last one of the assistant's is continued."),
    ]
    max_tokens: Annotated[int, Meta(ge=1, le=1_000_000, description="Default: up to the context limit.")] | None = None
    max_completion_tokens: Annotated[int, Meta(ge=1, le=1_000_000, description="The same.")] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[Logprobs | None, Meta(description="With logprobs: tokens at each position.")] = None
    add_generation_prompt: bool | None = None
    continue_final_message: bool | None = None

    @property
    def continued(self) -> bool:
        """Whether the last turn goes on."""
        if self.continue_final_message is not None:
            return self.continue_final_message
        return self.messages[-1].role == "assistant" and not self.add_generation_prompt

    @property
    def begins_turn(self) -> bool:
        """Whether what begins the assistant's next turn is written."""
        return not self.continued if self.add_generation_prompt is None else self.add_generation_prompt


class TokenizePromptRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /tokenize: a prompt, or a conversation in the model's chat template; exactly one."""

    model: str | None = None
    prompt: str | None = None
    messages: Annotated[list[Message], Meta(min_length=1, max_length=1000)] | None = None
    add_special_tokens: Annotated[bool | None, Meta(description="As in /v1/completions.")] = None
    add_generation_prompt: Annotated[bool | None, Meta(description="Default true.")] = None
    continue_final_message: bool | None = None
    return_token_strs: Annotated[bool | None, Meta(description="Return `token_strs`.")] = None

    def __post_init__(self) -> None:
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("exactly one of prompt and messages must be given")


class DetokenizeRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /detokenize: token ids to write as text, names of special tokens included."""

    tokens: list[TokenId]
    model: str | None = None
