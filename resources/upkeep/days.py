"""Days: a table's files by the UTC day of their rows, made few while a day runs, and put in order once it is
past the allowed lateness."""

from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any

import polars as pl
import pyarrow.fs as pa_fs  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
from deltalake import DeltaTable, write_deltalake
from deltalake.fs import DeltaStorageHandler

from resources.delta import WRITER, add_actions, scan
from resources.lake import Lake
from resources.tables import TABLES
from resources.upkeep.report import Report

_MIB = 1024 * 1024
SMALL_FILES = 8
"""A running day of a table has at most about so many files below each of these sizes."""
STEPS = (1 * _MIB, 4 * _MIB)
"""What an intake or an answer writes that is bigger stays as it is till its day is merged: to make few files
fewer cost a seventh of all CPU time at a million records a minute."""
MERGED_FILE = 100 * _MIB
ORDERED = {"clustering_results": "record_id", "records": "window"}
"""The column by which a merged day is sorted: readers ask for one id, and for one window."""
_SORT_MEMORY = 1024 * _MIB
SORTED_AT_ONCE = 2_000_000
"""Rows of a day that are sorted in memory, about a GB."""
_COMPARED = 48
"""Parquet shortens long statistics: so many characters of them are compared."""
_CLUSTERED = 14
"""By so many characters a Z-order by one column is a sort."""


def running_from(now: datetime, lateness: timedelta) -> date:
    """The first day that still gets records; the days before it are past the allowed lateness by an hour."""
    return (now.astimezone(UTC) - lateness - timedelta(hours=1)).date()


def days(lake: Lake, name: str) -> dict[date | None, pl.DataFrame]:
    """A table's files by day, oldest first: ``path``, ``address``, ``size_bytes``; the ledger's day: None."""
    actions = add_actions(lake.table(name))
    if actions.is_empty():
        return {}
    if "partition.date" not in actions.columns:
        return {None: actions}
    groups = actions.sort("partition.date").group_by("partition.date", maintain_order=True)
    return {day: files for (day,), files in groups}


def compact_running(lake: Lake, first: date, report: Report) -> None:
    """Make the small files of the running days few: those from ``first`` on, and the ledger's."""
    for name in TABLES:
        for day in [day for day in days(lake, name) if day is None or day >= first]:
            for step in STEPS:
                _compact(lake, name, day, step, report)


def _compact(lake: Lake, name: str, day: date | None, step: int, report: Report) -> None:
    files = days(lake, name).get(day)
    what = f"day {day}" if day else "all"
    small = 0 if files is None else files.filter(pl.col("size_bytes") < step).height
    if small > SMALL_FILES and report.in_time(f"{name}, {what}"):
        report.rewrite(name, what, lambda table: _packed(table, day, step))


def merge_past(lake: Lake, first: date, report: Report) -> None:
    """Merge each day before ``first`` into few files, in the order that readers want; merged ones stay."""
    for name in TABLES:
        for day, files in days(lake, name).items():
            if day is None or day >= first or is_merged(lake, name, files):
                continue
            if report.in_time(f"{name}, day {day}"):
                report.rewrite(name, f"day {day}", partial(_merged, name, day))


def is_merged(lake: Lake, name: str, files: pl.DataFrame) -> bool:
    """Whether a day's files are few and their row groups in order, so that readers read few of them.

    A window that was replaced since lies in one file with the others, behind them: names tell nothing.
    """
    if files.height > 1 and files["size_bytes"].sum() < MERGED_FILE // 3 * files.height:
        return False
    return name not in ORDERED or _in_order(lake.table(name), files, ORDERED[name])


def _merged(name: str, day: date, table: DeltaTable) -> dict[str, Any]:
    if name not in ORDERED:
        return _packed(table, day, MERGED_FILE)
    files = add_actions(table).filter(pl.col("partition.date") == day)
    sort = _sorted if files["num_records"].sum() <= SORTED_AT_ONCE else _clustered
    return sort(table, day, ORDERED[name]) | {"numFilesRemoved": files.height}


def _packed(table: DeltaTable, day: date | None, size: int) -> dict[str, Any]:
    """Small files into ones of about a size, in their order."""
    return table.optimize.compact(
        partition_filters=_only(day), target_size=size, max_concurrent_tasks=1, writer_properties=WRITER
    )


def _sorted(table: DeltaTable, day: date, column: str) -> dict[str, Any]:
    """A day's files into few, sorted by a column."""
    rows = scan(table, day).sort(column).collect()
    write_deltalake(
        table,
        rows.rechunk(),  # delta-rs spreads several batches over its threads, and mixes them
        mode="overwrite",
        predicate=f"date = '{day}'",
        target_file_size=MERGED_FILE,
        writer_properties=WRITER,
    )
    return {}


def _clustered(table: DeltaTable, day: date, column: str) -> dict[str, Any]:
    """A day that is too big for memory: in order by the first characters, which is what a Z-order keeps."""
    return table.optimize.z_order(
        [column],
        partition_filters=_only(day),
        target_size=MERGED_FILE,
        max_concurrent_tasks=1,
        max_spill_size=_SORT_MEMORY,
        writer_properties=WRITER,
    )


def _only(day: date | None) -> list[tuple[str, str, str]] | None:
    return [("date", "=", day.isoformat())] if day else None


def _in_order(table: DeltaTable, files: pl.DataFrame, column: str) -> bool:
    store = pa_fs.PyFileSystem(DeltaStorageHandler(table.table_uri))
    length = _COMPARED if files["num_records"].sum() <= SORTED_AT_ONCE else _CLUSTERED
    bounds = sorted(
        (least[:length], greatest[:length])
        for path in files["path"]
        for least, greatest in _bounds(pq.read_metadata(path, filesystem=store), column)
    )
    return all(last <= first for (_, last), (first, _) in pairwise(bounds))


def _bounds(metadata: Any, column: str) -> list[tuple[str, str]]:
    """The least and greatest value of each row group."""
    names = [metadata.schema.column(number).path for number in range(metadata.num_columns)]
    at = names.index(column)
    found = [metadata.row_group(number).column(at).statistics for number in range(metadata.num_row_groups)]
    return [(item.min, item.max) for item in found if item and item.has_min_max]
