"""One model's requests: validate, encode, schedule, describe. Knows neither gRPC nor threads nor torch."""

import time
from collections.abc import AsyncGenerator
from collections.abc import Sequence as Tokens
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from inference_server.compare_messages import CompareAnswer, CompareQuery
from inference_server.engine import gguf_folder
from inference_server.engine.chat import Chats
from inference_server.engine.compare import Compared, compare
from inference_server.engine.generate import Generation
from inference_server.engine.grow import Growth
from inference_server.engine.influence import influences
from inference_server.engine.layers import Layers, check_attention, check_layers, up_to
from inference_server.engine.masked import Masking
from inference_server.engine.one_ahead import one_ahead
from inference_server.engine.prompts import Prompts
from inference_server.engine.sampled import told
from inference_server.engine.score import Score
from inference_server.engine.tokenize import Tokenizing
from inference_server.engine.top_k import TopK
from inference_server.engine.validation import check_compare, check_generate, check_grow, check_score, check_top_k
from inference_server.generate_messages import GenerateEvent, GenerateQuery
from inference_server.grow_messages import GrowEvent, GrowQuery
from inference_server.host import memory, openmp
from inference_server.influence_messages import InfluenceEvents, InfluenceQuery
from inference_server.kvcache.logits_cache import LogitsCache
from inference_server.layer_messages import Layer, LayersAnswer, LayersQuery
from inference_server.messages import NOBODY, Client, ScoreAnswer, ScoreQuery, TopKAnswer, TopKQuery
from inference_server.models import adapter as adapters
from inference_server.models.adapter import AdapterFiles, Files
from inference_server.models.bases import Bases
from inference_server.runtime import architecture
from inference_server.runtime.executor import Executor
from inference_server.runtime.model import Model
from inference_server.runtime.network import Network
from inference_server.sampling.distribution import Distribution
from inference_server.scheduler.scheduler import Scheduler
from inference_server.sequence import Ids, Permit, Sequence, timings_of
from inference_server.settings import Settings
from inference_server.stats import ModelStats
from inference_server.tokenizer import end_of_text
from inference_server.tokenizer.tokenizer import ModelTokenizer


