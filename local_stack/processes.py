"""A part's process: started in a session of its own, watched, and ended with all that it started."""

import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from local_stack import logs
from local_stack.groups import GroupRecords, members, signal_group
from local_stack.parts import Part


class PartProcess:
    """One running process of a part, and its group."""

    def __init__(self, part: Part, home: Path, env: Mapping[str, str]) -> None:
        self.part = part
        self.log = home / "logs" / f"{part.name}.log"
        self.since = time.monotonic()
        self._ended = False
        self._records = GroupRecords(home)
        folder = home / "tmp"
        folder.mkdir(parents=True, exist_ok=True)
        with logs.open_log(self.log) as output:
            self._process = subprocess.Popen(
                part.command,
                env={**env, **part.env},
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._records.write(part.name, self._process.pid)

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative if a signal ended it."""
        return self._process.poll()

    @property
    def seconds(self) -> float:
        """How long ago it was started."""
        return time.monotonic() - self.since

    def end(self, patience: float) -> None:
        """End the whole group: SIGTERM, up to ``patience`` seconds, SIGKILL."""
        if self._ended:
            return  # the group's number may be another's by now
        group = self._process.pid
        for number, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, 2.0)):
            signal_group(group, number)
            deadline = time.monotonic() + seconds
            while self._lives(group) and time.monotonic() < deadline:
                time.sleep(0.05)
        self._ended = not self._lives(group)
        self._records.forget(self.part.name)

    def _lives(self, group: int) -> bool:
        return self._process.poll() is None or bool(members(group))
