"""Answers in a terminal."""

import io

from nexttoken.v1 import next_token_pb2 as pb
from rich.console import Console

from next_token_visualizer.cli import show


def test_no_name_of_a_model_is_cut_in_a_narrow_terminal() -> None:
    name = "/models/a-folder-of-models/SmolLM2-135M-Instruct.Q4_1.gguf"
    facts = pb.ModelFacts(parameters=134_515_008, context_limit=8192, dtype="GGUF Q4_1", device="cpu")
    printed = io.StringIO()
    show.models(Console(file=printed, width=80), [pb.Model(name=name, state=pb.MODEL_STATE_READY, facts=facts)])
    width = printed.getvalue().index("state")
    assert "".join(line[:width].strip() for line in printed.getvalue().splitlines()[1:]) == name
