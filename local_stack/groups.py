"""Process groups of the stack: recorded, so that the next start can end what a killed one left behind."""

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

MARK = "LOCAL_STACK_HOME"
"""Environment variable that every process of a stack inherits: its home."""


@dataclass(frozen=True)
class GroupRecords:
    """The files ``SILT_HOME/run/<part>.json``: each a group's leader and its time of creation."""

    home: Path

    def write(self, part: str, pid: int) -> None:
        """Record the group whose leader was just started."""
        record = {"pid": pid, "created": psutil.Process(pid).create_time()}
        path = self._path(part)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".new").write_text(json.dumps(record))
        path.with_suffix(".new").replace(path)

    def forget(self, part: str) -> None:
        """The group has ended."""
        self._path(part).unlink(missing_ok=True)

    def end_leftovers(self) -> int:
        """End what an earlier stack of this home left running, and say how many processes that were.

        A recorded group is ended if its leader is still the recorded process (a process id may be
        another's by now); a process whose environment carries this home's mark belongs to it in any case.
        """
        left = {process.pid: process for process in [*self._recorded(), *marked(self.home)]}
        end_processes(left.values())
        for path in self._path("any").parent.glob("*.json"):
            path.unlink(missing_ok=True)
        return len(left)

    def _recorded(self) -> list[psutil.Process]:
        found: list[psutil.Process] = []
        for path in self._path("any").parent.glob("*.json"):
            with contextlib.suppress(psutil.Error, ValueError, KeyError, OSError):
                record = json.loads(path.read_text())
                if psutil.Process(record["pid"]).create_time() == record["created"]:
                    found += members(record["pid"])
        return found

    def _path(self, part: str) -> Path:
        return self.home / "run" / f"{part}.json"


def members(group: int) -> list[psutil.Process]:
    """The living processes of a process group (a zombie does not live)."""
    return [process for process in psutil.process_iter() if _group_of(process) == group and _lives(process)]


def marked(home: Path) -> list[psutil.Process]:
    """The living processes that a stack of this home started, directly or not."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(MARK) == str(home):
                found.append(process)
    return [process for process in found if _lives(process)]


def signal_group(group: int, number: signal.Signals) -> None:
    """Send a signal to all of a group; nothing happens if it has ended."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def end_processes(processes: Iterable[psutil.Process], patience: float = 5) -> None:
    """SIGTERM, a bounded wait, SIGKILL to what is left."""
    left = list(processes)
    for number, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, patience)):
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.send_signal(number)
        deadline = time.monotonic() + seconds
        while left and time.monotonic() < deadline:
            time.sleep(0.05)
            left = [process for process in left if _lives(process)]


def _group_of(process: psutil.Process) -> int | None:
    try:
        return os.getpgid(process.pid)
    except (ProcessLookupError, PermissionError):
        return None


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
