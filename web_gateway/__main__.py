"""Starts the gateway: `python -m web_gateway`. Ends with 0 when asked to stop, 1 when it can't start."""

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
    """Serves until SIGTERM or SIGINT."""
    for wanted in (signal.SIGTERM, signal.SIGINT):
        # The server takes these over while it runs and raises them again once it has stopped.
        signal.signal(wanted, lambda *_: sys.exit(0))
    settings = read_or_exit(Settings, os.environ)
    logs.configure("web_gateway", settings.log_format, settings.log_level)
    logs.obey_signals(settings.log_level)
    try:
        channel.check(settings)
        bound = listen(settings)
        settings = structs.replace(settings, host=bound.getsockname()[0])  # a name may stand for loopback
        if tracing.start("web_gateway", os.environ):
            logger.info("tracing")
    except (CannotListen, SettingsError) as error:
        sys.exit(f"cannot start: {error}")
    try:
        Server(create_app(settings), settings).run([bound])
    finally:
        tracing.stop()


if __name__ == "__main__":
    main()
