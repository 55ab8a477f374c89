"""Tokenizing without the model: the tokens of a text or of ids, and what the tokenizer says of itself."""

import time

from inference_server.engine.prompts import LONG_TEXT
from inference_server.engine.validation import check_prompt
from inference_server.messages import NOBODY, TEXT, Client, ModelFacts, Timings, Token
from inference_server.scheduler.scheduler import Scheduler
from inference_server.tokenize_messages import TokenizeAnswer, TokenizeQuery, TokenizerFacts
from inference_server.tokenizer.tokenizer import ModelTokenizer


class Tokenizing:
    """Answers Tokenize for one model."""

    def __init__(self, tokenizer: ModelTokenizer, scheduler: Scheduler, facts: ModelFacts, max_text_bytes: int) -> None:
        self._tokenizer = tokenizer
        self._scheduler = scheduler
        self._facts = facts
        self._max_text_bytes = max_text_bytes

    async def answer(self, query: TokenizeQuery, deadline: float | None, client: Client = NOBODY) -> TokenizeAnswer:
        """Raises InvalidField, Overloaded, DeadlineExpired or Stopping."""
        arrived = time.monotonic()
        check_prompt(query.text, query.token_ids, self._facts.vocab_size, self._max_text_bytes)
        with self._scheduler.admit(client) as permit:
            started = time.monotonic()
            length = len(query.token_ids or ()) if query.text is None else len(query.text)
            if length <= LONG_TEXT:
                tokens = self._tokens(query)
            else:
                tokens = await self._scheduler.aside(permit, deadline, self._tokens, query)
            spent_s = time.monotonic() - started
        timings = Timings(0.0, spent_s * 1000, 0.0, (time.monotonic() - arrived) * 1000)
        facts = self._told() if query.include_tokenizer else None
        return TokenizeAnswer(tokens, self._facts.context_limit, timings, facts)

    def _tokens(self, query: TokenizeQuery) -> list[Token]:
        """The tokens, spelled."""
        if query.text is None:
            return self._tokenizer.spell(query.token_ids or ())
        literal = query.special == TEXT
        if query.bare:
            return self._tokenizer.spell(self._tokenizer.encode_bare(query.text, literal))
        return self._tokenizer.spell(self._tokenizer.encode(query.text, literal))

    def _told(self) -> TokenizerFacts:
        tokenizer = self._tokenizer
        bos, eos = (
            None if token_id is None else tokenizer.token(token_id, ())
            for token_id in (tokenizer.bos_id, tokenizer.eos_id)
        )
        return TokenizerFacts(bos, eos, tokenizer.template.source)
