"""What can go wrong while answering a request, in words for the caller. Knows no transport.

ServingError
├── InvalidField        a field of the request is missing or out of its range
├── UnknownModel        the name is not on the server's list
├── ModelNotReady       the model is queued, downloading or loading
├── ModelFailed         the model could not be loaded
├── Overloaded          too much work is waiting; carries when to try again
├── DeadlineExpired     the caller's deadline passed while the request waited
├── Stopping            the server is shutting down
└── ComputeFailed       the forward pass failed; the cause is in the log
"""


class ServingError(Exception):
    """Base of every error a caller may be told of; `str(error)` is the message."""


class InvalidField(ServingError):
    """A field is missing or out of its range. `field` is its name in the contract; the message says what is allowed."""

    def __init__(self, field: str, fault: str) -> None:
        super().__init__(f"{field}: {fault}")
        self.field = field
        self.fault = fault


class UnknownModel(ServingError):
    """No model of that name is on the server's list."""


class ModelNotReady(ServingError):
    """The model can't answer yet; the message holds its state and progress."""


class ModelFailed(ServingError):
    """The model could not be loaded; the message holds the reason and what to do."""


class Overloaded(ServingError):
    """Too much work is waiting."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class DeadlineExpired(ServingError):
    """The deadline passed before the work began."""


class Stopping(ServingError):
    """The server is shutting down and takes no new work."""


class ComputeFailed(ServingError):
    """The forward pass failed. The message is general; the cause belongs in the log."""


class LoadFailed(Exception):
    """A model can't be fetched or loaded; the message says why and what to do; it becomes the FAILED reason."""
