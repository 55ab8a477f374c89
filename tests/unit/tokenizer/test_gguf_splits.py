"""How GGUF files' vocabularies have text split: every kind gives back all of the text, in its own pieces."""

import itertools

import pytest

from inference_server.tokenizer.gguf_splits import SPLITS

TEXT = "It's 2024, I'LL pay 3.50 €\n\n\tfor  naïve 東京"


@pytest.mark.parametrize("name", SPLITS)
def test_no_text_is_lost(name: str) -> None:
    pieces = SPLITS[name].pre_tokenizer().pre_tokenize_str(TEXT)
    spans = [span for _, span in pieces]
    assert spans[0][0] == 0
    assert spans[-1][1] == len(TEXT)
    assert all(before[1] == after[0] for before, after in itertools.pairwise(spans))


@pytest.mark.parametrize(
    ("name", "pieces"),
    [
        ("gpt-2", ["a", "Ġ12345", "ĠB"]),
        ("smollm", ["a", "Ġ", "1", "2", "3", "4", "5", "ĠB"]),
        ("llama-bpe", ["a", "Ġ", "123", "45", "ĠB"]),
        ("qwen2", ["a", "Ġ", "1", "2", "3", "4", "5", "ĠB"]),
    ],
)
def test_digits(name: str, pieces: list[str]) -> None:
    assert [piece for piece, _ in SPLITS[name].pre_tokenizer().pre_tokenize_str("a 12345 B")] == pieces


def test_what_goes_with_a_split() -> None:
    assert SPLITS["llama-bpe"].whole_words
    assert SPLITS["llama-bpe"].begins
    assert not SPLITS["smaug-bpe"].whole_words
    assert (normalizer := SPLITS["qwen2"].normalizer()) is not None
    assert normalizer.normalize_str("e\u0301") == "é"
    assert SPLITS["gpt-4o"].normalizer() is None
