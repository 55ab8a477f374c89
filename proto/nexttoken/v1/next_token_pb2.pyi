from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SpecialTokens(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SPECIAL_TOKENS_UNSPECIFIED: _ClassVar[SpecialTokens]
    SPECIAL_TOKENS_TOKEN: _ClassVar[SpecialTokens]
    SPECIAL_TOKENS_TEXT: _ClassVar[SpecialTokens]

class ModelPart(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODEL_PART_UNSPECIFIED: _ClassVar[ModelPart]
    MODEL_PART_EMBEDDING: _ClassVar[ModelPart]
    MODEL_PART_ATTENTION: _ClassVar[ModelPart]
    MODEL_PART_MLP: _ClassVar[ModelPart]
    MODEL_PART_BIAS: _ClassVar[ModelPart]

class FinishReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FINISH_REASON_UNSPECIFIED: _ClassVar[FinishReason]
    FINISH_REASON_STOP_TOKEN: _ClassVar[FinishReason]
    FINISH_REASON_STOP_TEXT: _ClassVar[FinishReason]
    FINISH_REASON_LENGTH: _ClassVar[FinishReason]
    FINISH_REASON_CANCELLED: _ClassVar[FinishReason]

class GrowFinishReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    GROW_FINISH_REASON_UNSPECIFIED: _ClassVar[GrowFinishReason]
    GROW_FINISH_REASON_COVERAGE: _ClassVar[GrowFinishReason]
    GROW_FINISH_REASON_MAX_NODES: _ClassVar[GrowFinishReason]
    GROW_FINISH_REASON_COMPLETE: _ClassVar[GrowFinishReason]

class InfluenceUnitKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INFLUENCE_UNIT_KIND_UNSPECIFIED: _ClassVar[InfluenceUnitKind]
    INFLUENCE_UNIT_KIND_TOKEN: _ClassVar[InfluenceUnitKind]
    INFLUENCE_UNIT_KIND_WORD: _ClassVar[InfluenceUnitKind]
    INFLUENCE_UNIT_KIND_SENTENCE: _ClassVar[InfluenceUnitKind]

class InfluenceMethod(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INFLUENCE_METHOD_UNSPECIFIED: _ClassVar[InfluenceMethod]
    INFLUENCE_METHOD_HIDE: _ClassVar[InfluenceMethod]
    INFLUENCE_METHOD_TAKE_OUT: _ClassVar[InfluenceMethod]
    INFLUENCE_METHOD_GRADIENT: _ClassVar[InfluenceMethod]

class ModelState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODEL_STATE_UNSPECIFIED: _ClassVar[ModelState]
    MODEL_STATE_QUEUED: _ClassVar[ModelState]
    MODEL_STATE_DOWNLOADING: _ClassVar[ModelState]
    MODEL_STATE_LOADING: _ClassVar[ModelState]
    MODEL_STATE_READY: _ClassVar[ModelState]
    MODEL_STATE_FAILED: _ClassVar[ModelState]
SPECIAL_TOKENS_UNSPECIFIED: SpecialTokens
SPECIAL_TOKENS_TOKEN: SpecialTokens
SPECIAL_TOKENS_TEXT: SpecialTokens
MODEL_PART_UNSPECIFIED: ModelPart
MODEL_PART_EMBEDDING: ModelPart
MODEL_PART_ATTENTION: ModelPart
MODEL_PART_MLP: ModelPart
MODEL_PART_BIAS: ModelPart
FINISH_REASON_UNSPECIFIED: FinishReason
FINISH_REASON_STOP_TOKEN: FinishReason
FINISH_REASON_STOP_TEXT: FinishReason
FINISH_REASON_LENGTH: FinishReason
FINISH_REASON_CANCELLED: FinishReason
GROW_FINISH_REASON_UNSPECIFIED: GrowFinishReason
GROW_FINISH_REASON_COVERAGE: GrowFinishReason
GROW_FINISH_REASON_MAX_NODES: GrowFinishReason
GROW_FINISH_REASON_COMPLETE: GrowFinishReason
INFLUENCE_UNIT_KIND_UNSPECIFIED: InfluenceUnitKind
INFLUENCE_UNIT_KIND_TOKEN: InfluenceUnitKind
INFLUENCE_UNIT_KIND_WORD: InfluenceUnitKind
INFLUENCE_UNIT_KIND_SENTENCE: InfluenceUnitKind
INFLUENCE_METHOD_UNSPECIFIED: InfluenceMethod
INFLUENCE_METHOD_HIDE: InfluenceMethod
INFLUENCE_METHOD_TAKE_OUT: InfluenceMethod
INFLUENCE_METHOD_GRADIENT: InfluenceMethod
MODEL_STATE_UNSPECIFIED: ModelState
MODEL_STATE_QUEUED: ModelState
MODEL_STATE_DOWNLOADING: ModelState
MODEL_STATE_LOADING: ModelState
MODEL_STATE_READY: ModelState
MODEL_STATE_FAILED: ModelState

class TokenIds(_message.Message):
    __slots__ = ("ids",)
    IDS_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, ids: _Optional[_Iterable[int]] = ...) -> None: ...

class PromptPart(_message.Message):
    __slots__ = ("text", "token_ids")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    TOKEN_IDS_FIELD_NUMBER: _ClassVar[int]
    text: str
    token_ids: TokenIds
    def __init__(self, text: _Optional[str] = ..., token_ids: _Optional[_Union[TokenIds, _Mapping]] = ...) -> None: ...

class PromptParts(_message.Message):
    __slots__ = ("parts",)
    PARTS_FIELD_NUMBER: _ClassVar[int]
    parts: _containers.RepeatedCompositeFieldContainer[PromptPart]
    def __init__(self, parts: _Optional[_Iterable[_Union[PromptPart, _Mapping]]] = ...) -> None: ...

class TopKRequest(_message.Message):
    __slots__ = ("model", "text", "token_ids", "parts", "top_k", "temperature", "watch_token_ids", "top_p", "min_p", "draws", "include_prompt_tokens", "include_partition", "samplers", "answer_start", "constrained_from", "special")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    TOKEN_IDS_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    WATCH_TOKEN_IDS_FIELD_NUMBER: _ClassVar[int]
    TOP_P_FIELD_NUMBER: _ClassVar[int]
    MIN_P_FIELD_NUMBER: _ClassVar[int]
    DRAWS_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_PROMPT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_PARTITION_FIELD_NUMBER: _ClassVar[int]
    SAMPLERS_FIELD_NUMBER: _ClassVar[int]
    ANSWER_START_FIELD_NUMBER: _ClassVar[int]
    CONSTRAINED_FROM_FIELD_NUMBER: _ClassVar[int]
    SPECIAL_FIELD_NUMBER: _ClassVar[int]
    model: str
    text: str
    token_ids: TokenIds
    parts: PromptParts
    top_k: int
    temperature: float
    watch_token_ids: _containers.RepeatedScalarFieldContainer[int]
    top_p: float
    min_p: float
    draws: _containers.RepeatedScalarFieldContainer[float]
    include_prompt_tokens: bool
    include_partition: bool
    samplers: _containers.RepeatedCompositeFieldContainer[Sampler]
    answer_start: int
    constrained_from: int
    special: SpecialTokens
    def __init__(self, model: _Optional[str] = ..., text: _Optional[str] = ..., token_ids: _Optional[_Union[TokenIds, _Mapping]] = ..., parts: _Optional[_Union[PromptParts, _Mapping]] = ..., top_k: _Optional[int] = ..., temperature: _Optional[float] = ..., watch_token_ids: _Optional[_Iterable[int]] = ..., top_p: _Optional[float] = ..., min_p: _Optional[float] = ..., draws: _Optional[_Iterable[float]] = ..., include_prompt_tokens: _Optional[bool] = ..., include_partition: _Optional[bool] = ..., samplers: _Optional[_Iterable[_Union[Sampler, _Mapping]]] = ..., answer_start: _Optional[int] = ..., constrained_from: _Optional[int] = ..., special: _Optional[_Union[SpecialTokens, str]] = ...) -> None: ...

class Sampler(_message.Message):
    __slots__ = ("temperature", "top_k", "top_p", "min_p", "typical_p", "top_n_sigma", "epsilon", "eta", "top_h", "xtc", "logit_bias", "ban", "repetition_penalty", "frequency_penalty", "presence_penalty", "mask")
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    TOP_P_FIELD_NUMBER: _ClassVar[int]
    MIN_P_FIELD_NUMBER: _ClassVar[int]
    TYPICAL_P_FIELD_NUMBER: _ClassVar[int]
    TOP_N_SIGMA_FIELD_NUMBER: _ClassVar[int]
    EPSILON_FIELD_NUMBER: _ClassVar[int]
    ETA_FIELD_NUMBER: _ClassVar[int]
    TOP_H_FIELD_NUMBER: _ClassVar[int]
    XTC_FIELD_NUMBER: _ClassVar[int]
    LOGIT_BIAS_FIELD_NUMBER: _ClassVar[int]
    BAN_FIELD_NUMBER: _ClassVar[int]
    REPETITION_PENALTY_FIELD_NUMBER: _ClassVar[int]
    FREQUENCY_PENALTY_FIELD_NUMBER: _ClassVar[int]
    PRESENCE_PENALTY_FIELD_NUMBER: _ClassVar[int]
    MASK_FIELD_NUMBER: _ClassVar[int]
    temperature: float
    top_k: int
    top_p: float
    min_p: float
    typical_p: float
    top_n_sigma: float
    epsilon: float
    eta: float
    top_h: float
    xtc: Xtc
    logit_bias: LogitBias
    ban: TokenIds
    repetition_penalty: Penalty
    frequency_penalty: Penalty
    presence_penalty: Penalty
    mask: Mask
    def __init__(self, temperature: _Optional[float] = ..., top_k: _Optional[int] = ..., top_p: _Optional[float] = ..., min_p: _Optional[float] = ..., typical_p: _Optional[float] = ..., top_n_sigma: _Optional[float] = ..., epsilon: _Optional[float] = ..., eta: _Optional[float] = ..., top_h: _Optional[float] = ..., xtc: _Optional[_Union[Xtc, _Mapping]] = ..., logit_bias: _Optional[_Union[LogitBias, _Mapping]] = ..., ban: _Optional[_Union[TokenIds, _Mapping]] = ..., repetition_penalty: _Optional[_Union[Penalty, _Mapping]] = ..., frequency_penalty: _Optional[_Union[Penalty, _Mapping]] = ..., presence_penalty: _Optional[_Union[Penalty, _Mapping]] = ..., mask: _Optional[_Union[Mask, _Mapping]] = ...) -> None: ...

class Mask(_message.Message):
    __slots__ = ("choices", "regex", "json_schema", "grammar")
    CHOICES_FIELD_NUMBER: _ClassVar[int]
    REGEX_FIELD_NUMBER: _ClassVar[int]
    JSON_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    GRAMMAR_FIELD_NUMBER: _ClassVar[int]
    choices: Choices
    regex: str
    json_schema: str
    grammar: str
    def __init__(self, choices: _Optional[_Union[Choices, _Mapping]] = ..., regex: _Optional[str] = ..., json_schema: _Optional[str] = ..., grammar: _Optional[str] = ...) -> None: ...

class Choices(_message.Message):
    __slots__ = ("texts",)
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    texts: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, texts: _Optional[_Iterable[str]] = ...) -> None: ...

class Xtc(_message.Message):
    __slots__ = ("probability", "threshold", "coin")
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    COIN_FIELD_NUMBER: _ClassVar[int]
    probability: float
    threshold: float
    coin: float
    def __init__(self, probability: _Optional[float] = ..., threshold: _Optional[float] = ..., coin: _Optional[float] = ...) -> None: ...

class LogitBias(_message.Message):
    __slots__ = ("biases",)
    BIASES_FIELD_NUMBER: _ClassVar[int]
    biases: _containers.RepeatedCompositeFieldContainer[TokenBias]
    def __init__(self, biases: _Optional[_Iterable[_Union[TokenBias, _Mapping]]] = ...) -> None: ...

class TokenBias(_message.Message):
    __slots__ = ("token_id", "bias")
    TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    BIAS_FIELD_NUMBER: _ClassVar[int]
    token_id: int
    bias: float
    def __init__(self, token_id: _Optional[int] = ..., bias: _Optional[float] = ...) -> None: ...

class Penalty(_message.Message):
    __slots__ = ("penalty", "last", "ignore_prompt")
    PENALTY_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    IGNORE_PROMPT_FIELD_NUMBER: _ClassVar[int]
    penalty: float
    last: int
    ignore_prompt: bool
    def __init__(self, penalty: _Optional[float] = ..., last: _Optional[int] = ..., ignore_prompt: _Optional[bool] = ...) -> None: ...

class SamplerResult(_message.Message):
    __slots__ = ("count", "probability")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    count: int
    probability: float
    def __init__(self, count: _Optional[int] = ..., probability: _Optional[float] = ...) -> None: ...

class Sampling(_message.Message):
    __slots__ = ("steps", "likeliest", "entropy_bits")
    STEPS_FIELD_NUMBER: _ClassVar[int]
    LIKELIEST_FIELD_NUMBER: _ClassVar[int]
    ENTROPY_BITS_FIELD_NUMBER: _ClassVar[int]
    steps: _containers.RepeatedCompositeFieldContainer[SamplerResult]
    likeliest: _containers.RepeatedCompositeFieldContainer[Candidate]
    entropy_bits: float
    def __init__(self, steps: _Optional[_Iterable[_Union[SamplerResult, _Mapping]]] = ..., likeliest: _Optional[_Iterable[_Union[Candidate, _Mapping]]] = ..., entropy_bits: _Optional[float] = ...) -> None: ...

class Sampled(_message.Message):
    __slots__ = ("probability", "logprob", "fell_at")
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    LOGPROB_FIELD_NUMBER: _ClassVar[int]
    FELL_AT_FIELD_NUMBER: _ClassVar[int]
    probability: float
    logprob: float
    fell_at: int
    def __init__(self, probability: _Optional[float] = ..., logprob: _Optional[float] = ..., fell_at: _Optional[int] = ...) -> None: ...

class Token(_message.Message):
    __slots__ = ("token_id", "bytes", "text", "is_special")
    TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    IS_SPECIAL_FIELD_NUMBER: _ClassVar[int]
    token_id: int
    bytes: bytes
    text: str
    is_special: bool
    def __init__(self, token_id: _Optional[int] = ..., bytes: _Optional[bytes] = ..., text: _Optional[str] = ..., is_special: _Optional[bool] = ...) -> None: ...

class Candidate(_message.Message):
    __slots__ = ("token", "rank", "logit", "probability", "logprob", "sampled")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    LOGIT_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    LOGPROB_FIELD_NUMBER: _ClassVar[int]
    SAMPLED_FIELD_NUMBER: _ClassVar[int]
    token: Token
    rank: int
    logit: float
    probability: float
    logprob: float
    sampled: Sampled
    def __init__(self, token: _Optional[_Union[Token, _Mapping]] = ..., rank: _Optional[int] = ..., logit: _Optional[float] = ..., probability: _Optional[float] = ..., logprob: _Optional[float] = ..., sampled: _Optional[_Union[Sampled, _Mapping]] = ...) -> None: ...

class Kept(_message.Message):
    __slots__ = ("count", "probability")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    count: int
    probability: float
    def __init__(self, count: _Optional[int] = ..., probability: _Optional[float] = ...) -> None: ...

class PartitionPoint(_message.Message):
    __slots__ = ("inverse_temperature", "log_sum_exp", "mean_logit", "variance")
    INVERSE_TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    LOG_SUM_EXP_FIELD_NUMBER: _ClassVar[int]
    MEAN_LOGIT_FIELD_NUMBER: _ClassVar[int]
    VARIANCE_FIELD_NUMBER: _ClassVar[int]
    inverse_temperature: float
    log_sum_exp: float
    mean_logit: float
    variance: float
    def __init__(self, inverse_temperature: _Optional[float] = ..., log_sum_exp: _Optional[float] = ..., mean_logit: _Optional[float] = ..., variance: _Optional[float] = ...) -> None: ...

class Timings(_message.Message):
    __slots__ = ("queue_ms", "tokenize_ms", "model_ms", "total_ms")
    QUEUE_MS_FIELD_NUMBER: _ClassVar[int]
    TOKENIZE_MS_FIELD_NUMBER: _ClassVar[int]
    MODEL_MS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_MS_FIELD_NUMBER: _ClassVar[int]
    queue_ms: float
    tokenize_ms: float
    model_ms: float
    total_ms: float
    def __init__(self, queue_ms: _Optional[float] = ..., tokenize_ms: _Optional[float] = ..., model_ms: _Optional[float] = ..., total_ms: _Optional[float] = ...) -> None: ...

class Prompt(_message.Message):
    __slots__ = ("token_count", "cached_tokens", "context_limit", "tokens")
    TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    CACHED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_LIMIT_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    token_count: int
    cached_tokens: int
    context_limit: int
    tokens: _containers.RepeatedCompositeFieldContainer[Token]
    def __init__(self, token_count: _Optional[int] = ..., cached_tokens: _Optional[int] = ..., context_limit: _Optional[int] = ..., tokens: _Optional[_Iterable[_Union[Token, _Mapping]]] = ...) -> None: ...

class TopKResponse(_message.Message):
    __slots__ = ("model", "prompt", "candidates", "watched", "drawn", "kept", "other_probability", "entropy_bits", "vocab_size", "partition", "lookahead_hit", "timings", "sampling", "partition_at_zero")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    WATCHED_FIELD_NUMBER: _ClassVar[int]
    DRAWN_FIELD_NUMBER: _ClassVar[int]
    KEPT_FIELD_NUMBER: _ClassVar[int]
    OTHER_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    ENTROPY_BITS_FIELD_NUMBER: _ClassVar[int]
    VOCAB_SIZE_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    LOOKAHEAD_HIT_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    SAMPLING_FIELD_NUMBER: _ClassVar[int]
    PARTITION_AT_ZERO_FIELD_NUMBER: _ClassVar[int]
    model: str
    prompt: Prompt
    candidates: _containers.RepeatedCompositeFieldContainer[Candidate]
    watched: _containers.RepeatedCompositeFieldContainer[Candidate]
    drawn: _containers.RepeatedCompositeFieldContainer[Candidate]
    kept: Kept
    other_probability: float
    entropy_bits: float
    vocab_size: int
    partition: _containers.RepeatedCompositeFieldContainer[PartitionPoint]
    lookahead_hit: bool
    timings: Timings
    sampling: Sampling
    partition_at_zero: PartitionPoint
    def __init__(self, model: _Optional[str] = ..., prompt: _Optional[_Union[Prompt, _Mapping]] = ..., candidates: _Optional[_Iterable[_Union[Candidate, _Mapping]]] = ..., watched: _Optional[_Iterable[_Union[Candidate, _Mapping]]] = ..., drawn: _Optional[_Iterable[_Union[Candidate, _Mapping]]] = ..., kept: _Optional[_Union[Kept, _Mapping]] = ..., other_probability: _Optional[float] = ..., entropy_bits: _Optional[float] = ..., vocab_size: _Optional[int] = ..., partition: _Optional[_Iterable[_Union[PartitionPoint, _Mapping]]] = ..., lookahead_hit: _Optional[bool] = ..., timings: _Optional[_Union[Timings, _Mapping]] = ..., sampling: _Optional[_Union[Sampling, _Mapping]] = ..., partition_at_zero: _Optional[_Union[PartitionPoint, _Mapping]] = ...) -> None: ...

class ScoreRequest(_message.Message):
    __slots__ = ("model", "text", "token_ids", "top_k", "special")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    TOKEN_IDS_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    SPECIAL_FIELD_NUMBER: _ClassVar[int]
    model: str
    text: str
    token_ids: TokenIds
    top_k: int
    special: SpecialTokens
    def __init__(self, model: _Optional[str] = ..., text: _Optional[str] = ..., token_ids: _Optional[_Union[TokenIds, _Mapping]] = ..., top_k: _Optional[int] = ..., special: _Optional[_Union[SpecialTokens, str]] = ...) -> None: ...

class ScoredToken(_message.Message):
    __slots__ = ("candidate", "entropy_bits", "alternatives", "unconditioned")
    CANDIDATE_FIELD_NUMBER: _ClassVar[int]
    ENTROPY_BITS_FIELD_NUMBER: _ClassVar[int]
    ALTERNATIVES_FIELD_NUMBER: _ClassVar[int]
    UNCONDITIONED_FIELD_NUMBER: _ClassVar[int]
    candidate: Candidate
    entropy_bits: float
    alternatives: _containers.RepeatedCompositeFieldContainer[Candidate]
    unconditioned: bool
    def __init__(self, candidate: _Optional[_Union[Candidate, _Mapping]] = ..., entropy_bits: _Optional[float] = ..., alternatives: _Optional[_Iterable[_Union[Candidate, _Mapping]]] = ..., unconditioned: _Optional[bool] = ...) -> None: ...

class ScoreResponse(_message.Message):
    __slots__ = ("model", "tokens", "total_logprob", "perplexity", "bits_per_byte", "context_limit", "timings")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_LOGPROB_FIELD_NUMBER: _ClassVar[int]
    PERPLEXITY_FIELD_NUMBER: _ClassVar[int]
    BITS_PER_BYTE_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_LIMIT_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    model: str
    tokens: _containers.RepeatedCompositeFieldContainer[ScoredToken]
    total_logprob: float
    perplexity: float
    bits_per_byte: float
    context_limit: int
    timings: Timings
    def __init__(self, model: _Optional[str] = ..., tokens: _Optional[_Iterable[_Union[ScoredToken, _Mapping]]] = ..., total_logprob: _Optional[float] = ..., perplexity: _Optional[float] = ..., bits_per_byte: _Optional[float] = ..., context_limit: _Optional[int] = ..., timings: _Optional[_Union[Timings, _Mapping]] = ...) -> None: ...

class LayersRequest(_message.Message):
    __slots__ = ("model", "text", "token_ids", "position", "top_k", "temperature", "watch_token_ids", "contrast", "include_attention", "include_prompt_tokens", "special")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    TOKEN_IDS_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    WATCH_TOKEN_IDS_FIELD_NUMBER: _ClassVar[int]
    CONTRAST_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_ATTENTION_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_PROMPT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    SPECIAL_FIELD_NUMBER: _ClassVar[int]
    model: str
    text: str
    token_ids: TokenIds
    position: int
    top_k: int
    temperature: float
    watch_token_ids: _containers.RepeatedScalarFieldContainer[int]
    contrast: _containers.RepeatedScalarFieldContainer[int]
    include_attention: bool
    include_prompt_tokens: bool
    special: SpecialTokens
    def __init__(self, model: _Optional[str] = ..., text: _Optional[str] = ..., token_ids: _Optional[_Union[TokenIds, _Mapping]] = ..., position: _Optional[int] = ..., top_k: _Optional[int] = ..., temperature: _Optional[float] = ..., watch_token_ids: _Optional[_Iterable[int]] = ..., contrast: _Optional[_Iterable[int]] = ..., include_attention: _Optional[bool] = ..., include_prompt_tokens: _Optional[bool] = ..., special: _Optional[_Union[SpecialTokens, str]] = ...) -> None: ...

class Layer(_message.Message):
    __slots__ = ("layer", "candidates", "watched", "entropy_bits", "kl_to_final_bits")
    LAYER_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    WATCHED_FIELD_NUMBER: _ClassVar[int]
    ENTROPY_BITS_FIELD_NUMBER: _ClassVar[int]
    KL_TO_FINAL_BITS_FIELD_NUMBER: _ClassVar[int]
    layer: int
    candidates: _containers.RepeatedCompositeFieldContainer[Candidate]
    watched: _containers.RepeatedCompositeFieldContainer[Candidate]
    entropy_bits: float
    kl_to_final_bits: float
    def __init__(self, layer: _Optional[int] = ..., candidates: _Optional[_Iterable[_Union[Candidate, _Mapping]]] = ..., watched: _Optional[_Iterable[_Union[Candidate, _Mapping]]] = ..., entropy_bits: _Optional[float] = ..., kl_to_final_bits: _Optional[float] = ...) -> None: ...

class Commitment(_message.Message):
    __slots__ = ("top1_layer", "top3_layer", "half_layer")
    TOP1_LAYER_FIELD_NUMBER: _ClassVar[int]
    TOP3_LAYER_FIELD_NUMBER: _ClassVar[int]
    HALF_LAYER_FIELD_NUMBER: _ClassVar[int]
    top1_layer: int
    top3_layer: int
    half_layer: int
    def __init__(self, top1_layer: _Optional[int] = ..., top3_layer: _Optional[int] = ..., half_layer: _Optional[int] = ...) -> None: ...

class Contribution(_message.Message):
    __slots__ = ("layer", "part", "logit_difference")
    LAYER_FIELD_NUMBER: _ClassVar[int]
    PART_FIELD_NUMBER: _ClassVar[int]
    LOGIT_DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    layer: int
    part: ModelPart
    logit_difference: float
    def __init__(self, layer: _Optional[int] = ..., part: _Optional[_Union[ModelPart, str]] = ..., logit_difference: _Optional[float] = ...) -> None: ...

class HeadAttention(_message.Message):
    __slots__ = ("weights",)
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    weights: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, weights: _Optional[_Iterable[float]] = ...) -> None: ...

