"""The random model of `shape` as a checkpoint of GPTQ in 4 bits, as AutoGPTQ writes it."""

import json
import shutil
from pathlib import Path

from models import packing
from safetensors.torch import load_file, save_file

from bench import shape

FOLDER = shape.FOLDER.with_name("bench-360m-gptq")
GROUP = 64


def folder() -> Path:
    """The model's folder, made once."""
    if not FOLDER.exists():
        unfinished = FOLDER.with_suffix(".part")
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(shape.folder(), unfinished)
        path, pack = unfinished / "model.safetensors", packing.gptq(group=GROUP)
        tensors = load_file(path)
        for name in [name for name in tensors if name.endswith("_proj.weight")]:
            stored, _ = pack(tensors.pop(name).float())
            tensors |= {f"{name.removesuffix('weight')}{part}": each.contiguous() for part, each in stored.items()}
        path.unlink()
        save_file(tensors, path, metadata={"format": "pt"})
        config = json.loads((unfinished / "config.json").read_text())
        described = {**packing.GPTQ4, "group_size": GROUP}
        (unfinished / "config.json").write_text(json.dumps({**config, "quantization_config": described}))
        unfinished.rename(FOLDER)
    return FOLDER
