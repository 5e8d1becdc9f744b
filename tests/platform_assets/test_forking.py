"""Runs' processes are forked from one that has imported everything."""

import multiprocessing
import os
import subprocess
import sys
from multiprocessing.queues import Queue

from platform_assets.forking import fork_runs


def report(answers: "Queue[tuple[int, bool]]") -> None:
    answers.put((os.getppid(), "platform_assets.sensors" in sys.modules))


def spawn_as_dagster_does() -> None:
    """In a process of its own: what is spawned comes from a forkserver, with the imports done."""
    fork_runs()
    context = multiprocessing.get_context("spawn")
    answers: Queue[tuple[int, bool]] = context.Queue()
    process = context.Process(target=report, args=(answers,))
    process.start()
    parent, imported = answers.get(timeout=60)
    process.join()
    assert process.exitcode == 0
    assert parent != os.getpid()
    assert imported


def test_a_spawned_process_has_the_imports_done_by_its_forkserver() -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import {__name__} as test; test.spawn_as_dagster_does()"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
