"""How a tokenizer reads a text, beside what other threads do meanwhile."""

import threading

from inference_server.models import bundled
from inference_server.tokenizer import tokenizer_json

BUNDLED = bundled.FOLDER
LONG = "a " * 500_000


def test_a_long_text_stops_no_other_thread() -> None:
    """The event loop and the model thread go on while a helper reads it."""
    words = tokenizer_json.read(BUNDLED)
    over = threading.Event()
    turns = 0

    def other() -> None:
        nonlocal turns
        while not over.wait(0.005):
            turns += 1

    thread = threading.Thread(target=other)
    thread.start()
    ids = words.encode(LONG)
    over.set()
    thread.join()
    assert len(ids) > 400_000
    assert turns > 15