class Engine:
    """Answers for one loaded model."""

    def __init__(
        self,
        name: str,
        tokenizer: ModelTokenizer,
        model: Model,
        scheduler: Scheduler,
        cache: LogitsCache[Any],
        settings: Settings,
        end_ids: Tokens[int] = (),
    ) -> None:
        """`end_ids`: ids that the model's files say end a text, whether or not it has such rows."""
        self.facts = replace(
            model.facts,
            end_of_text_ids=end_of_text.within(model.capabilities.vocab_size, *end_ids, tokenizer.eos_id),
            prefix_token_ids=tuple(tokenizer.prefix),
            chat_refusal=tokenizer.template.missing,
        )
        step_tokens = min(settings.step_tokens, settings.batch_tokens)
        self.executor = Executor(name, model, cache, step_tokens, settings.step_ms / 1000)
        self._tokenizer = tokenizer
        self._scheduler = scheduler
        self._encode = Prompts(tokenizer, scheduler, self.facts).encode
        self.render_chat = Chats(tokenizer, scheduler, self.facts, settings.max_text_bytes).render
        self.tokenize = Tokenizing(tokenizer, scheduler, self.facts, settings.max_text_bytes).answer
        self._masking = Masking(tokenizer, scheduler, self.facts)
        self._together = settings.batch_size
        self._settings = settings
        self._lookahead = min(settings.lookahead, self.facts.vocab_size)
        if self._lookahead:
            scheduler.when_idle(lambda: self.executor.prefetch(self._likeliest))

    @property
    def stats(self) -> ModelStats:
        """From any thread."""
        return self.executor.stats

    async def top_k(self, query: TopKQuery, deadline: float | None, client: Client = NOBODY) -> TopKAnswer:
        """Answers a client's query before `deadline` (time.monotonic seconds; None: no deadline).

        Raises InvalidField, Overloaded, DeadlineExpired, Stopping or ComputeFailed.
        """
        arrived = time.monotonic()
        check_top_k(query, self.facts.vocab_size, self._settings.max_text_bytes)
        with self._scheduler.admit(client) as permit:
            ids, tokenize_s = await self._encode(query, permit, deadline)
            if query.samplers:
                query = await self._masking.known(query, ids, permit, deadline)
            describe = TopK(query, self.facts, self._tokenizer).describe
            sequence = Sequence(ids, self.executor, describe, permit, deadline, prefetch=self._lookahead > 0)
            await self._scheduler.run_or_recall(sequence)
        answer: TopKAnswer = told(sequence.outputs[0]) if query.samplers else sequence.outputs[0]
        return replace(answer, timings=timings_of(arrived, tokenize_s, sequence))

    async def score(self, query: ScoreQuery, deadline: float | None, client: Client = NOBODY) -> ScoreAnswer:
        """As top_k, for every token of a text.

        Each token is scored by the distribution that top_k gives after the ids before it. The first one follows BOS if
        the tokenizer puts BOS in front of texts; if not, or if it is BOS itself, it is unconditioned.
        """
        arrived = time.monotonic()
        check_score(query, self.facts.vocab_size, self._settings.max_text_bytes)
        with self._scheduler.admit(client) as permit:
            ids, tokenize_s = await self._encode(query, permit, deadline)
            score = Score(ids, self._tokenizer, query.top_k)
            parts = [
                Sequence(part, self.executor, describe, permit, deadline, every_row=every_row, prefetch=False)
                for part, describe, every_row in score.parts()
            ]
            for part in parts:
                await self._scheduler.run(part)
        answer = score.answer([scored for part in parts for scored in part.outputs], self.facts.context_limit)
        return replace(answer, timings=timings_of(arrived, tokenize_s, *parts))

    async def layers(self, query: LayersQuery, deadline: float | None, client: Client = NOBODY) -> LayersAnswer:
        """As top_k, for what the network's own norm and head make of the state after each block."""
        arrived = time.monotonic()
        check_layers(query, self.facts, self._settings.max_text_bytes)
        insight = self.executor.model.insight
        with self._scheduler.admit(client) as permit:
            ids, tokenize_s = await self._encode(query, permit, deadline)
            beginning = up_to(ids, query.position)
            check_attention(query, len(beginning), insight.attention_tokens)
            layers = Layers(query, beginning, self._tokenizer, insight.layers + 1)
            sequence: Sequence[Layer] = Sequence(
                beginning, self.executor, layers.describe, permit, deadline, trace=layers.trace, prefetch=False
            )
            await self._scheduler.run(sequence)
        answer = layers.answer(sequence, ids, self.facts, capped=insight.capped)
        return replace(answer, timings=timings_of(arrived, tokenize_s, sequence))

    async def generate(
        self, query: GenerateQuery, deadline: float | None, client: Client = NOBODY
    ) -> AsyncGenerator[GenerateEvent, None]:
        """Continues a prompt; yields each token as it comes, and computes at most one step ahead of the reader.

        Holds one permit, however many continuations there are. Raises as top_k does, also after the first events.
        """
        check_generate(query, self.facts.vocab_size, self._settings.max_text_bytes)
        with self._scheduler.admit(client, stream=True) as permit:
            ids, tokenize_s = await self._encode(query, permit, deadline)
            masked = await self._masking.begun(query, ids, permit, deadline)
            generation = Generation(query, ids, self.facts, self._tokenizer, masked)
            sequence = partial(self._sequence, permit, deadline)
            async with aclosing(one_ahead(generation.steps(sequence, self._scheduler.run, tokenize_s))) as steps:
                async for events in steps:
                    for event in events:
                        yield event

    def _sequence(
        self, permit: Permit, deadline: float | None, ids: Ids, describe: Any, one_of_many: bool = False
    ) -> Sequence[Any]:
        """One that nobody clicks on: nothing is prefetched after it."""
        return Sequence(ids, self.executor, describe, permit, deadline, prefetch=False, one_of_many=one_of_many)

    async def compare(
        self, query: CompareQuery, other: "Engine", deadline: float | None, client: Client = NOBODY
    ) -> CompareAnswer:
        """As top_k, about two questions: `a` for this engine, `b` for `other`, whose scheduler is the same."""
        check_compare(query, (self.facts.vocab_size, other.facts.vocab_size), self._settings.max_text_bytes)
        models = (self._compared(), other._compared())
        with self._scheduler.admit(client) as permit:
            return await compare(query, models, self._scheduler, permit, deadline)

    async def grow(
        self, query: GrowQuery, deadline: float | None, client: Client = NOBODY
    ) -> AsyncGenerator[GrowEvent, None]:
        """The tree of a prompt's likeliest continuations; yields nodes as they are known, a step ahead of the reader.

        Holds one permit, however many paths are computed. Raises as top_k does, also after the first events.
        """
        check_grow(query, self.facts.vocab_size, self._settings.max_text_bytes)
        with self._scheduler.admit(client, stream=True) as permit:
            ids, tokenize_s = await self._encode(query, permit, deadline)
            growth = Growth(query, ids, self.facts, self._tokenizer, self._together)
            sequence = partial(self._sequence, permit, deadline, one_of_many=True)
            async with aclosing(one_ahead(growth.steps(sequence, self._scheduler.run, tokenize_s))) as steps:
                async for events in steps:
                    for event in events:
                        yield event

    def _compared(self) -> Compared:
        known = self._masking.known
        return Compared(self._tokenizer, self.facts, self.executor, self._encode, known, self._lookahead > 0)

    def influence(self, query: InfluenceQuery, deadline: float | None, client: Client = NOBODY) -> InfluenceEvents:
        """What pushes a token, part by part of a prompt. Raises as top_k, also between events."""
        question = partial(influences, self._settings, self._tokenizer, self.executor, self._scheduler, self._encode)
        return question(query, deadline, client)

    def _likeliest(self, logits: Any) -> list[int]:
        return [token.token_id for token in Distribution(logits, 1.0).top(self._lookahead)]


