"""SmolLM2-135M-Instruct as it is published, on a real server: the numbers are those of plain transformers in float32
for the ids that its tokenizer.json gives, on every path to an answer."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
import transformers
from calls import until
from gateways import sample
from nexttoken.v1 import next_token_pb2 as pb
from published import MODEL, folder
from servers import COMPILING_S, PATIENCE_S, ROOT, ServerProcess, connect
from tokenizers import Tokenizer
from torch import Tensor

from models.scripts import BLANKS, CODE, COMBINING, DIGITS, EMOJI, SCRIPTS, TEXTS

PROBABILITY = 1e-4
MOST = 1_000  # candidates a request may ask for
CAPITAL = "The capital of France is"
CHAT = [
    {"role": "user", "content": "What is 17 +  25?"},
    {"role": "assistant", "content": "42"},
    {"role": "user", "content": "And  twice that?"},
]
STORY = " ".join(SCRIPTS.values()) + CODE  # longer than a step
PROMPTS = [
    CAPITAL,
    "x =  5",
    DIGITS,
    BLANKS,
    CODE,
    COMBINING,
    EMOJI,
    *(SCRIPTS[name] for name in ("Cyrillic", "Arabic", "Devanagari", "Japanese")),
    "<chat>",
    STORY,
]


@dataclass
class Truth:
    """Plain transformers and the tokenizers library, on the same files."""

    files: Path
    network: Any = field(repr=False)
    tokenizer: Tokenizer = field(repr=False)
    _told: dict[tuple[int, ...], Tensor] = field(default_factory=dict, repr=False)

    def ids(self, text: str) -> list[int]:
        return list(self.tokenizer.encode(text).ids)

    def rows(self, ids: Sequence[int]) -> Tensor:
        """(T, V) probabilities in float32 after each token."""
        key = tuple(ids)
        if key not in self._told:
            with torch.inference_mode():
                self._told[key] = self.network(torch.tensor([key]), use_cache=False).logits[0].softmax(-1)
        return self._told[key]

    def after(self, ids: Sequence[int]) -> Tensor:
        """(V,) probabilities of what follows ids."""
        return self.rows(ids)[-1]

    def prompt(self, text: str) -> str:
        """A prompt as it is sent: the chat in the model's own template."""
        if text != "<chat>":
            return text
        words = transformers.AutoTokenizer.from_pretrained(self.files)
        return str(words.apply_chat_template(CHAT, tokenize=False, add_generation_prompt=True))


@pytest.fixture(scope="module")
def truth() -> Truth:
    files = folder(MODEL)
    network = transformers.AutoModelForCausalLM.from_pretrained(files, dtype=torch.float32).eval()
    return Truth(files, network, Tokenizer.from_file(str(files / "tokenizer.json")))


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    files = folder(MODEL)
    server = ServerProcess({"NEXTTOKEN_MODEL": str(files), "NEXTTOKEN_METRICS_PORT": "0", "NEXTTOKEN_LOOKAHEAD": "5"})
    try:
        server.wait_for("model ready", COMPILING_S, model=str(files))
        yield server
    finally:
        server.close()


@pytest.fixture
async def stub(server: ServerProcess) -> AsyncIterator[Any]:
    async with connect(server.target) as stub:
        yield stub


def of(ids: Sequence[int]) -> pb.TokenIds:
    return pb.TokenIds(ids=ids)


async def ask(stub: Any, ids: Sequence[int], **more: Any) -> pb.TopKResponse:
    answer: pb.TopKResponse = await stub.TopK(pb.TopKRequest(token_ids=of(ids), top_k=MOST, **more), timeout=PATIENCE_S)
    return answer


def error(answer: pb.TopKResponse, expected: Tensor) -> float:
    """The largest difference of a probability, that of the tokens not shown included."""
    shown = [candidate.token.token_id for candidate in answer.candidates]
    found = torch.tensor([candidate.probability for candidate in answer.candidates])
    rest = 1.0 - float(expected[shown].double().sum())
    return max(float((found - expected[shown]).abs().max()), abs(answer.other_probability - rest))


@pytest.mark.parametrize("text", PROMPTS)
async def test_a_text_is_read_and_answered(stub: Any, truth: Truth, text: str) -> None:
    text = truth.prompt(text)
    answer = await stub.TopK(pb.TopKRequest(text=text, top_k=MOST, include_prompt_tokens=True), timeout=PATIENCE_S)
    assert [token.token_id for token in answer.prompt.tokens] == truth.ids(text)
    assert answer.vocab_size == 49_152
    assert error(answer, truth.after(truth.ids(text))) <= PROBABILITY


async def test_paris_is_the_capital_of_france(stub: Any, truth: Truth) -> None:
    answer = await stub.TopK(pb.TopKRequest(text=CAPITAL))
    assert answer.candidates[0].token.text == " Paris"
    assert answer.candidates[0].probability == pytest.approx(0.7706, abs=2e-4)
    spaced = await stub.TopK(pb.TopKRequest(text="x =  5"))
    assert spaced.candidates[0].probability == pytest.approx(0.159, abs=1e-3)