class BlockAttention(_message.Message):
    __slots__ = ("heads",)
    HEADS_FIELD_NUMBER: _ClassVar[int]
    heads: _containers.RepeatedCompositeFieldContainer[HeadAttention]
    def __init__(self, heads: _Optional[_Iterable[_Union[HeadAttention, _Mapping]]] = ...) -> None: ...

class LayersResponse(_message.Message):
    __slots__ = ("model", "prompt", "position", "layers", "commitment", "contributions", "logit_difference", "before_soft_cap", "attention", "timings")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    LAYERS_FIELD_NUMBER: _ClassVar[int]
    COMMITMENT_FIELD_NUMBER: _ClassVar[int]
    CONTRIBUTIONS_FIELD_NUMBER: _ClassVar[int]
    LOGIT_DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    BEFORE_SOFT_CAP_FIELD_NUMBER: _ClassVar[int]
    ATTENTION_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    model: str
    prompt: Prompt
    position: int
    layers: _containers.RepeatedCompositeFieldContainer[Layer]
    commitment: Commitment
    contributions: _containers.RepeatedCompositeFieldContainer[Contribution]
    logit_difference: float
    before_soft_cap: bool
    attention: _containers.RepeatedCompositeFieldContainer[BlockAttention]
    timings: Timings
    def __init__(self, model: _Optional[str] = ..., prompt: _Optional[_Union[Prompt, _Mapping]] = ..., position: _Optional[int] = ..., layers: _Optional[_Iterable[_Union[Layer, _Mapping]]] = ..., commitment: _Optional[_Union[Commitment, _Mapping]] = ..., contributions: _Optional[_Iterable[_Union[Contribution, _Mapping]]] = ..., logit_difference: _Optional[float] = ..., before_soft_cap: _Optional[bool] = ..., attention: _Optional[_Iterable[_Union[BlockAttention, _Mapping]]] = ..., timings: _Optional[_Union[Timings, _Mapping]] = ...) -> None: ...

