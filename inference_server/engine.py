"""One model's requests: check, encode, schedule, describe. Knows neither gRPC nor threads nor torch."""

from inference_server.values import ModelFacts, ScoreAnswer, ScoreQuery, TopKAnswer, TopKQuery


class Engine:
    """Answers for one loaded model."""

    facts: ModelFacts

    async def top_k(self, query: TopKQuery, deadline: float | None) -> TopKAnswer:
        """Answers a query before `deadline` (time.monotonic seconds; None: no deadline).

        Raises InvalidField, Overloaded, DeadlineExpired, Stopping or ComputeFailed.
        """
        raise NotImplementedError

    async def score(self, query: ScoreQuery, deadline: float | None) -> ScoreAnswer:
        """As top_k, for every token of a text."""
        raise NotImplementedError
