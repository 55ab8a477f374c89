"""The tokenizer that a GGUF file's metadata describes, as the content of tokenizer.json and its companions.

transformers' own conversion loses how digits are split, whole words and leading spaces for some vocabularies; here the
file's `tokenizer.ggml.pre` and flags decide, and one that is not known is refused.
"""

import json
from collections.abc import Iterable
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers.tokenization_utils_base import generate_merges

from inference_server.models.gguf_header import Header
from inference_server.models.safetensors_header import short
from inference_server.tokenizer.gguf_splits import SPLITS
from inference_server.tokenizer.token_bytes import BYTE_OF_CHARACTER

SPACE = "▁"
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
ROLES = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}
ENDS = ("eos", "eot", "eom")  # token ids that end a text or a turn
UNSTRIPPED = ("<unk>", "<s>", "<|endoftext|>")
BYTE_LEVEL, SENTENCEPIECE = "gpt2", "llama"


def describe(header: Header) -> dict[str, str]:
    """The contents of tokenizer.json, tokenizer_config.json, generation_config.json by name. Raises LoadFailed."""
    names = header.texts("tokenizer.ggml.tokens")
    if not names:
        raise header.fault("it has no tokenizer (tokenizer.ggml.tokens); use a file with its vocabulary")
    kind = header.text("tokenizer.ggml.model")
    if kind not in BUILDERS:
        known = " and ".join(BUILDERS)
        raise header.fault(f"its tokenizer is of kind {short(repr(kind))}; {known} can be read")
    types = list(header.numbers("tokenizer.ggml.token_type")) or [NORMAL] * len(names)
    if len(types) != len(names):
        raise header.fault("tokenizer.ggml.token_type and tokenizer.ggml.tokens have different lengths")
    if kind == SENTENCEPIECE and is_gemma(header):  # files spell runs of spaces as such
        names = [SPACE * len(name) if name and not name.strip(" ") else name for name in names]
    used = [name for name, type_ in zip(names, types, strict=True) if type_ != UNUSED]
    if len(set(used)) < len(used):
        raise header.fault("tokenizer.ggml.tokens has a token twice")
    ids = {role: _id(header, role, len(names)) for role in (*ROLES.values(), *ENDS)}
    described, begins = BUILDERS[kind](header, names, types)
    stripping = kind == SENTENCEPIECE and header.architecture == "phi3"  # as Phi-3's tokenizer.json says
    described["added_tokens"] = [
        {"id": index, "content": names[index], "special": type_ != USER_DEFINED}
        | {"single_word": False, "lstrip": False, "rstrip": stripping and names[index] not in UNSTRIPPED}
        | {"normalized": False}
        for index, type_ in enumerate(types)
        if type_ in (CONTROL, UNKNOWN, USER_DEFINED) and names[index]
    ]
    begins = header.flag("tokenizer.ggml.add_bos_token", begins) and ids["bos"] is not None
    config: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast", "add_bos_token": begins}
    config |= {role: names[index] for role, key in ROLES.items() if (index := ids[key]) is not None}
    if "tokenizer.chat_template" in header.metadata:
        config["chat_template"] = header.text("tokenizer.chat_template")
    ends = sorted({index for role in ENDS if (index := ids[role]) is not None})
    return {
        "tokenizer.json": json.dumps(described),
        "tokenizer_config.json": json.dumps(config),
        "generation_config.json": json.dumps({"eos_token_id": ends} if ends else {}),
    }


