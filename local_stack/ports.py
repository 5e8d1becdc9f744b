"""The ports that the stack's own parts listen on, and whether they are free."""

import contextlib
import socket
from collections.abc import Iterable
from dataclasses import dataclass

import psutil

from resources.errors import SettingError
from resources.settings import Settings

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Port:
    """A port that a part will listen on."""

    part: str
    setting: str
    number: int
    host: str = LOOPBACK


def broker_ports(settings: Settings) -> list[Port]:
    """The ports of the broker that Silt starts itself; none if another is in use."""
    if not settings.own_broker:
        return []
    return [
        Port("broker", "SILT_BROKER_PORT", settings.broker_port),
        Port("controller", "SILT_CONTROLLER_PORT", settings.controller_port),
    ]


def stack_ports(settings: Settings) -> list[Port]:
    """The ports of all parts that the settings make Silt start."""
    spark = [Port("spark", "SILT_SPARK_PORT", settings.spark_port)]
    return [
        *broker_ports(settings),
        *([] if settings.spark_remote else spark),
        Port("code server", "SILT_CODE_PORT", settings.code_port),
        Port("dagster", "SILT_DAGSTER_PORT", settings.dagster_port),
        Port("api", "SILT_API_PORT", settings.api_port, settings.api_host),
    ]


def check_free(ports: Iterable[Port]) -> None:
    """Check every port before anything starts.

    Raises:
        SettingError: a port is taken, or two settings name the same one.
    """
    seen: dict[int, Port] = {}
    for port in ports:
        if other := seen.get(port.number):
            raise SettingError(
                f"{other.setting} and {port.setting} are both {port.number}: give each a port of its own."
            )
        seen[port.number] = port
        if is_busy(port):
            raise SettingError(
                f"Port {port.number} for the {port.part} is taken{_owner(port.number)}: "
                f"end what listens there, or set {port.setting} to a free port."
            )


def is_busy(port: Port) -> bool:
    """Whether something listens on the port already."""
    if answers(port.host, port.number):
        return True
    family = socket.AF_INET6 if ":" in port.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((port.host, port.number))
        except OSError:
            return True
    return False


def answers(host: str, port: int, seconds: float = 0.5) -> bool:
    """Whether a TCP connection is accepted there."""
    try:
        socket.create_connection((host, port), timeout=seconds).close()
    except OSError:
        return False
    return True


def _owner(port: int) -> str:
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections(kind="tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,)
            if listens and connection.pid:
                return f" by process {connection.pid} ({psutil.Process(connection.pid).name()})"
    return ""
