"""The masks of one model: what has been read of them, and texts that are held to them."""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_server.errors import InvalidField
from inference_server.host.sandbox import Exhausted, Sandbox
from inference_server.masks import form_sandbox, forms
from inference_server.masks.vocabulary import Vocabulary, everywhere
from inference_server.sampler_messages import TextMask
from inference_server.tokenizer.token_bytes import TextPosition
from inference_server.tokenizer.tokenizer import ModelTokenizer

FORMS = 16  # that stay read
TOO_COMPLEX = ("ParserTooComplex", "LexerTooComplex", "InternalError")


class Masks:
    """Reads forms; blocks its caller while it does, for seconds the first time. Thread-safe."""

    def __init__(self, tokenizer: ModelTokenizer, rows: int, end_ids: Sequence[int]) -> None:
        """`rows`: of the model's logits. `end_ids`: of tokens that end a text."""
        self._tokenizer = tokenizer
        self._rows = rows
        self._end_ids = frozenset(end_ids)
        self._sandbox = Sandbox(Path(form_sandbox.__file__), form_sandbox.CPU_S, form_sandbox.MEMORY_BYTES)
        self._vocabularies: dict[bool, Vocabulary] = {}
        self._read = OrderedDict[tuple[str, Sequence[str], bool], Any]()
        self._lock = threading.Lock()

    def begin(self, mask: TextMask, preceding: Sequence[int]) -> "MaskedText":
        """A text that begins after these ids. Raises InvalidField if its form can't be read or is too complex."""
        if not self._end_ids:
            raise InvalidField("samplers", "mask needs an end-of-text token, which this model does not have")
        position = self._tokenizer.position_after(preceding)
        with self._lock, forms.contained(mask.kind):
            free = everywhere(self._tokenizer, position)
            if free not in self._vocabularies:
                self._vocabularies[free] = Vocabulary(self._tokenizer, sorted(self._end_ids), free)
            vocabulary = self._vocabularies[free]
            matcher = self._matcher(mask, vocabulary, free)
        return MaskedText(matcher, mask.kind, vocabulary, self._tokenizer, self._rows, self._end_ids, position)

    def _matcher(self, mask: TextMask, vocabulary: Vocabulary, free: bool) -> Any:
        """At the beginning of a text; a copy of its own."""
        key = (mask.kind, tuple(mask.source), free)
        if key in self._read:
            self._read.move_to_end(key)
        else:
            if forms.is_gbnf(mask):
                mask = TextMask(mask.kind, (self._ask(mask.kind, {"gbnf": mask.source[0]})["lark"],))
            self._ask(mask.kind, {"grammar": forms.grammar_of(mask)})
            self._read[key] = forms.start(vocabulary.known, forms.grammar_of(mask, free), mask.kind)
            while len(self._read) > FORMS:
                self._read.popitem(last=False)
        return self._read[key].deep_copy()

    def _ask(self, kind: str, request: dict[str, str]) -> dict[str, Any]:
        try:
            answer = self._sandbox.ask(request)
        except Exhausted as error:
            raise forms.broken(kind, f"is too complex: reading it {error}") from error
        if answer["fault"]:
            raise forms.broken(kind, f"can't be read: {answer['fault']}")
        return answer

    def close(self) -> None:
        """Ends the process that tries forms out; another starts when needed."""
        self._sandbox.close()


class MaskedText:
    """A text that grows token by token, each of which its form must allow. For one thread at a time."""

    def __init__(
        self,
        matcher: Any,
        kind: str,
        vocabulary: Vocabulary,
        tokenizer: ModelTokenizer,
        rows: int,
        end_ids: frozenset[int],
        position: TextPosition,
    ) -> None:
        self._matcher = matcher
        self._kind = kind
        self._vocabulary = vocabulary
        self._tokenizer = tokenizer
        self._rows = rows
        self._end_ids = end_ids
        self._position = position
        self._ended = False

    def add(self, token_ids: Iterable[int]) -> int | None:
        """Goes on with these ids; the place of the first that the form does not allow, None if there is none.

        Raises InvalidField if the form proves too complex. After either, the text can't be used any more.
        """
        with forms.contained(self._kind):
            for at, token_id in enumerate(token_ids):
                if not self._take(token_id):
                    self._check()
                    return at
        return None

    def allowed(self) -> NDArray[np.bool_]:
        """(rows,): the tokens that may come next. Raises InvalidField if the form proves too complex."""
        if self._ended:
            return np.zeros(self._rows, dtype=bool)
        with forms.contained(self._kind):
            bits = self._matcher.compute_bitmask()
            self._check()
        return self._vocabulary.allowed(bits, self._position, self._rows)

    def _take(self, token_id: int) -> bool:
        token, following = self._tokenizer.spell_at(token_id, self._position)
        if self._ended:
            return False
        if token_id in self._end_ids:
            self._ended = bool(self._matcher.is_accepting())
            return self._ended
        if not token.bytes and not token.is_special:  # SentencePiece's first space, of which nothing is written
            self._position = following
            return True
        known = self._vocabulary.id_at(token_id, self._position)
        self._position = following
        return not self._matcher.is_stopped() and self._matcher.try_consume_tokens([known]) == 1

    def _check(self) -> None:
        """The library answers with "only the end may follow" when it gives up."""
        if self._matcher.is_error() or self._matcher.stop_reason() in TOO_COMPLEX:
            raise forms.broken(self._kind, f"is too complex for this text: {self._matcher.get_error()}")
