"""Model folders for tests of conversations: the bundled model with a chat template of its own."""

import json
from pathlib import Path

from inference_server.models import bundled

MARK = "<|endoftext|>"
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{% if message.role == 'system' and not loop.first %}"
    "{{ raise_exception('The system message must come first.') }}{% endif %}{{ message.role }}: "
    "{{ message.content | trim }}{{ bos_token }}{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"
)
ENDLESS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
BROKEN = "{{ messages[0].content + 1 }}"


def build(folder: Path, template: str = TEMPLATE) -> Path:
    """Links to the bundled model's files, and a template beside them. `folder` must not exist."""
    folder.mkdir(parents=True)
    for file in bundled.FOLDER.iterdir():
        if file.name != "tokenizer_config.json":
            (folder / file.name).symlink_to(file)
    config = json.loads((bundled.FOLDER / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"chat_template": template}))
    return folder
