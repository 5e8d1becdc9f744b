"""The upkeep jobs, run by a real Dagster instance on a real lake."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from dagster._core.storage.event_log import SqliteEventLogStorage

from platform_assets.checks import window_check
from platform_assets.dagster_history import UPKEEP_TAG, delete_checks, delete_empty_windows, delete_runs
from platform_assets.run import PARTITION_TAG, Platform
from platform_assets.upkeep import make_upkeep, until_answered
from resources.contract import Contract
from resources.intake import Taker
from resources.lake import Lake
from resources.settings import Settings
from resources.tables import TABLES
from resources.windows import KEY_FORMAT, Grid, Window

HOURLY_STEPS = ("apply_retention", "merge_past_days", "vacuum_tables")


class World:
    """A lake that is forty days old, and Dagster's SQLite storage in a folder of its own."""

    def __init__(self, folder: Path, contract: Contract) -> None:
        self.now = datetime.now(UTC)
        self.settings = Settings(_env_file=None, home=folder, retention_days=30)
        self.lake = Lake(self.settings.lake)
        self.lake.create(self.now - timedelta(days=40), self.settings.lateness)
        self.platform = Platform(
            self.settings, contract, self.lake, Taker(self.settings, contract, self.lake)
        )
        (folder / "dagster").mkdir()
        self.instance = dg.DagsterInstance.local_temp(str(folder / "dagster"))
        self.schedules = {schedule.name: schedule for schedule in make_upkeep([an_asset])}

    def window(self, days_back: int) -> Window:
        return self.settings.grid.home(self.now - timedelta(days=days_back))

    def publish(self, window: Window) -> None:
        row = {"date": window.date, "window": window.key, "slot": window.slot, "state": "published"}
        frame = pl.DataFrame([row], schema=dict(TABLES["windows"].schema))
        self.lake.replace_window("windows", window, frame)

    def job(self, name: str) -> dg.JobDefinition:
        job = self.schedules[name].job
        assert isinstance(job, dg.JobDefinition)
        return job

    def run(self, name: str) -> dict[str, dict[str, Any]]:
        """Run a job to its end; the metadata of each step."""
        result = self.job(name).execute_in_process(
            instance=self.instance, resources={"platform": self.platform}, raise_on_error=False
        )
        assert result.success
        return {
            event.step_key: {key: value.value for key, value in event.step_output_data.metadata.items()}
            for event in result.all_node_events
            if event.is_successful_output and event.step_key
        }

    def has_run(self, window: Window) -> str:
        """A finished run that materialized a window."""
        result = dg.materialize(
            [an_asset], instance=self.instance, partition_key=window.key, tags={PARTITION_TAG: window.key}
        )
        assert result.success
        return result.run_id

    def materialized(self) -> set[str]:
        return self.instance.get_materialized_partitions(an_asset.key)

    def run_files(self) -> set[str]:
        storage = self.instance.event_log_storage
        assert isinstance(storage, SqliteEventLogStorage)
        return {path.stem for path in Path(storage.path_for_shard("x")).parent.glob("*-*.db")}

    def checked(self) -> set[str | None]:
        """The windows of which there is a result of the check."""
        storage = self.instance.event_log_storage
        return {record.partition for record in storage.get_asset_check_execution_history(A_CHECK, limit=100)}


_PARTITIONS = dg.TimeWindowPartitionsDefinition(
    start=datetime(2020, 1, 1, tzinfo=UTC), fmt=KEY_FORMAT, cron_schedule="*/5 * * * *", end_offset=1
)


A_CHECK = dg.AssetCheckKey(dg.AssetKey("an_asset"), "a_check")


@dg.asset(partitions_def=_PARTITIONS, check_specs=[window_check(A_CHECK, _PARTITIONS)])
def an_asset() -> Iterator[dg.MaterializeResult[None]]:
    """Stands for the assets of a window."""
    yield dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=True)])


@pytest.fixture
def world(tmp_path: Path, contract: Contract) -> Iterator[World]:
    made = World(tmp_path, contract)
    with made.instance:
        yield made


def test_compaction_says_what_it_did(world: World) -> None:
    first = world.settings.grid.home(world.now.replace(hour=0, minute=0))
    for count in range(20):
        world.publish(first.step(count))
    (shown,) = world.run("upkeep_compaction").values()
    assert (shown["files before"], shown["files merged"], shown["rows removed"]) == (20, 20, 0)
    assert shown["files after"] == len(world.lake.table("windows").file_uris()) <= 2
    assert shown["left"] == []
    assert "| windows | 20 |" in shown["tables"]
    assert world.lake.read("windows").height == 20


def test_the_hourly_job_merges_past_days_and_applies_the_retention(world: World) -> None:
    for days in (0, 1, 5, 29, 31, 38):
        for count in range(2):
            world.publish(world.window(days).step(-count))
    shown = world.run("upkeep_hourly")
    assert set(shown) == {*HOURLY_STEPS, "delete_old_runs"}
    floor = (world.now - timedelta(days=30)).date()
    assert world.lake.floor().date() == floor
    assert shown["apply_retention"]["rows removed"] >= 3
    assert min(world.lake.read("windows")["date"].to_list()) >= floor
    assert shown["merge_past_days"]["files after"] < shown["merge_past_days"]["files before"]
    assert world.lake.read_window("windows", world.window(5)).collect().height == 1


