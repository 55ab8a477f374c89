"""Models from a Hub on loopback, loaded by the real command and watched as a client watches."""

import asyncio
import json
import re
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
import torch
import transformers
from calls import failure
from hub_server import Fault, Hub, Repo, run_hub
from models import tokenizers
from nexttoken.v1 import next_token_pb2 as pb
from servers import PATIENCE_S, ServerProcess, ready, server_process, stub_of

from inference_server.tokenizer.tokenizer import ModelTokenizer

MIB = 1 << 20
FP8 = {"quant_method": "modelopt", "quant_algo": "FP8"}
DEFAULT, CUT, LATE, HELD = "owner/default", "owner/cut", "owner/late", "owner/held"
REASONS = {
    "owner/missing": "not on the Hub, or private",
    "owner/private": "not on the Hub, or private",
    "owner/gated": "gated: accept the terms",
    "owner/pickled": "no safetensors weights",
    "owner/seer": "not a causal LM",
    "owner/listener": "not a causal LM: an encoder-decoder",
    "owner/eighth": "its weights are quantised (modelopt) in a way transformers",
    "owner/eighth-silent": "its weights are quantised (hf_quant_config.json)",
    "owner/lora": "an adapter (LoRA) for owner/base, not a model",
    "owner/tekken": "no tokenizer files (only tekken.json",
    f"{DEFAULT}@never": "no such branch, tag or commit",
}
TUNED = f"{DEFAULT}@tuned"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A model of some 4 MiB, and what surrounds it in a repository."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("tiny")
    tokenizers.build("byte_bpe", folder)
    config = transformers.LlamaConfig(
        vocab_size=ModelTokenizer.load(folder).size,
        hidden_size=128,
        intermediate_size=448,
        num_hidden_layers=4,
        num_attention_heads=4,
        max_position_embeddings=64,
    )
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    (folder / "pytorch_model.bin").write_bytes(b"never fetched")
    return Repo.of(folder).files


@pytest.fixture(scope="module")
def hub(files: dict[str, bytes]) -> Iterator[Hub]:
    """A Hub with models whole, cut and held up in the middle, and with some that can't be had."""
    weights, config = "model.safetensors", json.loads(files["config.json"])
    with run_hub() as hub:
        hub.repos = {
            DEFAULT: Repo(files, revisions={"tuned": Repo({**files, "notes.txt": b"another commit"})}),
            CUT: Repo(files, faults={weights: Fault("close", after=2 * MIB)}),
            HELD: Repo(files, faults={weights: Fault("hold", after=2 * MIB)}),
            "owner/private": Repo({}, refusal=(401, "")),
            "owner/gated": Repo({}, refusal=(403, "GatedRepo")),
            "owner/pickled": Repo({"config.json": b"{}", "pytorch_model.bin": b"code"}),
            "owner/seer": Repo({**files, "config.json": b'{"model_type": "clip"}'}),
            "owner/listener": Repo({**files, "config.json": b'{"model_type": "whisper"}'}),
            "owner/eighth": Repo({**files, "config.json": json.dumps({**config, "quantization_config": FP8}).encode()}),
            "owner/eighth-silent": Repo({**files, "hf_quant_config.json": b"{}"}),
            "owner/lora": Repo({"adapter_config.json": b'{"base_model_name_or_path": "owner/base"}'}),
            "owner/tekken": Repo({"config.json": files["config.json"], weights: b"x", "tekken.json": b"{}"}),
        }
        yield hub


class Served(NamedTuple):
    """The command's process, and where its downloads go."""

    process: ServerProcess
    home: Path


