"""What the sensor requests, from a ledger, published windows and a run storage as they really are."""

import os
import socket
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import psutil
import pytest
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from msgspec.structs import replace

from platform_assets.liveness import CLAIMS_WITHIN
from platform_assets.run import PARTITION_TAG, Platform
from platform_assets.sensors import (
    ANSWERED,
    DUE_TAG,
    LANE_TAG,
    MOST_FAILURES,
    OPEN,
    REQUESTED_AT_ONCE,
    WINDOW_TAG,
    asset_names,
    make_window_sensor,
    to_attend,
)
from resources.batch import Batch
from resources.contract import Contract
from resources.intake import Taker
from resources.lake import Lake
from resources.publication import publish
from resources.settings import Settings
from resources.tables import TABLES
from resources.windows import Window

_JOB = "__ASSET_JOB"
GONE = f"{socket.gethostname()}/1/1.00"
"""The mark of a process that is not there."""
_ORIGIN = RemoteJobOrigin(
    RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("silt"), "__repository__"), _JOB
)


class World:
    """A lake of its own with a ledger, an instance of Dagster, and the sensor."""

    def __init__(self, folder: Path, contract: Contract, lead_seconds: float = 0) -> None:
        self.settings = Settings(_env_file=None, home=folder, lead_seconds=lead_seconds)
        self.grid = self.settings.grid
        self.now = self._away_from_a_close()
        self.lake = Lake(self.settings.lake)
        self.lake.create(self.now, self.settings.lateness)
        taker = Taker(self.settings, contract, self.lake)
        self.platform = Platform(self.settings, contract, self.lake, taker)
        self.instance = dg.DagsterInstance.ephemeral()
        self.cursor: str | None = None

    def _away_from_a_close(self) -> datetime:
        """The clock, once no window has closed a moment ago, or will while the test is under way."""
        while True:
            now = datetime.now(UTC)
            before, after = now - ANSWERED, now + timedelta(seconds=15)
            if self.grid.newest_closed(before) == self.grid.newest_closed(after):
                return now
            time.sleep(1)

    def window(self, back: int) -> Window:
        """The newest closed window (0), or one before it."""
        return self.grid.newest_closed(self.now).step(-back)

    def take_in(
        self, *windows: Window, too_late: int = 0, at: datetime | None = None, caught_up: bool = True
    ) -> int:
        """An intake that lands a record for each of these windows; its number."""
        number = len(self.platform.taker.ledger.intakes()) + 1
        landed = [{"window": window.key, "records": 1 - too_late, "too_late": too_late} for window in windows]
        row: dict[str, Any] = {
            "number": number, "attempt": str(uuid.uuid4()), "kind": "topic", "topic_id": "a topic",
            "window_minutes": self.settings.window_minutes, "id_field": self.platform.contract.id,
            "taken_at": at or self.now, "caught_up": caught_up,
            "spans": [], "landed": landed, "refused": [], "replayed": [],
        }  # fmt: skip
        frame = pl.DataFrame([row], schema=dict(TABLES["ledger"].schema))
        assert self.lake.insert_once("ledger", "number", frame)
        return number

    def publish(self, window: Window, covered: int, first_source: str = "") -> None:
        version = self.platform.contract.version
        batch = Batch(window, 1, "a digest", covered, version, 1, 0, 0, 0, 0, first_source or window.key, 1)
        publish(self.lake, self.grid, batch, "published", (0, 0))

    def has_run(self, window: Window, status: dg.DagsterRunStatus, due: object = 1, **tags: str) -> None:
        """A run of the window, with the sensor's tags, that has this status."""
        named = {name.replace("__", "/"): value for name, value in tags.items()}
        self._add_run(
            status,
            {PARTITION_TAG: window.key, WINDOW_TAG: window.key, DUE_TAG: str(due), LANE_TAG: "due"} | named,
        )

    def is_backfilled(self, window: Window) -> None:
        """A waiting run of the window that a person asked for."""
        self._add_run(dg.DagsterRunStatus.QUEUED, {PARTITION_TAG: window.key, "dagster/backfill": "by hand"})

    def _add_run(self, status: dg.DagsterRunStatus, tags: dict[str, str]) -> None:
        run = dg.DagsterRun(job_name=_JOB, status=status, tags=tags, remote_job_origin=_ORIGIN)
        self.instance.add_run(run)

    def tick(self) -> dg.SensorResult:
        """One evaluation of the sensor."""
        context = dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, resources={"platform": self.platform}
        )
        result = make_window_sensor([])(context)
        assert isinstance(result, dg.SensorResult), result
        self.cursor = result.cursor
        return result

    def requested(self) -> list[str]:
        """The windows that a tick requests, in order."""
        return [request.tags[PARTITION_TAG] for request in self.tick().run_requests or []]