def test_steps_that_fail_say_why_and_keep_no_other_from_its_work(world: World) -> None:
    for days in (5, 38):
        for count in range(2):
            world.publish(world.window(days).step(-count))
    ledger = Path(world.lake.uri) / "ledger"
    ledger.rename(ledger.with_name("away"))
    platform = replace(world.platform, lake=Lake(world.lake.uri))  # as a new process opens it
    result = world.job("upkeep_hourly").execute_in_process(
        instance=world.instance, resources={"platform": platform}, raise_on_error=False
    )
    failed = {event.step_key: event.step_failure_data for event in result.all_events if event.is_step_failure}
    assert set(failed) == set(HOURLY_STEPS)  # and not delete_old_runs
    assert "has no table ledger: `silt up` creates it" in str(failed["merge_past_days"].error)


def test_upkeep_waits_in_a_lane_of_its_own_behind_everything(world: World) -> None:
    for name, schedule in world.schedules.items():
        assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
        tags = world.job(name).tags
        assert tags[UPKEEP_TAG]
        assert int(tags["dagster/priority"]) < 0


def test_a_schedule_does_not_pile_up_runs(world: World) -> None:
    schedule = world.schedules["upkeep_hourly"]

    def tick() -> Any:
        with dg.build_schedule_context(instance=world.instance) as context:
            return schedule(context)

    assert isinstance(tick(), dg.RunRequest)
    world.instance.add_run(
        dg.DagsterRun(job_name="other", status=dg.DagsterRunStatus.STARTED, tags={UPKEEP_TAG: "compaction"})
    )
    assert isinstance(tick(), dg.RunRequest)
    world.instance.add_run(
        dg.DagsterRun(
            job_name="upkeep_hourly", status=dg.DagsterRunStatus.STARTED, tags=world.job("upkeep_hourly").tags
        )
    )
    assert isinstance(tick(), dg.SkipReason)


# ---- Dagster's own history ----


def test_runs_of_windows_before_the_floor_go_with_their_events_and_files_and_no_others(world: World) -> None:
    old, new = world.window(33), world.window(3)
    gone, kept = world.has_run(old), world.has_run(new)
    assert world.run_files() == {gone, kept}
    assert delete_runs(world.instance, world.window(30).key, world.now) == 1
    assert [run.run_id for run in world.instance.get_runs()] == [kept]
    assert world.materialized() == {new.key}
    assert world.run_files() == {kept}
    assert world.instance.get_latest_materialization_event(an_asset.key) is not None


def test_a_run_that_is_not_finished_stays(world: World) -> None:
    run = dg.DagsterRun(
        job_name="x", status=dg.DagsterRunStatus.STARTED, tags={PARTITION_TAG: world.window(33).key}
    )
    world.instance.add_run(run)
    assert delete_runs(world.instance, world.window(30).key, world.now) == 0


def test_upkeeps_own_runs_go_after_three_days_with_what_they_printed(world: World) -> None:
    world.run("upkeep_compaction")
    printed = world.settings.home / "dagster" / "storage"
    assert list(printed.rglob("compute_logs"))
    assert delete_runs(world.instance, world.window(30).key, world.now + timedelta(days=2)) == 0
    assert delete_runs(world.instance, world.window(30).key, world.now + timedelta(days=4)) == 1
    assert world.instance.get_runs() == []
    assert world.run_files() == set()
    assert not list(printed.rglob("compute_logs"))


def test_no_more_runs_than_a_bound_are_deleted_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform_assets.dagster_history.RUNS_AT_ONCE", 2)
    for days in (31, 32, 33):
        world.has_run(world.window(days))
    first = world.window(30).key
    assert delete_runs(world.instance, first, world.now) == 2
    assert delete_runs(world.instance, first, world.now) == 1


def test_results_of_checks_of_windows_before_the_floor_go_too(world: World) -> None:
    old, new = world.window(33), world.window(3)
    for window in (old, new):
        world.has_run(window)
    shown = dg.AssetCheckEvaluation(A_CHECK.asset_key, A_CHECK.name, False, partition=old.step(1).key)
    world.instance.report_runless_asset_event(shown)
    delete_runs(world.instance, world.window(30).key, world.now)
    assert world.checked() == {old.key, old.step(1).key, new.key}
    assert delete_checks(world.instance, world.window(30).key) == 2
    assert world.checked() == {new.key}


def test_events_of_empty_windows_before_the_floor_go_too(world: World) -> None:
    old, new = world.window(33), world.window(3)
    for window in (old, new):
        event = dg.AssetMaterialization(an_asset.key, partition=window.key, metadata={"state": "empty"})
        world.instance.report_runless_asset_event(event)
    kept = world.has_run(old.step(1))
    assert delete_empty_windows(world.instance, [an_asset.key], world.window(30).key) == 1
    assert world.materialized() == {new.key, old.step(1).key}
    assert kept in world.run_files()
    assert delete_empty_windows(world.instance, [an_asset.key], world.window(30).key) == 0


@pytest.mark.parametrize(("second", "waits"), [(0, 20.0), (5, 15.0), (20, 0.0), (59, 0.0)])
def test_upkeep_leaves_the_machine_to_the_answer_of_a_window_that_has_just_ended(
    second: int, waits: float
) -> None:
    assert until_answered(Grid(1), datetime(2026, 1, 1, 0, 3, second, tzinfo=UTC)) == waits
