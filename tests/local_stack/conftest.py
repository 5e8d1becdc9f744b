"""Homes, ports and real `silt` processes for the tests of the local stack; each leaves nothing behind."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_stack.groups import end_processes, marked
from tests.local_stack.fixture_types import Condition, FreePort, Silt, Until


@pytest.fixture
def free_port() -> FreePort:
    """Finds a port that nobody listens on."""

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    return find


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home of Silt; what is left running on it afterwards is ended, and fails the test."""
    folder = tmp_path / "Jürgen's home 1 — ok"
    yield folder
    left = marked(folder)
    described = [process.cmdline()[:4] for process in left]
    end_processes(left)
    assert not described, f"left running: {described}"


@pytest.fixture
def environment(home: Path, free_port: FreePort) -> dict[str, str]:
    """An environment with this home and free ports for all parts."""
    ports = ("BROKER", "CONTROLLER", "SPARK", "CODE", "DAGSTER", "API")
    settings = {f"SILT_{name}_PORT": str(free_port()) for name in ports}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SILT_")}
    return {**inherited, **settings, "SILT_HOME": str(home)}


@pytest.fixture
def silt(environment: dict[str, str], tmp_path: Path) -> Iterator[Silt]:
    """Starts `silt` with arguments; ends what the test left running."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "cli.main", *arguments],
                env=environment,
                cwd=tmp_path,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=20)
        process.communicate()


@pytest.fixture
def until() -> Until:
    """Waits for a condition, or fails."""

    def wait(condition: Condition, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not within {seconds} s"
            time.sleep(0.05)

    return wait
