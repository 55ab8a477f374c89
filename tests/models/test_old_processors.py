"""On x86 processors that lack what the kernels need, models are widened and answer truly: LLVM ends no process."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import transformers

from inference_server.cpu.kernels import layouts, processor
from models import architectures, gguf_files, tokenizers

IDS = [5, 6, 7, 11]
LOADING = """
import json, os, sys
from pathlib import Path
import numba.core.config
import numpy as np, torch
from inference_server.attention.batch import Segment
from inference_server.cpu import dtype
from inference_server.engine import gguf_folder
from inference_server.runtime.model import Model
from inference_server.sampling import log_partition

*files, processors = sys.argv[1:]
half, packed, wanted = map(Path, files)
dtype.LEAST_ELEMENTS = 0

def check(expected, model, logits):
    assert model.facts.dtype == "float32" or model.facts.dtype.startswith("GGUF"), model.facts.dtype
    assert not model.runner.fused
    ids = expected["ids"]
    found = model.runner.run([Segment(model.runner.open(ids), ids)])[0]
    torch.testing.assert_close(found, logits, rtol=1e-5, atol=1e-5)

def check_all():
    expected = torch.load(wanted)
    check(expected, Model.load(half, "cpu", 1 << 22), expected["half"])
    with gguf_folder.unpacked(packed) as folder:
        check(expected, Model.load(folder, "cpu", 1 << 22), expected["packed"])
    below = -np.linspace(0, 20, log_partition.MANY)
    sums = log_partition.compiled() or log_partition.plain
    np.testing.assert_allclose(sums(below), log_partition.plain(below), rtol=1e-5, atol=1e-5)

# Importing takes as long as all the rest, so each processor goes on from here in a process of its own.
for name, features, path in json.loads(processors):
    if (pid := os.fork()) == 0:
        with open(path, "wb") as said:
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
        os.environ |= {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features}
        numba.core.config.reload_config()
        check_all()
        break
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""
PROCESSORS = {
    "nehalem": ("nehalem", "", "no FMA"),
    "ivybridge": ("ivybridge", "+avx,+f16c", "no FMA"),
    "nehalem with FMA": ("nehalem", "+fma,+avx", "no F16C"),
}
x86 = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="processors of another kind")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A model in float16, one in packed blocks, and what plain transformers makes of both."""
    half = tmp_path_factory.mktemp("half")
    tokenizers.build("byte_bpe", half)
    torch.manual_seed(1)
    made = transformers.AutoModelForCausalLM.from_config(architectures.ARCHITECTURES["llama"](2048))
    made.half().save_pretrained(half)
    network = transformers.AutoModelForCausalLM.from_pretrained(half, dtype=torch.float32).eval()
    packed = tmp_path_factory.mktemp("packed") / "llama.gguf"
    written = gguf_files.write("llama", ("Q4_K", "Q8_0"), half, packed, padding=3)
    wanted = packed.with_suffix(".pt")
    with torch.inference_mode():
        both = {
            name: each(torch.tensor([IDS])).logits[0, -1]
            for name, each in (("half", network), ("packed", written.network))
        }
    torch.save({"ids": IDS, **both}, wanted)
    return half, packed, wanted


@pytest.fixture(scope="module")
def ended(files: tuple[Path, Path, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    """Of each processor's process, the exit status and what it said."""
    said = {name: tmp_path_factory.mktemp("said") / "log" for name in PROCESSORS}
    forced = json.dumps([(cpu, features, str(said[name])) for name, (cpu, features, _) in PROCESSORS.items()])
    command = [sys.executable, "-c", LOADING, *map(str, files), forced]
    paths = {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=os.environ | paths, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    statuses = map(int, done.stdout.split())
    return {name: (status, said[name].read_text()) for name, status in zip(PROCESSORS, statuses, strict=True)}


@x86
@pytest.mark.parametrize("name", PROCESSORS)
def test_models_load_and_answer_truly(ended: dict[str, tuple[int, str]], name: str) -> None:
    (status, said), (*_, reason) = ended[name], PROCESSORS[name]
    assert status == 0, said
    assert said.count(f"this processor has {reason} instructions") >= 2, said


@pytest.mark.parametrize(
    ("features", "refused"),
    [
        ({"fma": True, "f16c": True}, set[str]()),
        ({"fma": True, "f16c": False}, {"F16C"}),
        ({"fma": False, "f16c": True}, {"FMA"}),
    ],
)
def test_only_what_a_kind_of_weights_needs_counts(
    monkeypatch: pytest.MonkeyPatch, features: dict[str, bool], refused: set[str]
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr("llvmlite.binding.get_host_cpu_features", lambda: features)
    monkeypatch.delenv("NUMBA_CPU_FEATURES", raising=False)
    for kind, needs in (
        (layouts.BFLOAT16, {"FMA"}),
        (layouts.FLOAT16, {"FMA", "F16C"}),
        (layouts.Q4_0, {"FMA", "F16C"}),
    ):
        if needs & refused:
            with pytest.raises(processor.ProcessorError, match=f"no {next(iter(refused))} instructions"):
                processor.require(kind)
        else:
            processor.require(kind)
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    processor.require(layouts.FLOAT16)