@pytest.fixture
def world(tmp_path: Path, contract: Contract) -> Iterator[World]:
    """A world without attending: what is requested is due."""
    made = World(tmp_path, contract)
    with made.instance:
        yield made


@pytest.fixture
def attended(tmp_path: Path, contract: Contract) -> Iterator[World]:
    """A world whose open window is attended from its start."""
    made = World(tmp_path, contract, lead_seconds=1200)
    with made.instance:
        yield made


def test_nothing_is_due_where_all_that_landed_is_published(world: World) -> None:
    world.publish(world.window(1), world.take_in(world.window(1)))
    result = world.tick()
    assert not result.run_requests
    assert result.skip_reason is not None
    assert "No window is due" in str(result.skip_reason)


def test_with_an_empty_ledger_the_newest_closed_window_takes_in(world: World) -> None:
    assert world.requested() == [world.window(0).key]


def test_while_the_ledger_does_not_reach_the_last_close_one_run_takes_in(world: World) -> None:
    world.take_in(world.window(5), at=world.grid.close(world.window(4)))
    world.publish(world.window(5), 1)
    assert world.requested() == [world.window(3).key]


def test_an_intake_that_did_not_catch_up_reaches_nothing(world: World) -> None:
    world.take_in(world.window(5), at=world.grid.close(world.window(4)))
    world.publish(world.window(5), 2)
    world.take_in(world.window(5), caught_up=False)
    assert world.requested() == [world.window(3).key]


def test_due_windows_are_requested_oldest_first_a_bounded_number_at_once(world: World) -> None:
    windows = [world.window(back) for back in range(1, REQUESTED_AT_ONCE + 3)]
    world.take_in(*windows)
    assert world.requested() == sorted(window.key for window in windows)[:REQUESTED_AT_ONCE]


def test_a_request_names_its_window_its_assets_and_what_is_due(world: World) -> None:
    window = world.window(2)
    world.take_in()
    number = world.take_in(window)
    (request,) = world.tick().run_requests or []
    assert request.tags == {
        PARTITION_TAG: window.key, WINDOW_TAG: window.key, DUE_TAG: str(number), LANE_TAG: "due",
    }  # fmt: skip
    assert [key.to_user_string() for key in request.asset_selection or []] == asset_names(window)
    assert f"model_{window.slot}" in asset_names(window)


def test_a_late_record_requests_the_windows_whose_models_saw_its_home(world: World) -> None:
    seen, seeing, other = sorted(world.window(back) for back in (3, 2, 1))
    number = world.take_in(seen, seeing, other)
    world.publish(seen, number)
    world.publish(seeing, number, first_source=seen.key)
    world.publish(other, number, first_source=seeing.key)
    world.take_in(seen)
    assert world.requested() == [seen.key, seeing.key]


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTED])
def test_a_window_in_progress_is_not_requested_again_and_takes_a_place(
    world: World, status: dg.DagsterRunStatus
) -> None:
    windows = sorted(world.window(back) for back in range(1, REQUESTED_AT_ONCE + 2))
    world.take_in(*windows)
    world.has_run(windows[0], status)
    assert world.requested() == [window.key for window in windows[1:REQUESTED_AT_ONCE]]


def test_no_more_is_requested_while_the_bound_is_reached(world: World) -> None:
    windows = sorted(world.window(back) for back in range(1, REQUESTED_AT_ONCE + 2))
    world.take_in(*windows)
    for window in windows[:REQUESTED_AT_ONCE]:
        world.has_run(window, dg.DagsterRunStatus.STARTED)
    result = world.tick()
    assert not result.run_requests
    assert f"{REQUESTED_AT_ONCE} of them run" in str(result.skip_reason)


def test_a_backfill_by_hand_takes_no_place_from_live_windows(world: World) -> None:
    live = [world.window(back) for back in range(1, REQUESTED_AT_ONCE + 1)]
    world.take_in(*live)
    for back in range(20, 20 + 4 * REQUESTED_AT_ONCE):
        world.is_backfilled(world.window(back))
    assert world.requested() == sorted(window.key for window in live)


