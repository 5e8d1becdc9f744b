"""The lake: the Delta tables under one URI, how a window is replaced in them, and how they are read."""

import contextlib
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import unquote, urlsplit

import polars as pl
from deltalake import (
    BloomFilterProperties,
    ColumnProperties,
    DeltaTable,
    Schema,
    WriterProperties,
    write_deltalake,
)
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from resources.errors import LakeError, TransientError
from resources.tables import TABLES, Table
from resources.windows import Window

STORE_ERRORS = (DeltaError, OSError)
"""What a store raises that is full, away or busy."""
_FLOOR = "silt.floor"
_CONFIGURATION = {
    "delta.checkpointInterval": "20",
    "delta.logRetentionDuration": "interval 3 days",  # readers ask for versions that old windows name
}
_COMMIT_TRIES = 20
_WRITER = WriterProperties(
    compression="ZSTD",
    max_row_group_size=16_384,
    column_properties={
        "record_id": ColumnProperties(
            dictionary_enabled=False,
            statistics_enabled="PAGE",
            bloom_filter_properties=BloomFilterProperties(set_bloom_filter_enabled=True, fpp=0.01),
        )
    },
)


@dataclass(frozen=True)
class Scan:
    """The files of one table version that can hold rows of one window, and that version."""

    files: list[str]
    version: int


