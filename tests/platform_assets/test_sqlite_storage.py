"""Dagster's storage with kept connections holds what Dagster's own holds, in the same files."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

from local_stack.dagster_home import write_dagster_home
from resources.settings import Settings


@dg.asset
def something() -> None:
    return None


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    write_dagster_home(tmp_path, Settings())
    return tmp_path


def runs_and_events(home: Path) -> dict[str, list[str | None]]:
    """The run ids and their events, as an instance over the home has them."""
    with dg.DagsterInstance.from_config(str(home)) as instance:
        return {
            run.run_id: [
                event.dagster_event.event_type_value
                for event in instance.all_logs(run.run_id)
                if event.dagster_event
            ]
            for run in instance.get_runs()
        }


def test_dagsters_own_storage_reads_what_ours_wrote(home: Path) -> None:
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert type(instance.event_log_storage) is not SqliteEventLogStorage
        dg.materialize([something], instance=instance)
        assert instance.get_latest_materialization_event(something.key)
    written = runs_and_events(home)
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}")
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert type(instance.event_log_storage) is SqliteEventLogStorage
        assert instance.get_latest_materialization_event(something.key)
    (events,) = written.values()
    assert "ASSET_MATERIALIZATION" in events
    assert runs_and_events(home) == written


def test_threads_read_more_runs_than_files_are_kept_open(home: Path) -> None:
    with dg.DagsterInstance.from_config(str(home)) as instance:
        runs = [dg.materialize([something], instance=instance).run_id for _ in range(6)] * 4
        with ThreadPoolExecutor(4) as threads:
            found = list(threads.map(instance.all_logs, runs))
    assert [{event.run_id for event in events} for events in found] == [{run} for run in runs]
    assert len({tuple(event.dagster_event_type for event in events) for events in found}) == 1


def forked(home: str) -> None:
    """Run in a process of its own: one in which gRPC has begun cannot fork so."""
    with dg.DagsterInstance.from_config(home) as instance:
        run = dg.materialize([something], instance=instance).run_id
        child = os.fork()
        if not child:
            signal.alarm(20)
            os.closerange(3, 256)
            try:
                with dg.DagsterInstance.from_config(home) as own:
                    own.add_run_tags(run, {"forked": "yes"})
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        found = instance.get_run_by_id(run)
        assert found
        assert found.tags["forked"] == "yes"


def test_a_fork_opens_the_files_itself(home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import {__name__} as test; test.forked({str(home)!r})"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