class GeneratedSoFar(_message.Message):
    __slots__ = ("index", "token_ids")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    TOKEN_IDS_FIELD_NUMBER: _ClassVar[int]
    index: int
    token_ids: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, index: _Optional[int] = ..., token_ids: _Optional[_Iterable[int]] = ...) -> None: ...

class GenerateRequest(_message.Message):
    __slots__ = ("model", "text", "token_ids", "max_tokens", "temperature", "top_p", "min_p", "seed", "n", "stop", "stop_token_ids", "top_k", "resume", "include_partition", "samplers", "special")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    TOKEN_IDS_FIELD_NUMBER: _ClassVar[int]
    MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    TOP_P_FIELD_NUMBER: _ClassVar[int]
    MIN_P_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    N_FIELD_NUMBER: _ClassVar[int]
    STOP_FIELD_NUMBER: _ClassVar[int]
    STOP_TOKEN_IDS_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_PARTITION_FIELD_NUMBER: _ClassVar[int]
    SAMPLERS_FIELD_NUMBER: _ClassVar[int]
    SPECIAL_FIELD_NUMBER: _ClassVar[int]
    model: str
    text: str
    token_ids: TokenIds
    max_tokens: int
    temperature: float
    top_p: float
    min_p: float
    seed: int
    n: int
    stop: _containers.RepeatedScalarFieldContainer[str]
    stop_token_ids: TokenIds
    top_k: int
    resume: _containers.RepeatedCompositeFieldContainer[GeneratedSoFar]
    include_partition: bool
    samplers: _containers.RepeatedCompositeFieldContainer[Sampler]
    special: SpecialTokens
    def __init__(self, model: _Optional[str] = ..., text: _Optional[str] = ..., token_ids: _Optional[_Union[TokenIds, _Mapping]] = ..., max_tokens: _Optional[int] = ..., temperature: _Optional[float] = ..., top_p: _Optional[float] = ..., min_p: _Optional[float] = ..., seed: _Optional[int] = ..., n: _Optional[int] = ..., stop: _Optional[_Iterable[str]] = ..., stop_token_ids: _Optional[_Union[TokenIds, _Mapping]] = ..., top_k: _Optional[int] = ..., resume: _Optional[_Iterable[_Union[GeneratedSoFar, _Mapping]]] = ..., include_partition: _Optional[bool] = ..., samplers: _Optional[_Iterable[_Union[Sampler, _Mapping]]] = ..., special: _Optional[_Union[SpecialTokens, str]] = ...) -> None: ...