def test_a_window_does_not_wait_for_its_turn_in_a_backfill(attended: World) -> None:
    due = attended.window(2)
    attended.take_in(due)
    for window in (due, attended.window(-1)):
        attended.is_backfilled(window)
    assert attended.requested() == [attended.window(-1).key, due.key]


def test_a_window_whose_run_failed_pauses(world: World) -> None:
    window, other = world.window(2), world.window(1)
    world.take_in(window, other)
    world.has_run(window, dg.DagsterRunStatus.STARTED, silt__failure="permanent")
    world.instance.report_run_failed(world.instance.get_runs()[0])
    result = world.tick()
    assert [request.tags[PARTITION_TAG] for request in result.run_requests or []] == [other.key]
    world.has_run(other, dg.DagsterRunStatus.STARTED)
    result = world.tick()
    assert not result.run_requests
    assert "1 of them run, the others wait for a place or after a failed run" in str(result.skip_reason)


def test_a_run_that_failed_long_ago_holds_nothing_up(world: World) -> None:
    world.take_in(world.window(2))
    world.has_run(world.window(2), dg.DagsterRunStatus.FAILURE)
    assert world.requested() == [world.window(2).key]


def test_what_landed_since_a_failure_is_another_due_and_does_not_pause(world: World) -> None:
    world.take_in(world.window(2))
    world.has_run(world.window(2), dg.DagsterRunStatus.STARTED, due=1, silt__failure="transient")
    world.instance.report_run_failed(world.instance.get_runs()[0])
    assert world.requested() == []
    world.take_in(world.window(2))
    assert world.requested() == [world.window(2).key]


def test_the_open_window_has_a_run_that_takes_in_for_all(attended: World) -> None:
    (request,) = attended.tick().run_requests or []
    assert request.tags[PARTITION_TAG] == attended.window(-1).key
    assert (request.tags[DUE_TAG], request.tags[LANE_TAG], request.tags["dagster/priority"]) == (
        OPEN, "live", "10",
    )  # fmt: skip
    attended.has_run(attended.window(-1), dg.DagsterRunStatus.STARTED, OPEN, silt__lane="live")
    assert attended.requested() == []


def test_a_lead_shorter_than_the_window_waits_for_its_time(tmp_path: Path, contract: Contract) -> None:
    world = World(tmp_path, contract, lead_seconds=0.001)
    with world.instance:
        assert world.requested() == [world.window(0).key]


def test_a_window_that_has_just_closed_has_the_machine_for_itself(attended: World) -> None:
    window = attended.window(-1)
    answered = attended.grid.close(attended.window(0)) + ANSWERED
    assert to_attend(attended.platform, answered - timedelta(milliseconds=1)) == []
    assert [item.window for item in to_attend(attended.platform, answered)] == [window]


def test_while_the_open_window_cannot_be_attended_a_due_one_takes_in(attended: World) -> None:
    attended.has_run(
        attended.window(-1), dg.DagsterRunStatus.STARTED, OPEN, silt__lane="live", silt__failure="permanent"
    )
    attended.instance.report_run_failed(attended.instance.get_runs()[0])
    assert attended.requested() == [attended.window(0).key]


def test_the_newest_windows_find_a_place_beside_any_catching_up(attended: World) -> None:
    for back in range(1, REQUESTED_AT_ONCE + 1):
        attended.has_run(attended.window(back + 5), dg.DagsterRunStatus.STARTED)
    attended.has_run(
        attended.window(0), dg.DagsterRunStatus.STARTED, OPEN, silt__lane="live", silt__process=GONE
    )
    attended.take_in(attended.window(0), attended.window(1))
    assert attended.requested() == [attended.window(-1).key, attended.window(0).key]


def test_after_a_pause_the_newest_closed_window_waits_for_its_turn(attended: World) -> None:
    attended.take_in(*(attended.window(back) for back in range(REQUESTED_AT_ONCE + 1)))
    assert attended.requested()[1:] == [attended.window(back).key for back in range(REQUESTED_AT_ONCE, 0, -1)]


def test_a_run_whose_process_is_gone_is_reported_and_its_window_requested_at_once(world: World) -> None:
    gone, other = world.window(2), world.window(1)
    world.take_in(gone, other)
    mark = f"{socket.gethostname()}/{os.getpid()}/"
    created = f"{psutil.Process().create_time():.2f}"
    world.has_run(other, dg.DagsterRunStatus.STARTED, silt__process=mark + created)
    world.has_run(gone, dg.DagsterRunStatus.STARTED, silt__process=mark + "1.00")
    assert world.requested() == [gone.key]
    statuses = {run.tags[PARTITION_TAG]: run.status for run in world.instance.get_runs()}
    assert statuses == {gone.key: dg.DagsterRunStatus.FAILURE, other.key: dg.DagsterRunStatus.STARTED}


