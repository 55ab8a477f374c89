"""`python -m inference_server`: settings, logs, service, exit status."""

import asyncio
import logging
import os
import sys

import structlog

from inference_server.host import openmp
from inference_server.server import CannotListen, serve
from inference_server.settings import Settings
from service_kit import logs, settings, tracing

logger = structlog.get_logger()


def main() -> None:
    """Runs the server; exits 0 after a stop by signal, 1 where it can't start."""
    os.environ.setdefault(
        "HF_HUB_DISABLE_TELEMETRY", "1"
    )  # the Hub is asked for models and told nothing of this machine
    openmp.prepare(os.environ)
    chosen = settings.read_or_exit(Settings, os.environ)
    logs.configure("inference", chosen.log_format, chosen.log_level)
    logs.obey_signals(chosen.log_level)
    try:
        if tracing.start("inference_server", os.environ):
            logger.info("tracing")
        asyncio.run(serve(chosen))
    except (CannotListen, settings.SettingsError) as error:
        sys.exit(f"cannot start: {error}")
    # The interpreter's own end would wait for a library in the middle of a download, may crash on a thread inside
    # torch, and takes seconds to take torch down. All that had to finish has finished.
    tracing.stop()
    logging.shutdown()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
