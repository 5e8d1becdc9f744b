"""The API as a server on the wire: slow, silent and hostile clients, and its end under load."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from resources.settings import PROJECT
from tests.api.lakes import FIRST, HandMadeLake

TIMEOUT = 1.0
PATIENCE = 60
"""Seconds after which something that shall end has not; machines that run tests may be busy."""
ROWS = 40_000
EXPORT = "/api/clustering-results?limit=all&format=ndjson"
HEAD = b"Host: 127.0.0.1\r\nConnection: close\r\n"


class Server:
    """A running API over the lake below a home."""

    def __init__(self, home: Path, drain: int = PATIENCE) -> None:
        self.home = home
        self.log = home / "log"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SILT_")}
        settings = {
            "SILT_HOME": str(self.home),
            "SILT_API_PORT": str(self.port),
            "SILT_API_TIMEOUT_SECONDS": str(TIMEOUT),
            "SILT_API_DRAIN_SECONDS": str(drain),
        }
        with self.log.open("a") as log:
            command = [sys.executable, "-m", "api"]
            self.process = subprocess.Popen(
                command, env={**kept, **settings}, cwd=PROJECT, stdout=log, stderr=log
            )
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def connect(self, buffer: int | None = None) -> socket.socket:
        """A connection, whose system takes in so many bytes that nobody has read yet."""
        made = socket.socket()
        if buffer:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        made.settimeout(PATIENCE)
        made.connect(("127.0.0.1", self.port))
        return made

    def ask(self, raw: bytes) -> bytes:
        """All that comes back for some bytes until the server closes the connection."""
        with closing(self.connect()) as connection:
            connection.sendall(raw)
            return read_all(connection)

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/health/live").status_code == 200
        except httpx.ConnectError:
            return False


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a lake with one window of many records."""
    home = tmp_path_factory.mktemp("wire")
    records = {f"record-{number:08}": number % 2 for number in range(ROWS)}
    HandMadeLake(home / "lake").publish(FIRST, records)
    return home


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[Server]:
    made = Server(home)
    yield made
    if made.process.poll() is None:
        assert made.end() == 0


def unchunked(answer: bytes) -> bytes:
    """The body of a whole answer in chunks."""
    rest, body = answer.partition(b"\r\n\r\n")[2], []
    while rest != b"0\r\n\r\n":
        length, _, rest = rest.partition(b"\r\n")
        assert rest[int(length, 16) :].startswith(b"\r\n"), "the answer is cut off"
        body.append(rest[: int(length, 16)])
        rest = rest[int(length, 16) + 2 :]
    return b"".join(body)


def read_all(connection: socket.socket, pause: float = 0.0) -> bytes:
    parts = []
    try:
        while part := connection.recv(65_536):
            parts.append(part)
            time.sleep(pause)
    except ConnectionResetError:
        pass
    return b"".join(parts)