def load(
    name: str,
    files: Files,
    scheduler: Scheduler,
    cache: LogitsCache[Any],
    cache_bytes: int,
    settings: Settings,
    bases: Bases | None = None,
) -> Engine:
    """Loads a folder or a GGUF file, however long it takes.

    Its logits go to `cache`, its keys and values take up to `cache_bytes`. `bases` has networks whose weights several
    models share. Raises LoadFailed.
    """
    folder = files.base if isinstance(files, AdapterFiles) else files
    try:
        with gguf_folder.unpacked(folder) as folder:
            architecture.configuration(folder)  # first: transformers chooses the tokenizer's class by it, too
            tokenizer = ModelTokenizer.load(folder)
            end_ids = end_of_text.stated(folder)
            network = _network(name, files, folder, settings.device, bases or Bases(()))
            model = Model.on(network, cache_bytes)
        tokenizer.check_rows(model.facts.vocab_size)
    finally:  # what only loading needed
        memory.give_back()
        openmp.dismiss()
    return Engine(name, tokenizer, model, scheduler, cache, settings, end_ids)


def _network(name: str, files: Files, folder: Path, device: str, bases: Bases) -> Network:
    """The network of a model: its own, or that of its base with its weights shared, the adapter beside them."""
    if isinstance(files, AdapterFiles):
        base, loaded, adapter = adapters.parts(name)[0], False, adapters.inspect(files.adapter)
        try:
            network: Network = bases.get(base, lambda: Network.read(folder, device)).adapted(adapter, base)
            loaded = True
        finally:
            bases.settle(base, loaded=loaded)
        return network
    network = bases.get(name, lambda: Network.read(folder, device))
    bases.settle(name, loaded=True)
    return network.shared() if bases.shares(name) else network
