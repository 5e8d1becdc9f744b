"""``python -m api``: the API on granian, at the address and port that the settings name."""

import socket
import sys
from functools import partial
from typing import Any

from granian.constants import Interfaces
from granian.server import Server

from resources.errors import SettingError, SiltError
from resources.logs import log_config
from resources.settings import Settings, load_settings


def main() -> int:
    """Serve until told to stop.

    Returns:
        The exit code: 2 if a setting is wrong.
    """
    try:
        settings = load_settings()
        address = _free_address(settings)
    except SiltError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    server = Server(
        "api.app",
        address=address,
        port=settings.api_port,
        interface=Interfaces.ASGI,
        workers=1,
        websockets=False,
        log_dictconfig=log_config(settings.log_format),
    )
    server.serve(target_loader=partial(_load, settings), wrap_loader=False)
    return 0


def _free_address(settings: Settings) -> str:
    """The IP address to listen on. Granian would share a port that another process has, without a word.

    Raises:
        SettingError: no such address here, or its port is taken.
    """
    host, port = settings.api_host, settings.api_port
    try:
        family, kind, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except socket.gaierror:
        raise SettingError(f"SILT_API_HOST={host!r} is wrong: it is no address of this machine.") from None
    except OSError as error:
        raise SettingError(
            f"The API cannot listen on {host}:{port} ({error.strerror}): set SILT_API_HOST or SILT_API_PORT."
        ) from None
    return str(place[0])


def _load(settings: Settings) -> Any:
    """Make the application in the worker: Polars and delta-rs must not be loaded before the fork."""
    from api.app import create_app  # noqa: PLC0415

    return create_app(settings)


if __name__ == "__main__":
    sys.exit(main())
