"""Kinds of tokenizer.json, small and real, which the classes of transformers know only some of."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from models.scripts import CORPUS
from models.tokenizers import TIKTOKEN_PATTERN

SENTENCEPIECE = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
MARKS = ["<unk>", "<s>", "</s>"]
UNKNOWN = {"unk_token": MARKS[0]}


def byte_level(*before: pre_tokenizers.PreTokenizer) -> Tokenizer:
    """Pairs of bytes; with `before`, text is split so first, and not as GPT-2 splits it."""
    tokenizer = Tokenizer(models.BPE())
    last = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not before)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*before, last])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=700, special_tokens=["<|endoftext|>", "<s>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def digits() -> Tokenizer:
    """As SmolLM2's: digits stand apart before GPT-2's own pattern is applied."""
    tokenizer = byte_level()
    steps = [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
    return tokenizer


def pattern() -> Tokenizer:
    """As Llama 3's: a pattern of its own, and a mark in front."""
    tokenizer = byte_level(pre_tokenizers.Split(Regex(TIKTOKEN_PATTERN), behavior="isolated"))
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return tokenizer


def pairs(space: Callable[[Tokenizer], None]) -> Tokenizer:
    """As SentencePiece's pairs: rare characters fall back to bytes, and `space` says what becomes of blanks."""
    tokenizer = Tokenizer(models.BPE(**UNKNOWN, byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.decoder = decoders.Sequence([*SENTENCEPIECE, decoders.Strip(" ", 1, 0)])
    trainer = trainers.BpeTrainer(
        vocab_size=900, special_tokens=[*MARKS, *BYTES], show_progress=False, limit_alphabet=90
    )
    tokenizer.train_from_iterator([f"▁{line}" for line in CORPUS], trainer)
    space(tokenizer)
    return tokenizer


def prepended(tokenizer: Tokenizer) -> None:
    """As Llama 2's own file: a blank in front of every text, also of one that begins with a blank."""
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])


def as_it_is(tokenizer: Tokenizer) -> None:
    """As Gemma's: nothing is put in front, and nothing taken away."""
    tokenizer.decoder = decoders.Sequence(SENTENCEPIECE)


def metaspace(scheme: str) -> Callable[[Tokenizer], None]:
    def space(tokenizer: Tokenizer) -> None:
        tokenizer.normalizer = None
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=False)
        tokenizer.decoder = decoders.Metaspace(prepend_scheme=scheme)

    return space


def unigram() -> Tokenizer:
    """As T5's: the likeliest pieces; characters without one are lost."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=600, special_tokens=MARKS, **UNKNOWN, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def characters() -> Tokenizer:
    """Every character a token."""
    tokenizer = Tokenizer(models.WordLevel(**UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    trainer = trainers.WordLevelTrainer(vocab_size=900, special_tokens=MARKS, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def characters_as_pairs() -> Tokenizer:
    """The same as pairs of which none was ever joined."""
    tokenizer = Tokenizer(models.BPE(**UNKNOWN))
    tokenizer.decoder = decoders.Fuse()
    alphabet = sorted(set("".join(CORPUS)))
    trainer = trainers.BpeTrainer(vocab_size=1, special_tokens=MARKS, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(CORPUS[:1], trainer)
    return tokenizer


def wordpiece() -> Tokenizer:
    """As BERT's: lower-cased words and their endings, between two marks."""
    tokenizer = Tokenizer(models.WordPiece(**{"unk_token": "[UNK]"}))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    marks = ["[UNK]", "[CLS]", "[SEP]"]
    trainer = trainers.WordPieceTrainer(vocab_size=900, special_tokens=marks, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    return tokenizer


FILES: dict[str, tuple[Callable[[], Tokenizer], list[int]]] = {
    "byte_level": (byte_level, []),
    "digits": (digits, []),
    "pattern": (pattern, [1]),
    "prepended": (lambda: pairs(prepended), []),
    "as_it_is": (lambda: pairs(as_it_is), []),
    "metaspace_always": (lambda: pairs(metaspace("always")), []),
    "metaspace_first": (lambda: pairs(metaspace("first")), []),
    "metaspace_never": (lambda: pairs(metaspace("never")), []),
    "unigram": (unigram, []),
    "characters": (characters, []),
    "characters_as_pairs": (characters_as_pairs, []),
    "wordpiece": (wordpiece, [1]),
}
"""From a name to the tokenizer, and the ids that it puts in front of a text."""


@cache
def trained(name: str) -> str:
    return FILES[name][0]().to_str()


def built(name: str) -> Tokenizer:
    """A tokenizer of FILES, to change at will; it is trained once."""
    return Tokenizer.from_str(trained(name))


def write(folder: Path, tokenizer: Tokenizer, **beside: Any) -> None:
    """Saves a tokenizer, and each file of `beside` by its name without .json."""
    tokenizer.save(str(folder / "tokenizer.json"))
    for name, content in beside.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / f"{name}.json").write_text(text, encoding="utf-8")


CLASSES = (
    "GPT2Tokenizer",
    "Qwen2Tokenizer",
    "GPTNeoXTokenizer",
    "LlamaTokenizer",
    "LlamaTokenizerFast",
    "PreTrainedTokenizerFast",
    "GemmaTokenizer",
    "T5Tokenizer",
    "BertTokenizer",
    "NoSuchTokenizer",
    "",
)
