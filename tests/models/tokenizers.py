"""Five kinds of real tokenizer, small: each is trained here and saved as the Hugging Face folder a model would ship."""

import base64
import os
from pathlib import Path
from typing import Any

import sentencepiece
from tiktoken._educational import bpe_train
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import LlamaTokenizer, PreTrainedTokenizerFast, T5Tokenizer

from models.scripts import CORPUS

KINDS = ("byte_bpe", "sentencepiece_bpe", "unigram", "wordpiece", "tiktoken")

# What transformers splits with when it converts a tiktoken file.
TIKTOKEN_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def build(kind: str, folder: Path) -> None:
    """Writes the files of a tokenizer of this kind, one of KINDS, into `folder`: the same files every time."""
    folder.mkdir(parents=True, exist_ok=True)
    BUILDERS[kind](folder)


def byte_bpe(folder: Path) -> None:
    """GPT-2's kind: pairs of bytes; it has a mark for the beginning of a text but puts none there."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=700,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    save(tokenizer, folder, dict.fromkeys(("bos_token", "eos_token", "unk_token"), "<|endoftext|>"))


def sentencepiece_bpe(folder: Path) -> None:
    """Llama 2's kind, from SentencePiece's own trainer: rare characters fall back to bytes; a space goes in front."""
    train_sentencepiece(
        folder,
        model_type="bpe",
        vocab_size=900,
        character_coverage=0.98,
        byte_fallback=True,
        normalization_rule_name="identity",
    )
    LlamaTokenizer.from_pretrained(folder, add_bos_token=True).save_pretrained(folder)


def unigram(folder: Path) -> None:
    """T5's kind, from SentencePiece's own trainer: unknown characters are lost; a space goes in front, </s> behind."""
    ids = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}
    train_sentencepiece(folder, model_type="unigram", vocab_size=600, hard_vocab_limit=False, **ids)
    T5Tokenizer.from_pretrained(folder, extra_ids=2).save_pretrained(folder)


def wordpiece(folder: Path) -> None:
    """BERT's kind: lower-cased words and their endings; unknown words are lost; [CLS] goes in front, [SEP] behind."""
    marks = {"unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]"}
    tokenizer = Tokenizer(models.WordPiece())
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    text = tokenizer.normalizer.normalize_str("\n".join(CORPUS))
    words = {word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text)}
    characters = {character for word in words for character in word}
    endings = characters | {word[-length:] for word in words for length in (2, 3) if length < len(word)}
    pieces = [*marks.values(), *sorted(words | characters), *(f"##{ending}" for ending in sorted(endings))]
    tokenizer.model = models.WordPiece({piece: index for index, piece in enumerate(pieces)})
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    save(tokenizer, folder, marks)


def tiktoken(folder: Path) -> None:
    """Llama 3's kind: a tiktoken file of ranked byte strings, converted by transformers; a mark goes in front."""
    write_tiktoken(folder)
    os.environ["TIKTOKEN_CACHE_DIR"] = ""  # its cache goes by path: another test's file of the same name would answer
    marks: dict[str, Any] = {"bos_token": "<|begin_of_text|>", "eos_token": "<|end_of_text|>"}
    names = [*marks.values(), "<|eot_id|>"]
    PreTrainedTokenizerFast.from_pretrained(
        folder, extra_special_tokens=names, add_bos_token=True, **marks
    ).save_pretrained(folder)


BUILDERS = {
    "byte_bpe": byte_bpe,
    "sentencepiece_bpe": sentencepiece_bpe,
    "unigram": unigram,
    "wordpiece": wordpiece,
    "tiktoken": tiktoken,
}


def train_sentencepiece(folder: Path, **options: Any) -> None:
    """Writes `tokenizer.model` as SentencePiece's trainer does, with any of its options; runs of spaces are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "tokenizer.model").open("wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(CORPUS),
            model_writer=file,
            remove_extra_whitespaces=False,
            num_threads=1,
            minloglevel=2,
            **options,
        )


def write_tiktoken(folder: Path) -> None:
    """Writes `tokenizer.model` as tiktoken's file of ranks, learned by tiktoken's own trainer."""
    folder.mkdir(parents=True, exist_ok=True)
    ranks = bpe_train("\n".join(CORPUS), vocab_size=500, pat_str=TIKTOKEN_PATTERN, visualise=None)
    lines = [base64.b64encode(piece) + b" %d\n" % rank for piece, rank in ranks.items()]
    (folder / "tokenizer.model").write_bytes(b"".join(lines))


def save(tokenizer: Tokenizer, folder: Path, marks: dict[str, str]) -> None:
    """Writes tokenizer.json and tokenizer_config.json."""
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **marks).save_pretrained(folder)
