"""Python client of the inference server's gRPC API: `Client`, `AsyncClient` and the errors they raise.

Answers are the messages of the contract (`nexttoken.v1.next_token_pb2`), whose comments describe every field.

    with Client() as client:
        answer = client.top_k("The capital of France is")
        print(answer.candidates[0].token.text, answer.candidates[0].probability)

Streamed answers (`generate`, `grow`, `influence`) are generators of their events.
"""

from next_token_visualizer.async_client import AsyncClient
from next_token_visualizer.client import Client
from next_token_visualizer.connection import Credentials
from next_token_visualizer.errors import (
    DeadlineExceeded,
    InternalError,
    InvalidRequest,
    ModelFailed,
    NextTokenError,
    NotFound,
    Overloaded,
    Unauthenticated,
    Unavailable,
)
from next_token_visualizer.options import Question
from next_token_visualizer.samplers import LLAMA_CPP, TRANSFORMERS, ordered
from next_token_visualizer.tables import rows, to_pandas

__all__ = [
    "LLAMA_CPP",
    "TRANSFORMERS",
    "AsyncClient",
    "Client",
    "Credentials",
    "DeadlineExceeded",
    "InternalError",
    "InvalidRequest",
    "ModelFailed",
    "NextTokenError",
    "NotFound",
    "Overloaded",
    "Question",
    "Unauthenticated",
    "Unavailable",
    "ordered",
    "rows",
    "to_pandas",
]
