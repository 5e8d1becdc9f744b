"""Silt's side of a comparison: a real stack, its parts, its answers, and where their time goes."""

import contextlib
import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from functools import cached_property

import click
import httpx
import psutil

from bench.sides import Answer, Step
from resources.cluster_model import ClusterModel
from resources.windows import Window
from tests.stacks import Stack, until

_POLL_SECONDS = 0.02
_PATIENCE_SECONDS = 120.0
_SLOT = re.compile(r"_[123]$")
_RUNS_STEPS = """
query ($window: String!) {
  runsOrError(filter: {tags: [{key: "dagster/partition", value: $window}]}) {
    ... on Runs { results { stepStats { stepKey startTime endTime } } }
  }
}
"""


class Silt:
    """A stack, started here.

    Attributes:
        first_answer: seconds from ``silt up`` to the API's first answer about clusters.
        ready: seconds to the API's word that it is ready.
    """

    name = "Silt"
    committed = True

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        begun = time.monotonic()
        stack.start("up", "--no-sample", said="")
        self.first_answer = self._reached("/api/cluster-stats", begun)
        self.ready = self._reached("/health/ready", begun)
        until(lambda: "Ctrl-C ends it." in (stack.home / "silt.log").read_text())

    def parts(self) -> Mapping[psutil.Process, str]:
        """The living processes but the broker's, each with its part's name."""
        return {process: name for process, name in self.all_parts().items() if name != "broker"}

    def all_parts(self) -> Mapping[psutil.Process, str]:
        """The living processes, each with its part's name: what the code server forks is apart from it."""
        leaders = self._leaders()
        found = {process: name for process in psutil.process_iter() if (name := leaders.get(_group(process)))}
        code = [process for process, name in found.items() if name == "code"]
        forked = [process for process in code if _is_fork(process)]
        return found | {process: "run" if process.parent() in forked else "forkserver" for process in forked}

    def expect(self, window: Window) -> None:
        """Nothing: it attends every window."""

    def answered(self, window: Window) -> bool:
        """Whether the API answers with the window."""
        answer = self._client.get("/api/cluster-stats", params={"window": window.key})
        return answer.status_code == httpx.codes.OK and bool(answer.json())

    def answer(self, window: Window) -> Answer:
        """What the lake and Dagster say about an answered window."""
        model = self.stack.lake.read_window("models", window).collect().row(-1, named=True)
        row = self.stack.window_row(window.key)
        steps = self._steps(window, row["seconds"])
        return Answer(
            records=row["records"],
            model=ClusterModel.from_row(model),
            steps=[*sorted(steps, key=lambda step: step.begin), Step("published", row["seconds"])],
            within={f"model: {name}": seconds for name, seconds in model["seconds"].items() if seconds},
        )

    def _steps(self, window: Window, published: float) -> Iterator[Step]:
        """Those of the window's runs that began before the publication; one may not have ended yet."""
        answer = httpx.post(
            f"http://127.0.0.1:{self.stack.settings.dagster_port}/graphql",
            json={"query": _RUNS_STEPS, "variables": {"window": window.key}},
            timeout=30,
        )
        close = self.stack.settings.grid.close(window).timestamp()
        for run in answer.raise_for_status().json()["data"]["runsOrError"]["results"]:
            for step in run["stepStats"]:
                name, begin = _SLOT.sub("", step["stepKey"]), step["startTime"] - close
                if begin < published:
                    yield Step(name, begin, step["endTime"] and step["endTime"] - close)

    @cached_property
    def _client(self) -> httpx.Client:
        return httpx.Client(base_url=f"http://127.0.0.1:{self.stack.settings.api_port}", timeout=30)

    def _reached(self, path: str, begun: float) -> float:
        while time.monotonic() - begun < _PATIENCE_SECONDS:
            with contextlib.suppress(httpx.HTTPError):
                if self._client.get(path).status_code == httpx.codes.OK:
                    return time.monotonic() - begun
            time.sleep(_POLL_SECONDS)
        raise click.ClickException(
            f"{path} did not answer within {_PATIENCE_SECONDS:.0f} s of `silt up`:\n"
            + (self.stack.home / "silt.log").read_text()
        )

    def _leaders(self) -> dict[int, str]:
        """Each part's process group, as the stack records it, and its own process."""
        leaders = {self.stack.process.pid: "silt up"} if self.stack.process else {}
        for record in (self.stack.home / "run").glob("*.json"):
            with contextlib.suppress(OSError, ValueError):
                leaders[json.loads(record.read_text())["pid"]] = record.stem
        return leaders


def _group(process: psutil.Process) -> int:
    """Of this process itself it is not asked: `silt up` shares the bench's group."""
    try:
        group = os.getpgid(process.pid)
    except ProcessLookupError:
        return 0
    return process.pid if group == os.getpgid(0) else group


def _is_fork(process: psutil.Process) -> bool:
    """Whether a process has the command line of the one that it comes from."""
    with contextlib.suppress(psutil.Error):
        parent = process.parent()
        return parent is not None and process.cmdline() == parent.cmdline()
    return False
