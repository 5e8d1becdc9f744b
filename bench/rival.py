"""The rival's side of a comparison: Structured Streaming and MLlib, in processes of their own."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import psutil

from bench.sides import Answer, Step
from bench.structured_streaming import ANSWER
from local_stack.groups import end_processes
from resources.cluster_model import ClusterModel
from resources.windows import Window
from tests.stacks import Stack


class StructuredStreaming:
    """The rival, running."""

    name = "Structured Streaming"
    committed = False

    def __init__(self, stack: Stack, folder: Path) -> None:
        """Start it on a stack's topic.

        Raises:
            ClickException: it does not start.
        """
        self._stack, self._folder, self._log = stack, folder, folder / "spark.log"
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bench.structured_streaming", str(folder)],
                env=stack.process_environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                text=True,
            )  # fmt: skip
        assert self._process.stdin and self._process.stdout
        self._keys = self._process.stdin
        if not self._process.stdout.readline():
            raise self._ended()

    def parts(self) -> Mapping[psutil.Process, str]:
        """The driver's Python and its JVM."""
        driver = psutil.Process(self._process.pid)
        return {driver: "driver", **dict.fromkeys(driver.children(recursive=True), "Spark")}

    def expect(self, window: Window) -> None:
        """Give it the window's key."""
        print(window.key, file=self._keys, flush=True)

    def answered(self, window: Window) -> bool:
        """Whether the window's answer is there.

        Raises:
            ClickException: it has ended.
        """
        if self._process.poll() is not None:
            raise self._ended()
        return (self._folder / window.key / ANSWER).exists()

    def answer(self, window: Window) -> Answer:
        """What it says about a window that it answered."""
        told = json.loads((self._folder / window.key / ANSWER).read_text())
        close = self._stack.settings.grid.close(window).timestamp()
        steps, begin = [], window.start.timestamp() - close
        for name, moment in told["moments"].items():
            steps.append(Step(name, begin, moment - close))
            begin = max(0.0, moment - close)
        return Answer(told["records"], ClusterModel.from_row(told), steps, {})

    def end(self) -> None:
        """End its processes."""
        end_processes(self.parts())

    def _ended(self) -> click.ClickException:
        return click.ClickException(f"{self.name} ended: {self._log.read_text()[-3_000:]}")


@contextmanager
def structured_streaming(stack: Stack) -> Iterator[StructuredStreaming]:
    """The rival on a running stack's topic; ended, and its files removed, with the block."""
    with TemporaryDirectory(prefix="silt-bench-") as folder:
        rival = StructuredStreaming(stack, Path(folder))
        try:
            yield rival
        finally:
            rival.end()
