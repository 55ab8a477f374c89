"""Further tokenizers met in the wild, small and real: each writes the folder a model would ship."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import GemmaTokenizer, GPTSw3Tokenizer, PreTrainedTokenizerFast, XLNetTokenizer

from models.scripts import CORPUS
from models.tokenizers import build, save, train_sentencepiece, write_tiktoken

UNKNOWN = {"unk_token": "<unk>"}


def llama_2_as_published(folder: Path) -> None:
    """A normalizer that puts "▁" in front of every text, and a decoder that takes one space away again."""
    build("sentencepiece_bpe", folder)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.pre_tokenizer = None
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    (folder / "tokenizer.model").unlink()
    save(tokenizer, folder, {"bos_token": "<s>", "eos_token": "</s>", **UNKNOWN})


def gemma(folder: Path) -> None:
    """SentencePiece with byte fallback and no space in front; runs of spaces are tokens of their own."""
    train_sentencepiece(
        folder,
        model_type="bpe",
        vocab_size=900,
        character_coverage=0.98,
        byte_fallback=True,
        add_dummy_prefix=False,
        normalization_rule_name="identity",
        user_defined_symbols=["▁▁", "▁▁▁", "\t"],
    )
    GemmaTokenizer.from_pretrained(folder).save_pretrained(folder)


def xlnet(folder: Path) -> None:
    """SentencePiece Unigram with its marks behind the text."""
    train_sentencepiece(folder, model_type="unigram", vocab_size=600, hard_vocab_limit=False, pad_id=3)
    (folder / "tokenizer.model").rename(folder / "spiece.model")
    XLNetTokenizer.from_pretrained(folder).save_pretrained(folder)


def gpt_sw3(folder: Path) -> None:
    """SentencePiece itself at work: transformers has only Python code for it."""
    train_sentencepiece(folder, model_type="bpe", vocab_size=900, character_coverage=0.98, byte_fallback=True, pad_id=3)
    (folder / "tokenizer.model").rename(folder / "spiece.model")
    GPTSw3Tokenizer.from_pretrained(folder).save_pretrained(folder)


def sentencepiece_file_alone(folder: Path) -> None:
    """Only tokenizer.model, as early Llama models were published."""
    train_sentencepiece(
        folder,
        model_type="bpe",
        vocab_size=900,
        character_coverage=0.98,
        byte_fallback=True,
        normalization_rule_name="identity",
    )
    write_config(folder, {"tokenizer_class": "LlamaTokenizer"})


def tiktoken_file_alone(folder: Path) -> None:
    """Only tiktoken's file of ranks, and the marks' names in tokenizer_config.json."""
    write_tiktoken(folder)
    marks = {"bos_token": "<|bos|>", "eos_token": "<|eos|>"}
    config = {"tokenizer_class": "TokenizersBackend", "extra_special_tokens": list(marks.values())}
    write_config(folder, config | marks)


def words_end_in_a_sign(folder: Path) -> None:
    """The first GPT's kind: the end of a word is written in its last piece, and is a space only before another."""
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix="</w>", **UNKNOWN))
    tokenizer.normalizer = normalizers.BertNormalizer(strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.BPEDecoder(suffix="</w>")
    trainer = trainers.BpeTrainer(
        vocab_size=900, special_tokens=["<unk>"], end_of_word_suffix="</w>", show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    save(tokenizer, folder, UNKNOWN)


def words(folder: Path) -> None:
    """Whole words, joined by spaces for want of a decoder; ids with gaps between them."""
    vocabulary = {word: 3 * index for index, word in enumerate(["<unk>", *sorted(set(" ".join(CORPUS).split()))])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, **UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    save(tokenizer, folder, UNKNOWN)


def space_in_front(folder: Path) -> None:
    """Byte-level with a space put in front of every text, which its decoder leaves there."""
    build("byte_bpe", folder)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    save(tokenizer, folder, {"bos_token": "<|endoftext|>"})


def with_added_tokens(folder: Path) -> None:
    """Byte-level with tokens added after training: text, text that strips spaces around it, and marks."""
    build("byte_bpe", folder)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    tokenizer.add_tokens(["<think>", "naïve café", "犬", AddedToken("<strips>", lstrip=True, rstrip=True)])
    tokenizer.add_tokens(["<|user|>"], special_tokens=True)
    tokenizer.save_pretrained(folder)


def write_config(folder: Path, config: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")


VARIANTS: dict[str, Callable[[Path], None]] = {
    builder.__name__: builder
    for builder in (
        llama_2_as_published,
        gemma,
        xlnet,
        gpt_sw3,
        sentencepiece_file_alone,
        tiktoken_file_alone,
        words_end_in_a_sign,
        words,
        space_in_front,
        with_added_tokens,
    )
}
