"""lm-evaluation-harness over the OpenAI-compatible API finds what its own `hf` backend computes in float32.

Needs the extra `lm-eval` in an environment of its own, and the published model: `make lm-eval`.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import published
import pytest
from gateways import run_gateway
from servers import COMPILING_S, ServerProcess

from harness import choices

HARNESS = os.environ.get("LM_EVAL", "build/lm-eval/bin/lm_eval")
ITEMS = int(os.environ.get("ITEMS", "200"))
TOGETHER = 8  # prompts
Found = dict[tuple[int, int], tuple[float, bool]]


@pytest.fixture(scope="module")
def model() -> str:
    return str(published.folder(published.MODEL))


@pytest.fixture(scope="module")
def url(model: str) -> Iterator[str]:
    server = ServerProcess({"NEXTTOKEN_MODEL": model, "NEXTTOKEN_READY_WHEN": "default"})
    try:
        server.wait_for("model ready", COMPILING_S, model=model)
        with run_gateway(server.target) as url:
            yield url
    finally:
        server.close()


def evaluate(place: Path, backend: str, options: str, together: int) -> Found:
    """Each item's and choice's log-likelihood, and whether it is greedy, as the harness logs them."""
    out = place / backend
    command = [HARNESS, "run", "--model", backend, "--model_args", options, "--tasks", choices.NAME]
    command += ["--include_path", str(place), "--output_path", str(out), "--log_samples"]
    command += ["--batch_size", str(together), "--device", "cpu"]
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(place / "home")}
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | offline
    run = subprocess.run(command, env=env, capture_output=True, text=True, timeout=1800, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    (samples,) = out.rglob("samples_*.jsonl")
    found = {}
    for line in samples.read_text(encoding="utf-8").splitlines():
        item = json.loads(line)
        for at, ((logprob, greedy),) in enumerate(item["resps"]):
            found[item["doc_id"], at] = (float(logprob), str(greedy) == "True")
    return found


def test_every_log_likelihood_is_that_of_the_hf_backend(url: str, model: str, tmp_path: Path) -> None:
    """Several prompts at a time, and with the server's tokenizer, as the harness finds out by itself."""
    choices.write(tmp_path, ITEMS)
    ours = evaluate(tmp_path, "local-completions", f"model={model},base_url={url}/v1/completions", TOGETHER)
    # The backend's cache of logits takes those of one item for another that is the same text, divided elsewhere.
    theirs = evaluate(tmp_path, "hf", f"pretrained={model},dtype=float32,logits_cache=False", TOGETHER)
    assert len(ours) == len(theirs) == 4 * ITEMS
    apart = max(abs(ours[key][0] - theirs[key][0]) for key in theirs)
    print(f"{len(theirs)} log-likelihoods, at most {apart:.1e} apart")  # noqa: T201
    assert apart < 1e-3
    assert {key: greedy for key, (_, greedy) in ours.items()} == {key: greedy for key, (_, greedy) in theirs.items()}
    assert {greedy for _, greedy in theirs.values()} == {True, False}
