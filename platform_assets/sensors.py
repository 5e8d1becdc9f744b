"""``window_sensor``: requests a run for the open window, and one per due window, oldest first."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES
from dagster._core.storage.tags import PRIORITY_TAG

from platform_assets.liveness import report_dead
from platform_assets.run import FAILURE_TAG, PARTITION_TAG, Platform
from resources.due import Due, covered_intakes, due_windows, first_sources, passed_without_record
from resources.errors import SiltError
from resources.windows import Window

WINDOW_TAG = "silt/window"
DUE_TAG = "silt/due"
LANE_TAG = "silt/lane"
"""``live``: the open window's run, and the next if it died; ``due``: all other windows' runs."""
OPEN = "open"
"""What is due of a window that is open: nothing yet."""
ANSWERED = timedelta(seconds=4)
"""So long the window before has the machine for itself: its answer is what people wait for."""
EMPTY_AT_ONCE = 50
REQUESTED_AT_ONCE = 8
"""So many other windows have a run by the sensor's request. dagster.yaml lets three of these run at once; the
others wait in its queue, as the sensor looks but every few seconds."""
MOST_FAILURES = 10
"""A window whose runs failed so often for the same reason to be due, and not because the world was away, is
left to a person, until more lands for it."""
_FAILED = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_LONGEST_PAUSE = timedelta(minutes=10)
_LIVE_PRIORITY = "10"


def make_window_sensor(assets: Sequence[dg.AssetsDefinition]) -> dg.SensorDefinition:
    """The sensor, running by default."""

    @dg.sensor(
        name="window_sensor",
        asset_selection=dg.AssetSelection.assets(*assets),
        minimum_interval_seconds=5,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Requests a run for the open window, and for each that its answer does not cover.",
    )
    def window_sensor(
        context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]
    ) -> dg.SensorResult | dg.SkipReason:
        try:
            return _tick(context, platform, datetime.now(UTC))
        except SiltError as error:
            return dg.SkipReason(str(error))

    return window_sensor


def _tick(context: dg.SensorEvaluationContext, platform: Platform, now: datetime) -> dg.SensorResult:
    intakes, covered = platform.taker.ledger.intakes(), covered_intakes(platform.lake)
    floor = platform.lake.floor()
    due = due_windows(intakes, covered, platform.grid, floor, now, first_sources(platform.lake))
    seen = platform.grid.window(context.cursor) if context.cursor else None
    empty = passed_without_record(intakes, covered, platform.grid, floor, seen, now)[:EMPTY_AT_ONCE]
    requests, skipped = _requests(context.instance, platform, due, now)
    return dg.SensorResult(
        run_requests=requests,
        skip_reason=None if requests else skipped,
        asset_events=[event for window in empty for event in _empty_events(window)],
        cursor=empty[-1].key if empty else context.cursor,
    )


def _empty_events(window: Window) -> list[dg.AssetMaterialization]:
    """A window without records costs no run; these events show it as done, and empty."""
    return [
        dg.AssetMaterialization(
            name, partition=window.key, metadata={"state": "empty", "dagster/row_count": 0}
        )
        for name in asset_names(window)
    ]


def _requests(
    instance: dg.DagsterInstance, platform: Platform, due: list[Due], now: datetime
) -> tuple[list[dg.RunRequest], str]:
    """The runs to request now, and why there are none."""
    unfinished = report_dead(instance, instance.get_runs(dg.RunsFilter(statuses=NOT_FINISHED_STATUSES)))
    running = {run.tags.get(PARTITION_TAG) for run in unfinished if _counts(run)}
    attended = [item for item in to_attend(platform, now) if not _pauses(instance, item)]
    wanted = attended + [
        _Wanted(item.window, str(item.intake), live=_was_live(instance, platform, item.window, now))
        for item in due
        if not (item.takes_in and attended)
    ]
    places = REQUESTED_AT_ONCE - sum(run.tags.get(LANE_TAG) == "due" for run in unfinished)
    requests = []
    for item in wanted:
        if (item.live or places > 0) and item.window.key not in running and not _pauses(instance, item):
            requests.append(_request(item))
            places -= not item.live
    return requests, _why_none(due, running)


def _counts(run: dg.DagsterRun) -> bool:
    """Whether a run will answer its window soon; one of a long backfill may wait in the queue for hours."""
    return WINDOW_TAG in run.tags or run.status != dg.DagsterRunStatus.QUEUED


@dataclass(frozen=True)
class _Wanted:
    """A window that shall have a run, and for what."""

    window: Window
    due: str
    live: bool


def _was_live(instance: dg.DagsterInstance, platform: Platform, window: Window, now: datetime) -> bool:
    """Whether a window is the newest closed one and was attended, or would have been: people wait for it."""
    if window < platform.grid.newest_closed(now):
        return False
    tags = {WINDOW_TAG: window.key, LANE_TAG: "live"}
    return not platform.settings.lead or bool(instance.get_runs(dg.RunsFilter(tags=tags), limit=1))


def to_attend(platform: Platform, now: datetime) -> list[_Wanted]:
    """The open window, once its end is as near as the lead says: its run takes in for all. Or none."""
    window, lead = platform.grid.home(now), platform.settings.lead
    begins = max(window.end - lead, platform.grid.close(window.step(-1)) + ANSWERED)
    return [_Wanted(window, OPEN, live=True)] if lead and now >= begins else []


def _why_none(due: list[Due], running: set[str | None]) -> str:
    if not due:
        return "No window is due: all that has landed is published."
    run = sum(item.window.key in running for item in due)
    return (
        f"{len(due)} windows are due: {run} of them run, the others wait for a place or after a failed run."
    )


def _request(wanted: _Wanted) -> dg.RunRequest:
    key = wanted.window.key
    tags = {PARTITION_TAG: key, WINDOW_TAG: key, DUE_TAG: wanted.due}
    lane = {LANE_TAG: "live", PRIORITY_TAG: _LIVE_PRIORITY} if wanted.live else {LANE_TAG: "due"}
    return dg.RunRequest(
        tags=tags | lane, asset_selection=[dg.AssetKey(name) for name in asset_names(wanted.window)]
    )


def asset_names(window: Window) -> list[str]:
    """The assets of a window's run."""
    return ["kafka_batch", f"model_{window.slot}", "clustering_results", "cluster_stats", "model_review"]


def failed_runs(instance: dg.DagsterInstance, window: Window, due: str) -> Sequence[dg.RunRecord]:
    """A window's failed runs for one reason to be due, newest first."""
    tags = {WINDOW_TAG: window.key, DUE_TAG: due}
    return instance.get_run_records(dg.RunsFilter(tags=tags, statuses=_FAILED), limit=2 * MOST_FAILURES)


def _pauses(instance: dg.DagsterInstance, wanted: _Wanted) -> bool:
    """Whether a window whose runs failed waits: ten seconds, twice as long each time; in the end for good.

    One whose run was killed, for the first time, does not wait.
    """
    failed = failed_runs(instance, wanted.window, wanted.due)
    kinds = [record.dagster_run.tags.get(FAILURE_TAG) for record in failed]
    if kinds in ([], [None]):
        return False
    if sum(kind != "transient" for kind in kinds) >= MOST_FAILURES:
        return True
    ended = datetime.fromtimestamp(failed[0].end_time or 0, UTC)
    pause = min(timedelta(seconds=10) * 2 ** (len(failed) - 1), _LONGEST_PAUSE)
    return bool(datetime.now(UTC) < ended + pause)
