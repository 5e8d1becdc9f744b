"""Dagster's own history: runs of windows that the lake no longer keeps, and what upkeep has long done."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
from dagster._core.instance.utils import RUNLESS_RUN_ID
from dagster._core.storage.dagster_run import FINISHED_STATUSES
from dagster._core.storage.event_log import SqlEventLogStorage, SqliteEventLogStorage
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    AssetEventTagsTable,
    SqlEventLogStorageTable,
)
from sqlalchemy import Connection, delete, select

from platform_assets.run import PARTITION_TAG

UPKEEP_TAG = "silt/upkeep"
UPKEEP_KEPT = timedelta(days=3)
RUNS_AT_ONCE = 500
"""So many runs are deleted at once; what is left goes the next time."""
_WINDOWS_AT_ONCE = 200


def delete_runs(instance: dg.DagsterInstance, first: str, now: datetime) -> int:
    """Delete finished runs, oldest windows first: those of windows before the one with the key ``first``, and
    upkeep's own after some days. A run takes its events along: later windows keep theirs, and their status.

    Returns:
        How many were deleted.
    """
    runs = [*_of_windows_before(instance, first), *_of_upkeep_before(instance, now - UPKEEP_KEPT)]
    for run_id in runs[:RUNS_AT_ONCE]:
        instance.delete_run(run_id)
        _delete_files(instance, run_id)
    return len(runs[:RUNS_AT_ONCE])


def delete_empty_windows(instance: dg.DagsterInstance, assets: Iterable[dg.AssetKey], first: str) -> int:
    """Delete the events that show windows before ``first`` as empty: they belong to no run.

    Returns:
        How many were deleted.
    """
    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):
        return 0
    keys = [key.to_string() for key in assets]
    deleted = 0
    for connect in (storage.index_connection, lambda: storage.run_connection(RUNLESS_RUN_ID)):
        with connect() as connection:
            deleted = max(deleted, _delete_events(connection, keys, first))
    return deleted


def delete_checks(instance: dg.DagsterInstance, first: str) -> int:
    """Delete the results of the checks of windows before ``first``: they do not go with their runs.

    Returns:
        How many were deleted.
    """
    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):
        return 0
    old = AssetCheckExecutionsTable.c.partition < first
    with storage.index_connection() as connection:
        return connection.execute(delete(AssetCheckExecutionsTable).where(old)).rowcount


def _of_windows_before(instance: dg.DagsterInstance, first: str) -> list[str]:
    tags = dict(instance.get_run_tags([PARTITION_TAG]))
    old = sorted(key for key in tags.get(PARTITION_TAG, set()) if key < first)[:_WINDOWS_AT_ONCE]
    return (
        _finished(instance, dg.RunsFilter(tags={PARTITION_TAG: old}, statuses=FINISHED_STATUSES))
        if old
        else []
    )


def _of_upkeep_before(instance: dg.DagsterInstance, moment: datetime) -> list[str]:
    names = dict(instance.get_run_tags([UPKEEP_TAG])).get(UPKEEP_TAG, set())
    if not names:
        return []
    filters = dg.RunsFilter(
        tags={UPKEEP_TAG: sorted(names)}, statuses=FINISHED_STATUSES, created_before=moment.astimezone(UTC)
    )
    return _finished(instance, filters)


def _finished(instance: dg.DagsterInstance, filters: dg.RunsFilter) -> list[str]:
    records = instance.get_run_records(filters, limit=RUNS_AT_ONCE, ascending=True)
    return [record.dagster_run.run_id for record in records]


def _delete_files(instance: dg.DagsterInstance, run_id: str) -> None:
    """What Dagster leaves of a deleted run: what its process printed, and SQLite's file of its events."""
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    if isinstance(instance.event_log_storage, SqliteEventLogStorage):
        file = Path(instance.event_log_storage.path_for_shard(run_id))
        for suffix in ("", "-wal", "-shm"):
            Path(f"{file}{suffix}").unlink(missing_ok=True)


def _delete_events(connection: Connection, assets: list[str], first: str) -> int:
    events = SqlEventLogStorageTable.c
    old = (events.run_id == RUNLESS_RUN_ID) & events.asset_key.in_(assets) & (events.partition < first)
    ids = select(events.id).where(old)
    connection.execute(delete(AssetEventTagsTable).where(AssetEventTagsTable.c.event_id.in_(ids)))
    return connection.execute(delete(SqlEventLogStorageTable).where(old)).rowcount