def _byte_level(header: Header, names: list[str], types: list[int]) -> tuple[dict[str, Any], bool]:
    """Byte-level BPE in tokenizer.json's format, and whether BOS goes in front unless the file says otherwise."""
    called = header.text("tokenizer.ggml.pre", "")
    if called not in SPLITS:
        raise header.fault(
            f"its tokenizer splits text as {short(repr(called))} (tokenizer.ggml.pre), which is not known here"
            if called and called != "default"
            else "it does not say how its tokenizer splits text (tokenizer.ggml.pre); use a file of a newer converter"
        )
    for name, kind in zip(names, types, strict=True):
        if kind == USER_DEFINED and not name.isascii() and all(character in BYTE_OF_CHARACTER for character in name):
            raise header.fault(f"its added token {short(name)!r} can be read as bytes or as text")
    split, vocabulary = SPLITS[called], _vocabulary(names, types)
    pairs = [merge.split(" ") for merge in header.texts("tokenizer.ggml.merges")]
    if not pairs or not all(len(pair) == 2 and "".join(pair) in vocabulary for pair in pairs):
        raise header.fault("tokenizer.ggml.merges is missing, or merges tokens to what is not in its vocabulary")
    backend = Tokenizer(models.BPE(ignore_merges=split.whole_words))
    if (normalizer := split.normalizer()) is not None:
        backend.normalizer = normalizer
    backend.pre_tokenizer = split.pre_tokenizer()
    backend.decoder = decoders.ByteLevel()
    return _filled(backend, vocabulary, pairs), split.begins


def _sentencepiece(header: Header, names: list[str], types: list[int]) -> tuple[dict[str, Any], bool]:
    """SentencePiece's BPE, whose merges follow from its scores, in the same format."""
    if header.flag("tokenizer.ggml.remove_extra_whitespaces", False):
        raise header.fault("its tokenizer removes extra spaces, which is not supported")
    scores = list(header.numbers("tokenizer.ggml.scores"))
    if len(scores) != len(names):
        raise header.fault("tokenizer.ggml.scores and tokenizer.ggml.tokens have different lengths")
    if gemma := is_gemma(header):  # whose scores don't follow the order of merges
        scores = [-index for index in range(len(names))]
    vocabulary = _vocabulary(names, types)
    unknown = next((names[index] for index, kind in enumerate(types) if kind == UNKNOWN), None)
    pieces = {name: index for name, index in vocabulary.items() if types[index] in (NORMAL, USER_DEFINED)}
    merges = generate_merges(pieces, {name: scores[index] for name, index in pieces.items()})
    bytes_known = sum(kind == BYTE for kind in types) == 256
    backend = Tokenizer(models.BPE(unk_token=unknown, fuse_unk=True, byte_fallback=bytes_known))
    spaced = header.flag("tokenizer.ggml.add_space_prefix", not gemma)
    spaces = normalizers.Replace(" ", SPACE)
    backend.normalizer = normalizers.Sequence([normalizers.Prepend(SPACE), spaces]) if spaced else spaces
    if gemma:
        backend.pre_tokenizer = pre_tokenizers.Split(Regex(" "), "merged_with_previous")
    steps: list[decoders.Decoder] = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    backend.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)] if spaced else steps)
    return _filled(backend, vocabulary, merges), True


def is_gemma(header: Header) -> bool:
    """Whether its vocabulary has Gemma's peculiarities."""
    return header.architecture.startswith("gemma")


BUILDERS = {BYTE_LEVEL: _byte_level, SENTENCEPIECE: _sentencepiece}


def _filled(backend: Tokenizer, vocabulary: dict[str, int], merges: list[Any]) -> dict[str, Any]:
    """A tokenizer's JSON with its vocabulary, which the library would take much longer to write."""
    described: dict[str, Any] = json.loads(backend.to_str())
    described["model"] |= {"vocab": vocabulary, "merges": merges}
    return described


def _vocabulary(names: Iterable[str], types: list[int]) -> dict[str, int]:
    """Ids by name; unused ids are in no text."""
    return {name: index for index, name in enumerate(names) if types[index] != UNUSED}


def _id(header: Header, role: str, size: int) -> int | None:
    """A token's id by its role, if stated."""
    key = f"tokenizer.ggml.{role}_token_id"
    if key not in header.metadata:
        return None
    index = header.count(key)
    if index == 2**32 - 1:  # some converters write -1 for none
        return None
    if index >= size:
        raise header.fault(f"{key} is {index:,}, the vocabulary has {size:,} tokens")
    return index
