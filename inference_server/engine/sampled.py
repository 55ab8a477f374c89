"""What sampler steps make of a prompt's last logits, as part of an answer."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from inference_server.errors import InvalidField
from inference_server.messages import Candidate, Sampling, Token
from inference_server.sampler_messages import Sampler
from inference_server.sampling.distribution import Distribution, Kept
from inference_server.sampling.pipeline import Pipeline
from inference_server.sampling.pool import History

T = TypeVar("T")


def told(output: T | InvalidField) -> T:
    """An output, unless it is the reason why there is none.

    Reasons are outputs: an exception would have the others of a batch computed again.
    """
    if isinstance(output, InvalidField):
        raise output
    return output


class Steps:
    """The sampler steps of a request over one row of logits, whose own distribution it is at temperature 1."""

    def __init__(
        self,
        logits: Any,
        samplers: Sequence[Sampler],
        history: History,
        distribution: Distribution,
        token: Callable[[int], Token],
    ) -> None:
        """Raises InvalidField if a step leaves no token. `token`: what an id is after the history."""
        self._pipeline = Pipeline(logits, samplers, history)
        self._distribution = distribution
        self._token = token

    @property
    def kept(self) -> Kept:
        """What may come next, and how likely the model itself finds it."""
        kept = self._pipeline.kept
        return Kept(len(kept), self._distribution.total_of(kept))

    def sampling(self, top_k: int) -> Sampling:
        """What the steps did."""
        likeliest = self.candidates(self._pipeline.likeliest(top_k)) if top_k else []
        return Sampling(self._pipeline.results, likeliest, self._pipeline.entropy_bits)

    def draw(self, points: Sequence[float]) -> list[Candidate]:
        """The tokens at these points of the distribution after all steps."""
        return self.candidates(self._pipeline.draw(points))

    def candidates(self, token_ids: Sequence[int]) -> list[Candidate]:
        """Tokens with their places before and after the steps."""
        different = [*dict.fromkeys(token_ids)]
        places = zip(different, self._distribution.places(different), strict=True)
        found = {
            token_id: replace(place.candidate(self._token(token_id)), sampled=self._pipeline.sampled(token_id))
            for token_id, place in places
        }
        return [found[token_id] for token_id in token_ids]
