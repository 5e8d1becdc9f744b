"""The supervisor: starts parts as soon as what they need is ready, watches them, and ends them in order."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from local_stack import logs
from local_stack.groups import end_processes, marked
from local_stack.parts import Part
from local_stack.processes import PartProcess
from local_stack.stop import Stop, StopRequestedError

Say = Callable[[str], None]
State = Literal["waiting", "starting", "ready", "done"]

ALLOWED_DEATHS = 5
DEATHS_WITHIN = 300.0
TIME_TO_END = 13.0
_POLL = 0.2


class PartFailedError(Exception):
    """A part did not get ready, or dies again and again: the stack ends. The text quotes its log."""


class _Watched:
    """A part, its process, and what has happened to it."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.state: State = "waiting"
        self.process: PartProcess | None = None
        self.was_ready = False
        self.not_before = 0.0
        self.deaths: list[float] = []

    @property
    def settled(self) -> bool:
        return self.state in ("ready", "done")


class Supervisor:
    """Runs a list of parts; ended in the reverse of the list's order."""

    def __init__(
        self, home: Path, env: Mapping[str, str], parts: Sequence[Part], stop: Stop, say: Say
    ) -> None:
        self._home = home
        self._env = env
        self._watched = [_Watched(part) for part in parts]
        self._stop = stop
        self._say = say

    def run(self, when_up: Callable[[], None]) -> int:
        """Bring all parts up, call ``when_up``, and watch them until an end is asked for.

        Returns:
            The exit code: 0 if a person ended the stack, 1 if a part did.
        """
        try:
            while not all(watched.settled for watched in self._watched):
                self._turn()
            when_up()
            while True:
                self._turn()
        except StopRequestedError:
            self._say("Ending the stack ...")
            return 0
        except PartFailedError as error:
            self._say(str(error))
            return 1
        finally:
            self._end()

    def _turn(self) -> None:
        for watched in self._watched:
            self._stop.check()
            match watched.state:
                case "waiting":
                    self._start_if_due(watched)
                case "starting":
                    self._see_if_ready(watched)
                case "ready":
                    self._see_if_alive(watched)
        self._stop.pause(_POLL)

    def _start_if_due(self, watched: _Watched) -> None:
        settled = {other.part.name for other in self._watched if other.settled}
        known = {other.part.name for other in self._watched}
        needed = {name for name in watched.part.after if name in known}
        if needed <= settled and time.monotonic() >= watched.not_before:
            logs.rotate(self._log(watched.part.name))
            watched.process = PartProcess(watched.part, self._home, self._env)
            watched.state = "starting"

    def _see_if_ready(self, watched: _Watched) -> None:
        process = watched.process
        assert process is not None
        part = watched.part
        if part.once and process.exit_code == 0:
            self._settle(watched, "done")
        elif process.exit_code is not None:
            self._died(watched, f"ended with exit code {process.exit_code}")
        elif not part.once and part.ready():
            self._settle(watched, "ready")
        elif process.seconds > part.patience:
            process.end(patience=2)
            self._died(watched, f"was not ready within {part.patience:.0f} s", told_by=part.told_by)

    def _settle(self, watched: _Watched, state: State) -> None:
        assert watched.process is not None
        watched.state = state
        watched.was_ready = True
        part = watched.part
        self._say(f"  {part.name:<14} {state:<6} {part.url:<34} {watched.process.seconds:5.1f} s".rstrip())
        if state == "done":
            watched.process.end(patience=1)
        part.when_ready()

    def _see_if_alive(self, watched: _Watched) -> None:
        assert watched.process is not None
        if watched.process.exit_code is not None:
            self._died(watched, f"ended with exit code {watched.process.exit_code}")
        else:
            logs.rotate(watched.process.log)

    def _died(self, watched: _Watched, how: str, told_by: str = "") -> None:
        """Quote its log; then start it again a little later, unless that has been of no use."""
        assert watched.process is not None
        watched.process.end(patience=1)
        log = self._log(told_by or watched.part.name)
        quoted = f"{watched.part.name} {how}. The end of {log}:\n{logs.tail(log)}"
        now = time.monotonic()
        watched.deaths = [*(death for death in watched.deaths if now - death < DEATHS_WITHIN), now]
        if not watched.was_ready:
            raise PartFailedError(quoted)
        if len(watched.deaths) >= ALLOWED_DEATHS:
            raise PartFailedError(
                f"{quoted}\n{watched.part.name} died {ALLOWED_DEATHS} times in a few minutes."
            )
        wait = 2.0 ** (len(watched.deaths) - 1)
        self._say(f"{quoted}\n{watched.part.name} starts again in {wait:.0f} s.")
        watched.state = "waiting"
        watched.not_before = now + wait

    def _log(self, name: str) -> Path:
        return self._home / "logs" / f"{name}.log"

    def _end(self) -> None:
        """End the parts in order; each has at least a second, and as much more as the others left it."""
        deadline = time.monotonic() + TIME_TO_END
        running = [watched.process for watched in reversed(self._watched) if watched.process]
        for after, process in zip(range(len(running) - 1, -1, -1), running, strict=True):
            process.end(patience=max(1.0, min(5.0, deadline - time.monotonic() - after)))
        end_processes(marked(self._home), patience=0.5)
