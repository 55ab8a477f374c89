"""Models in the shapes of published folders, loaded as the server loads them for good: with a store, looking ahead, and
from a revision of the Hub's."""

from collections.abc import Callable
from pathlib import Path

import pytest
import transformers
from hub_place import NAME, fetch, hub_place
from hub_server import Repo
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from inference_server.engine import engine
from inference_server.kvcache.logits_cache import LogitsCache
from inference_server.messages import ScoreQuery, TopKQuery
from inference_server.scheduler.scheduler import Scheduler
from inference_server.settings import Settings
from inference_server.tokenizer.tokenizer import ModelTokenizer
from models import shipped
from models.conftest import Cell
from models.test_paths import asked
from models.test_prefetch import thought
from models.test_truth import PROBABILITY, TEXTS, assert_answers, assert_true

STORED = 1 << 20
Served = Callable[[Path], Cell]


@pytest.fixture
def served(scheduler: Scheduler) -> Served:
    """From a folder to a Cell whose engine keeps what it computes, and looks ahead."""

    def make(folder: Path) -> Cell:
        settings = Settings(device="cpu", lookahead=5)
        loaded = engine.load("shipped", folder, scheduler, LogitsCache(STORED), STORED, settings)
        network = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype="float32").eval()
        own = Tokenizer.from_file(str(folder / "tokenizer.json"))
        return Cell("llama", "shipped", loaded, ModelTokenizer.load(folder), network, scheduler, own)

    return make


@pytest.fixture
def folder(tmp_path: Path) -> Callable[[str], Path]:
    def make(shape: str) -> Path:
        shipped.build("llama", shape, tmp_path)
        return tmp_path

    return make


@pytest.mark.parametrize("shape", shipped.SHAPES)
async def test_every_path(folder: Callable[[str], Path], served: Served, shape: str) -> None:
    at = served(folder(shape))
    ids = tuple(at.ids(TEXTS[3]))
    cold = await at.engine.top_k(TopKQuery(text=TEXTS[3], top_k=8), None)
    assert (cold.token_count, cold.cached_tokens) == (len(ids), 0)
    assert_answers(cold, at.plain(ids)[-1], 1.0)
    assert (await asked(at, ids, 0.5)).cached_tokens == len(ids)
    ids = (*ids, (await thought(at, ids)).candidates[3].token.token_id)
    assert (await asked(at, ids)).lookahead_hit
    assert (await asked(at, (*ids[:-2], 5))).cached_tokens == len(ids) - 2
    await at.together(lambda: [asked(at, at.ids(text)) for text in TEXTS])
    score = await at.engine.score(ScoreQuery(token_ids=ids), None)
    for scored, row in zip(score.tokens[1:], at.plain(ids[:-1]), strict=True):
        assert_true(scored.candidate, row, 1.0)


async def test_every_row_beyond_the_tokens_is_counted(folder: Callable[[str], Path], served: Served) -> None:
    at = served(folder("much_padding"))
    assert at.engine.facts.vocab_size == at.vocabulary.size + 267
    everything = await at.engine.top_k(TopKQuery(text="a", top_k=at.engine.facts.vocab_size), None)
    nameless = [bar for bar in everything.candidates if bar.token.token_id >= at.vocabulary.size]
    assert len(nameless) == 267
    assert {(bar.token.bytes, bar.token.is_special) for bar in nameless} == {(b"", True)}
    truth = at.plain(at.ids("a"))[-1].softmax(0)
    assert sum(bar.probability for bar in nameless) == pytest.approx(float(truth[-267:].sum()), abs=PROBABILITY)


def test_every_end_of_a_text_is_told(folder: Callable[[str], Path], served: Served) -> None:
    at = served(folder("several_ends"))
    end = at.own.token_to_id("<|end_of_text|>") if at.own else None
    assert at.engine.facts.end_of_text_ids == tuple(sorted({0, 2, end or 0}))


async def test_a_revision_of_the_hubs(
    folder: Callable[[str], Path], served: Served, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """owner/name@revision is that revision's weights, and owner/name those of today."""
    old = Repo.of(folder("digits_step"))
    weights = folder("digits_step") / "model.safetensors"
    tensors = load_file(weights)
    tensors["lm_head.weight"] = tensors["lm_head.weight"].flip(0).contiguous()
    save_file(tensors, weights, metadata={"format": "pt"})
    with pytest.MonkeyPatch.context() as patch, hub_place(tmp_path_factory.mktemp("cache"), patch, {}) as place:
        place.repo.files.update(Repo.of(weights.parent).files)
        place.repo.revisions["v1.0"] = old
        now, then = served(fetch(NAME)), served(fetch(f"{NAME}@v1.0"))
    answers = [await asked(at, at.ids(TEXTS[3])) for at in (now, then)]
    assert answers[0].candidates[0].token != answers[1].candidates[0].token
