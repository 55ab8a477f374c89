"""Models that are damaged, behind both services: what a caller of either is told, and what stays in the log."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
from calls import failure
from gateways import gateway_here
from models import architectures, tokenizers
from nexttoken.v1 import next_token_pb2 as pb
from servers import PATIENCE_S, connect, ready, server_here

from inference_server.settings import Settings
from inference_server.tokenizer.tokenizer import ModelTokenizer

DAMAGED = 250  # a token that no trial at load asks for
NOT_A_NUMBER = "the model returned NaN or infinite logits; its weights may be corrupt"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model that knows no number for one token, and some that can't be loaded."""
    folders = {name: tmp_path_factory.mktemp(name) for name in ("nan", "header", "config", "code", "tokenizer")}
    for name, folder in folders.items():
        tokenizers.build("byte_bpe", folder)
        architectures.build("llama", ModelTokenizer.load(folder).size, folder)
        weights, config = folder / "model.safetensors", folder / "config.json"
        if name == "nan":
            tensors = safetensors.torch.load_file(weights)
            tensors["model.embed_tokens.weight"][DAMAGED] = float("nan")
            safetensors.torch.save_file(tensors, weights, metadata={"format": "pt"})
        elif name == "header":
            weights.write_bytes(b"\x02\0\0\0\0\0\0\0[]")
        elif name == "config":
            config.write_bytes(b'{"model_type": "llama", "hidden_size": "many"}')
        elif name == "code":
            config.write_text(json.dumps({**json.loads(config.read_text()), "attn_implementation": "evil/kernel"}))
        else:
            (folder / "tokenizer.json").write_bytes(b"{")
    return folders


@pytest.fixture
async def both(folders: dict[str, Path]) -> AsyncIterator[Any]:
    """A caller of the inference server, and one of the gateway before it, once all are loaded or have failed."""
    default, *others = map(str, folders.values())
    settings = Settings(model=default, models=tuple(others), grpc_port=0, drain_s=0, device="cpu")
    async with server_here(settings) as server:
        target = f"127.0.0.1:{server.port}"
        async with connect(target) as stub, gateway_here(target) as front:
            yield stub, front.web


async def test_what_failed_is_told_alike_and_without_folders(both: Any, folders: dict[str, Path]) -> None:
    stub, web = both
    words = {
        "header": "weights file model.safetensors is truncated or corrupt: its header is not a JSON object",
        "config": "transformers can't read its config.json: ",
        "code": "config.json asks for attn_implementation 'evil/kernel'; only eager, sdpa are supported",
        "tokenizer": "",
    }
    for name, start in words.items():
        told = await ready(stub, str(folders[name]), pb.MODEL_STATE_FAILED)
        assert told.reason.startswith(start)
        assert str(folders[name].parent) not in told.reason
        shown = {model["name"]: model for model in (await web.get("/api/models")).json()["models"]}
        assert shown[str(folders[name])]["reason"] == told.reason


async def test_a_prompt_that_gives_no_numbers_is_told_so_over_both(both: Any, folders: dict[str, Path]) -> None:
    stub, web = both
    name = str(folders["nan"])
    await ready(stub, name)
    failed = await failure(
        stub.TopK(pb.TopKRequest(model=name, token_ids=pb.TokenIds(ids=[5, DAMAGED])), timeout=PATIENCE_S)
    )
    assert failed.details() == NOT_A_NUMBER
    for path in ("/api/next-token", "/api/score"):
        answer = await web.post(path, json={"model": name, "token_ids": [5, DAMAGED, 7]})
        assert (answer.status_code, answer.json()) == (500, {"error": NOT_A_NUMBER, "code": "internal"})
    answer = await web.post("/api/next-token", json={"model": name, "token_ids": [5, 7]})
    assert answer.status_code == 200
