"""What may come next, held against llguidance's own reading of the same tokenizer and against a regex engine that
knows of partial matches; and what is refused."""

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import llguidance
import numpy as np
import pytest
import regex
from models.tokenizers import build

from inference_server.errors import InvalidField
from inference_server.masks import form_sandbox, masks
from inference_server.masks.masks import Masks
from inference_server.masks.vocabulary import Vocabulary
from inference_server.models import bundled
from inference_server.sampler_messages import TextMask
from inference_server.tokenizer.tokenizer import ModelTokenizer

PATTERN = r"(the|a) [a-z ]{3,9}(, é+)?\.?"
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 9}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
FORMS = [
    TextMask("choices", ("Tom had a dog", "Tom had a big red ball", "é 😀")),
    TextMask("regex", (PATTERN,)),
    TextMask("json_schema", (json.dumps(SCHEMA),)),
    TextMask("grammar", ('start: "[" (start ("," start)*)? "]"',)),
]


@pytest.fixture(scope="module")
def tokenizer() -> ModelTokenizer:
    return ModelTokenizer.load(bundled.FOLDER)


@pytest.fixture(scope="module")
def made(tokenizer: ModelTokenizer) -> Iterator[Masks]:
    found = Masks(tokenizer, tokenizer.size + 3, [0])
    yield found
    found.close()


def own_mask(matcher: llguidance.LLMatcher) -> list[int]:
    bits = np.frombuffer(matcher.compute_bitmask(), dtype=np.uint8)
    return [int(at) for at in np.flatnonzero(np.unpackbits(bits, bitorder="little"))]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.kind)
def test_masks_are_the_librarys_bit_for_bit(made: Masks, tokenizer: ModelTokenizer, form: TextMask) -> None:
    own = llguidance.LLTokenizer(str(Path(bundled.FOLDER) / "tokenizer.json"), eos_token=[0])
    asked = {"choices": [*form.source], "json_schema": form.source[0]}.get(form.kind, form.source[0])
    kind: Any = {"choices": "choice", "grammar": "lark"}.get(form.kind, form.kind)
    grammar = llguidance.grammar_from(kind, json.dumps(asked) if form.kind == "choices" else str(asked))
    rng, ends = random.Random(3), 0
    for _ in range(4):
        matcher, text = llguidance.LLMatcher(own, grammar), made.begin(form, tokenizer.encode("I saw"))
        for _ in range(40):
            allowed = text.allowed()
            assert len(allowed) == tokenizer.size + 3
            assert np.flatnonzero(allowed).tolist() == own_mask(matcher)
            token_id = rng.choice(np.flatnonzero(allowed).tolist())
            assert matcher.consume_token(token_id)
            assert text.add([token_id]) is None
            if token_id == 0:
                assert not text.allowed().any()
                assert text.add([token_id]) == 0
                ends += 1
                break
    assert ends


@pytest.mark.parametrize("kind", ["byte_bpe", "sentencepiece_bpe", "unigram", "wordpiece", "tiktoken"])
@pytest.mark.parametrize("preceding", ["", "so"])
def test_the_tokens_allowed_are_those_that_a_text_of_the_form_can_go_on_with(
    tmp_path_factory: pytest.TempPathFactory, kind: str, preceding: str
) -> None:
    """Of a form that nowhere leaves but one way to go on; at the beginning of a text tokens are spelled otherwise."""
    build(kind, folder := tmp_path_factory.mktemp(kind))
    tokenizer = ModelTokenizer.load(folder)
    pattern = regex.compile(r" ?[a-zA-Z ]{4,9}[.!]?(, ?[b-y]+)?")
    special = [at for at in range(tokenizer.size) if tokenizer.is_special(at)]
    made = Masks(tokenizer, tokenizer.size, special[:1])
    before = tokenizer.encode(preceding) if preceding else tokenizer.prefix
    rng = random.Random(5)
    for _ in range(2):
        ids = list(before)
        text = made.begin(TextMask("regex", (pattern.pattern,)), ids)
        for _ in range(12):
            expected = going_on(tokenizer, ids, len(before), pattern, special[0])
            assert np.flatnonzero(text.allowed()).tolist() == expected
            chosen = [at for at in expected if at not in special]
            if not chosen:
                break
            ids.append(rng.choice(chosen))
            assert text.add(ids[-1:]) is None
    made.close()


def going_on(tokenizer: ModelTokenizer, ids: Sequence[int], start: int, pattern: Any, end: int) -> list[int]:
    """By trying every token."""
    so_far = b"".join(token.bytes for token in tokenizer.spell(ids)[start:] if not token.is_special)
    after, found = tokenizer.following(ids), []
    for at in range(tokenizer.size):
        token = after(at)
        if token.is_special:
            fits = at == end and bool(pattern.fullmatch(so_far.decode()))
        else:
            text = (so_far + token.bytes).decode(errors="replace")  # the form has no character that takes two bytes
            fits = bool(token.bytes) and bool(pattern.fullmatch(text, partial=True))
        if fits:
            found.append(at)
    return found


