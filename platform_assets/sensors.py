"""``window_sensor``: requests one run per due window, oldest first."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

from platform_assets.run import PARTITION_TAG, Platform
from resources.due import Due, covered_intakes, due_windows, passed_without_record
from resources.errors import SiltError
from resources.windows import Window

WINDOW_TAG = "silt/window"
DUE_TAG = "silt/due"
EMPTY_AT_ONCE = 50
RUNS_AT_ONCE = 3
"""So many windows are in progress at once by the sensor's request; a run is one process."""
_FAILED = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_LONGEST_PAUSE = timedelta(minutes=10)


def make_window_sensor(assets: Sequence[dg.AssetsDefinition]) -> dg.SensorDefinition:
    """The sensor, running by default."""

    @dg.sensor(
        name="window_sensor",
        asset_selection=dg.AssetSelection.assets(*assets),
        minimum_interval_seconds=5,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Requests a run for every window that is due: closed, and not covered by its answer.",
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
    due = due_windows(intakes, covered, platform.grid, platform.lake.floor(), now)
    seen = platform.grid.window(context.cursor) if context.cursor else None
    empty = passed_without_record(intakes, covered, platform.grid, seen)[:EMPTY_AT_ONCE]
    requests, skipped = _requests(context.instance, due)
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


def _requests(instance: dg.DagsterInstance, due: list[Due]) -> tuple[list[dg.RunRequest], str]:
    """The runs to request now, and why there are none."""
    if not due:
        return [], "No window is due: all that has landed is published."
    unfinished = instance.get_runs(dg.RunsFilter(statuses=NOT_FINISHED_STATUSES))
    running = {run.tags.get(PARTITION_TAG) for run in unfinished}
    own = sum(WINDOW_TAG in run.tags for run in unfinished)  # however much is backfilled by hand
    waiting = [item for item in due if item.window.key not in running]
    ready = [item for item in waiting if not _pauses(instance, item)]
    free = max(0, RUNS_AT_ONCE - own)
    return [_request(item) for item in ready[:free]], (
        f"{len(due)} windows are due: {len(due) - len(waiting)} of them run, "
        f"{len(waiting) - len(ready)} pause after a failed run."
    )


def _request(due: Due) -> dg.RunRequest:
    window = due.window
    return dg.RunRequest(
        tags={PARTITION_TAG: window.key, WINDOW_TAG: window.key, DUE_TAG: str(due.intake)},
        asset_selection=[dg.AssetKey(name) for name in asset_names(window)],
    )


def asset_names(window: Window) -> list[str]:
    """The assets of a window's run."""
    return ["kafka_batch", f"model_{window.slot}", "clustering_results", "cluster_stats"]


def _pauses(instance: dg.DagsterInstance, due: Due) -> bool:
    """Whether a window whose runs failed waits still: ten seconds, then twice as long each time."""
    tags = {WINDOW_TAG: due.window.key, DUE_TAG: str(due.intake)}
    failed = instance.get_run_records(dg.RunsFilter(tags=tags, statuses=_FAILED), limit=10)
    if not failed:
        return False
    ended = datetime.fromtimestamp(failed[0].end_time or 0, UTC)
    pause = min(timedelta(seconds=10) * 2 ** (len(failed) - 1), _LONGEST_PAUSE)
    return bool(datetime.now(UTC) < ended + pause)
