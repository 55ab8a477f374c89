"""Real clients of the OpenAI-compatible API: the openai package, Captum, the llm command, the examples of its docs."""

import asyncio
import json
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import chats
import httpx
import pytest
import torch
from gateways import run_gateway
from servers import PATIENCE_S, ROOT, server_process
from transformers import AutoModelForCausalLM, AutoTokenizer

from inference_server.models import bundled

if TYPE_CHECKING:  # every worker imports this file, and only the one that runs it needs the clients
    import openai

DOCS = (ROOT / "docs" / "openai.md").read_text(encoding="utf-8")
TEXT = "Once upon a time there was a"
KEY = "sk-a-key-of-enough-characters"


@pytest.fixture(scope="module")
def talker(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model with a chat template."""
    return str(chats.build(tmp_path_factory.mktemp("models") / "talker"))


@pytest.fixture(scope="module")
def url(talker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    keys = tmp_path_factory.mktemp("keys") / "keys"
    keys.write_text(f"{KEY}\n")
    with server_process({"NEXTTOKEN_MODELS": talker}) as server:
        for name in ("bundled", talker):
            server.wait_for("model ready", model=name)
        with run_gateway(server.target, {"NEXTTOKEN_API_KEYS_FILE": str(keys)}) as url:
            yield url


@pytest.fixture
def client(url: str) -> Iterator["openai.OpenAI"]:
    import openai

    with openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, timeout=PATIENCE_S, max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def judge() -> Any:
    """Natural logarithms of the probabilities of each next token, by plain transformers."""
    network = AutoModelForCausalLM.from_pretrained(bundled.FOLDER, dtype="float32", local_files_only=True).eval()

    def logprobs(ids: list[int]) -> torch.Tensor:
        with torch.inference_mode():
            logits: torch.Tensor = network(torch.tensor([ids])).logits[0]
            return logits.log_softmax(-1)

    return logprobs


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(bundled.FOLDER, local_files_only=True)


def test_the_models_and_who_may_ask(client: "openai.OpenAI", talker: str) -> None:
    import openai

    assert [each.id for each in client.models.list()] == ["bundled", talker]
    assert client.models.retrieve(talker).id == talker
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nobody/nothing")
    with pytest.raises(openai.AuthenticationError) as refused:
        client.with_options(api_key="sk-another-one-of-them").models.list()
    assert refused.value.code == "invalid_api_key"
    with pytest.raises(openai.BadRequestError) as wrong:
        client.completions.create(model="bundled", prompt="a", top_p=7)
    assert (wrong.value.param, wrong.value.type) == ("top_p", "invalid_request_error")


def test_numbers_of_a_completion_are_those_of_transformers(client: "openai.OpenAI", judge: Any, tokenizer: Any) -> None:
    """At any temperature: they are told at temperature 1."""
    completion = client.completions.create(
        model="bundled", prompt=TEXT, max_tokens=8, temperature=0.3, seed=5, logprobs=4, echo=True
    )
    (choice,) = completion.choices
    assert choice.logprobs is not None
    assert completion.usage is not None
    ids = [0, *tokenizer.encode(choice.text, add_special_tokens=False)]
    tokens = choice.logprobs.tokens or []
    assert "".join(tokens[1:]) == choice.text
    assert len(tokens) == completion.usage.total_tokens
    assert tokenizer.convert_tokens_to_string(tokenizer.convert_ids_to_tokens(ids[1:])) == choice.text
    expected = judge(ids)
    for at, (told, top) in enumerate(
        zip((choice.logprobs.token_logprobs or [])[1:], (choice.logprobs.top_logprobs or [])[1:], strict=True)
    ):
        assert told == pytest.approx(expected[at, ids[at + 1]].item(), abs=1e-4)
        best = expected[at].topk(4).values.tolist()
        assert sorted(top.values(), reverse=True)[:4] == pytest.approx(best, abs=1e-4)
    for offset, token in zip((choice.logprobs.text_offset or [])[1:], tokens[1:], strict=True):
        assert choice.text[offset:].startswith(token)


def test_biases_and_penalties_decide_what_is_drawn_and_leave_the_numbers(client: "openai.OpenAI") -> None:
    options: dict[str, Any] = {"model": "bundled", "prompt": TEXT, "max_tokens": 3, "temperature": 0, "logprobs": 1}
    options["extra_body"] = {"return_tokens_as_token_ids": True}
    plain = client.completions.create(**options).choices[0].logprobs
    forced = client.completions.create(**options, logit_bias={"14": 100}).choices[0].logprobs
    assert plain is not None
    assert forced is not None
    assert forced.tokens == ["token_id:14"] * 3
    assert (forced.top_logprobs or [])[0] == (plain.top_logprobs or [])[0] | {
        "token_id:14": (forced.token_logprobs or [])[0]
    }
    other = client.completions.create(**options, logit_bias={"14": 100}, frequency_penalty=2, presence_penalty=2)
    assert other.choices[0].logprobs is not None  # 100 less 2 and 4 is still enough
    assert other.choices[0].logprobs.tokens == forced.tokens


def test_text_ids_and_lists_of_either_say_the_same(client: "openai.OpenAI", tokenizer: Any) -> None:
    ids = [0, *tokenizer.encode(TEXT, add_special_tokens=False)]
    prompts: list[Any] = [TEXT, ids, [TEXT, TEXT], [ids, ids]]
    options: dict[str, Any] = {"model": "bundled", "max_tokens": 5, "temperature": 0.9, "seed": 7, "n": 2}
    texts = [[choice.text for choice in client.completions.create(prompt=each, **options).choices] for each in prompts]
    assert texts == [texts[0], texts[0], texts[0] * 2, texts[0] * 2]
    assert texts[0][0] != texts[0][1]


def test_a_stream_says_what_the_whole_answer_says(client: "openai.OpenAI", talker: str) -> None:
    options: dict[str, Any] = {"model": "bundled", "prompt": TEXT, "max_tokens": 12, "seed": 3, "logprobs": 2}
    options["stop"] = [" and", "."]
    whole = client.completions.create(**options)
    chunks = list(client.completions.create(**options, stream=True, stream_options={"include_usage": True}))
    assert "".join(chunk.choices[0].text for chunk in chunks[:-1]) == whole.choices[0].text
    assert chunks[-1].usage == whole.usage
    assert chunks[-2].choices[0].finish_reason == whole.choices[0].finish_reason
    told = [chunk.choices[0].logprobs for chunk in chunks[:-1] if chunk.choices[0].logprobs]
    assert whole.choices[0].logprobs is not None
    assert [token for each in told for token in each.tokens or []] == whole.choices[0].logprobs.tokens
    chat: dict[str, Any] = {
        "model": talker,
        "messages": [{"role": "user", "content": TEXT}],
        "max_tokens": 6,
        "seed": 1,
    }
    answer = client.chat.completions.create(**chat, logprobs=True, top_logprobs=3)
    deltas = list(client.chat.completions.create(**chat, stream=True))
    assert deltas[0].choices[0].delta.role == "assistant"
    assert "".join(each.choices[0].delta.content or "" for each in deltas) == answer.choices[0].message.content
    assert answer.choices[0].logprobs is not None
    content = answer.choices[0].logprobs.content or []
    assert answer.usage is not None
    assert len(content) == answer.usage.completion_tokens
    assert {len(each.top_logprobs) for each in content} == {3}


def test_a_turn_that_was_begun_is_continued(client: "openai.OpenAI", talker: str) -> None:
    judge = AutoTokenizer.from_pretrained(talker, local_files_only=True)
    talk: list[Any] = [{"role": "user", "content": "Tell me."}, {"role": "assistant", "content": TEXT}]
    ids = judge.apply_chat_template(talk, continue_final_message=True, return_dict=False)
    options: dict[str, Any] = {"model": talker, "max_tokens": 5, "temperature": 0}
    direct = client.completions.create(prompt=ids, **options).choices[0].text
    assert client.chat.completions.create(messages=talk, **options).choices[0].message.content == direct


async def test_many_ask_at_once(url: str) -> None:
    import openai

    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY, timeout=PATIENCE_S) as client:

        async def whole(seed: int) -> str:
            answer = await client.completions.create(model="bundled", prompt=TEXT, max_tokens=6, seed=seed)
            return answer.choices[0].text

        async def streamed(seed: int) -> str:
            stream = await client.completions.create(model="bundled", prompt=TEXT, max_tokens=6, seed=seed, stream=True)
            return "".join([chunk.choices[0].text async for chunk in stream])

        texts = await asyncio.gather(*map(whole, range(5)), *map(streamed, range(5)))
    assert texts[:5] == texts[5:]


def test_captum_attributes_over_the_api(url: str, judge: Any, tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from captum.attr import FeatureAblation, RemoteLLMAttribution, TextTemplateInput, VLLMProvider

    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    provider = VLLMProvider(api_url=f"{url}/v1")
    assert provider.model_name == "bundled"
    target = " little girl"
    ids, wanted = [tokenizer.encode(text, add_special_tokens=False) for text in (TEXT, target)]
    expected = judge([0, *ids, *wanted])
    logprobs = [expected[len(ids) + at, token].item() for at, token in enumerate(wanted)]
    assert provider.get_logprobs(TEXT, target, tokenizer) == pytest.approx(logprobs, abs=1e-4)
    attribution = RemoteLLMAttribution(FeatureAblation(RemoteLLMAttribution.placeholder_model), tokenizer, provider)
    question = TextTemplateInput("{} there was {}", values=["Once upon a time", "a"], baselines=["", "the"])
    found = attribution.attribute(question, target=target)
    without = sum(provider.get_logprobs("Once upon a time there was the", target, tokenizer))
    assert found.seq_attr.tolist()[1] == pytest.approx(sum(logprobs) - without, abs=1e-3)


def test_the_llm_command_completes_and_chats(url: str, talker: str, tmp_path: Path) -> None:
    config: list[dict[str, Any]] = [
        {"model_id": "text", "model_name": "bundled", "api_base": f"{url}/v1", "completion": True},
        {"model_id": "chat", "model_name": talker, "api_base": f"{url}/v1"},
    ]
    for each in config:
        each["api_key_name"] = "here"
    (tmp_path / "extra-openai-models.yaml").write_text(json.dumps(config))
    (tmp_path / "keys.json").write_text(json.dumps({"here": KEY}))
    command = [str(Path(sysconfig.get_path("scripts")) / "llm"), "-m"]
    env = {**os.environ, "LLM_USER_PATH": str(tmp_path)}
    headers = {"authorization": f"Bearer {KEY}"}
    body = {"model": "bundled", "prompt": TEXT, "max_tokens": 5, "temperature": 0}
    expected = httpx.post(f"{url}/v1/completions", json=body, headers=headers).json()["choices"][0]["text"]
    for options in (["text", TEXT, "-o", "logprobs", "2"], ["text", TEXT, "--no-stream"]):
        options += ["-o", "max_tokens", "5", "-o", "temperature", "0"]
        done = subprocess.run([*command, *options], env=env, capture_output=True, text=True, timeout=PATIENCE_S)
        assert (done.returncode, done.stdout.strip("\n")) == (0, expected), done.stderr
    chat = [*command, "chat", TEXT, "-o", "max_tokens", "5"]
    done = subprocess.run(chat, env=env, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def example(language: str, words: str) -> str:
    """The one example in a language that has these words."""
    (code,) = [code for code in re.findall(rf"```{language}\n(.*?)```", DOCS, re.DOTALL) if words in code]
    return str(code)


def test_the_examples_of_the_docs_answer(url: str, talker: str, tmp_path: Path) -> None:
    python = example("python", "openai").replace("http://localhost:5005", url).replace('"none"', f'"{KEY}"')
    done = subprocess.run([sys.executable, "-c", python], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert re.fullmatch(r"('.*' -?\d+\.\d{3}\n){5}", done.stdout), done.stderr
    answers = {
        '"echo": true': r'"top_logprobs":\[null,\{',
        "/v1/chat/completions": r"data: \[DONE\]",
        '"structured_outputs"': '"text":" a (dog|red ball)"',
    }
    for words, answer in answers.items():
        code = example("bash", words).replace("localhost:5005", url.removeprefix("http://"))
        code = code.replace("HuggingFaceTB/SmolLM2-360M-Instruct", talker)
        code = code.replace("-H 'content-type", f"-H 'authorization: Bearer {KEY}' -H 'content-type")
        done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, timeout=60)
        assert re.search(answer, done.stdout), done.stdout
