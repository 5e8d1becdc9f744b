"""The supervisor, on small real processes."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from local_stack import supervisor
from local_stack.groups import MARK
from local_stack.parts import Part
from local_stack.stop import Stop
from local_stack.supervisor import Supervisor
from tests.local_stack.fixture_types import Until


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


SLEEP = python("import time; time.sleep(600)")


class Run:
    """A supervisor at work in a thread."""

    def __init__(self, home: Path, parts: list[Part]) -> None:
        self.said: list[str] = []
        self.up = threading.Event()
        self.exit_code: int | None = None
        self.stop = Stop()
        env = {**os.environ, MARK: str(home)}
        self._supervisor = Supervisor(home, env, parts, self.stop, self.said.append)
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        self.exit_code = self._supervisor.run(self.up.set)

    def end(self) -> int | None:
        self.stop.request()
        return self.wait()

    def wait(self, seconds: float = 20) -> int | None:
        self._thread.join(timeout=seconds)
        return self.exit_code


Start = Callable[..., Run]


@pytest.fixture
def run(home: Path) -> Iterator[Start]:
    runs: list[Run] = []

    def start(*parts: Part) -> Run:
        runs.append(Run(home, list(parts)))
        return runs[-1]

    yield start
    for one in runs:
        one.end()


def pid_of(file: Path) -> int:
    return int(file.read_text())


def test_part_starts_when_what_it_needs_is_ready(run: Start, tmp_path: Path) -> None:
    made = tmp_path / "made"
    task = Part("task", python(f"open({str(made)!r}, 'w').write('x')"), once=True)
    later = Part("later", SLEEP, after=("task", "a part that this stack has not"), ready=made.exists)
    running = run(later, task)
    assert running.up.wait(10)
    assert [line.split()[:2] for line in running.said] == [["task", "done"], ["later", "ready"]]


def test_end_comes_in_reverse_order(run: Start, tmp_path: Path) -> None:
    order = tmp_path / "order"
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(open({order!r}, 'a').write('{name} ') and 0))\n"
        "open({ready!r}, 'w')\n"
        "time.sleep(600)"
    )
    parts = []
    for name in ("first", "second"):
        ready = tmp_path / name
        program = python(code.format(order=str(order), name=name, ready=str(ready)))
        parts.append(Part(name, program, ready=ready.exists))
    running = run(*parts)
    assert running.up.wait(10)
    assert running.end() == 0
    assert order.read_text() == "second first "


def test_whole_group_ends_even_if_it_ignores_sigterm(
    run: Start, home: Path, tmp_path: Path, until: Until
) -> None:
    child = tmp_path / "child"
    stubborn = (
        "import os, signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"if os.fork() == 0: open({str(child)!r}, 'w').write(str(os.getpid()))\n"
        "time.sleep(600)"
    )
    running = run(Part("stubborn", python(stubborn), ready=child.exists))
    assert running.up.wait(10)
    until(child.read_text, 5)
    assert psutil.pid_exists(pid_of(child))
    assert running.end() == 0
    until(lambda: not psutil.pid_exists(pid_of(child)), 5)
    assert list((home / "run").glob("*.json")) == []


def test_dead_part_is_named_with_the_end_of_its_log_and_started_again(
    run: Start, tmp_path: Path, until: Until
) -> None:
    pid = tmp_path / "pid"
    code = (
        f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid()))\n"
        "print('the last thing it said', flush=True); time.sleep(600)"
    )
    running = run(Part("fragile", python(code), ready=pid.exists))
    assert running.up.wait(10)
    until(pid.read_text, 5)
    first = pid_of(pid)
    time.sleep(0.5)
    psutil.Process(first).kill()
    until(lambda: pid_of(pid) != first, 10)
    told = next(line for line in running.said if "ended with exit code -9" in line)
    assert "the last thing it said" in told
    assert "fragile starts again in 1 s" in told


def test_part_that_dies_before_it_is_ready_ends_the_stack(run: Start) -> None:
    broken = Part("broken", python("import sys; sys.exit('what was wrong')"), ready=lambda: False)
    running = run(Part("other", SLEEP), broken)
    assert running.wait() == 1
    assert "broken ended with exit code 1" in running.said[-1]
    assert "what was wrong" in running.said[-1]


def test_part_that_does_not_get_ready_in_time_ends_the_stack(run: Start) -> None:
    running = run(Part("slow", SLEEP, ready=lambda: False, patience=0.5))
    assert running.wait() == 1
    assert "slow was not ready within" in running.said[-1]


def test_part_that_dies_again_and_again_ends_the_stack(run: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "ALLOWED_DEATHS", 2)
    running = run(Part("mayfly", python("import time; time.sleep(0.3)")))
    assert running.wait() == 1
    assert "mayfly died 2 times" in running.said[-1]
