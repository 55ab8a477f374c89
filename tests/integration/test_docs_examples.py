"""The examples of docs/api.md run as they stand, and its tables name every code there is."""

import argparse
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import chats
import grpc
import make_test_ca
import pytest
from gateways import run_gateway
from google.protobuf import json_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from servers import ROOT, server_process

from inference_server.api.calls import STATUS
from web_gateway.errors import ANSWERS

API = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")


def example(language: str, path: str = "") -> str:
    """The one example in a language, about a path if there are several."""
    (code,) = [code for code in re.findall(rf"```{language}\n(.*?)```", API, re.DOTALL) if path in code]
    return str(code)


@pytest.fixture(scope="module")
def talker(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model with a chat template."""
    return str(chats.build(tmp_path_factory.mktemp("models") / "talker"))


@pytest.fixture(scope="module")
def target(talker: str) -> Iterator[str]:
    with server_process({"NEXTTOKEN_MODELS": talker}) as server:
        for name in ("bundled", talker):
            server.wait_for("model ready", model=name)
        yield server.target


def test_the_python_example_goes_on_from_its_best_token(target: str, tmp_path: Path) -> None:
    code = example("python").replace("localhost:50051", target)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    assert re.fullmatch(r"('.*' \d+\.\d%\n){4}", done.stdout)


def test_the_secured_example_gets_in(tmp_path: Path) -> None:
    folder = tmp_path / "certs"
    make_test_ca.write(folder, ["localhost"], 1)
    (folder / "token").write_text("a-token-of-enough-characters\n")
    env = {
        "NEXTTOKEN_TLS_CERT": str(folder / "server.pem"),
        "NEXTTOKEN_TLS_KEY": str(folder / "server.key"),
        "NEXTTOKEN_TLS_CLIENT_CA": str(folder / "ca.pem"),
        "NEXTTOKEN_AUTH_TOKEN_FILE": str(folder / "token"),
    }
    with server_process(env) as server:
        code = example("py").replace("50051", server.target.rpartition(":")[2])
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
        )
    assert done.stdout == "bundled: at most 1000 candidates\n"


def test_the_curl_example_answers(target: str) -> None:
    with run_gateway(target) as url:
        code = example("bash", "/api/next-token").replace("localhost:5005", url.removeprefix("http://"))
        done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert '"model":"bundled"' in done.stdout
    assert '"tokens":[' in done.stdout


def test_the_tokenize_example_answers(target: str) -> None:
    with run_gateway(target) as url:
        code = example("bash", "/api/tokenize").replace("localhost:5005", url.removeprefix("http://"))
        done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert '"eos":{' in done.stdout


def test_the_examples_of_samplers_answer(target: str, tmp_path: Path) -> None:
    text = (ROOT / "docs" / "samplers.md").read_text(encoding="utf-8")
    commands, (code,) = (re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL) for language in ("bash", "python"))
    command, masked = commands
    with run_gateway(target) as url:
        command = command.replace("localhost:5005", url.removeprefix("http://"))
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=True)
        masked = masked.replace("localhost:5005", url.removeprefix("http://"))
        then = subprocess.run(["bash", "-c", masked], capture_output=True, text=True, timeout=60, check=True)
    assert '"steps":[{"count":4096,' in done.stdout
    assert '"fell_at":1' in done.stdout or '"fell_at":4' in done.stdout
    assert '"likeliest":[{"token_id":' in then.stdout
    assert '"text":"a"' in then.stdout.partition('"likeliest":')[2]
    run = [sys.executable, "-c", code.replace("localhost:50051", target)]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    assert re.fullmatch(r"(\{'\w+': .*\} \d+ \d+\.\d%\n){4}", done.stdout)
    assert done.stdout.startswith("{'top_k': 40} 40 ")


def test_the_layers_example_answers(target: str) -> None:
    with run_gateway(target) as url:
        code = example("bash", "/api/layers").replace("localhost:5005", url.removeprefix("http://"))
        done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert '"commitment":{' in done.stdout
    assert '"attention":[[[' in done.stdout


def test_the_examples_of_trees_and_comparisons_answer(target: str) -> None:
    with run_gateway(target) as url:
        for path, words in (("/api/grow", '"finish_reason":"max_nodes"'), ("/api/compare", '"js_bits":')):
            code = example("bash", path).replace("localhost:5005", url.removeprefix("http://"))
            done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, timeout=60, check=True)
            assert words in done.stdout


def test_the_chat_example_answers(target: str, talker: str) -> None:
    with run_gateway(target) as url:
        code = example("bash", "/api/chat/render").replace("localhost:5005", url.removeprefix("http://"))
        code = code.replace("HuggingFaceTB/SmolLM2-360M-Instruct", talker)
        done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert '"token_ids":[' in done.stdout
    assert '"role":"assistant"' in done.stdout


def test_the_generate_example_streams(target: str) -> None:
    with run_gateway(target) as url:
        code = example("bash", "/api/generate").replace("localhost:5005", url.removeprefix("http://"))
        done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, timeout=60, check=True)
    names = re.findall("^event: (.*)$", done.stdout, re.MULTILINE)
    assert names[0] == "start"
    assert names.count("finish") == 2
    assert set(names) == {"start", "token", "finish"}


def test_the_influence_example_streams(target: str) -> None:
    with run_gateway(target) as url:
        code = example("bash", "/api/influence").replace("localhost:5005", url.removeprefix("http://"))
        done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, timeout=60, check=True)
    names = re.findall("^event: (.*)$", done.stdout, re.MULTILINE)
    assert (names[0], set(names[1:-1]), names[-1]) == ("start", {"change"}, "done")


def grpcurl(command: str, target: str) -> str:
    """What grpcurl does with a command of this form: the method by reflection, messages from and to JSON."""
    options = argparse.ArgumentParser()
    options.add_argument("-plaintext", action="store_true", required=True)
    options.add_argument("-d", default="{}")
    options.add_argument("address")
    options.add_argument("method")
    asked = options.parse_args(shlex.split(command)[1:])
    assert asked.address == "localhost:50051"
    service, _, name = asked.method.partition("/")
    with grpc.insecure_channel(target) as channel:
        pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
        method = pool.FindServiceByName(service).methods_by_name[name]
        answer = channel.unary_unary(
            f"/{asked.method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )(json_format.Parse(asked.d, GetMessageClass(method.input_type)()), timeout=60)
    return str(json_format.MessageToJson(answer))


def test_the_grpcurl_examples_answer_by_reflection(target: str) -> None:
    answers = [grpcurl(command, target) for command in example("console").splitlines()]
    for answer, words in zip(answers, ("SERVING", "MODEL_STATE_READY", "candidates", "tokens", "layers"), strict=True):
        assert words in answer


def test_the_tables_name_every_code() -> None:
    rows = set(re.findall(r"^\| (\d{3}) \| `(\w+)`", API, re.MULTILINE))
    assert {(str(status), code) for status, code in ANSWERS.values()} <= rows
    codes = {code.name for code in STATUS.values()} | {"UNAUTHENTICATED"}
    assert codes <= set(re.findall(r"^\| `([A-Z_]+)`", API, re.MULTILINE))
