"""`python -m inference_server`: runs the server."""

import asyncio
import logging
import os
import sys

import structlog
import uvloop

from inference_server.host import openmp
from inference_server.server import CannotListen, serve
from inference_server.settings import Settings
from service_kit import logs, settings, tracing

logger = structlog.get_logger()


def main() -> None:
    """Exits with 0 after a stop by signal, with 1 if the server can't start."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    openmp.prepare(os.environ)
    chosen = settings.read_or_exit(Settings, os.environ)
    logs.configure("inference", chosen.log_format, chosen.log_level)
    logs.obey_signals(chosen.log_level)
    try:
        if tracing.start("inference_server", os.environ):
            logger.info("tracing")
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(chosen))
    except (CannotListen, settings.SettingsError) as error:
        sys.exit(f"cannot start: {error}")
    # A normal interpreter exit would wait for downloads in progress, may crash on a thread inside torch, and takes
    # seconds to tear torch down. Everything that matters has finished.
    tracing.stop()
    logging.shutdown()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
