"""The gRPC contract as a page: every call, message and field with its comment in the .proto."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from google.protobuf import descriptor_pb2 as pb
from grpc_tools import protoc

from docs_site.prose import cell, prose, table

PROTO = Path("proto/nexttoken/v1/next_token.proto")
MESSAGES, ENUMS, SERVICES = 4, 5, 6  # numbers of FileDescriptorProto's fields, in the paths of its comments
FIELDS, ONEOFS, VALUES, METHODS = 2, 8, 2, 2

HEAD = """\
# gRPC reference

Generated from the comments of `{path}`, the contract of both services. [The API](../api.md#grpc) shows how to call it,
and [the Python client](../client.md) has a method for each call.
"""


def page(root: Path) -> str:
    """The page, in Markdown."""
    file = described(root)
    comments = {tuple(each.path): each.leading_comments for each in file.source_code_info.location}
    lines = [HEAD.format(path=PROTO), prose(comments.get((12,), "")), ""]  # above `syntax`
    for at, service in enumerate(file.service):
        lines += [f"## {service.name}", "", prose(comments[SERVICES, at]), ""]
        for number, method in enumerate(service.method):
            lines += [f"### {method.name}", "", signature(method), ""]
            lines += [prose(comments[SERVICES, at, METHODS, number]), ""]
    lines += ["## Messages", ""]
    for at, message in enumerate(file.message_type):
        lines += [
            f"### {message.name}",
            "",
            prose(comments.get((MESSAGES, at), "")),
            "",
            *fields(message, at, comments),
        ]
    lines += ["## Enumerations", ""]
    for at, enum in enumerate(file.enum_type):
        rows = [
            (f"`{value.name}`", str(value.number), cell(comments.get((ENUMS, at, VALUES, number), "")))
            for number, value in enumerate(enum.value)
        ]
        lines += [f"### {enum.name}", "", prose(comments.get((ENUMS, at), "")), ""]
        lines += [*table(("value", "number", "meaning"), rows), ""]
    return "\n".join(lines)


def described(root: Path) -> pb.FileDescriptorProto:
    """The contract with its comments, as protoc reads it."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "set"
        arguments = ["protoc", f"-I{root / 'proto'}", "--include_source_info", f"--descriptor_set_out={out}"]
        if protoc.main([*arguments, str(root / PROTO)]):  # type: ignore[no-untyped-call]
            raise RuntimeError(f"protoc can't read {PROTO}")
        (file,) = pb.FileDescriptorSet.FromString(out.read_bytes()).file
    return file


def signature(method: pb.MethodDescriptorProto) -> str:
    """What a call takes and returns."""
    returned = linked(method.output_type)
    return f"{linked(method.input_type)} → {f'stream of {returned}' if method.server_streaming else returned}"


def fields(message: pb.DescriptorProto, at: int, comments: dict[tuple[int, ...], str]) -> Sequence[str]:
    """The table of a message's fields, and what is said of each choice between them."""
    if not message.field:
        return ["No fields.", ""]
    rows = []
    for number, field in enumerate(message.field):
        choice = message.oneof_decl[field.oneof_index].name if chosen(field) else ""
        words = cell(comments.get((MESSAGES, at, FIELDS, number), ""))
        rows.append((f"`{field.name}`", kind(field), str(field.number), f"`{choice}`: {words}" if choice else words))
    lines = [*table(("field", "type", "number", "meaning"), rows), ""]
    for number, oneof in enumerate(message.oneof_decl):
        if any(chosen(field) and field.oneof_index == number for field in message.field):
            lines += [f"`{oneof.name}`, one of: {prose(comments.get((MESSAGES, at, ONEOFS, number), ''))}", ""]
    return lines


def chosen(field: pb.FieldDescriptorProto) -> bool:
    """Whether it is one of several of which one is set."""
    return field.HasField("oneof_index") and not field.proto3_optional


def kind(field: pb.FieldDescriptorProto) -> str:
    """Its type, with a link if it is one of this page."""
    name = linked(field.type_name) if field.type_name else pb.FieldDescriptorProto.Type.Name(field.type)[5:].lower()
    if field.label == field.LABEL_REPEATED:
        return f"repeated {name}"
    return f"optional {name}" if field.proto3_optional else name


def linked(type_name: str) -> str:
    """A link to a message or enumeration."""
    name = type_name.rpartition(".")[2]
    return f"[{name}](#{name.lower()})"