class GenerateResponse(_message.Message):
    __slots__ = ("start", "token", "finish")
    START_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    FINISH_FIELD_NUMBER: _ClassVar[int]
    start: GenerateStart
    token: GeneratedToken
    finish: GenerateFinish
    def __init__(self, start: _Optional[_Union[GenerateStart, _Mapping]] = ..., token: _Optional[_Union[GeneratedToken, _Mapping]] = ..., finish: _Optional[_Union[GenerateFinish, _Mapping]] = ...) -> None: ...

class GenerateStart(_message.Message):
    __slots__ = ("model", "token_ids", "seed", "context_limit")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TOKEN_IDS_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_LIMIT_FIELD_NUMBER: _ClassVar[int]
    model: str
    token_ids: _containers.RepeatedScalarFieldContainer[int]
    seed: int
    context_limit: int
    def __init__(self, model: _Optional[str] = ..., token_ids: _Optional[_Iterable[int]] = ..., seed: _Optional[int] = ..., context_limit: _Optional[int] = ...) -> None: ...

class GeneratedToken(_message.Message):
    __slots__ = ("index", "token", "candidates", "entropy_bits", "kept", "other_probability", "partition", "log_sum_exp", "sampling", "partition_at_zero")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    ENTROPY_BITS_FIELD_NUMBER: _ClassVar[int]
    KEPT_FIELD_NUMBER: _ClassVar[int]
    OTHER_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    LOG_SUM_EXP_FIELD_NUMBER: _ClassVar[int]
    SAMPLING_FIELD_NUMBER: _ClassVar[int]
    PARTITION_AT_ZERO_FIELD_NUMBER: _ClassVar[int]
    index: int
    token: Candidate
    candidates: _containers.RepeatedCompositeFieldContainer[Candidate]
    entropy_bits: float
    kept: Kept
    other_probability: float
    partition: _containers.RepeatedCompositeFieldContainer[PartitionPoint]
    log_sum_exp: float
    sampling: Sampling
    partition_at_zero: PartitionPoint
    def __init__(self, index: _Optional[int] = ..., token: _Optional[_Union[Candidate, _Mapping]] = ..., candidates: _Optional[_Iterable[_Union[Candidate, _Mapping]]] = ..., entropy_bits: _Optional[float] = ..., kept: _Optional[_Union[Kept, _Mapping]] = ..., other_probability: _Optional[float] = ..., partition: _Optional[_Iterable[_Union[PartitionPoint, _Mapping]]] = ..., log_sum_exp: _Optional[float] = ..., sampling: _Optional[_Union[Sampling, _Mapping]] = ..., partition_at_zero: _Optional[_Union[PartitionPoint, _Mapping]] = ...) -> None: ...

