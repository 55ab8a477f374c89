"""The command as people run it, from a wheel unpacked into a folder of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from ports import free_port
from servers import PATIENCE_S, ROOT, run_inference_server


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT], check=True
    )
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


@pytest.fixture(scope="module")
def target() -> Iterator[str]:
    with run_inference_server() as target:
        yield target


def environment(installed: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NEXTTOKEN_", "HF_"))}
    return {**kept, "PYTHONPATH": str(installed), "NEXTTOKEN_MODEL": "bundled", "OMP_NUM_THREADS": "1", **more}


def run(installed: Path, *arguments: str, **options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "next_token_visualizer", *arguments],
        env=environment(installed, **options),
        cwd=installed.parent,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )


def test_the_wheel_holds_page_model_and_contract(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "frontend/index.html",
        "inference_server/bundled/model.safetensors",
        "nexttoken/v1/next_token_pb2.py",
        "nexttoken/v1/next_token.proto",
    } <= names
    assert not [name for name in names if name.startswith("tests/")]
    (entry,) = [name for name in names if name.endswith(".dist-info/entry_points.txt")]
    assert b"next-token-visualizer = next_token_visualizer" in zipfile.ZipFile(wheel).read(entry)


def test_a_question_to_a_running_server(installed: Path, target: str) -> None:
    answer = run(installed, "predict", "Once upon a time", "--target", target, "--top-k", "3", "--json")
    assert answer.returncode == 0, answer.stderr
    candidates = json.loads(answer.stdout)["candidates"]
    assert [candidate["rank"] for candidate in candidates] == [1, 2, 3]
    shown = run(installed, "predict", "Once upon a time", "--target", target, "--top-k", "3").stdout
    for candidate in candidates:
        assert candidate["text"].replace(" ", "·") in shown
    assert "4,093 others" in shown


def test_a_question_without_a_server_starts_one_for_it(installed: Path) -> None:
    usual = str(free_port())
    answer = run(installed, "predict", "Once upon a time", "--model", "bundled", "--json", NEXTTOKEN_GRPC_PORT=usual)
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["model"] == "bundled"


def test_a_file_is_scored_and_models_are_listed(installed: Path, target: str, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("Once upon a time", encoding="utf-8")
    answer = json.loads(run(installed, "score", str(text), "--target", target, "--top-k", "2", "--json").stdout)
    assert [len(token["alternatives"]) for token in answer["tokens"]][1:] == [2] * (len(answer["tokens"]) - 1)
    assert "perplexity" in run(installed, "score", str(text), "--target", target).stdout
    assert "bundled (default)" in run(installed, "models", "--target", target).stdout


def test_a_fault_is_one_line_and_a_status(installed: Path, target: str, tmp_path: Path) -> None:
    refused = run(installed, "predict", "a", "--target", target, "--top-k", "0")
    assert refused.returncode == 1
    assert refused.stderr == "Error: top_k: must be from 1 to 1,000, got 0\n"
    absent = run(installed, "predict", "a", "--target", "127.0.0.1:1")
    assert absent.returncode == 1
    assert absent.stderr.startswith("Error: can't reach an inference server at 127.0.0.1:1: ")
    assert len(absent.stderr.splitlines()) == 1
    latin = tmp_path / "latin.txt"
    latin.write_bytes(b"Caf\xe9")
    unreadable = run(installed, "score", str(latin), "--target", target)
    assert unreadable.returncode == 1
    assert unreadable.stderr == f"Error: {latin} is not UTF-8 text: unexpected end of data at byte 3\n"


def serve(installed: Path, page: str, grpc: str) -> "subprocess.Popen[str]":
    ports = {"NEXTTOKEN_PORT": page, "NEXTTOKEN_GRPC_PORT": grpc}
    return subprocess.Popen(
        [sys.executable, "-m", "next_token_visualizer", "serve", "--no-browser"],
        env=environment(installed, **ports),
        cwd=installed.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_both_services_start_and_ctrl_c_stops_both(installed: Path) -> None:
    page, grpc = str(free_port()), str(free_port())
    process = serve(installed, page, grpc)
    try:
        deadline = time.monotonic() + PATIENCE_S
        body = json.dumps({"text": "Once upon a time"}).encode()
        question = urllib.request.Request(
            f"http://localhost:{page}/api/next-token", body, {"content-type": "application/json"}
        )
        while True:
            try:
                answer = json.load(urllib.request.urlopen(question, timeout=10))
                break
            except OSError:
                assert time.monotonic() < deadline
                assert process.poll() is None
                time.sleep(0.2)
        assert answer["model"] == "bundled"
        assert b"<title>" in urllib.request.urlopen(f"http://localhost:{page}/", timeout=10).read()
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
        for port in (page, grpc):
            with socket.socket() as probe:
                assert probe.connect_ex(("127.0.0.1", int(port))) != 0
    finally:
        process.kill()
        process.communicate()


def test_serve_finds_free_ports_where_any_will_do(installed: Path) -> None:
    process = serve(installed, "0", "0")
    try:
        said = ""
        for line in process.stdout or ():
            said = line
            if line.startswith("Next-Token Visualizer: "):
                break
        assert "waiting" not in said, "the page found its server"
        page = said.removeprefix("Next-Token Visualizer: ").strip()
        assert json.load(urllib.request.urlopen(f"{page}/readyz", timeout=10)) == {"status": "ready"}
    finally:
        process.terminate()
        process.communicate()


@pytest.mark.parametrize(
    ("option", "value", "fault"),
    [
        ("--port", "abc", "NEXTTOKEN_PORT='abc': must be a whole number from 0 to 65535"),
        ("--stall-s", "0", "NEXTTOKEN_STALL_S='0': must be a number above 0"),
    ],
)
def test_serve_refuses_a_setting_of_either_service_in_one_line(
    installed: Path, option: str, value: str, fault: str
) -> None:
    refused = run(installed, "serve", option, value, "--grpc-port", "0", NEXTTOKEN_LOG_LEVEL="error")
    assert (refused.returncode, refused.stdout, refused.stderr) == (1, "", f"cannot start: {fault}\n")


def test_a_service_that_cannot_start_stops_the_other(installed: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = serve(installed, str(free_port()), str(taken.getsockname()[1]))
        _, log = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert "cannot start: can't listen on" in log
