"""The bundled model with a role's mark and rows that are no token, as where a vocabulary is rounded up."""

import json
import shutil
from pathlib import Path

from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from inference_server.models import bundled

BUNDLED = bundled.FOLDER
TOKENS = 4096
CHANNEL = TOKENS  # <|channel|>, a special token that ends nothing
NONE = TOKENS + 1  # the first row that is no token
ROWS = TOKENS + 64


def build(folder: Path, rival: str, *, mark_in_front: bool = True) -> None:
    """Writes the model's files; its row NONE is always a little likelier than `rival`, a token that likely is positive.

    Its other rows that are no token, and the mark's, are zero: their logit is. `mark_in_front`: whether the tokenizer
    puts <|endoftext|> in front of a text.
    """
    shutil.copytree(BUNDLED, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__", "*.md", "training.json"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "vocab_size": ROWS}))
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["added_tokens"].append({**tokenizer["added_tokens"][0], "id": CHANNEL, "content": "<|channel|>"})
    if not mark_in_front:
        tokenizer["post_processor"] = None
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    weights = load_file(folder / "model.safetensors")
    known = weights["model.embed_tokens.weight"]
    rows = known.new_zeros((ROWS, known.shape[1]))
    rows[:TOKENS] = known
    (like,) = Tokenizer.from_file(str(folder / "tokenizer.json")).encode(rival, add_special_tokens=False).ids
    rows[NONE] = 1.05 * known[like]
    save_file({**weights, "model.embed_tokens.weight": rows}, folder / "model.safetensors", {"format": "pt"})