class GenerateFinish(_message.Message):
    __slots__ = ("index", "finish_reason", "stop_token_id", "stop_text", "text", "token_count", "timings")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    FINISH_REASON_FIELD_NUMBER: _ClassVar[int]
    STOP_TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    STOP_TEXT_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    index: int
    finish_reason: FinishReason
    stop_token_id: int
    stop_text: str
    text: str
    token_count: int
    timings: Timings
    def __init__(self, index: _Optional[int] = ..., finish_reason: _Optional[_Union[FinishReason, str]] = ..., stop_token_id: _Optional[int] = ..., stop_text: _Optional[str] = ..., text: _Optional[str] = ..., token_count: _Optional[int] = ..., timings: _Optional[_Union[Timings, _Mapping]] = ...) -> None: ...

class GrowRequest(_message.Message):
    __slots__ = ("model", "text", "token_ids", "depth", "coverage", "max_nodes", "width", "special")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    TOKEN_IDS_FIELD_NUMBER: _ClassVar[int]
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    COVERAGE_FIELD_NUMBER: _ClassVar[int]
    MAX_NODES_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    SPECIAL_FIELD_NUMBER: _ClassVar[int]
    model: str
    text: str
    token_ids: TokenIds
    depth: int
    coverage: float
    max_nodes: int
    width: int
    special: SpecialTokens
    def __init__(self, model: _Optional[str] = ..., text: _Optional[str] = ..., token_ids: _Optional[_Union[TokenIds, _Mapping]] = ..., depth: _Optional[int] = ..., coverage: _Optional[float] = ..., max_nodes: _Optional[int] = ..., width: _Optional[int] = ..., special: _Optional[_Union[SpecialTokens, str]] = ...) -> None: ...

class GrowResponse(_message.Message):
    __slots__ = ("start", "node", "mass", "finish")
    START_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    MASS_FIELD_NUMBER: _ClassVar[int]
    FINISH_FIELD_NUMBER: _ClassVar[int]
    start: GrowStart
    node: GrownNode
    mass: GrownMass
    finish: GrowFinish
    def __init__(self, start: _Optional[_Union[GrowStart, _Mapping]] = ..., node: _Optional[_Union[GrownNode, _Mapping]] = ..., mass: _Optional[_Union[GrownMass, _Mapping]] = ..., finish: _Optional[_Union[GrowFinish, _Mapping]] = ...) -> None: ...

class GrowStart(_message.Message):
    __slots__ = ("model", "token_ids", "context_limit")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TOKEN_IDS_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_LIMIT_FIELD_NUMBER: _ClassVar[int]
    model: str
    token_ids: _containers.RepeatedScalarFieldContainer[int]
    context_limit: int
    def __init__(self, model: _Optional[str] = ..., token_ids: _Optional[_Iterable[int]] = ..., context_limit: _Optional[int] = ...) -> None: ...

class GrownNode(_message.Message):
    __slots__ = ("id", "parent", "token", "path_logprob", "depth", "is_end")
    ID_FIELD_NUMBER: _ClassVar[int]
    PARENT_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    PATH_LOGPROB_FIELD_NUMBER: _ClassVar[int]
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    IS_END_FIELD_NUMBER: _ClassVar[int]
    id: int
    parent: int
    token: Candidate
    path_logprob: float
    depth: int
    is_end: bool
    def __init__(self, id: _Optional[int] = ..., parent: _Optional[int] = ..., token: _Optional[_Union[Candidate, _Mapping]] = ..., path_logprob: _Optional[float] = ..., depth: _Optional[int] = ..., is_end: _Optional[bool] = ...) -> None: ...

class GrownMass(_message.Message):
    __slots__ = ("covered", "open", "pruned")
    COVERED_FIELD_NUMBER: _ClassVar[int]
    OPEN_FIELD_NUMBER: _ClassVar[int]
    PRUNED_FIELD_NUMBER: _ClassVar[int]
    covered: float
    open: float
    pruned: float
    def __init__(self, covered: _Optional[float] = ..., open: _Optional[float] = ..., pruned: _Optional[float] = ...) -> None: ...

