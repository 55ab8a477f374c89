"""What the process that tries forms out says of them."""

import json

import pytest

from inference_server.masks.form_sandbox import answer


def lark(text: str) -> dict[str, str]:
    return {"grammar": json.dumps({"grammars": [{"lark_grammar": text}]})}


@pytest.mark.parametrize("text", ['start: "a" | "b"', "start: /a{1,9}/ <|im_end|>", "start: %json {}"])
def test_forms_that_can_be_read(text: str) -> None:
    assert answer(lark(text)) == {"fault": ""}


@pytest.mark.parametrize(
    ("text", "words"), [("start: a", 'unknown name: "a"'), ("start: /(/", "unclosed group"), ("", "no start")]
)
def test_forms_that_can_not(text: str, words: str) -> None:
    assert words in answer(lark(text))["fault"]
