"""Entry point: `python -m web_gateway`. Exits with 0 on SIGTERM or SIGINT, with 1 if it can't start."""

import os
import signal
import sys

import structlog
from msgspec import structs

from service_kit import logs, tracing
from service_kit.settings import SettingsError, read_or_exit
from web_gateway.app import create_app
from web_gateway.http.server import CannotListen, Server, listen
from web_gateway.inference import channel
from web_gateway.settings import Settings

logger = structlog.get_logger()


def main() -> None:
    """Runs until SIGTERM or SIGINT."""
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn replaces these handlers while it runs, and re-raises the signal once it has stopped.
        signal.signal(number, lambda *_: sys.exit(0))
    settings = read_or_exit(Settings, os.environ)
    logs.configure("web_gateway", settings.log_format, settings.log_level)
    logs.obey_signals(settings.log_level)
    try:
        channel.check(settings)
        bound = listen(settings)
        settings = structs.replace(settings, host=bound.getsockname()[0])  # a host name may resolve to loopback
        if tracing.start("web_gateway", os.environ):
            logger.info("tracing")
        app = create_app(settings)
    except (CannotListen, SettingsError) as error:
        sys.exit(f"cannot start: {error}")
    try:
        Server(app, settings).run([bound])
    finally:
        tracing.stop()


if __name__ == "__main__":
    main()