class Lake:
    """All tables under one URI: a local folder, or an object store that delta-rs knows.

    One open handle per table is kept and brought up to date at each use. Safe to share among threads.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri.rstrip("/")
        self._handles: dict[str, DeltaTable] = {}
        self._lock = threading.RLock()

    def create(self, now: datetime, lateness: timedelta) -> None:
        """Create the tables that are not there, and fix the floor at the first time.

        The floor is a UTC midnight at least ``lateness`` and a day before ``now``.

        Raises:
            LakeError: the place cannot be written.
        """
        floor = (now.astimezone(UTC) - lateness - timedelta(days=1)).date()
        try:
            for name, table in TABLES.items():
                if not DeltaTable.is_deltatable(self._uri(name)):
                    self._create(name, table, floor)
        except (DeltaError, OSError) as error:
            raise LakeError(
                f"The lake {self.uri} cannot be written: {_line(error)}. Set SILT_LAKE_URI or SILT_HOME."
            ) from None

    def _create(self, name: str, table: Table, floor: date) -> None:
        with contextlib.suppress(CommitFailedError):  # another process created it at this very moment
            DeltaTable.create(
                self._uri(name),
                Schema.from_arrow(pl.DataFrame(schema=table.schema).to_arrow().schema),
                mode="ignore",
                partition_by=table.partition_by,
                configuration=_CONFIGURATION | {_FLOOR: floor.isoformat()},
                raise_if_key_not_exists=False,
            )

    @property
    def exists(self) -> bool:
        """Whether the tables have been created."""
        return DeltaTable.is_deltatable(self._uri("windows"))

    def floor(self) -> datetime:
        """The midnight (UTC) before which no window is due, runnable or shown."""
        day = self.table("windows").metadata().configuration[_FLOOR]
        return datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC)

    def table(self, name: str, version: int | None = None) -> DeltaTable:
        """A table as it is now, or as it was at an older version.

        Raises:
            LakeError: the table is not there.
        """
        try:
            if version is not None:
                return DeltaTable(self._uri(name), version=version)
            with self._lock:
                if name not in self._handles:
                    self._handles[name] = DeltaTable(self._uri(name))
                else:
                    self._handles[name].update_incremental()
                return self._handles[name]
        except TableNotFoundError:
            raise LakeError(
                f"The lake {self.uri} has no table {name}: `silt up` creates it; or correct SILT_LAKE_URI."
            ) from None

    def window_files(self, name: str, window: Window, version: int | None = None) -> Scan:
        """The files that can hold rows of a window, by the tables' own statistics."""
        with self._lock:  # another thread may bring the handle up to date between the two questions
            table = self.table(name, version)
            actions, found = add_actions(table), table.version()
        if actions.is_empty():
            return Scan([], found)
        key = pl.lit(window.key)
        kept = actions.filter(
            (pl.col("partition.date") == window.date)
            & pl.col("min.window").le(key).fill_null(value=True)
            & pl.col("max.window").ge(key).fill_null(value=True)
        )
        return Scan(kept["address"].to_list(), found)

    def read_window(self, name: str, window: Window, version: int | None = None) -> pl.LazyFrame:
        """A window's rows, all columns but ``date``."""
        files = self.window_files(name, window, version).files
        if not files:
            return pl.LazyFrame(schema={n: t for n, t in TABLES[name].schema.items() if n != "date"})
        frame = pl.scan_parquet(files, missing_columns="insert", extra_columns="ignore")
        return frame.filter(pl.col("window") == window.key)

    def read(self, name: str, columns: list[str] | None = None) -> pl.DataFrame:
        """A whole table: for those that stay small (``windows``, ``models``, ``cluster_stats``)."""
        frame = pl.scan_delta(self.table(name))
        return (frame.select(columns) if columns else frame).collect()

    def append(self, name: str, frame: pl.DataFrame) -> None:
        """Append rows; columns that the table does not know yet are added to it.

        Raises:
            LakeError: a column stands there with another type; Delta would cast the rows, or fail.
        """
        if frame.is_empty():
            return
        self._check_types(name, frame)
        self._commit(
            name,
            lambda table: write_deltalake(
                table, frame, mode="append", schema_mode="merge", writer_properties=_WRITER
            ),
        )

    def replace_window(
        self, name: str, window: Window, frame: pl.DataFrame, digest: str | None = None
    ) -> int:
        """Replace a window's rows (only those of ``digest``, if given) in one commit; no rows delete it.

        Returns:
            The table's version that holds the new rows.
        """
        predicate = _of(window)
        if digest:
            predicate += f" AND digest = '{digest}'"

        def write(table: DeltaTable) -> None:
            write_deltalake(table, frame, mode="overwrite", predicate=predicate, writer_properties=_WRITER)

        return self._commit(name, write)

    def change_window(
        self, name: str, window: Window, change: Callable[[list[dict[str, Any]]], pl.DataFrame]
    ) -> int:
        """Replace a window's rows by what ``change`` makes of them; it is called again if another writer
        replaced them meanwhile.

        Returns:
            The table's version that holds the new rows.
        """

        def write(table: DeltaTable) -> None:
            rows = self.read_window(name, window, table.version()).collect().to_dicts()
            write_deltalake(
                table, change(rows), mode="overwrite", predicate=_of(window), writer_properties=_WRITER
            )

        return self._commit(name, write)

    def insert_once(self, name: str, key: str, frame: pl.DataFrame) -> bool:
        """Insert one row unless a row with the same ``key`` stands there. No row is ever overwritten.

        Returns:
            Whether this call's row was inserted. A conflict or an unknown outcome raises nothing: the
            caller reads what stands there.
        """
        with contextlib.suppress(CommitFailedError):
            outcome = (
                DeltaTable(self._uri(name))
                .merge(
                    frame,
                    predicate=f"source.{key} = target.{key}",
                    source_alias="source",
                    target_alias="target",
                )
                .when_not_matched_insert_all()
                .execute()
            )
            return bool(outcome["num_target_rows_inserted"] == 1)
        return False

    def _check_types(self, name: str, frame: pl.DataFrame) -> None:
        stored = pl.scan_delta(self.table(name)).collect_schema()
        for column, kind in frame.schema.items():
            if column in stored and stored[column] != kind:
                raise LakeError(
                    f"The lake {self.uri} keeps the column {column!r} of {name} as {stored[column]}, the "
                    f"contract makes it {kind}: set the field's type back, rename the field, or choose "
                    "another SILT_HOME or SILT_LAKE_URI."
                )

    def _commit(self, name: str, write: Any) -> int:
        for attempt in range(_COMMIT_TRIES):
            table = DeltaTable(self._uri(name))
            try:
                write(table)
            except CommitFailedError:
                time.sleep(random.uniform(0, 0.02 * 2 ** min(attempt, 6)))
            else:
                return table.version()
        raise TransientError(
            f"Table {name} of the lake {self.uri} was busy {_COMMIT_TRIES} times: try again."
        )

    def _uri(self, name: str) -> str:
        return f"{self.uri}/{name}"


def _of(window: Window) -> str:
    return f"date = '{window.date}' AND \"window\" = '{window.key}'"


def add_actions(table: DeltaTable) -> pl.DataFrame:
    """A table version's files, one a row: path, size, rows, partition values, least and greatest values.

    The column ``address`` is what polars and Spark open: a local file's path as it is, not as a URL.
    """
    actions = pl.Series(pl.from_arrow(table.get_add_actions(flatten=True)))
    if actions.is_empty():
        return pl.DataFrame()
    url = urlsplit(table.table_uri)
    root = (unquote(url.path) if url.scheme == "file" else table.table_uri).rstrip("/")
    return actions.struct.unnest().with_columns(address=pl.concat_str(pl.lit(f"{root}/"), "path"))


def store_failed(uri: str, error: Exception) -> TransientError:
    """The error of ours for a store that does not take or give what it should."""
    return TransientError(
        f"The lake {uri} fails: {_line(error)}. Free its disk, or see that its object store answers."
    )


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
