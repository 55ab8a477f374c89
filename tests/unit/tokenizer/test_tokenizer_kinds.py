"""What each kind of tokenizer keeps of a text, held against its own parts, and which bytes its tokens are."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sentencepiece
import tiktoken
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from models.scripts import CORPUS, EMOJI
from models.tokenizer_variants import VARIANTS
from models.tokenizers import KINDS, TIKTOKEN_PATTERN, build
from tiktoken.load import load_tiktoken_bpe
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from inference_server.errors import InvalidField
from inference_server.messages import Token
from inference_server.tokenizer.tokenizer import ModelTokenizer

lenient = settings(deadline=None, max_examples=80)
words_and_signs = st.text(max_size=60) | st.lists(st.sampled_from(" ".join(CORPUS).split(" ")), max_size=8).map(
    " ".join
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    paths = {kind: tmp_path_factory.mktemp(kind) for kind in [*KINDS, *VARIANTS]}
    for kind, path in paths.items():
        VARIANTS[kind](path) if kind in VARIANTS else build(kind, path)
    return paths


@pytest.fixture(scope="module")
def vocabularies(folders: dict[str, Path]) -> dict[str, ModelTokenizer]:
    return {kind: ModelTokenizer.load(folder) for kind, folder in folders.items()}


def id_of(vocabulary: ModelTokenizer, spelled: bytes) -> int:
    """The token that spells so inside a text."""
    inside = vocabulary.following(vocabulary.encode("the river"))
    return next(at for at in range(vocabulary.size) if inside(at).bytes == spelled and not inside(at).is_special)


@pytest.mark.parametrize("kind", ["byte_bpe", "sentencepiece_bpe", "tiktoken", "gemma", "gpt_sw3"])
class TestBytes:
    def test_every_byte_has_a_token(self, vocabularies: dict[str, ModelTokenizer], kind: str) -> None:
        inside = vocabularies[kind].following(vocabularies[kind].encode("the river"))
        spelled = {inside(at).bytes for at in range(vocabularies[kind].size)}
        assert spelled.issuperset(bytes([byte]) for byte in range(256))

    def test_half_a_surrogate_pair_stays_its_bytes(self, vocabularies: dict[str, ModelTokenizer], kind: str) -> None:
        vocabulary = vocabularies[kind]
        halves = [id_of(vocabulary, bytes([byte])) for byte in "\ud83d".encode("utf-8", "surrogatepass")]
        ids = [*vocabulary.encode("the"), *halves]
        assert [token.bytes for token in vocabulary.spell(ids)[-3:]] == [b"\xed", b"\xa0", b"\xbd"]
        assert vocabulary.decode(ids) == "the\ufffd\ufffd\ufffd"

    def test_a_character_in_pieces_is_whole_again(self, vocabularies: dict[str, ModelTokenizer], kind: str) -> None:
        vocabulary = vocabularies[kind]
        pieces = [id_of(vocabulary, bytes([byte])) for byte in "𐍈".encode()]
        shown = [vocabulary.decode([*vocabulary.encode("the"), *pieces[:count]]) for count in range(1, 5)]
        assert shown == ["the\ufffd", "the\ufffd", "the\ufffd", "the𐍈"]


@pytest.mark.parametrize("kind", ["tiktoken", "tiktoken_file_alone"])
@lenient
@given(text=words_and_signs)
def test_tiktoken_itself_agrees(
    vocabularies: dict[str, ModelTokenizer], folders: dict[str, Path], kind: str, text: str
) -> None:
    ranks = load_tiktoken_bpe(str(folders[kind] / "tokenizer.model"))
    judge = tiktoken.Encoding("judge", pat_str=TIKTOKEN_PATTERN, mergeable_ranks=ranks, special_tokens={})
    ids = judge.encode(text, disallowed_special=())
    vocabulary = vocabularies[kind]
    assert vocabulary.encode(text) == vocabulary.prefix + ids
    assert [token.bytes for token in vocabulary.spell(ids)] == [judge.decode_single_token_bytes(at) for at in ids]


@lenient
@given(text=words_and_signs | st.text(" ▁abthe", max_size=9))
def test_sentencepiece_itself_agrees(
    vocabularies: dict[str, ModelTokenizer], folders: dict[str, Path], text: str
) -> None:
    """Also where a text begins with a blank, in front of which it puts another."""
    model = sentencepiece.SentencePieceProcessor(
        model_file=str(folders["sentencepiece_file_alone"] / "tokenizer.model")
    )
    assume(not {"<unk>", "<s>", "</s>"} & set(re.findall("<.*?>", text)))
    assert vocabularies["sentencepiece_file_alone"].encode(text) == model.encode(text)


@pytest.mark.parametrize("kind", ["llama_2_as_published", "gemma", "sentencepiece_file_alone"])
@lenient
@given(text=words_and_signs)
def test_sentencepiece_keeps_a_text(vocabularies: dict[str, ModelTokenizer], kind: str, text: str) -> None:
    vocabulary = vocabularies[kind]
    assert vocabulary.decode(vocabulary.encode(text)) == text.replace("▁", " ")


@lenient
@given(text=words_and_signs)
def test_a_llama_file_of_today_s_transformers_takes_a_first_space_for_its_own(
    vocabularies: dict[str, ModelTokenizer], text: str
) -> None:
    vocabulary = vocabularies["sentencepiece_bpe"]
    assert vocabulary.decode(vocabulary.encode(text)) == text.replace("▁", " ").removeprefix(" ")


@lenient
@given(text=words_and_signs)
def test_unigram_keeps_the_known_characters_of_its_normal_form(
    vocabularies: dict[str, ModelTokenizer], folders: dict[str, Path], text: str
) -> None:
    backend = Tokenizer.from_file(str(folders["unigram"] / "tokenizer.json"))
    normal = backend.normalizer.normalize_str(text)
    words = [word for word, _ in backend.pre_tokenizer.pre_tokenize_str(normal)]
    marks = {token.content for token in backend.get_added_tokens_decoder().values()}
    known = {character for piece in backend.get_vocab().keys() - marks for character in piece}
    kept = [
        "".join(c if c in known else "" for c in word).replace("▁", " " if at else "") for at, word in enumerate(words)
    ]
    assert vocabularies["unigram"].decode(vocabularies["unigram"].encode(text)) == "".join(kept)


@lenient
@given(text=words_and_signs)
def test_wordpiece_keeps_the_known_words_of_its_normal_form(
    vocabularies: dict[str, ModelTokenizer], folders: dict[str, Path], text: str
) -> None:
    backend = Tokenizer.from_file(str(folders["wordpiece"] / "tokenizer.json"))
    normal = backend.normalizer.normalize_str(text)
    words = [word for word, _ in backend.pre_tokenizer.pre_tokenize_str(normal)]
    known = [word for word in words if backend.model.tokenize(word)[0].value != "[UNK]"]
    kept = [word if at == 0 or word in {".", "?", "!", ","} else f" {word}" for at, word in enumerate(known)]
    assert vocabularies["wordpiece"].decode(vocabularies["wordpiece"].encode(text)) == "".join(kept)


@pytest.mark.parametrize(
    ("kind", "bos_id", "prefix"),
    [
        ("byte_bpe", 0, []),
        ("sentencepiece_bpe", 1, [1]),
        ("unigram", None, []),
        ("wordpiece", 1, [1]),
        ("tiktoken", 500, [500]),
    ],
)
def test_what_stands_for_an_empty_text(
    vocabularies: dict[str, ModelTokenizer], kind: str, bos_id: int | None, prefix: list[int]
) -> None:
    assert vocabularies[kind].bos_id == bos_id
    assert vocabularies[kind].encode("") == prefix


@pytest.mark.parametrize("kind", ["sentencepiece_bpe", "llama_2_as_published", "unigram", "xlnet", "gpt_sw3"])
def test_the_space_put_in_front_is_none_of_the_text(vocabularies: dict[str, ModelTokenizer], kind: str) -> None:
    vocabulary = vocabularies[kind]
    river = id_of(vocabulary, b" river")
    assert vocabulary.token(river, []).bytes == b"river"
    assert vocabulary.token(river, vocabulary.prefix).bytes == b"river"
    assert vocabulary.token(river, [river]).bytes == b" river"
    assert vocabulary.decode([*vocabulary.prefix, river, river]) == "river river"


def test_wordpiece_puts_spaces_between_words_only(vocabularies: dict[str, ModelTokenizer]) -> None:
    vocabulary = vocabularies["wordpiece"]
    the, river, ending, stop = (id_of(vocabulary, spelled) for spelled in (b" the", b" river", b"s", b"."))
    assert [token.bytes for token in vocabulary.spell([the, river, ending, stop])] == [b"the", b" river", b"s", b"."]


def test_the_end_of_a_word_is_a_space_once_another_follows(vocabularies: dict[str, ModelTokenizer]) -> None:
    vocabulary = vocabularies["words_end_in_a_sign"]
    ids = vocabulary.encode("the river")
    assert vocabulary.decode(ids) == "the river"
    assert vocabulary.decode([*ids, *ids]) == "the river the river"
    assert vocabulary.token(ids[0], ids).bytes == b" " + vocabulary.token(ids[0], []).bytes


def test_ids_left_out_of_a_vocabulary_spell_nothing(vocabularies: dict[str, ModelTokenizer]) -> None:
    assert vocabularies["words"].token(1, []) == Token(1, b"", is_special=True)
    assert vocabularies["words"].size % 3 == 1


@pytest.mark.parametrize("added", ["<think>", "naïve café", "犬"])
def test_added_text_is_text(vocabularies: dict[str, ModelTokenizer], added: str) -> None:
    vocabulary = vocabularies["with_added_tokens"]
    ids = vocabulary.encode(f"a{added}b")
    assert Token(ids[1], added.encode(), is_special=False) == vocabulary.spell(ids)[1]
    assert vocabulary.decode(ids) == f"a{added}b"


def test_spaces_an_added_token_strips_are_lost(vocabularies: dict[str, ModelTokenizer]) -> None:
    vocabulary = vocabularies["with_added_tokens"]
    assert vocabulary.decode(vocabulary.encode("a  <strips>  b")) == "a<strips>b"


@pytest.mark.parametrize("name", ["<|user|>", "<|endoftext|>"])
def test_the_name_of_a_mark_is_read_as_the_mark(vocabularies: dict[str, ModelTokenizer], name: str) -> None:
    vocabulary = vocabularies["with_added_tokens"]
    ids = vocabulary.encode(f"a{name}b")
    assert len(ids) == 3
    assert vocabulary.spell(ids)[1] == Token(ids[1], name.encode(), is_special=True)
    assert vocabulary.decode(ids) == "ab"


def test_text_that_looks_like_byte_signs_is_not_taken_for_bytes(folders: dict[str, Path], tmp_path: Path) -> None:
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folders["byte_bpe"])
    tokenizer.add_tokens(["éé", "Ġxyz"])
    tokenizer.save_pretrained(tmp_path)
    vocabulary = ModelTokenizer.load(tmp_path)
    assert vocabulary.decode(vocabulary.encode("caféé Ġxyz")) == "caféé Ġxyz"


def test_half_a_surrogate_pair_in_a_text_is_refused(vocabularies: dict[str, ModelTokenizer]) -> None:
    with pytest.raises(InvalidField, match="character 2 is an unpaired surrogate") as refused:
        vocabularies["byte_bpe"].encode("ab\ud83d")
    assert refused.value.field == "text"


@pytest.mark.parametrize("kind", KINDS)
def test_threads_may_share_a_vocabulary(folders: dict[str, Path], kind: str) -> None:
    vocabulary = ModelTokenizer.load(folders[kind])

    def read(text: str) -> tuple[list[int], list[Token], Token]:
        ids = vocabulary.encode(text)
        return ids, vocabulary.spell(ids), vocabulary.token(vocabulary.size // 2, ids)

    texts = [*CORPUS, EMOJI] * 8
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(read, texts))
    assert answers == [read(text) for text in texts]
