"""Answers in a terminal."""

from typing import Any

import msgspec
from nexttoken.v1 import next_token_pb2 as pb
from rich.bar import Bar
from rich.console import Console
from rich.table import Table
from rich.text import Text

from next_token_visualizer.tables import row

STATES = {number: name.removeprefix("MODEL_STATE_").lower() for name, number in pb.ModelState.items()}


def as_json(console: Console, message: Any) -> None:
    """A message, or a list of them, as JSON: bytes in base64, null for numbers that JSON lacks."""
    value = [row(each) for each in message] if isinstance(message, list) else row(message)
    console.print_json(msgspec.json.encode(value).decode(), highlight=False)


def top_k(console: Console, answer: pb.TopKResponse) -> None:
    """Candidates as bars."""
    table = Table(box=None, pad_edge=False)
    for name, justify in (("rank", "right"), ("token", "left"), ("probability", "right"), ("", "left")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]  # a literal
    first = max((candidate.probability for candidate in answer.candidates), default=1.0) or 1.0
    for candidate in answer.candidates:
        bar = Bar(first, 0, candidate.probability, width=40, color="blue")
        table.add_row(str(candidate.rank), spelled(candidate.token), percent(candidate.probability), bar)
    console.print(table)
    others = answer.vocab_size - len(answer.candidates)
    console.print(
        f"{others:,} others {percent(answer.other_probability)} · {answer.entropy_bits:.2f} bits · {answer.model}"
    )


def score(console: Console, answer: pb.ScoreResponse) -> None:
    """One line per token, then the whole."""
    table = Table(box=None, pad_edge=False)
    for name in ("token", "probability", "rank", "bits of entropy", "most likely"):
        table.add_column(name, justify="left" if name in ("token", "most likely") else "right")
    for scored in answer.tokens:
        candidate, alternatives = scored.candidate, Text(" ").join(spelled(each.token) for each in scored.alternatives)
        if scored.unconditioned:
            table.add_row(spelled(candidate.token), "-", "-", "-", alternatives)
        else:
            numbers = percent(candidate.probability), str(candidate.rank), f"{scored.entropy_bits:.2f}"
            table.add_row(spelled(candidate.token), *numbers, alternatives)
    console.print(table)
    console.print(
        f"{len(answer.tokens):,} tokens · {answer.total_logprob:.3f} nats · perplexity {answer.perplexity:.3f} · "
        f"{answer.bits_per_byte:.3f} bits per byte · {answer.model}"
    )


def models(console: Console, listed: list[pb.Model]) -> None:
    """One line per model."""
    table = Table(box=None, pad_edge=False)
    for name in ("model", "state", "parameters", "context", "weights", "device"):
        table.add_column(name, overflow="fold")  # a name that is cut can't be used
    for model in listed:
        facts = model.facts
        known = model.HasField("facts")
        table.add_row(
            f"{model.name} (default)" if model.is_default else model.name,
            f"{STATES[model.state]}: {model.reason}" if model.reason else STATES[model.state],
            f"{facts.parameters:,}" if known else "",
            f"{facts.context_limit:,}" if known else "",
            facts.dtype,
            facts.device,
        )
    console.print(table)


def spelled(token: pb.Token) -> Text:
    """A token with its blanks and partial characters visible."""
    if token.is_special:
        return Text(token.text or f"no token, id {token.token_id}", style="dim")
    if not token.HasField("text"):
        return Text(token.bytes.hex(" "), style="dim")
    visible = token.text.replace(" ", "·").replace("\n", "↵").replace("\t", "⇥")
    return Text("".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in visible))


def percent(probability: float) -> str:
    """With one decimal from 1 % on, else two significant digits; never 0 for what is not 0."""
    value = probability * 100
    return f"{value:.1f} %" if value >= 1 or value == 0 else f"{value:.2g} %"