class GrowFinish(_message.Message):
    __slots__ = ("finish_reason", "node_count", "mass", "timings")
    FINISH_REASON_FIELD_NUMBER: _ClassVar[int]
    NODE_COUNT_FIELD_NUMBER: _ClassVar[int]
    MASS_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    finish_reason: GrowFinishReason
    node_count: int
    mass: GrownMass
    timings: Timings
    def __init__(self, finish_reason: _Optional[_Union[GrowFinishReason, str]] = ..., node_count: _Optional[int] = ..., mass: _Optional[_Union[GrownMass, _Mapping]] = ..., timings: _Optional[_Union[Timings, _Mapping]] = ...) -> None: ...

class ComparedQuestion(_message.Message):
    __slots__ = ("model", "text", "token_ids", "temperature", "top_p", "min_p", "samplers", "answer_start", "constrained_from", "special")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    TOKEN_IDS_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    TOP_P_FIELD_NUMBER: _ClassVar[int]
    MIN_P_FIELD_NUMBER: _ClassVar[int]
    SAMPLERS_FIELD_NUMBER: _ClassVar[int]
    ANSWER_START_FIELD_NUMBER: _ClassVar[int]
    CONSTRAINED_FROM_FIELD_NUMBER: _ClassVar[int]
    SPECIAL_FIELD_NUMBER: _ClassVar[int]
    model: str
    text: str
    token_ids: TokenIds
    temperature: float
    top_p: float
    min_p: float
    samplers: _containers.RepeatedCompositeFieldContainer[Sampler]
    answer_start: int
    constrained_from: int
    special: SpecialTokens
    def __init__(self, model: _Optional[str] = ..., text: _Optional[str] = ..., token_ids: _Optional[_Union[TokenIds, _Mapping]] = ..., temperature: _Optional[float] = ..., top_p: _Optional[float] = ..., min_p: _Optional[float] = ..., samplers: _Optional[_Iterable[_Union[Sampler, _Mapping]]] = ..., answer_start: _Optional[int] = ..., constrained_from: _Optional[int] = ..., special: _Optional[_Union[SpecialTokens, str]] = ...) -> None: ...

class CompareRequest(_message.Message):
    __slots__ = ("a", "b", "top_k", "include_prompt_tokens")
    A_FIELD_NUMBER: _ClassVar[int]
    B_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_PROMPT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    a: ComparedQuestion
    b: ComparedQuestion
    top_k: int
    include_prompt_tokens: bool
    def __init__(self, a: _Optional[_Union[ComparedQuestion, _Mapping]] = ..., b: _Optional[_Union[ComparedQuestion, _Mapping]] = ..., top_k: _Optional[int] = ..., include_prompt_tokens: _Optional[bool] = ...) -> None: ...

class ComparedPlace(_message.Message):
    __slots__ = ("token_id", "rank", "probability", "logprob")
    TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    LOGPROB_FIELD_NUMBER: _ClassVar[int]
    token_id: int
    rank: int
    probability: float
    logprob: float
    def __init__(self, token_id: _Optional[int] = ..., rank: _Optional[int] = ..., probability: _Optional[float] = ..., logprob: _Optional[float] = ...) -> None: ...

class ComparedToken(_message.Message):
    __slots__ = ("token", "a", "b")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    A_FIELD_NUMBER: _ClassVar[int]
    B_FIELD_NUMBER: _ClassVar[int]
    token: Token
    a: ComparedPlace
    b: ComparedPlace
    def __init__(self, token: _Optional[_Union[Token, _Mapping]] = ..., a: _Optional[_Union[ComparedPlace, _Mapping]] = ..., b: _Optional[_Union[ComparedPlace, _Mapping]] = ...) -> None: ...

class ComparedSide(_message.Message):
    __slots__ = ("model", "prompt", "kept", "entropy_bits", "vocab_size", "steps")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    KEPT_FIELD_NUMBER: _ClassVar[int]
    ENTROPY_BITS_FIELD_NUMBER: _ClassVar[int]
    VOCAB_SIZE_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    model: str
    prompt: Prompt
    kept: Kept
    entropy_bits: float
    vocab_size: int
    steps: _containers.RepeatedCompositeFieldContainer[SamplerResult]
    def __init__(self, model: _Optional[str] = ..., prompt: _Optional[_Union[Prompt, _Mapping]] = ..., kept: _Optional[_Union[Kept, _Mapping]] = ..., entropy_bits: _Optional[float] = ..., vocab_size: _Optional[int] = ..., steps: _Optional[_Iterable[_Union[SamplerResult, _Mapping]]] = ...) -> None: ...

class Unmatched(_message.Message):
    __slots__ = ("a", "b")
    A_FIELD_NUMBER: _ClassVar[int]
    B_FIELD_NUMBER: _ClassVar[int]
    a: float
    b: float
    def __init__(self, a: _Optional[float] = ..., b: _Optional[float] = ...) -> None: ...

class CompareResponse(_message.Message):
    __slots__ = ("a", "b", "kl_a_b_bits", "kl_b_a_bits", "js_bits", "total_variation", "candidates", "gained", "lost", "overlap", "unmatched", "matched_by_bytes", "timings")
    A_FIELD_NUMBER: _ClassVar[int]
    B_FIELD_NUMBER: _ClassVar[int]
    KL_A_B_BITS_FIELD_NUMBER: _ClassVar[int]
    KL_B_A_BITS_FIELD_NUMBER: _ClassVar[int]
    JS_BITS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_VARIATION_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    GAINED_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    OVERLAP_FIELD_NUMBER: _ClassVar[int]
    UNMATCHED_FIELD_NUMBER: _ClassVar[int]
    MATCHED_BY_BYTES_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    a: ComparedSide
    b: ComparedSide
    kl_a_b_bits: float
    kl_b_a_bits: float
    js_bits: float
    total_variation: float
    candidates: _containers.RepeatedCompositeFieldContainer[ComparedToken]
    gained: _containers.RepeatedCompositeFieldContainer[ComparedToken]
    lost: _containers.RepeatedCompositeFieldContainer[ComparedToken]
    overlap: _containers.RepeatedScalarFieldContainer[int]
    unmatched: Unmatched
    matched_by_bytes: bool
    timings: Timings
    def __init__(self, a: _Optional[_Union[ComparedSide, _Mapping]] = ..., b: _Optional[_Union[ComparedSide, _Mapping]] = ..., kl_a_b_bits: _Optional[float] = ..., kl_b_a_bits: _Optional[float] = ..., js_bits: _Optional[float] = ..., total_variation: _Optional[float] = ..., candidates: _Optional[_Iterable[_Union[ComparedToken, _Mapping]]] = ..., gained: _Optional[_Iterable[_Union[ComparedToken, _Mapping]]] = ..., lost: _Optional[_Iterable[_Union[ComparedToken, _Mapping]]] = ..., overlap: _Optional[_Iterable[int]] = ..., unmatched: _Optional[_Union[Unmatched, _Mapping]] = ..., matched_by_bytes: _Optional[bool] = ..., timings: _Optional[_Union[Timings, _Mapping]] = ...) -> None: ...

