"""The errors that callers see.

ServingError
├── InvalidField        a request field is missing or out of range
├── UnknownModel        no such model on this server
├── ModelNotReady       the model is queued, downloading or loading
├── ModelFailed         the model could not be loaded
├── Overloaded          the server is at capacity; says when to retry
├── DeadlineExpired     the caller's deadline passed before the request was computed
├── Stopping            the server is shutting down
└── ComputeFailed       the forward pass failed; the log has the cause
"""


class ServingError(Exception):
    """Base class; `str(error)` is the message for the caller."""


class InvalidField(ServingError):
    """`field` is the field's name in the API; the message says what is allowed."""

    def __init__(self, field: str, fault: str) -> None:
        super().__init__(f"{field}: {fault}")
        self.field = field
        self.fault = fault


class UnknownModel(ServingError):
    """No such model on this server."""


class ModelNotReady(ServingError):
    """The message has the model's state and progress."""


class ModelFailed(ServingError):
    """The message says why loading failed and what to do."""


class Overloaded(ServingError):
    """The server is at capacity."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class DeadlineExpired(ServingError):
    """The deadline passed before the request was computed."""


class Stopping(ServingError):
    """The server is shutting down."""


class ComputeFailed(ServingError):
    """The forward pass failed. The message is generic; the log has the cause."""


class LoadFailed(Exception):
    """A model can't be downloaded or loaded; the message, why and what to do, becomes its FAILED reason."""
