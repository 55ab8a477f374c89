"""A model with an adapter behind both services: listed under its own name, answering beside its base."""

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch
import transformers
from gateways import gateway_here
from nexttoken.v1 import next_token_pb2 as pb
from servers import PATIENCE_S, connect, ready, server_here

from inference_server.models import bundled
from inference_server.settings import Settings

LAYER = "model.layers.2.mlp.up_proj"
DESCRIBED = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["up_proj"]}


def write(folder: Path, inputs: int, **described: object) -> tuple[torch.Tensor, torch.Tensor]:
    folder.mkdir()
    torch.manual_seed(2)
    a, b = torch.randn(2, inputs) * 0.2, torch.randn(512, 2) * 0.2
    tensors = {f"base_model.model.{LAYER}.lora_A.weight": a, f"base_model.model.{LAYER}.lora_B.weight": b}
    safetensors.torch.save_file(tensors, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps({**DESCRIBED, **described}))
    return a, b


async def test_an_adapter_is_a_model_of_its_own(tmp_path: Path) -> None:
    a, b = write(tmp_path / "good one", 192, base_model_name_or_path="someone/else")
    write(tmp_path / "narrow", 100)
    names = [f"bundled + {tmp_path / name}" for name in ("good one", "narrow", "missing")]
    network = transformers.AutoModelForCausalLM.from_pretrained(bundled.FOLDER, dtype="float32")
    network.get_parameter(f"{LAYER}.weight").data += 2 * b @ a
    ids = [300, 301, 12, 999]
    with torch.inference_mode():
        expected = network(torch.tensor([ids])).logits[0, -1].softmax(0)
    settings = Settings(model="bundled", models=tuple(names), grpc_port=0, drain_s=0, device="cpu")
    async with server_here(settings) as server:
        target = f"127.0.0.1:{server.port}"
        async with connect(target) as stub, gateway_here(target) as front:
            await ready(stub, names[0])
            narrow = await ready(stub, names[1], pb.MODEL_STATE_FAILED)
            missing = await ready(stub, names[2], pb.MODEL_STATE_FAILED)
            request = pb.TopKRequest(token_ids=pb.TokenIds(ids=ids), model=names[0], top_k=3)
            answer = await stub.TopK(request, timeout=PATIENCE_S)
            listed = (await front.web.get("/api/models")).json()["models"]
    for candidate in answer.candidates:
        assert candidate.probability == pytest.approx(float(expected[candidate.token.token_id]), abs=1e-4)
    assert "does not fit its base" in narrow.reason
    assert str(tmp_path) not in narrow.reason
    assert "the adapter" in missing.reason
    facts = {model["name"]: model["facts"] for model in listed}
    assert facts[names[0]]["note"] == "adapter made for someone/else"
    assert (facts["bundled"]["note"], facts["bundled"]["format"]) == ("", "")
    assert facts[names[0]]["parameters"] == facts["bundled"]["parameters"] + a.numel() + b.numel()
