"""``python -m api``: the API on granian, at the address and port that the settings name."""

import socket
import sys
from functools import partial
from pathlib import Path
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server import Server

from api.allocation import give_back
from resources.api_keys import read_keys
from resources.errors import SettingError, SiltError
from resources.logs import log_config
from resources.settings import Settings, load_settings

_HEAD_BYTES = 65_536
"""Of a request's line and headers."""
_HEAD_SECONDS = 10.0
"""For a request's line and headers to arrive, and between two requests of a connection."""
_CONNECTIONS = 1_024
"""At once; more wait in the system's queue."""


def main() -> int:
    """Serve until told to stop.

    Returns:
        The exit code: 2 if a setting is wrong.
    """
    try:
        settings = load_settings()
        _check_keys(settings)
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
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(
            header_read_timeout=int(min(settings.api_timeout_seconds, _HEAD_SECONDS) * 1000),
            max_buffer_size=_HEAD_BYTES,
        ),
        backpressure=_CONNECTIONS,
        workers_kill_timeout=settings.api_drain_seconds,
        log_dictconfig=log_config(settings.log_format),
    )
    server.serve(target_loader=partial(_load, settings), wrap_loader=False)
    return 0


def _check_keys(settings: Settings) -> None:
    """Refuse to answer strangers, unless told so by name.

    Raises:
        SettingError: others than this machine's users can reach the API, or the file of keys is none.
    """
    if settings.api_closed:
        read_keys(Path(settings.api_keys_file))
    elif not settings.api_private and not settings.api_open:
        raise SettingError(
            f"SILT_API_HOST={settings.api_host!r} can be reached by others: set SILT_API_KEYS_FILE "
            "(`silt keys new` makes keys), or SILT_API_OPEN=true to answer anybody."
        )


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
    give_back()
    from api.app import create_app  # noqa: PLC0415

    return create_app(settings)


if __name__ == "__main__":
    sys.exit(main())