class InfluenceRequest(_message.Message):
    __slots__ = ("model", "text", "token_ids", "target", "contrast", "unit", "method", "replace_with", "budget", "special")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    TOKEN_IDS_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    CONTRAST_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    REPLACE_WITH_FIELD_NUMBER: _ClassVar[int]
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    SPECIAL_FIELD_NUMBER: _ClassVar[int]
    model: str
    text: str
    token_ids: TokenIds
    target: int
    contrast: int
    unit: InfluenceUnitKind
    method: InfluenceMethod
    replace_with: int
    budget: int
    special: SpecialTokens
    def __init__(self, model: _Optional[str] = ..., text: _Optional[str] = ..., token_ids: _Optional[_Union[TokenIds, _Mapping]] = ..., target: _Optional[int] = ..., contrast: _Optional[int] = ..., unit: _Optional[_Union[InfluenceUnitKind, str]] = ..., method: _Optional[_Union[InfluenceMethod, str]] = ..., replace_with: _Optional[int] = ..., budget: _Optional[int] = ..., special: _Optional[_Union[SpecialTokens, str]] = ...) -> None: ...

class InfluenceUnit(_message.Message):
    __slots__ = ("start", "end", "kind", "text", "is_special", "has_first_token")
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    IS_SPECIAL_FIELD_NUMBER: _ClassVar[int]
    HAS_FIRST_TOKEN_FIELD_NUMBER: _ClassVar[int]
    start: int
    end: int
    kind: InfluenceUnitKind
    text: str
    is_special: bool
    has_first_token: bool
    def __init__(self, start: _Optional[int] = ..., end: _Optional[int] = ..., kind: _Optional[_Union[InfluenceUnitKind, str]] = ..., text: _Optional[str] = ..., is_special: _Optional[bool] = ..., has_first_token: _Optional[bool] = ...) -> None: ...

class InfluenceStart(_message.Message):
    __slots__ = ("model", "token_count", "units", "log_odds", "target", "contrast", "planned_tokens")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    UNITS_FIELD_NUMBER: _ClassVar[int]
    LOG_ODDS_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    CONTRAST_FIELD_NUMBER: _ClassVar[int]
    PLANNED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    model: str
    token_count: int
    units: _containers.RepeatedCompositeFieldContainer[InfluenceUnit]
    log_odds: float
    target: Candidate
    contrast: Candidate
    planned_tokens: int
    def __init__(self, model: _Optional[str] = ..., token_count: _Optional[int] = ..., units: _Optional[_Iterable[_Union[InfluenceUnit, _Mapping]]] = ..., log_odds: _Optional[float] = ..., target: _Optional[_Union[Candidate, _Mapping]] = ..., contrast: _Optional[_Union[Candidate, _Mapping]] = ..., planned_tokens: _Optional[int] = ...) -> None: ...

class InfluenceChange(_message.Message):
    __slots__ = ("unit", "method", "log_odds_change")
    UNIT_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    LOG_ODDS_CHANGE_FIELD_NUMBER: _ClassVar[int]
    unit: int
    method: InfluenceMethod
    log_odds_change: float
    def __init__(self, unit: _Optional[int] = ..., method: _Optional[_Union[InfluenceMethod, str]] = ..., log_odds_change: _Optional[float] = ...) -> None: ...

class InfluenceEnd(_message.Message):
    __slots__ = ("measured", "complete", "rank_correlation", "methods_disagree", "computed_tokens", "timings")
    MEASURED_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    RANK_CORRELATION_FIELD_NUMBER: _ClassVar[int]
    METHODS_DISAGREE_FIELD_NUMBER: _ClassVar[int]
    COMPUTED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    measured: int
    complete: bool
    rank_correlation: float
    methods_disagree: bool
    computed_tokens: int
    timings: Timings
    def __init__(self, measured: _Optional[int] = ..., complete: _Optional[bool] = ..., rank_correlation: _Optional[float] = ..., methods_disagree: _Optional[bool] = ..., computed_tokens: _Optional[int] = ..., timings: _Optional[_Union[Timings, _Mapping]] = ...) -> None: ...

class InfluenceResponse(_message.Message):
    __slots__ = ("start", "change", "done")
    START_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    start: InfluenceStart
    change: InfluenceChange
    done: InfluenceEnd
    def __init__(self, start: _Optional[_Union[InfluenceStart, _Mapping]] = ..., change: _Optional[_Union[InfluenceChange, _Mapping]] = ..., done: _Optional[_Union[InfluenceEnd, _Mapping]] = ...) -> None: ...

class ChatMessage(_message.Message):
    __slots__ = ("role", "content")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    role: str
    content: str
    def __init__(self, role: _Optional[str] = ..., content: _Optional[str] = ...) -> None: ...

class RenderChatRequest(_message.Message):
    __slots__ = ("model", "messages", "add_generation_prompt", "continue_final_message", "special")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    ADD_GENERATION_PROMPT_FIELD_NUMBER: _ClassVar[int]
    CONTINUE_FINAL_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    SPECIAL_FIELD_NUMBER: _ClassVar[int]
    model: str
    messages: _containers.RepeatedCompositeFieldContainer[ChatMessage]
    add_generation_prompt: bool
    continue_final_message: bool
    special: SpecialTokens
    def __init__(self, model: _Optional[str] = ..., messages: _Optional[_Iterable[_Union[ChatMessage, _Mapping]]] = ..., add_generation_prompt: _Optional[bool] = ..., continue_final_message: _Optional[bool] = ..., special: _Optional[_Union[SpecialTokens, str]] = ...) -> None: ...

class ChatToken(_message.Message):
    __slots__ = ("token", "message", "role", "is_content")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    IS_CONTENT_FIELD_NUMBER: _ClassVar[int]
    token: Token
    message: int
    role: str
    is_content: bool
    def __init__(self, token: _Optional[_Union[Token, _Mapping]] = ..., message: _Optional[int] = ..., role: _Optional[str] = ..., is_content: _Optional[bool] = ...) -> None: ...

class RenderChatResponse(_message.Message):
    __slots__ = ("model", "token_ids", "tokens", "text", "context_limit", "timings")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TOKEN_IDS_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_LIMIT_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    model: str
    token_ids: _containers.RepeatedScalarFieldContainer[int]
    tokens: _containers.RepeatedCompositeFieldContainer[ChatToken]
    text: str
    context_limit: int
    timings: Timings
    def __init__(self, model: _Optional[str] = ..., token_ids: _Optional[_Iterable[int]] = ..., tokens: _Optional[_Iterable[_Union[ChatToken, _Mapping]]] = ..., text: _Optional[str] = ..., context_limit: _Optional[int] = ..., timings: _Optional[_Union[Timings, _Mapping]] = ...) -> None: ...

class TokenizeRequest(_message.Message):
    __slots__ = ("model", "text", "token_ids", "bare", "include_tokenizer", "special")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    TOKEN_IDS_FIELD_NUMBER: _ClassVar[int]
    BARE_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_TOKENIZER_FIELD_NUMBER: _ClassVar[int]
    SPECIAL_FIELD_NUMBER: _ClassVar[int]
    model: str
    text: str
    token_ids: TokenIds
    bare: bool
    include_tokenizer: bool
    special: SpecialTokens
    def __init__(self, model: _Optional[str] = ..., text: _Optional[str] = ..., token_ids: _Optional[_Union[TokenIds, _Mapping]] = ..., bare: _Optional[bool] = ..., include_tokenizer: _Optional[bool] = ..., special: _Optional[_Union[SpecialTokens, str]] = ...) -> None: ...

