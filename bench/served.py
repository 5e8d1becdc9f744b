"""The API as a process of its own over a home that is there, and what its answers cost."""

import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import click
import psutil

from resources.settings import PROJECT

_PATIENCE_SECONDS = 60.0


class Server:
    """A process that answers on a port of loopback."""

    def __init__(self, command: list[str], port: int, log: Path, **environment: str) -> None:
        self.port = port
        self.started = time.perf_counter()
        with log.open("ab") as output:
            self._process = psutil.Popen(
                command, env=_environment() | environment, cwd=PROJECT, stdout=output, stderr=output
            )

    def connect(self) -> HTTPConnection:
        """A connection that stays open for one request after the other."""
        return HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE_SECONDS)

    def await_answer(self, path: str) -> float:
        """Seconds from the start of the process to the first answer with the status 200."""
        while time.perf_counter() - self.started < _PATIENCE_SECONDS:
            if not self._process.is_running():
                break
            try:
                if get(self.connect(), path)[0] == 200:
                    return time.perf_counter() - self.started
            except ConnectionRefusedError:
                time.sleep(0.005)
        raise click.ClickException(f"The server gave no answer to {path}.")

    def cpu_seconds(self) -> float:
        """Of the process and its children, so far."""
        processes = [self._process, *self._process.children(recursive=True)]
        return sum(sum(process.cpu_times()[:2]) for process in processes)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(_PATIENCE_SECONDS)


@contextmanager
def api(home: Path) -> Iterator[Server]:
    """The API over a SILT_HOME, with one worker, as `silt up` starts it."""
    port = free_port()
    settings = {"SILT_HOME": str(home), "SILT_API_PORT": str(port), "SILT_LOG_FORMAT": "json"}
    server = Server([sys.executable, "-m", "api"], port, home / "api.log", **settings)
    try:
        yield server
    finally:
        server.stop()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def get(connection: HTTPConnection, path: str) -> tuple[int, bytes]:
    """Status and body."""
    connection.request("GET", path)
    response = connection.getresponse()
    return response.status, response.read()


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("SILT_")}
