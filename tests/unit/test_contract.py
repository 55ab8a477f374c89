"""The .proto speaks for itself, and the code generated from it is of the runtime's version."""

import itertools
import re
from importlib.metadata import version
from pathlib import Path

PROTO = Path(__file__).parents[2] / "proto" / "nexttoken" / "v1" / "next_token.proto"
CONSTRAINTS = Path(__file__).parents[2] / "constraints.txt"
DECLARATION = re.compile(
    r"^\s*(?:(?:optional|repeated)\s+)?[\w.]+\s+\w+\s*=\s*\d+;|^\s*(?:rpc|message|enum|oneof|service)\s"
)


def test_every_field_message_and_call_is_commented() -> None:
    lines = PROTO.read_text(encoding="utf-8").splitlines()
    bare = [
        line.strip()
        for before, line in itertools.pairwise(lines)
        if DECLARATION.match(line) and not before.strip().startswith("//")
    ]
    assert bare == []


def test_every_call_names_its_status_codes() -> None:
    text = PROTO.read_text(encoding="utf-8")
    calls = re.findall(r"((?:^  //.*\n)+)  rpc (\w+)", text, re.MULTILINE)
    assert len(calls) == len(re.findall(r"^  rpc ", text, re.MULTILINE))
    assert [name for comment, name in calls if "Status codes:" not in comment] == []


def test_generator_and_runtime_are_pinned_to_one_version() -> None:
    pins = dict(line.split("==") for line in CONSTRAINTS.read_text().split())
    family = {name: pin for name, pin in pins.items() if name.startswith("grpcio")}
    assert len(family) >= 5
    assert len(set(family.values())) == 1, family
    assert version("grpcio") == pins["grpcio"]
