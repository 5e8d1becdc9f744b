"""Dagster takes our dagster.yaml and workspace.yaml as they are, and orphaned runs are reported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from dagster import DagsterInstance, DagsterRunStatus, job, op
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.test_utils import create_run_for_test

from local_stack.dagster_home import write_dagster_home
from local_stack.orphans import report_orphans
from resources.settings import PROJECT, Settings


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    write_dagster_home(tmp_path, Settings())
    return tmp_path


def test_instance_loads_with_our_configuration(home: Path) -> None:
    with DagsterInstance.from_config(str(home)) as instance:
        assert not instance.telemetry_enabled
        assert instance.run_monitoring_enabled
        queue = instance.get_concurrency_config().run_queue_config
        assert queue is not None
        assert queue.max_concurrent_runs == 12
        assert {limit["key"] for limit in queue.tag_concurrency_limits or []} == {
            "dagster/backfill",
            "silt/lane",
            "silt/upkeep",
            "silt/window",
        }


def test_only_the_daemons_that_something_needs_run(home: Path) -> None:
    with DagsterInstance.from_config(str(home)) as instance:
        daemons = {"SENSOR", "SCHEDULER", "QUEUED_RUN_COORDINATOR", "BACKFILL", "MONITORING"}
        assert set(instance.get_required_daemon_types()) == daemons


def test_postgres_is_the_storage_where_the_settings_name_it(tmp_path: Path) -> None:
    env = {**os.environ, "DAGSTER_HOME": str(tmp_path), "SILT_POSTGRES_URL": "postgresql://db/dagster"}
    subprocess.run([sys.executable, "-m", "local_stack.dagster_home"], env=env, cwd=tmp_path, check=True)
    storage = yaml.safe_load((tmp_path / "dagster.yaml").read_text())["storage"]
    assert storage == {"postgres": {"postgres_url": {"env": "SILT_POSTGRES_URL"}}}


def test_workspace_names_the_code_server_by_settings() -> None:
    server = yaml.safe_load((PROJECT / "workspace.yaml").read_text())["load_from"][0]["grpc_server"]
    assert server == {
        "location_name": "silt",
        "host": {"env": "SILT_CODE_HOST"},
        "port": {"env": "SILT_CODE_PORT"},
    }


@op
def nothing() -> None:
    return None


@job
def some_job() -> None:
    nothing()


def test_runs_whose_processes_were_killed_are_reported_as_failed_and_queued_ones_stay() -> None:
    server = GrpcServerCodeLocationOrigin("127.0.0.1", port=1, location_name="silt")
    origin = RemoteRepositoryOrigin(server, "__repository__").get_job_origin(some_job.name)
    with DagsterInstance.ephemeral() as instance:
        before = {
            status: create_run_for_test(
                instance, job_name=some_job.name, status=status, remote_job_origin=origin
            ).run_id
            for status in (
                DagsterRunStatus.STARTED,
                DagsterRunStatus.STARTING,
                DagsterRunStatus.CANCELING,
                DagsterRunStatus.QUEUED,
                DagsterRunStatus.SUCCESS,
            )
        }
        assert report_orphans(instance) == 3
        after = {status: instance.get_run_by_id(run_id) for status, run_id in before.items()}
        kept = {DagsterRunStatus.QUEUED, DagsterRunStatus.SUCCESS}
        for status, run in after.items():
            assert run is not None
            assert run.status == (status if status in kept else DagsterRunStatus.FAILURE)
