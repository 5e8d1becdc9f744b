"""Upkeep as scheduled jobs: small files become few every ten minutes, all else is done once an hour."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES
from dagster._core.storage.tags import PRIORITY_TAG

from platform_assets.dagster_history import UPKEEP_TAG, delete_checks, delete_empty_windows, delete_runs
from platform_assets.liveness import claim
from platform_assets.run import Platform, our_errors
from resources.upkeep.attempts import remove_lost
from resources.upkeep.days import compact_running, merge_past, running_from
from resources.upkeep.report import Report
from resources.upkeep.retention import apply_retention, kept_from
from resources.upkeep.vacuum import vacuum
from resources.windows import KEY_FORMAT, Grid

QUIET = timedelta(seconds=20)
"""So long after a window's end upkeep leaves the machine to its answer."""
_RETRIES = dg.RetryPolicy(max_retries=2, delay=5, backoff=dg.Backoff.EXPONENTIAL)
Work = Callable[[Platform, Report], None]


def make_upkeep(assets: Sequence[dg.AssetsDefinition]) -> list[dg.ScheduleDefinition]:
    """The schedules of both jobs, running by default. A step that fails keeps no other from its work."""

    @dg.job(
        executor_def=dg.in_process_executor,
        tags=_tags("compaction"),
        description="Makes the small files of the running days and of the ledger few.",
    )
    def upkeep_compaction() -> None:
        _step("compact_running_days", 240, _compact)()

    @dg.job(
        executor_def=dg.in_process_executor,
        tags=_tags("hourly"),
        description="Merges past days, deletes what lies before the floor, what lost, and what nobody needs.",
    )
    def upkeep_hourly() -> None:
        _step("apply_retention", 240, _retain)()
        _step("merge_past_days", 900, _merge)()
        _step("vacuum_tables", 240, _vacuum)()
        _history_step(assets)()

    # Both begin while no window of five minutes has just closed; with shorter ones they wait.
    return [_schedule(upkeep_compaction, "3-59/10 * * * *"), _schedule(upkeep_hourly, "7 * * * *")]


def _compact(platform: Platform, report: Report) -> None:
    compact_running(platform.lake, _running_from(platform), report)


def _merge(platform: Platform, report: Report) -> None:
    remove_lost(platform.lake, report)  # first: merged days are not searched again
    merge_past(platform.lake, _running_from(platform), report)


def _retain(platform: Platform, report: Report) -> None:
    settings = platform.settings
    retention = timedelta(days=settings.retention_days)
    apply_retention(platform.lake, kept_from(datetime.now(UTC), retention, settings.lateness), report)


def _vacuum(platform: Platform, report: Report) -> None:
    vacuum(platform.lake, report)


def _running_from(platform: Platform) -> date:
    return running_from(datetime.now(UTC), platform.settings.lateness)


def _step(name: str, seconds: float, work: Work) -> dg.OpDefinition:
    """An op that works on the lake, begins nothing new after so many seconds, and reports."""

    @dg.op(name=name, retry_policy=_RETRIES)
    def step(context: dg.OpExecutionContext, platform: dg.ResourceParam[Platform]) -> None:
        claim(context.instance, context.run.run_id)
        time.sleep(until_answered(platform.grid, datetime.now(UTC)))
        report = Report(platform.lake, seconds)
        try:
            with our_errors(platform):
                work(platform, report)
        finally:
            _show(context, report)

    return step


def until_answered(grid: Grid, now: datetime) -> float:
    """Seconds until the window that closed last has its answer, as a rule."""
    return max(0.0, (grid.home(now).start + QUIET - now).total_seconds())


def _history_step(assets: Sequence[dg.AssetsDefinition]) -> dg.OpDefinition:
    @dg.op(name="delete_old_runs", retry_policy=_RETRIES)
    def step(context: dg.OpExecutionContext, platform: dg.ResourceParam[Platform]) -> None:
        claim(context.instance, context.run.run_id)
        first = platform.lake.floor().strftime(KEY_FORMAT)
        keys = [key for asset in assets for key in asset.keys]
        context.add_output_metadata(
            {
                "runs deleted": delete_runs(context.instance, first, datetime.now(UTC)),
                "events of empty windows deleted": delete_empty_windows(context.instance, keys, first),
                "results of checks deleted": delete_checks(context.instance, first),
                "floor": first,
            }
        )

    return step


def _show(context: dg.OpExecutionContext, report: Report) -> None:
    """What a person wants to see of a step in the UI."""
    changes = report.changes.values()
    for line in report.left:
        context.log.warning(f"Left: {line}.")
    context.add_output_metadata(
        {
            "files before": sum(change.files_before for change in changes),
            "files after": sum(change.files_after for change in changes),
            "files merged": sum(change.rewritten for change in changes),
            "rows removed": sum(change.rows_removed for change in changes),
            "files deleted": sum(change.deleted for change in changes),
            "bytes freed": sum(change.freed for change in changes),
            "seconds": round(report.elapsed, 1),
            "left": report.left,
            "tables": dg.MetadataValue.md(_table(report)),
        }
    )


def _table(report: Report) -> str:
    head = "| table | files before | after | merged | rows removed | files deleted | MB freed |"
    rows = [
        f"| {name} | {change.files_before} | {change.files_after} | {change.rewritten} "
        f"| {change.rows_removed} | {change.deleted} | {change.freed / 1e6:.1f} |"
        for name, change in report.changes.items()
    ]
    return "\n".join([head, "|" + " --- |" * 7, *rows])


def _tags(name: str) -> dict[str, Any]:
    return {UPKEEP_TAG: name, PRIORITY_TAG: "-1"}


def _schedule(job: dg.JobDefinition, cron: str) -> dg.ScheduleDefinition:
    @dg.schedule(
        job=job,
        cron_schedule=cron,
        execution_timezone="UTC",
        name=job.name,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=job.description,
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        mine = {UPKEEP_TAG: job.tags[UPKEEP_TAG]}
        unfinished = dg.RunsFilter(tags=mine, statuses=NOT_FINISHED_STATUSES)
        if context.instance.get_runs_count(unfinished):
            return dg.SkipReason("The last run is still waiting, or at it.")
        return dg.RunRequest()

    return schedule
