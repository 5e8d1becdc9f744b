"""Runs' processes are forked from one that has imported everything."""

import multiprocessing
import os
import signal
import subprocess
import sys
from multiprocessing import forkserver
from multiprocessing.queues import Queue

import psutil
import pytest

from platform_assets.forking import fork_runs
from tests.stacks import until


def report(answers: "Queue[tuple[int, bool]]") -> None:
    answers.put((os.getppid(), "platform_assets.sensors" in sys.modules))


def spawn() -> tuple[int, bool]:
    """Start a process as Dagster starts a run's. Returns its parent, and whether it has the imports done."""
    context = multiprocessing.get_context("spawn")
    answers: Queue[tuple[int, bool]] = context.Queue()
    process = context.Process(target=report, args=(answers,))
    process.start()
    answer = answers.get(timeout=60)
    process.join()
    assert process.exitcode == 0
    return answer


def in_a_code_server() -> int:
    """Make this process one of those whose runs are forked; the forkserver's process id."""
    sys.argv[1:] = ["api", "grpc"]
    fork_runs()
    pid = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    assert isinstance(pid, int)
    return pid


def spawned_processes_are_forked() -> None:
    import platform_assets.sensors  # noqa: F401, PLC0415

    pid = in_a_code_server()
    fork_runs()  # the definitions are loaded more than once
    assert spawn() == (pid, True)
    assert psutil.Process(pid).cmdline() == psutil.Process().cmdline()


def a_killed_forkserver_is_replaced() -> None:
    pid = in_a_code_server()
    os.kill(pid, signal.SIGKILL)
    until(lambda: psutil.Process(pid).status() == psutil.STATUS_ZOMBIE, 10)
    parent, imported = spawn()
    assert parent not in (pid, os.getpid())
    assert imported


def another_process_spawns_as_ever() -> None:
    fork_runs()
    assert spawn()[0] == os.getpid()


@pytest.mark.parametrize(
    "case", [spawned_processes_are_forked, a_killed_forkserver_is_replaced, another_process_spawns_as_ever]
)
def test_in_a_process_of_its_own(case: object) -> None:
    name = getattr(case, "__name__", "")
    done = subprocess.run(
        [sys.executable, "-c", f"import {__name__} as test; test.{name}()"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_the_forkserver_ends_with_the_code_server() -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import {__name__} as test; print(test.in_a_code_server())"],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    until(lambda: not psutil.pid_exists(int(done.stdout)), 10)
