"""What the faults act on: the stack, its Dagster, its disk, the producer; and the count of what happened."""

import contextlib
import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from local_stack.groups import members
from tests.faults.disk import SmallDisk
from tests.faults.graphql import Dagster
from tests.faults.messages import MINUTE, Messages
from tests.faults.plans import Plan
from tests.faults.producer import Producer
from tests.stacks import Stack, until


@dataclass
class Scene:
    """One run of the harness. ``past``: the starts of the past windows, in milliseconds."""

    plan: Plan
    stack: Stack
    dagster: Dagster
    disk: SmallDisk
    producer: Producer
    messages: Messages
    past: list[int]
    random: random.Random
    happened: Counter[str] = field(default_factory=Counter)

    @property
    def home(self) -> Path:
        return self.stack.home


class NotThereError(Exception):
    """There is nothing to kill: the fault did not happen."""


def start(stack: Stack) -> None:
    """Start the stack, as far as faults need it: what warms Spark up may take longer.

    A part that dies before it was ever ready ends the stack, as that is a wrong setting.
    """
    stack.start("up", "--no-sample", said=["  daemon         ready", "  spark          ready"])


def leader(home: Path, part: str) -> int | None:
    """The process id of a part of the stack; None while it is not there."""
    try:
        pid = json.loads((home / "run" / f"{part}.json").read_text())["pid"]
    except (OSError, ValueError):
        return None
    return int(pid) if psutil.pid_exists(pid) else None


def run_processes(home: Path) -> list[psutil.Process]:
    """The processes that execute Dagster runs: the code server's children, one a run."""
    code = leader(home, "code")
    return [process for process in members(code) if _executes_a_run(process)] if code else []


def kill(target: psutil.Process, others: Sequence[psutil.Process] = ()) -> None:
    """SIGKILL to a process, then to others that belong to it; afterwards all are gone.

    Raises:
        NotThereError: it had ended before.
    """
    if not _lives(target):
        raise NotThereError(f"{target} has ended already")
    target.kill()
    for process in others:
        with contextlib.suppress(psutil.NoSuchProcess):  # what the first one's end has ended
            process.kill()
    until(lambda: not any(map(_lives, [target, *others])), 20)


def assets(start: int) -> list[str]:
    """The assets of a one-minute window, by its start in milliseconds."""
    return ["kafka_batch", f"model_{start // MINUTE % 3 + 1}", "clustering_results", "cluster_stats"]


def _executes_a_run(process: psutil.Process) -> bool:
    """Whether the code server spawned it: by way of a forkserver, whose children have its command line."""
    with contextlib.suppress(psutil.Error):
        return _is_forked(process) and _is_forkserver(process.parent())
    return False


def _is_forkserver(process: psutil.Process | None) -> bool:
    """The first one is itself a fork, of the code server; one that takes its place starts from nothing."""
    if process is None:
        return False
    return _is_forked(process) or any("multiprocessing.forkserver" in word for word in process.cmdline())


def _is_forked(process: psutil.Process) -> bool:
    """Whether it has the command line of its parent."""
    parent = process.parent()
    return parent is not None and process.cmdline() == parent.cmdline()


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
