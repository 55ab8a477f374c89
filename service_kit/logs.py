"""Structured logging: text on a terminal, JSON elsewhere."""

import logging
import re
import signal
import sys
import uuid
from typing import Literal, get_args

import structlog

LogFormat = Literal["auto", "text", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]

ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
LEVELS: tuple[LogLevel, ...] = get_args(LogLevel)  # most verbose first

logger = structlog.get_logger()


def configure(service: str, log_format: LogFormat, level: LogLevel) -> None:
    """Sets up structlog on standard error and routes the standard library's loggers through it."""
    as_text = log_format == "text" or (log_format == "auto" and sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if as_text else "iso", utc=not as_text),
        structlog.processors.StackInfoRenderer(),
    ]
    rendering: list[structlog.typing.Processor] = (
        # Not the default traceback: with rich installed it would print local variables, prompts among them.
        [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)]
        if as_text
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,  # the root logger's level, which can change at run time
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    structlog.contextvars.bind_contextvars(service=service)


def obey_signals(level: LogLevel) -> None:
    """SIGUSR1 makes the log one level more verbose, SIGUSR2 resets it to `level`. Main thread only."""
    signal.signal(signal.SIGUSR1, lambda *_: _set_level(LEVELS[max(0, LEVELS.index(current_level()) - 1)]))
    signal.signal(signal.SIGUSR2, lambda *_: _set_level(level))


def current_level() -> LogLevel:
    """The root logger's level."""
    name = logging.getLevelName(logging.getLogger().level).lower()
    return next((level for level in LEVELS if level == name), "warning")


def _set_level(level: LogLevel) -> None:
    before = current_level()
    root = logging.getLogger()
    root.setLevel(min(root.level, logging.INFO))  # so that the next line is logged in any case
    logger.info("log level changed", before=before, now=level)
    root.setLevel(level.upper())


def request_id(offered: str | None) -> str:
    """The caller's request id if valid, else a new one."""
    return usable_id(offered) or uuid.uuid4().hex


def usable_id(offered: str | None) -> str | None:
    """The caller's id if it is 1 to 64 of A-Z a-z 0-9 . _ -, else None."""
    return offered if offered is not None and ID.fullmatch(offered) else None
