"""Has chat templates rendered in a process of its own, which ends with whatever goes wrong in it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from inference_server.errors import InvalidField
from inference_server.tokenizer import chat_sandbox
from inference_server.tokenizer.chat_template import ChatTemplate

SANDBOX = Path(chat_sandbox.__file__)
WALL_S = 30.0  # for a process that neither computes nor answers, on a machine however busy
MAX_WORDS = 300  # characters of a template's own words in an error

Conversation = Mapping[str, Any]
"""`messages`, each with role and content, and `add_generation_prompt`."""


class ChatRenderer:
    """One model's template. Blocks its caller; one request at a time."""

    def __init__(self, template: ChatTemplate) -> None:
        self.template = template
        self._process: subprocess.Popen[str] | None = None
        self._end: Callable[[], object] = lambda: None
        self._lock = threading.Lock()

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
        with self._lock:
            answer = self._ask(json.dumps(asked) + "\n")
        if "fault" in answer:
            raise InvalidField("model", f"this model's chat template is broken: {answer['fault'][:MAX_WORDS]}")
        texts: list[str | None] = answer["texts"]
        if texts[0] is None:
            raise InvalidField("messages", f"this model's chat template refuses them: {answer['refusal'][:MAX_WORDS]}")
        return texts

    def close(self) -> None:
        """Ends the process; the next request starts another."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        self._process = None
        self._end()

    def _ask(self, request: str) -> dict[str, Any]:
        if self._process is not None and self._process.poll() is not None:  # ended by something else, between requests
            self._close()
        process: Any = self._process or self._start()
        watchdog = threading.Timer(WALL_S, process.kill)
        watchdog.start()
        try:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(request)
                process.stdin.flush()
            line = process.stdout.readline()
        finally:
            watchdog.cancel()
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        code = process.wait()
        self._close()
        if code in (-signal.SIGPROF, -signal.SIGKILL):
            return {"fault": f"takes more than {chat_sandbox.CPU_S:g} s"}
        return {"fault": f"needs more than {chat_sandbox.MEMORY_BYTES >> 20} MiB of memory"}

    def _start(self) -> Any:
        """Starts the process and waits until it can render, so that starting counts for no template."""
        process: Any = subprocess.Popen(  # noqa: S603 - this interpreter, a file of ours
            [sys.executable, "-I", str(SANDBOX)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            env={name: os.environ[name] for name in ("TZ",) if name in os.environ},
        )
        self._process = process
        self._end = weakref.finalize(self, end, process)
        if not process.stdout.readline():
            raise RuntimeError(f"{SANDBOX.name} did not start: it ended with {process.wait()}")
        return process


def end(process: "subprocess.Popen[str]") -> None:
    """Ends a process and closes its pipes."""
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
