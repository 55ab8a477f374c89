"""Reasons for everybody: names in place of this machine's folders, and nothing else changed."""

from pathlib import Path

import pytest

from inference_server.models.public_reason import public


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("/home/ann/models/x: no tokenizer files", "x: no tokenizer files"),
        ("can't read '/root/.cache/huggingface/hub/a.json'; fetch it", "can't read 'a.json'; fetch it"),
        ("[Errno 2] No such file: '/srv/config.json'", "[Errno 2] No such file: 'config.json'"),
        ("OSError(/a/b, /c/d)", "OSError(b, d)"),
        ("path=/a/b", "path=b"),
        ("file:///root/secret/model.safetensors is gone", "model.safetensors is gone"),
        (r"C:\Users\ann\models\x.safetensors is broken", "x.safetensors is broken"),
        (r"\\server\share\x.safetensors is broken", "x.safetensors is broken"),
        ("/single is missing", "single is missing"),
        ("//twice//over//x", "x"),
        ("in /srv/models/, of all places", "in models/, of all places"),
    ],
)
def test_a_path_is_shown_by_its_name(reason: str, shown: str) -> None:
    assert public(reason) == shown


@pytest.mark.parametrize(
    "reason",
    [
        "no network: can't reach http://127.0.0.1:1; check the connection and load the model again",
        "gated: accept the terms at https://hub.example/owner/model and set HF_TOKEN to your token",
        "an adapter (LoRA) for meta-llama/Llama-3.1-8B, not a model: load the base model",
        "the index names weights/b.safetensors and ../c",
        "12 MB/s and 3 / 4 of it",
        "",
    ],
)
def test_what_is_no_path_of_this_machine_stays(reason: str) -> None:
    assert public(reason) == reason


def test_a_folder_may_have_blanks_in_its_name() -> None:
    assert public("/home/my ann/a model/x.json: broken", Path("/home/my ann/a model")) == "a model/x.json: broken"


def test_a_long_reason_takes_no_time() -> None:
    assert public("/a" * 100_000) == "a"
    assert public("/" * 100_000) == "/" * 100_000
