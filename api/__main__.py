"""``python -m api``: the API on granian, at the address and port that the settings name."""

import sys
from functools import partial
from typing import Any

from granian.constants import Interfaces
from granian.server import Server

from resources.errors import SiltError
from resources.settings import Settings, load_settings


def main() -> int:
    """Serve until told to stop.

    Returns:
        The exit code: 2 if a setting is wrong.
    """
    try:
        settings = load_settings()
    except SiltError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    server = Server(
        "api.app",
        address=settings.api_host,
        port=settings.api_port,
        interface=Interfaces.ASGI,
        workers=1,
        websockets=False,
    )
    server.serve(target_loader=partial(_load, settings), wrap_loader=False)
    return 0


def _load(settings: Settings) -> Any:
    """Make the application in the worker: Polars and delta-rs must not be loaded before the fork."""
    from api.app import create_app  # noqa: PLC0415

    return create_app(settings)


if __name__ == "__main__":
    sys.exit(main())
