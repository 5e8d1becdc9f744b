"""Runs whose process is gone, and of which nobody has told Dagster: they would hold their window for ever."""

import socket
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache

import dagster as dg
import psutil

PROCESS_TAG = "silt/process"
_HOST = socket.gethostname()
CLAIMS_WITHIN = timedelta(seconds=60)
"""A run notes its process as the first thing it does; one that has not after so long was killed before."""


@cache
def claim(instance: dg.DagsterInstance, run_id: str) -> None:
    """Note in a run's tags which process executes it."""
    instance.add_run_tags(run_id, {PROCESS_TAG: _mark(psutil.Process())})


def report_dead(instance: dg.DagsterInstance, runs: Sequence[dg.DagsterRun]) -> list[dg.DagsterRun]:
    """Report the runs as failed whose process is gone; the others are returned.

    Those on other machines are judged only if they never noted their process.

    Dagster's code server does it for the runs that it started, but not for those of a killed predecessor.
    """
    return [run for run in runs if not _reported(instance, run)]


def _reported(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    if not _died(instance, run):
        return False
    now = instance.get_run_by_id(run.run_id)  # it may have ended in order meanwhile
    if now and not now.is_finished:
        instance.report_run_failed(
            now, "The run's process is gone: it was killed. What it was for is run again."
        )
    return True


def _died(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    mark = run.tags.get(PROCESS_TAG)
    if mark is not None:
        return mark.startswith(f"{_HOST}/") and not _lives(mark)
    if run.status != dg.DagsterRunStatus.STARTED:
        return False  # Dagster's run monitoring has a limit for those
    record = instance.get_run_record_by_id(run.run_id)
    started = record and record.start_time
    return bool(started and datetime.fromtimestamp(started, UTC) < datetime.now(UTC) - CLAIMS_WITHIN)


def _lives(mark: str) -> bool:
    try:
        process = psutil.Process(int(mark.split("/")[1]))
        return process.status() != psutil.STATUS_ZOMBIE and _mark(process) == mark
    except (psutil.Error, ValueError, IndexError):
        return False


def _mark(process: psutil.Process) -> str:
    return f"{_HOST}/{process.pid}/{process.create_time():.2f}"
