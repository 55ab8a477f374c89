"""Has chat templates rendered in a process of its own, which ends with whatever goes wrong in it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from inference_server.errors import InvalidField
from inference_server.host.sandbox import Exhausted, Sandbox
from inference_server.tokenizer import chat_sandbox
from inference_server.tokenizer.chat_template import ChatTemplate

SANDBOX = Path(chat_sandbox.__file__)
MAX_WORDS = 300  # characters of a template's own words in an error

Conversation = Mapping[str, Any]
"""`messages`, each with role and content, and `add_generation_prompt`."""


class ChatRenderer:
    """One model's template. Blocks its caller; one request at a time."""

    def __init__(self, template: ChatTemplate) -> None:
        self.template = template
        self._sandbox = Sandbox(SANDBOX, chat_sandbox.CPU_S, chat_sandbox.MEMORY_BYTES)

    def render(self, conversations: Sequence[Conversation]) -> list[str | None]:
        """The text of each conversation; None for one that the template does not take, except the first.

        Raises InvalidField if there is no template, if it is broken, if it refuses the first conversation, or if it
        takes too much time or memory.
        """
        if self.template.missing:
            raise InvalidField("model", self.template.missing)
        asked = {
            "template": self.template.source,
            "variables": dict(self.template.names),
            "conversations": [dict(each) for each in conversations],
        }
        try:
            answer = self._sandbox.ask(asked)
        except Exhausted as error:
            answer = {"fault": str(error)}
        if "fault" in answer:
            raise InvalidField("model", f"this model's chat template is broken: {answer['fault'][:MAX_WORDS]}")
        texts: list[str | None] = answer["texts"]
        if texts[0] is None:
            raise InvalidField("messages", f"this model's chat template refuses them: {answer['refusal'][:MAX_WORDS]}")
        return texts

    def close(self) -> None:
        """Ends the process; the next request starts another."""
        self._sandbox.close()
