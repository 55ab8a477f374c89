"""Generated pages of the documentation site say what the contract says, and links lead where they did."""

from pathlib import Path

import pytest
from docs_site import grpc_reference, http_reference, links
from docs_site.prose import cell, prose
from nexttoken.v1 import next_token_pb2 as pb

ROOT = Path(__file__).parents[3]


def test_prose_means_itself_outside_code() -> None:
    assert prose("Ids in [0, 1), a_b * c < d | e.") == r"Ids in \[0, 1), a\_b \* c &lt; d \| e."
    assert prose("Both `a_b < c` and <|x|>.") == r"Both `a_b < c` and &lt;\|x\|&gt;."
    assert prose("One\nline.\n\nAnother.") == "One line.\n\nAnother."
    assert cell("One.\n\nAnother.") == "One.<br>Another."


def test_fields_of_the_contract_have_their_comments() -> None:
    lines = grpc_reference.page(ROOT).splitlines()
    assert "[TopKRequest](#topkrequest) → [TopKResponse](#topkresponse)" in lines
    assert "[GrowRequest](#growrequest) → stream of [GrowResponse](#growresponse)" in lines
    described = lines[lines.index("### TopKRequest") : lines.index("### Sampler")]
    (top_k,) = [line for line in described if line.startswith("| `top_k` ")]
    number = pb.TopKRequest.DESCRIPTOR.fields_by_name["top_k"].number
    assert top_k.startswith(rf"| `top_k` | optional int32 | {number} | How many candidates to return, in \[1, ")
    (ids,) = [line for line in described if line.startswith("| `token_ids` ")]
    assert "| [TokenIds](#tokenids) | 3 | `prompt`: Ids, used as they are;" in ids


def test_fields_of_the_document_have_their_ranges() -> None:
    integer = {"type": "integer", "minimum": 0, "maximum": 1000}
    schema = {
        "properties": {
            "ids": {"type": "array", "items": integer, "maxItems": 5, "description": "Some `ids`."},
            "of": {"anyOf": [{"$ref": "#/components/schemas/Token"}, {"type": "null"}], "default": None},
            "top_p": {"type": "number", "exclusiveMinimum": 0, "default": 1},
        },
        "required": ["ids"],
        "oneOf": [{"required": ["ids"]}, {"required": ["of"]}],
    }
    assert http_reference.fields(schema)[2:] == [
        "| `ids` | list of integer, ≥ 0, ≤ 1,000, length ≤ 5 | required | Some `ids`. |",
        "| `of` | [Token](#token) or null |  |  |",
        "| `top_p` | number, &gt; 0 | `1` |  |",
        "",
        "Exactly one of `ids`, `of`.",
        "",
    ]


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("[a](../README.md#settings)", "[a](../project/overview.md#settings)"),
        ("[a](other.md)", "[a](other.md)"),
        ("[a](https://example.org/README.md)", "[a](https://example.org/README.md)"),
        ("[a](#here)", "[a](#here)"),
        ("```\n[a](../README.md)\n```", "```\n[a](../README.md)\n```"),
        ("[a](b(c).md)", "[a](b(c).md)"),
    ],
)
def test_links_lead_to_pages(link: str, expected: str) -> None:
    places = {"README.md": "project/overview.md"}
    assert links.relinked(link, "docs/page.md", "reference/page.md", places) == expected


def test_links_from_a_lesson_are_told_from_its_folder() -> None:
    text = "[a](../api.md), [b](temperature.md#steps) and [c](../../LICENSE)"
    assert list(links.targets(text, "docs/lessons/why.md")) == ["docs/api.md", "docs/lessons/temperature.md", "LICENSE"]
    assert links.on_site("LICENSE", {}, ROOT) == "files/LICENSE"
    assert links.on_site("docs/api.md", {}, ROOT) == "api.md"
    assert links.on_site("no/such.md", {}, ROOT) is None