class TokenizerFacts(_message.Message):
    __slots__ = ("bos", "eos", "chat_template")
    BOS_FIELD_NUMBER: _ClassVar[int]
    EOS_FIELD_NUMBER: _ClassVar[int]
    CHAT_TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    bos: Token
    eos: Token
    chat_template: str
    def __init__(self, bos: _Optional[_Union[Token, _Mapping]] = ..., eos: _Optional[_Union[Token, _Mapping]] = ..., chat_template: _Optional[str] = ...) -> None: ...

class TokenizeResponse(_message.Message):
    __slots__ = ("model", "tokens", "context_limit", "tokenizer", "timings")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_LIMIT_FIELD_NUMBER: _ClassVar[int]
    TOKENIZER_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    model: str
    tokens: _containers.RepeatedCompositeFieldContainer[Token]
    context_limit: int
    tokenizer: TokenizerFacts
    timings: Timings
    def __init__(self, model: _Optional[str] = ..., tokens: _Optional[_Iterable[_Union[Token, _Mapping]]] = ..., context_limit: _Optional[int] = ..., tokenizer: _Optional[_Union[TokenizerFacts, _Mapping]] = ..., timings: _Optional[_Union[Timings, _Mapping]] = ...) -> None: ...

class Model(_message.Message):
    __slots__ = ("name", "state", "is_default", "bytes_done", "bytes_total", "reason", "facts")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    IS_DEFAULT_FIELD_NUMBER: _ClassVar[int]
    BYTES_DONE_FIELD_NUMBER: _ClassVar[int]
    BYTES_TOTAL_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    state: ModelState
    is_default: bool
    bytes_done: int
    bytes_total: int
    reason: str
    facts: ModelFacts
    def __init__(self, name: _Optional[str] = ..., state: _Optional[_Union[ModelState, str]] = ..., is_default: _Optional[bool] = ..., bytes_done: _Optional[int] = ..., bytes_total: _Optional[int] = ..., reason: _Optional[str] = ..., facts: _Optional[_Union[ModelFacts, _Mapping]] = ...) -> None: ...

class ModelFacts(_message.Message):
    __slots__ = ("parameters", "device", "dtype", "vocab_size", "context_limit", "architecture", "end_of_text_ids", "prefix_token_ids", "layers", "layers_refusal", "contrast_refusal", "attention_refusal", "format", "note", "chat_refusal")
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    VOCAB_SIZE_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_LIMIT_FIELD_NUMBER: _ClassVar[int]
    ARCHITECTURE_FIELD_NUMBER: _ClassVar[int]
    END_OF_TEXT_IDS_FIELD_NUMBER: _ClassVar[int]
    PREFIX_TOKEN_IDS_FIELD_NUMBER: _ClassVar[int]
    LAYERS_FIELD_NUMBER: _ClassVar[int]
    LAYERS_REFUSAL_FIELD_NUMBER: _ClassVar[int]
    CONTRAST_REFUSAL_FIELD_NUMBER: _ClassVar[int]
    ATTENTION_REFUSAL_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    CHAT_REFUSAL_FIELD_NUMBER: _ClassVar[int]
    parameters: int
    device: str
    dtype: str
    vocab_size: int
    context_limit: int
    architecture: str
    end_of_text_ids: _containers.RepeatedScalarFieldContainer[int]
    prefix_token_ids: _containers.RepeatedScalarFieldContainer[int]
    layers: int
    layers_refusal: str
    contrast_refusal: str
    attention_refusal: str
    format: str
    note: str
    chat_refusal: str
    def __init__(self, parameters: _Optional[int] = ..., device: _Optional[str] = ..., dtype: _Optional[str] = ..., vocab_size: _Optional[int] = ..., context_limit: _Optional[int] = ..., architecture: _Optional[str] = ..., end_of_text_ids: _Optional[_Iterable[int]] = ..., prefix_token_ids: _Optional[_Iterable[int]] = ..., layers: _Optional[int] = ..., layers_refusal: _Optional[str] = ..., contrast_refusal: _Optional[str] = ..., attention_refusal: _Optional[str] = ..., format: _Optional[str] = ..., note: _Optional[str] = ..., chat_refusal: _Optional[str] = ...) -> None: ...

class ListModelsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListModelsResponse(_message.Message):
    __slots__ = ("models",)
    MODELS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[Model]
    def __init__(self, models: _Optional[_Iterable[_Union[Model, _Mapping]]] = ...) -> None: ...

class WatchModelsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class WatchModelsResponse(_message.Message):
    __slots__ = ("models",)
    MODELS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[Model]
    def __init__(self, models: _Optional[_Iterable[_Union[Model, _Mapping]]] = ...) -> None: ...

class LoadModelRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class LoadModelResponse(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: Model
    def __init__(self, model: _Optional[_Union[Model, _Mapping]] = ...) -> None: ...

class InfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Versions(_message.Message):
    __slots__ = ("project", "python", "grpc", "torch", "transformers")
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    PYTHON_FIELD_NUMBER: _ClassVar[int]
    GRPC_FIELD_NUMBER: _ClassVar[int]
    TORCH_FIELD_NUMBER: _ClassVar[int]
    TRANSFORMERS_FIELD_NUMBER: _ClassVar[int]
    project: str
    python: str
    grpc: str
    torch: str
    transformers: str
    def __init__(self, project: _Optional[str] = ..., python: _Optional[str] = ..., grpc: _Optional[str] = ..., torch: _Optional[str] = ..., transformers: _Optional[str] = ...) -> None: ...

class Limits(_message.Message):
    __slots__ = ("max_text_bytes", "max_prompt_tokens", "max_top_k", "max_score_top_k", "max_watch_token_ids", "max_draws", "max_request_bytes", "max_response_bytes", "queue_limit")
    MAX_TEXT_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_PROMPT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    MAX_TOP_K_FIELD_NUMBER: _ClassVar[int]
    MAX_SCORE_TOP_K_FIELD_NUMBER: _ClassVar[int]
    MAX_WATCH_TOKEN_IDS_FIELD_NUMBER: _ClassVar[int]
    MAX_DRAWS_FIELD_NUMBER: _ClassVar[int]
    MAX_REQUEST_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_RESPONSE_BYTES_FIELD_NUMBER: _ClassVar[int]
    QUEUE_LIMIT_FIELD_NUMBER: _ClassVar[int]
    max_text_bytes: int
    max_prompt_tokens: int
    max_top_k: int
    max_score_top_k: int
    max_watch_token_ids: int
    max_draws: int
    max_request_bytes: int
    max_response_bytes: int
    queue_limit: int
    def __init__(self, max_text_bytes: _Optional[int] = ..., max_prompt_tokens: _Optional[int] = ..., max_top_k: _Optional[int] = ..., max_score_top_k: _Optional[int] = ..., max_watch_token_ids: _Optional[int] = ..., max_draws: _Optional[int] = ..., max_request_bytes: _Optional[int] = ..., max_response_bytes: _Optional[int] = ..., queue_limit: _Optional[int] = ...) -> None: ...

class InfoResponse(_message.Message):
    __slots__ = ("versions", "limits", "default_model", "uptime_s")
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_MODEL_FIELD_NUMBER: _ClassVar[int]
    UPTIME_S_FIELD_NUMBER: _ClassVar[int]
    versions: Versions
    limits: Limits
    default_model: str
    uptime_s: float
    def __init__(self, versions: _Optional[_Union[Versions, _Mapping]] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., default_model: _Optional[str] = ..., uptime_s: _Optional[float] = ...) -> None: ...
