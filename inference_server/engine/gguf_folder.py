"""A GGUF file as the folder of a model: what its metadata says, in the usual files, beside a link to the file."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from inference_server.models import gguf_header
from inference_server.runtime import gguf_config, gguf_tensors
from inference_server.tokenizer import gguf_vocab


@contextlib.contextmanager
def unpacked(source: Path) -> Iterator[Path]:
    """The folder to load a model from: `source` itself, or a temporary one if it is a GGUF file. Raises LoadFailed."""
    if not gguf_header.is_file(source):
        yield source
        return
    header = gguf_header.read(source)
    with tempfile.TemporaryDirectory(prefix="nexttoken-") as made:
        folder = Path(made)
        config = gguf_config.describe(header, lambda name: gguf_tensors.vector(header, name).tolist())
        for name, content in {"config.json": config, **gguf_vocab.describe(header)}.items():
            (folder / name).write_text(content, encoding="utf-8")
        (folder / gguf_header.LINK).symlink_to(source.absolute())  # not its blob, whose name says nothing
        yield folder