@pytest.mark.parametrize(
    "begun", [b"", b"GET /health/live HT", b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\nX"]
)
def test_client_that_sends_nothing_or_half_a_head_is_let_go(server: Server, begun: bytes) -> None:
    began = time.monotonic()
    assert b"200 OK" not in server.ask(begun)
    assert time.monotonic() - began > TIMEOUT * 0.9


def test_client_that_sends_a_head_byte_by_byte_is_let_go(server: Server) -> None:
    with closing(server.connect()) as connection, pytest.raises((BrokenPipeError, ConnectionResetError)):
        for byte in b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: " + b"x" * 1000:
            connection.sendall(bytes([byte]))
            time.sleep(0.02)


def test_body_that_does_not_come_is_not_waited_for(server: Server) -> None:
    head = b"POST /api/models/model_1/predict HTTP/1.1\r\nContent-Type: application/json\r\n"
    answer = server.ask(head + HEAD + b"Content-Length: 99\r\n\r\n{")
    assert answer.startswith(b"HTTP/1.1 503")
    assert b"urn:silt:problem:timeout" in answer


def test_hundreds_of_silent_connections_keep_nobody_out(server: Server) -> None:
    silent = [server.connect() for _ in range(300)]
    try:
        assert b"200 OK" in server.ask(b"GET /health/live HTTP/1.1\r\n" + HEAD + b"\r\n")
    finally:
        for connection in silent:
            connection.close()


def test_client_that_does_not_read_its_export_is_let_go(server: Server) -> None:
    for _ in range(3):  # no more than two exports run at once: each one that is cut off makes room
        with closing(server.connect(buffer=4_096)) as connection:
            connection.sendall(f"GET {EXPORT} HTTP/1.1\r\n".encode() + HEAD + b"\r\n")
            assert connection.recv(12) == b"HTTP/1.1 200"
            time.sleep(TIMEOUT * 2)
            got = read_all(connection)
        assert not got.endswith(b"0\r\n\r\n"), "what was cut off does not look whole"
    assert "was cut off" in server.log.read_text()


def test_client_that_reads_slowly_gets_its_whole_export(server: Server) -> None:
    with closing(server.connect()) as connection:
        connection.sendall(f"GET {EXPORT} HTTP/1.1\r\n".encode() + HEAD + b"\r\n")
        began, got = time.monotonic(), read_all(connection, pause=0.01)
    assert unchunked(got).count(b"\n") == ROWS
    assert time.monotonic() - began > TIMEOUT


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET /api/clustering-results/" + b"x" * 2**20 + b" HTTP/1.1\r\n" + HEAD + b"\r\n", b"431"),
        (b"GET /api/clustering-results/" + b"x" * 50_000 + b" HTTP/1.1\r\n" + HEAD + b"\r\n", b"414"),
        (b"GET /health/live HTTP/1.1\r\n" + HEAD + b"X: " + b"x" * 2**17 + b"\r\n\r\n", b"431"),
        (
            b"GET /health/live HTTP/1.1\r\n"
            + HEAD
            + b"".join(b"X%d: x\r\n" % n for n in range(200))
            + b"\r\n",
            b"431",
        ),
        (b"GET /health/\0 HTTP/1.1\r\n" + HEAD + b"\r\n", b"400"),
        (b"GET /health/\xed\xa0\x80 HTTP/1.1\r\n" + HEAD + b"\r\n", b"400"),
        (b"GET /health/live HTTP/1.1\r\nHost: evil.example.com\r\n" + HEAD + b"\r\n", b"421"),
        (b"GET /../../etc/passwd HTTP/1.1\r\n" + HEAD + b"\r\n", b"404"),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", b"400"),
    ],
    ids=[
        "1 MiB id",
        "long id",
        "long header",
        "many headers",
        "NUL",
        "surrogate",
        "two hosts",
        "traversal",
        "TLS",
    ],
)
def test_hostile_requests_are_refused_and_tell_nothing(server: Server, raw: bytes, status: bytes) -> None:
    answer = server.ask(raw)
    assert answer.split(b" ", 2)[1] == status
    assert len(answer) < 5_000
    for told in (b"granian", b"litestar", b"python", b"Traceback", str(server.home).encode()):
        assert told not in answer.lower()


def test_end_lets_answers_in_progress_finish_and_takes_no_more(home: Path) -> None:
    server = Server(home)
    got: dict[str, bytes] = {}
    begun = threading.Barrier(3)

    def export() -> None:
        with closing(server.connect(buffer=65_536)) as connection:
            connection.sendall(f"GET {EXPORT} HTTP/1.1\r\n".encode() + HEAD + b"\r\n")
            begun.wait()
            got["export"] = read_all(connection, pause=0.005)

    def stay() -> None:
        with closing(server.connect()) as connection:
            connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            begun.wait()
            got["idle"] = read_all(connection)

    threads = [threading.Thread(target=work) for work in (export, stay)]
    for thread in threads:
        thread.start()
    begun.wait()
    time.sleep(0.2)
    assert server.end() == 0
    for thread in threads:
        thread.join()

    assert unchunked(got["export"]).count(b"\n") == ROWS
    assert json.loads(got["idle"].rpartition(b"\r\n\r\n")[2]) == {"status": "live"}
    with pytest.raises(ConnectionRefusedError):
        server.connect()


def test_end_cuts_off_what_takes_longer_than_it_may(home: Path) -> None:
    server = Server(home, drain=1)
    with closing(server.connect(buffer=4_096)) as connection:
        connection.sendall(f"GET {EXPORT} HTTP/1.1\r\n".encode() + HEAD + b"\r\n")
        assert connection.recv(12) == b"HTTP/1.1 200"
        ended = threading.Thread(target=server.end)
        ended.start()
        got = [connection.recv(4_096)]
        while got[-1] and ended.is_alive():
            time.sleep(0.002)
            got.append(connection.recv(4_096))
        got.append(read_all(connection))
        ended.join()
    assert server.process.returncode == 0
    assert not b"".join(got).endswith(b"0\r\n\r\n")


def test_every_line_of_the_log_is_one_object(server: Server) -> None:
    httpx.get(f"http://127.0.0.1:{server.port}/health/ready", headers={"X-Request-ID": "by-hand"})
    deadline = time.monotonic() + 10
    while "by-hand" not in (text := server.log.read_text()):  # it is written once the answer is out
        assert time.monotonic() < deadline
        time.sleep(0.01)
    lines = [json.loads(line) for line in text.splitlines()]
    assert {"_granian", "silt.access"} <= {line["logger"] for line in lines}
    (mine,) = (line for line in lines if line.get("requestId") == "by-hand")
    assert (mine["route"], mine["status"]) == ("/health/ready", 200)