async def test_every_path_gives_the_same_numbers(stub: Any, truth: Truth) -> None:
    ids = truth.ids(SCRIPTS["Latin"])[::-1]  # which no other test has asked
    edited = [*ids[:9], 5, *ids[10:]]
    cases = [
        (ids, 0, "cold"),
        (ids, len(ids), "again"),
        ([*ids, 30], len(ids), "a click"),
        (edited, 9, "an edit"),
        (ids[:20], 19, "a few taken back"),
    ]
    for prompt, cached, what in cases:
        answer = await ask(stub, prompt)
        assert answer.prompt.cached_tokens == cached, what
        assert error(answer, truth.after(prompt)) <= PROBABILITY, what
    cold = await ask(stub, ids, temperature=0.5)
    assert cold.prompt.cached_tokens == len(ids)
    assert error(cold, (truth.after(ids).log() / 0.5).softmax(0)) <= PROBABILITY


async def test_many_together(stub: Any, truth: Truth) -> None:
    prompts = [truth.ids(text)[3:] for text in TEXTS if text][:16]
    answers = await asyncio.gather(*(ask(stub, ids) for ids in prompts))
    assert max(error(answer, truth.after(ids)) for answer, ids in zip(answers, prompts, strict=True)) <= PROBABILITY


def passes_ahead(server: ServerProcess, model: Path) -> float:
    """How many passes were made before anybody asked."""
    metrics = httpx.get(
        f"http://127.0.0.1:{server.wait_for('serving metrics')['port']}/metrics", timeout=PATIENCE_S
    ).text
    return sample(metrics, "nexttoken_inference_lookahead_passes_total", model=str(model))


async def test_a_click_on_a_bar_was_computed_before(stub: Any, truth: Truth, server: ServerProcess) -> None:
    ids = truth.ids("Once upon a time, there were  3 bears")
    before = passes_ahead(server, truth.files)
    answer = await ask(stub, ids)
    for click in (0, 3, 1, 4, 2):
        await until(lambda: passes_ahead(server, truth.files) > before)  # noqa: B023 - awaited here
        before = passes_ahead(server, truth.files)
        ids.append(answer.candidates[click].token.token_id)
        answer = await ask(stub, ids)
        assert answer.lookahead_hit
        assert error(answer, truth.after(ids)) <= PROBABILITY


async def test_a_score(stub: Any, truth: Truth) -> None:
    """The first token is told from nothing: this tokenizer puts no mark in front, so none is measured after one."""
    text = "The capital of France is Paris, and 2 + 2  = 4."
    score = await stub.Score(pb.ScoreRequest(text=text, top_k=5), timeout=PATIENCE_S)
    ids = truth.ids(text)
    assert [scored.candidate.token.token_id for scored in score.tokens] == ids
    assert [scored.unconditioned for scored in score.tokens] == [True, *[False] * (len(ids) - 1)]
    for scored, row, token in zip(score.tokens[1:], truth.rows(ids), ids[1:], strict=False):
        assert scored.candidate.probability == pytest.approx(float(row[token]), abs=PROBABILITY)
        best = [alternative.probability for alternative in scored.alternatives]
        assert best == pytest.approx(row.topk(5).values.tolist(), abs=PROBABILITY)


async def test_its_facts(stub: Any, truth: Truth) -> None:
    listed = await stub.ListModels(pb.ListModelsRequest())
    facts = next(model.facts for model in listed.models if model.name == str(truth.files))
    assert (facts.parameters, facts.vocab_size, facts.context_limit) == (134_515_008, 49_152, 8192)
    assert re.fullmatch("LlamaForCausalLM", facts.architecture)
    assert list(facts.end_of_text_ids) == truth.ids("<|im_end|>")


def test_the_lesson_about_chats_has_this_models_numbers(truth: Truth) -> None:
    lesson = " ".join((ROOT / "docs" / "lessons" / "chat.md").read_text(encoding="utf-8").split())
    question = "What is the capital of France?"
    after = truth.after(truth.ids(question))
    assert truth.tokenizer.id_to_token(int(after.argmax())) == "<|im_end|>"
    assert f"`<|im_end|>` with {after.max():.1%}".replace("%", " %") in lesson
    words = transformers.AutoTokenizer.from_pretrained(truth.files)
    turn = [{"role": "user", "content": question}]
    ids = truth.ids(str(words.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)))
    after = truth.after(ids)
    assert truth.tokenizer.decode([int(after.argmax())]) == "The"
    assert f"`The` leads, with {after.max():.1%}".replace("%", " %") in lesson
    assert f"question of {len(truth.ids(question))}".replace("7", "seven") in lesson
    assert f"**Answer:** {len(ids)}." in lesson
