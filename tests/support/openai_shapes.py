"""Reads what the OpenAI-compatible API sends."""

import json
from typing import Any

import httpx


def data_of(text: str) -> list[Any]:
    """The chunks of a stream; `[DONE]` as it is. Nothing else may be in it but comments."""
    told: list[Any] = []
    for block in text.split("\n\n")[:-1]:
        if block.startswith(":"):
            continue
        assert block.startswith("data: "), block
        line = block.removeprefix("data: ")
        told.append(line if line == "[DONE]" else json.loads(line))
    return told


def openai_problem(answer: httpx.Response, status: int, kind: str, code: str, param: str | None = None) -> str:
    """Asserts OpenAI's shape of a failure; its words."""
    body = answer.json()
    assert answer.status_code == status, body
    assert list(body) == ["error"], body
    error = body["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["code"], error["param"]) == (kind, code, param), body
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    words: str = error["message"]
    assert 10 < len(words) < 900
    assert not [leak for leak in ("Traceback", "grpc", "AioRpc", "0x", ".py", "Errno") if leak in words], words
    return words