def test_any_spelling_of_a_text_is_taken_and_the_first_wrong_id_is_told(made: Masks, tokenizer: ModelTokenizer) -> None:
    choice, encode = TextMask("choices", ("Tom had a dog",)), tokenizer.encode_bare
    letters = [token_id for letter in "Tom" for token_id in encode(letter)]
    assert len(letters) == 3
    text = made.begin(choice, ())
    assert text.add([*letters, *encode(" had a")]) is None
    assert np.flatnonzero(text.allowed()).tolist() == encode(" dog")
    assert made.begin(choice, ()).add([*encode("Tom had"), *encode(" the dog")]) == len(encode("Tom had"))
    assert made.begin(choice, ()).add([0]) == 0
    assert made.begin(choice, ()).add([*encode("Tom had a dog"), 0, 0]) == len(encode("Tom had a dog")) + 1


def test_one_form_is_read_once_and_few_stay_read(made: Masks, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Any] = []

    def ask(asked: Any) -> dict[str, str]:
        read.append(asked)
        return {"fault": ""}

    monkeypatch.setattr(made._sandbox, "ask", ask)
    monkeypatch.setattr(masks, "FORMS", 2)
    for word in ("x", "y", "x", "z", "x", "y"):
        made.begin(TextMask("choices", (word,)), ())
    assert len(read) == 4
    assert len(made._read) <= masks.FORMS


@pytest.mark.parametrize(
    ("form", "words"),
    [
        (TextMask("regex", ("a(",)), "regex of mask can't be read: .*unclosed group"),
        (TextMask("regex", ("(?=a)",)), "regex of mask can't be read: .*look-around"),
        (TextMask("json_schema", ('{"type": "text"}',)), "json_schema of mask can't be read: Invalid type: text"),
        (TextMask("json_schema", ('{"not": {}}',)), "Unimplemented keys: .*not"),
        (TextMask("json_schema", ('{"$ref": "https://example.com/a.json"}',)), "does not fetch"),
        (TextMask("grammar", ("start: other",)), 'grammar of mask can\'t be read: .*unknown name: "other"'),
        (TextMask("grammar", ("start: <|nothing|>",)), "grammar of mask can't be used: .*unknown special token"),
    ],
)
def test_a_form_that_cannot_be_read_is_refused(made: Masks, form: TextMask, words: str) -> None:
    with pytest.raises(InvalidField, match=words) as refused:
        made.begin(form, ())
    assert refused.value.field == "samplers"
    assert len(refused.value.fault) < 400


def test_a_form_that_takes_too_long_to_read_is_refused_and_the_next_is_read(
    tokenizer: ModelTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    patterns = [{"type": "string", "pattern": f"^.*a.{{{count}}}.*$"} for count in range(40)]
    made = Masks(tokenizer, tokenizer.size, [0])
    with pytest.raises(InvalidField, match=f"is too complex: reading it takes more than {form_sandbox.CPU_S:g} s"):
        made.begin(TextMask("json_schema", (json.dumps({"allOf": patterns}),)), ())
    assert made.begin(FORMS[0], ()).allowed().any()
    made.close()


def test_a_form_that_grows_too_complex_is_refused_rather_than_ended(made: Masks, tokenizer: ModelTokenizer) -> None:
    rules = " | ".join(f'"w{number}"' for number in range(4000))
    text = made.begin(TextMask("grammar", (f"start: {rules}",)), ())
    with pytest.raises(InvalidField, match=r"grammar of mask is too complex for this text: .*row has \d+ items"):
        text.add(tokenizer.encode_bare("w1"))


def test_a_panic_of_the_library_is_a_refusal(tokenizer: ModelTokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    made, broken = Masks(tokenizer, tokenizer.size, [0]), TextMask("choices", ("Tom had a dog",))

    def spell(*_: Any) -> list[int]:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(Vocabulary, "spell", spell)
    with pytest.raises(InvalidField, match=r"choices of mask .*a fault of ours"):
        made.begin(broken, ()).allowed()
    made.close()


def test_a_model_without_an_end_of_text_token_has_no_masks(tokenizer: ModelTokenizer) -> None:
    with pytest.raises(InvalidField, match="samplers: mask needs an end-of-text token"):
        Masks(tokenizer, tokenizer.size, []).begin(FORMS[0], ())


def test_a_grammar_may_be_llama_cpps(made: Masks, tokenizer: ModelTokenizer) -> None:
    gbnf = TextMask("grammar", ('root ::= "a" tail\ntail ::= " big"* " dog"',))
    lark = TextMask("grammar", ('start: "a" tail\ntail: " big"* " dog"',))
    one, other = (made.begin(form, tokenizer.encode("Tom had")) for form in (gbnf, lark))
    for token_id in tokenizer.encode("a big dog")[-3:]:
        assert one.allowed().tolist() == other.allowed().tolist()
        assert one.add([token_id]) == other.add([token_id])


@pytest.mark.parametrize("text", ["root ::= b", "root ::= (", 'root ::= "' + "\\" * 60_000, "root ::= " + "(" * 20_000])
def test_one_that_cant_be_translated_is_refused(made: Masks, text: str) -> None:
    with pytest.raises(InvalidField, match="grammar of mask can't be read: "):
        made.begin(TextMask("grammar", (text,)), [])
