"""Which tokens of two tokenizers are the same: by id where all are, else by bytes, special ones by name."""

from pathlib import Path

import pytest
from models import tokenizers

from inference_server.tokenizer.alignment import Vocabulary, align
from inference_server.tokenizer.token_bytes import INSIDE
from inference_server.tokenizer.tokenizer import ModelTokenizer

KINDS = ("byte_bpe", "sentencepiece_bpe", "wordpiece")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ModelTokenizer]:
    found = {}
    for kind in KINDS:
        folder: Path = tmp_path_factory.mktemp(kind)
        tokenizers.build(kind, folder)
        found[kind] = ModelTokenizer.load(folder)
    found["again"] = ModelTokenizer.load(folder)
    return found


def inside(tokenizer: ModelTokenizer, more: int = 0) -> Vocabulary:
    return Vocabulary(tokenizer, tokenizer.size + more, INSIDE)


def test_one_model_s_tokens_are_the_same_by_id(built: dict[str, ModelTokenizer]) -> None:
    tokenizer = built["byte_bpe"]
    found = align(inside(tokenizer), Vocabulary(tokenizer, tokenizer.size, tokenizer.position_after(())))
    assert (found.shared, found.total, found.by_bytes) == (tokenizer.size, tokenizer.size, False)
    assert [*found.a] == [*found.b] == [*range(tokenizer.size)]


def test_two_models_with_one_tokenizer_are_too_and_rows_beyond_have_no_counterpart(
    built: dict[str, ModelTokenizer],
) -> None:
    one, other = built["wordpiece"], built["again"]
    assert one is not other
    found = align(inside(one, 3), inside(other))
    assert (found.shared, found.total, found.by_bytes) == (one.size, one.size + 3, False)
    assert [*found.a] == [*range(one.size + 3)]


@pytest.mark.parametrize(("one", "other"), [("byte_bpe", "sentencepiece_bpe"), ("sentencepiece_bpe", "wordpiece")])
def test_different_tokenizers_are_matched_by_bytes(built: dict[str, ModelTokenizer], one: str, other: str) -> None:
    """As a comparison of every token with every other finds."""
    a, b = built[one], built[other]
    found = align(inside(a, 2), inside(b))
    assert found.by_bytes

    def known(tokenizer: ModelTokenizer) -> dict[tuple[bytes, bool], set[int]]:
        tokens = map(tokenizer.following(list(range(tokenizer.size))), range(tokenizer.size))
        found: dict[tuple[bytes, bool], set[int]] = {}
        for token in tokens:
            if token.bytes or not token.is_special:
                found.setdefault((token.bytes, token.is_special), set()).add(token.token_id)
        return found

    of_a, of_b = known(a), known(b)
    both = of_a.keys() & of_b.keys()
    assert found.shared == len(both) > 5
    for name in both:
        (unit,) = {found.a[i] for i in of_a[name]} | {found.b[i] for i in of_b[name]}
        assert unit < found.shared
    alone_a = {found.a[i] for name in of_a.keys() - both for i in of_a[name]} | {*found.a[a.size :]}
    alone_b = {found.b[i] for name in of_b.keys() - both for i in of_b[name]}
    assert min(alone_a | alone_b) >= found.shared
    assert not alone_a & alone_b
    assert found.total == 1 + max(*found.a, *found.b) == len({*found.a, *found.b})
    assert align(inside(b), inside(a, 2)).shared == found.shared


def test_a_token_counts_as_it_would_follow(built: dict[str, ModelTokenizer]) -> None:
    """SentencePiece drops the space of a first word, so there it is the token that another tokenizer has without."""
    spaced, plain = built["sentencepiece_bpe"], built["byte_bpe"]
    (word,) = spaced.encode("the")[len(spaced.prefix) :]
    spellings = {plain.token(i, (5,)).bytes: i for i in range(plain.size)}
    first = Vocabulary(spaced, spaced.size, spaced.position_after(()))
    for vocabulary, spelling in ((first, b"the"), (inside(spaced), b" the")):
        found = align(vocabulary, inside(plain))
        if spelling in spellings:
            assert found.a[word] == found.b[spellings[spelling]] < found.shared
        else:
            assert found.a[word] >= found.shared