@pytest.mark.parametrize(
    ("ago", "reported"), [(CLAIMS_WITHIN + timedelta(seconds=5), True), (timedelta(0), False)]
)
def test_a_run_that_was_killed_before_it_noted_its_process_is_reported_after_a_minute(
    world: World, ago: timedelta, reported: bool
) -> None:
    window = world.window(2)
    world.take_in(window)
    world.has_run(window, dg.DagsterRunStatus.STARTING)
    (run,) = world.instance.get_runs()
    started = dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, _JOB)
    world.instance.run_storage.handle_run_event(run.run_id, started, datetime.now(UTC) - ago)
    assert world.requested() == ([window.key] if reported else [])
    status = world.instance.get_runs()[-1].status
    assert status == (dg.DagsterRunStatus.FAILURE if reported else dg.DagsterRunStatus.STARTED)


def test_a_window_whose_runs_were_killed_again_and_again_pauses(world: World) -> None:
    world.take_in(world.window(2))
    for requested in ([world.window(2).key], []):
        world.has_run(world.window(2), dg.DagsterRunStatus.STARTED, silt__process=GONE)
        assert world.requested() == requested


def test_a_run_on_another_machine_is_not_judged(world: World) -> None:
    world.take_in(world.window(2))
    world.has_run(world.window(2), dg.DagsterRunStatus.STARTED, silt__process="elsewhere/1/1.00")
    assert world.requested() == []
    assert world.instance.get_runs()[0].status == dg.DagsterRunStatus.STARTED


@pytest.mark.parametrize(("kind", "requested"), [("permanent", False), ("transient", True)])
def test_a_window_that_failed_too_often_is_left_to_a_person_unless_the_world_was_away(
    world: World, kind: str, requested: bool
) -> None:
    window = world.window(2)
    world.take_in(window)
    for _ in range(MOST_FAILURES):
        world.has_run(window, dg.DagsterRunStatus.FAILURE, silt__failure=kind)
    assert world.requested() == ([window.key] if requested else [])
    world.take_in(window)
    assert world.requested() == [window.key]


def test_a_late_record_makes_just_its_home_due_again(world: World) -> None:
    windows = [world.window(back) for back in (1, 2, 3)]
    number = world.take_in(*windows)
    for window in windows:
        world.publish(window, number)
    world.take_in(windows[1])
    assert world.requested() == [windows[1].key]


def test_a_record_that_is_too_late_makes_nothing_due(world: World) -> None:
    world.take_in(world.window(1), too_late=1)
    assert world.requested() == []


def test_records_of_the_open_window_wait_for_its_close(world: World) -> None:
    world.take_in(world.window(-1))
    assert world.requested() == []


def test_a_window_before_the_floor_is_not_due(world: World) -> None:
    world.take_in(world.grid.home(world.lake.floor()).step(-1), world.grid.home(world.lake.floor()))
    assert world.requested() == [world.grid.home(world.lake.floor()).key]


def test_windows_without_a_record_cost_no_run_and_are_shown_as_empty_once(world: World) -> None:
    first, last = world.window(4), world.window(1)
    number = world.take_in(first, last)
    world.publish(first, number)
    world.publish(last, number)
    result = world.tick()
    assert not result.run_requests
    shown: dict[str | None, list[str]] = {}
    for event in result.asset_events:
        assert event.metadata["state"].value == "empty"
        shown.setdefault(event.partition, []).append(event.asset_key.to_user_string())
    empty = [world.window(3), world.window(2), world.window(0)]
    assert shown == {window.key: asset_names(window) for window in empty}
    assert not world.tick().asset_events


def test_a_setting_that_contradicts_the_lake_is_said_and_nothing_is_requested(world: World) -> None:
    world.take_in(world.window(1))
    other = Taker(world.settings, replace(world.platform.contract, id="Order_id"), world.lake)
    platform = Platform(world.settings, world.platform.contract, world.lake, other)
    context = dg.build_sensor_context(instance=world.instance, resources={"platform": platform})
    answer = make_window_sensor([])(context)
    assert isinstance(answer, dg.SkipReason)
    assert "SILT_CONTRACT" in (answer.skip_message or "")
