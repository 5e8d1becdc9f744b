"""A real stack of Silt in a folder of its own, for tests: started, asked, ended, nothing left behind."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx

from local_stack.groups import marked
from resources.contract import Contract, load_contract
from resources.lake import Lake
from resources.settings import Settings

_PORTS = ("broker", "controller", "spark", "code", "dagster", "api")
PATIENCE = 240.0
ANSWER_TABLES = ("kafka_batch", "models", "clustering_results", "cluster_stats", "windows")
_KEY = re.compile(r"\d{4}-\d\d-\d\dT\d{4}Z")


def free_ports(count: int) -> list[int]:
    """So many ports that nobody listens on."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


@dataclass
class Stack:
    """A home, its ports, and the `silt` process that runs on it."""

    home: Path
    changes: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[str] | None = None

    def __post_init__(self) -> None:
        ports = zip(_PORTS, free_ports(len(_PORTS)), strict=True)
        self.environment = {
            "SILT_HOME": str(self.home),
            **{f"SILT_{name.upper()}_PORT": str(port) for name, port in ports},
            **self.changes,
        }

    @cached_property
    def settings(self) -> Settings:
        """The settings that this stack runs with."""
        values: dict[str, Any] = {
            name.removeprefix("SILT_").lower(): value for name, value in self.environment.items()
        }
        return Settings(_env_file=None, **values)

    @cached_property
    def contract(self) -> Contract:
        return load_contract(self.settings.contract)

    @cached_property
    def lake(self) -> Lake:
        return Lake(self.settings.lake)

    @property
    def process_environment(self) -> dict[str, str]:
        """The environment of processes that work with the stack."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SILT_")}
        return inherited | self.environment

    @cached_property
    def _client(self) -> httpx.Client:
        return httpx.Client(base_url=f"http://127.0.0.1:{self.settings.api_port}", timeout=30)

    def silt(self, *arguments: str, seconds: float = PATIENCE) -> str:
        """Run a `silt` command to its end; its output."""
        done = subprocess.run(
            [sys.executable, "-m", "cli.main", *arguments],
            env=self.process_environment, capture_output=True, text=True, timeout=seconds, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"silt {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    @contextmanager
    def running(self, *arguments: str) -> Iterator[None]:
        """A `silt` command that runs beside the stack within the block, ended as a person does."""
        process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", *arguments],
            env=self.process_environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            yield
            assert process.poll() is None, f"silt {' '.join(arguments)} ended by itself"
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=20)

    def start(self, *arguments: str, said: Sequence[str] = ("Ctrl-C ends it.",)) -> None:
        """Start `silt up` or `silt broker`, and wait until it says that all is ready, or what is given."""
        self.home.mkdir(parents=True, exist_ok=True)
        log = self.home / "silt.log"
        with log.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cli.main", *arguments],
                env=self.process_environment, stdout=output, stderr=subprocess.STDOUT, text=True,
            )  # fmt: skip
        process = self.process
        until(lambda: all(line in log.read_text() for line in said) or process.poll() is not None)
        assert process.poll() is None, log.read_text()

    def stop(self) -> None:
        """End it as a person does; it must take at most 15 s and leave no process."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=20)
        self.process = None
        left = [process.cmdline()[:4] for process in marked(self.home)]
        assert not left, f"left running: {left}"

    def get(self, path: str) -> Any:
        """A JSON answer of the API."""
        return self._client.get(path).raise_for_status().json()

    def post(self, path: str, body: Any) -> Any:
        """The JSON answer of the API to a body."""
        return self._client.post(path, json=body).raise_for_status().json()

    def walk(self, path: str) -> list[Any]:
        """All pages of a list, by following its links."""
        rows: list[Any] = []
        while path:
            answer = self._client.get(path).raise_for_status()
            rows += answer.json()
            path = answer.links.get("next", {}).get("url", "")
        return rows

    def window_row(self, key: str) -> dict[str, Any]:
        """A window's row in the table `windows`; empty where there is none."""
        window = self.settings.grid.window(key)
        rows = self.lake.read_window("windows", window).collect().to_dicts()
        return rows[0] if rows else {}

    def published(self) -> set[str]:
        """The windows that have an answer."""
        return set(self.lake.read("windows", ["window", "revision"]).drop_nulls()["window"])

    def versions(self) -> dict[str, int]:
        """The Delta versions of the tables that hold windows' answers."""
        return {name: self.lake.table(name).version() for name in ANSWER_TABLES}

    def written_since(self, versions: dict[str, int]) -> dict[str, set[str]]:
        """Per table, the windows that commits after these versions replaced, by the commits' predicates."""
        return {
            name: {
                key
                for commit in self.lake.table(name).history()
                if commit["version"] > version
                for key in _KEY.findall(commit.get("operationParameters", {}).get("predicate", ""))
            }
            for name, version in versions.items()
        }

    def wait_published(self, keys: list[str], revision: int = 1, seconds: float = PATIENCE) -> None:
        """Wait until windows have an answer of at least this revision."""
        until(lambda: all((self.window_row(key).get("revision") or 0) >= revision for key in keys), seconds)


def until(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait for a condition, or fail."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.5)
