"""Tokenizes text in which the names of special tokens are plain characters."""

import itertools

from tokenizers import Tokenizer

from inference_server.tokenizer.continuation import copy_parts


def of(backend: Tokenizer) -> Tokenizer:
    """A tokenizer of the same vocabulary that knows no special tokens in text; it shares the vocabulary.

    Added tokens that are not special stay tokens, as transformers' `split_special_tokens` has it.
    """
    literal = Tokenizer(backend.model)
    copy_parts(backend, literal)
    added = [token for _, token in sorted(backend.get_added_tokens_decoder().items())]
    for special, tokens in itertools.groupby(added, lambda token: token.special):  # each call compiles the matcher anew
        (literal.add_special_tokens if special else literal.add_tokens)(list(tokens))
    literal.encode_special_tokens = True
    return literal