@pytest.fixture(scope="module")
def served(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that is to load them all, the one that is held up last."""
    home = tmp_path_factory.mktemp("home")
    names = (CUT, TUNED, *REASONS, LATE, HELD)
    environment = {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(home), "HF_HUB_DOWNLOAD_TIMEOUT": str(int(PATIENCE_S))}
    with server_process(
        {**environment, "NEXTTOKEN_MODEL": DEFAULT, "NEXTTOKEN_MODELS": ",".join(names), "NEXTTOKEN_DRAIN_S": "0"}
    ) as process:
        yield Served(process, home)


@pytest.fixture
async def stub(served: Served) -> AsyncIterator[Any]:
    async with grpc.aio.insecure_channel(served.process.target) as channel:
        yield stub_of(channel)


async def answers(stub: Any, model: str) -> None:
    answer = await stub.TopK(pb.TopKRequest(model=model, text="a word", top_k=3), timeout=PATIENCE_S)
    assert answer.model == model or (not model and answer.model == DEFAULT)
    assert len(answer.candidates) == 3


async def test_the_default_is_fetched_and_answers_beside_the_bundled_model(stub: Any) -> None:
    await answers_once_ready(stub, "bundled")
    model = await answers_once_ready(stub, DEFAULT)
    assert (model.is_default, model.facts.context_limit) == (True, 64)
    await answers(stub, "")


async def answers_once_ready(stub: Any, model: str) -> pb.Model:
    found = await ready(stub, model)
    await answers(stub, model)
    return found


async def test_a_revision_is_a_model_of_its_own(stub: Any, hub: Hub, served: Served) -> None:
    await answers_once_ready(stub, TUNED)
    commit = hub.repos[DEFAULT].revisions["tuned"].sha
    (snapshot,) = served.home.rglob(f"snapshots/{commit}")
    assert (snapshot / "model.safetensors").is_file()
    downloads = [
        path for _, path, _ in hub.requests if path.startswith(f"/{DEFAULT}/") and path.endswith("safetensors")
    ]
    assert len(downloads) == 1  # what both revisions have is fetched once


async def test_a_download_that_is_cut_is_resumed_where_it_was_cut(stub: Any, hub: Hub) -> None:
    await answers_once_ready(stub, CUT)
    spans = [span for _, path, span in hub.requests if span and path.startswith(f"/{CUT}/")]
    assert len(spans) == 1
    assert MIB <= int(spans[0].removeprefix("bytes=").removesuffix("-")) <= 2 * MIB


@pytest.mark.parametrize(("name", "reason"), REASONS.items())
async def test_a_model_that_cannot_be_had_says_why(stub: Any, hub: Hub, name: str, reason: str) -> None:
    model = await ready(stub, name, pb.MODEL_STATE_FAILED)
    assert model.reason.startswith(reason)
    repo, at, _ = name.partition("@")
    fetched = [path for _, path, _ in hub.requests if path.startswith(f"/{repo}/") and path.endswith(".safetensors")]
    assert at or not fetched
    failed = await failure(stub.TopK(pb.TopKRequest(model=name, text="a"), timeout=PATIENCE_S))
    assert failed.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert failed.details() == f"{name} could not be loaded: {model.reason}"


async def test_progress_is_seen_in_bytes_and_a_model_that_failed_can_be_loaded_again(
    stub: Any, hub: Hub, files: dict[str, bytes]
) -> None:
    await ready(stub, LATE, pb.MODEL_STATE_FAILED)
    held = await ready(stub, HELD, pb.MODEL_STATE_DOWNLOADING)
    async for list_ in stub.WatchModels(pb.WatchModelsRequest(), timeout=PATIENCE_S):
        held = next(model for model in list_.models if model.name == HELD)
        if held.bytes_done >= MIB:
            break
    assert held.state == pb.MODEL_STATE_DOWNLOADING
    fetched = [name for name in files if name != "pytorch_model.bin"]
    assert held.bytes_total == sum(len(files[name]) for name in fetched)
    assert held.bytes_done < held.bytes_total
    failed = await failure(stub.TopK(pb.TopKRequest(model=HELD, text="a"), timeout=PATIENCE_S))
    assert failed.code() is grpc.StatusCode.UNAVAILABLE
    words = rf"{HELD} is downloading: [12] of {held.bytes_total / 1e6:.0f} MB"  # it is held at 2 MiB
    assert re.fullmatch(words, failed.details() or "")

    hub.repos[LATE] = Repo(files)
    queued = await stub.LoadModel(pb.LoadModelRequest(name=LATE), timeout=PATIENCE_S)
    assert (queued.model.state, queued.model.reason) == (pb.MODEL_STATE_QUEUED, "")
    hub.repos[HELD].faults["model.safetensors"].release.set()
    await answers_once_ready(stub, HELD)
    await answers_once_ready(stub, LATE)


async def test_nothing_but_the_chosen_files_is_asked_for(stub: Any, hub: Hub) -> None:
    await ready(stub, CUT)
    assert hub.downloads("pytorch_model.bin") == 0
    strays = [path for _, path, _ in hub.requests if not path.startswith("/api/models/") and "/resolve/" not in path]
    assert strays == []


async def test_without_a_network_what_was_fetched_serves_and_the_rest_says_why(stub: Any, served: Served) -> None:
    await ready(stub, DEFAULT)
    environment = {"HF_ENDPOINT": "http://127.0.0.1:1", "HF_HOME": str(served.home)}
    models = {"NEXTTOKEN_MODEL": DEFAULT, "NEXTTOKEN_MODELS": "owner/missing"}
    with server_process({**environment, **models}) as process:
        async with grpc.aio.insecure_channel(process.target) as channel:
            await answers_once_ready(stub_of(channel), DEFAULT)
            missing = await ready(stub_of(channel), "owner/missing", pb.MODEL_STATE_FAILED)
        assert missing.reason.startswith("no network: can't reach http://127.0.0.1:1")
        line = process.wait_for("using the cached copy", model=DEFAULT)
        assert line["reason"].startswith("no network")


async def test_a_server_that_downloads_ends_at_once(hub: Hub, files: dict[str, bytes], tmp_path: Path) -> None:
    fault = Fault("hold", after=2 * MIB)
    hub.repos["owner/endless"] = Repo(files, faults={"model.safetensors": fault})
    environment = {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path), "NEXTTOKEN_DRAIN_S": "0"}
    with server_process({**environment, "NEXTTOKEN_MODEL": "owner/endless"}) as process:
        async with grpc.aio.insecure_channel(process.target) as channel:
            assert await asyncio.to_thread(fault.reached.wait, PATIENCE_S)
            failed = await failure(stub_of(channel).TopK(pb.TopKRequest(text="a"), timeout=PATIENCE_S))
        assert failed.code() is grpc.StatusCode.UNAVAILABLE
        assert (failed.details() or "").startswith("owner/endless is downloading")
        process.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.end) == 0
    assert any(path.suffix == ".partial" for path in await asyncio.to_thread(lambda: list(tmp_path.rglob("*"))))
