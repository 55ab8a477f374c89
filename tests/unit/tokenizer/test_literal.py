"""With `special: text` the name of a special token is characters; ids are those of transformers' own switch for it."""

from pathlib import Path

import pytest
from models.tokenizers import build
from transformers import AutoTokenizer

from inference_server.errors import InvalidField
from inference_server.models import bundled
from inference_server.tokenizer.tokenizer import ModelTokenizer

TEXTS = ("", "plain", "a<|endoftext|>b", "<s>a</s> <unk>", " [CLS] x", "<|endoftext|><|endoftext|>", "</s>\n\n</s")


@pytest.mark.parametrize("kind", ["bundled", "byte_bpe", "sentencepiece_bpe", "wordpiece", "unigram"])
def test_ids_are_those_without_special_tokens(tmp_path: Path, kind: str) -> None:
    folder = bundled.FOLDER if kind == "bundled" else tmp_path
    if kind != "bundled":
        build(kind, folder)
    ours, judge = ModelTokenizer.load(folder), AutoTokenizer.from_pretrained(folder, local_files_only=True)
    judge.split_special_tokens = True
    for text in TEXTS:
        expected = judge(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        if any(name in text and judge.convert_tokens_to_ids(name) in expected for name in judge.all_special_tokens):
            assert kind in ("unigram", "wordpiece")  # whose pieces include their own special tokens
            with pytest.raises(InvalidField, match="special: this model's tokenizer can't write"):
                ours.encode(text, literal=True)
            continue
        ids = ours.encode(text, literal=True)
        assert ids == [*ours.prefix, *expected]
        assert ours.encode_parts([text], literal=True) == ids
        assert not any(ours.is_special(each) and each != judge.unk_token_id for each in ids[len(ours.prefix) :])


def test_after_other_tokens_too(tmp_path: Path) -> None:
    build("sentencepiece_bpe", tmp_path)
    ours = ModelTokenizer.load(tmp_path)
    (mark,) = ours.encode_bare("</s>", after=True)
    assert ours.encode_parts(["a", [mark], "</s>"])[-1] == mark
    ids = ours.encode_parts(["a", [mark], "</s>"], literal=True)
    assert ids.count(mark) == 1
    assert ours.decode(ids) == "a</s>"
