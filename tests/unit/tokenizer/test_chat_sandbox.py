"""The sandbox's environment is transformers': what a template may use gives the same text there and here."""

from typing import Any

import pytest
from transformers.utils.chat_template_utils import render_jinja_template

from inference_server.tokenizer.chat_sandbox import answer

MESSAGES = [{"role": "user", "content": 'Say "<b>" & é'}, {"role": "assistant", "content": "ok"}]

NAMES: Any = {"bos_token": "<s>", "eos_token": "</s>"}

SOURCES = {
    "json": "{{ messages | tojson }}{{ messages | tojson(indent=2) }}{{ {'b': 1, 'a': 2} | tojson(sort_keys=true) }}",
    "blanks": "{% for m in messages %}\n  {% if m %}\n    {{ m.role }}\n  {% endif %}\n{% endfor %}\n",
    "loops": "{% for m in messages %}{% if loop.first %}{% continue %}{% endif %}{{ m.role }}{% break %}{% endfor %}",
    "generation": "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{{ m.role }}{% endfor %}",
    "scope": "{% set a = 1 %}{% generation %}{% set a = 2 %}{{ a }}{% endgeneration %}{{ a }}",
    "namespace": "{% set ns = namespace(a=1) %}{% for m in messages %}{% set ns.a = ns.a + 1 %}{% endfor %}{{ ns.a }}",
    "dict": "{{ dict(a=1).a }}{{ dict.fromkeys(['x'], 2) }}",
    "none": "{{ tools is none }}{{ documents is none }}{{ add_generation_prompt }}{{ nobody is defined }}",
    "names": "{{ bos_token }}{{ eos_token }}",
    "methods": "{{ messages[0].content.strip().upper().split('&')[0] }}{{ messages[::-1][0]['role'] | title }}",
}


def asked(source: str, *conversations: list[dict[str, str]]) -> dict[str, Any]:
    return {
        "template": source,
        "variables": NAMES,
        "conversations": [{"messages": each, "add_generation_prompt": True} for each in conversations],
    }


@pytest.mark.parametrize("name", SOURCES)
def test_a_template_writes_what_it_writes_in_transformers(name: str) -> None:
    rendered: Any = render_jinja_template([MESSAGES], chat_template=SOURCES[name], add_generation_prompt=True, **NAMES)
    assert answer(asked(SOURCES[name], MESSAGES)) == {"texts": rendered[0], "refusal": None}


def test_a_part_of_a_conversation_that_breaks_the_template_costs_only_itself() -> None:
    broken_alone = "{{ messages[1].content.strip() }}"
    assert answer(asked(broken_alone, MESSAGES, MESSAGES[:1])) == {"texts": ["ok", None], "refusal": None}


def test_the_first_refusal_is_told() -> None:
    told = answer(asked("{{ raise_exception(messages[0].role) }}", MESSAGES, MESSAGES[1:]))
    assert told == {"texts": [None, None], "refusal": "user"}
