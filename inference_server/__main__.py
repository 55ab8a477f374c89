"""`python -m inference_server`: settings, logs, service, exit status."""

import asyncio
import logging
import os
import sys

from inference_server.server import CannotListen, serve
from inference_server.settings import Settings
from service_kit import logs, settings

LOADER_GRACE_S = 1.0  # for the loading thread, which can't be interrupted everywhere


def main() -> None:
    """Runs the server; exits 0 after a stop by signal, 1 where it can't start."""
    chosen = settings.read_or_exit(Settings, os.environ)
    logs.configure("inference", chosen.log_format, chosen.log_level)
    try:
        server = asyncio.run(serve(chosen))
    except CannotListen as error:
        sys.exit(f"cannot start: {error}")
    if not server.registry.join(LOADER_GRACE_S):
        # A library is in the middle of a download or a read; the interpreter's own end would wait for it or crash.
        logging.shutdown()
        sys.stderr.flush()
        os._exit(0)


if __name__ == "__main__":
    main()
