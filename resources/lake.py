"""The lake: the Delta tables under one URI, how a window is replaced in them, and how they are read."""

import contextlib
import logging
import os
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import polars as pl
from deltalake import (
    DeltaTable,
    Schema,
    write_deltalake,
)
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction

from resources.delta import (
    WRITER,
    add_actions,
    add_files,
    arrow_stream,
    replacements,
    scan,
    schema_of,
    write_files,
)
from resources.durability import UNSETTLED, mend, settle, sync
from resources.errors import LakeError, TransientError
from resources.tables import TABLES, Table
from resources.windows import Window

STORE_ERRORS = (DeltaError, OSError)
"""What a store raises that is full, away or busy."""
_FLOOR = "silt.floor"
_ERASURES = "silt.erasures"
FILES_KEPT = timedelta(hours=6)
"""A data file stays so long after it left its table: readers of an older version have hours to finish."""
VERSIONS_KEPT = timedelta(days=3)
"""So long a version can be opened, of the tables that are read by version."""
_CONFIGURATION = {
    "delta.checkpointInterval": "20",
    "delta.logRetentionDuration": f"interval {FILES_KEPT // timedelta(hours=1)} hours",
    "delta.deletedFileRetentionDuration": f"interval {FILES_KEPT // timedelta(hours=1)} hours",
}
_READ_BY_VERSION = {  # upkeep alone shortens their logs: a row of `windows` may name an old version
    "delta.logRetentionDuration": f"interval {VERSIONS_KEPT.days} days",
    "delta.enableExpiredLogCleanup": "false",
}
VERSIONS = {"clustering_results": "results_version", "cluster_stats": "stats_version"}
"""The tables that are read at the version which a row of ``windows`` names, and in which column."""
_COMMIT_TRIES = 20
_LOOKED_SECONDS = 0.002
T = TypeVar("T")
M = TypeVar("M")
_LOG = logging.getLogger("silt.lake")


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
        self._versions: dict[str, int] = {}
        self._looked: dict[tuple[str, ...], tuple[tuple[int, ...], float]] = {}
        self._settled: dict[str, int] = {}
        self._unsettled: dict[str, tuple[int, Future[None]]] = {}
        self._made: dict[tuple[str, str], tuple[DeltaTable, int, Any]] = {}
        self._lock = threading.RLock()

    def create(self, now: datetime, lateness: timedelta) -> None:
        """Create the tables that are not there, and fix the floor at the first time; mend what is torn.

        The floor is a UTC midnight at least ``lateness`` and a day before ``now``.

        Raises:
            LakeError: the place cannot be written, or an older Silt made the tables.
        """
        floor = (now.astimezone(UTC) - lateness - timedelta(days=1)).date()
        try:
            for name, table in TABLES.items():
                self._mend(name)
                if not DeltaTable.is_deltatable(self._uri(name)):
                    self._create(name, table, floor)
        except (DeltaError, OSError) as error:
            raise LakeError(
                f"The lake {self.uri} cannot be written: {_line(error)}. Set SILT_LAKE_URI or SILT_HOME."
            ) from None
        for name, table in TABLES.items():
            self._check_columns(name, table)

    def _check_columns(self, name: str, table: Table) -> None:
        stored = schema_of(self.table(name))
        if any(stored.get(column) != kind for column, kind in table.schema.items()):
            raise LakeError(
                f"The lake {self.uri} was made by an older Silt, whose table {name} this one does not know: "
                "choose another SILT_HOME or SILT_LAKE_URI; the topic is taken in again."
            )

    def _create(self, name: str, table: Table, floor: date) -> None:
        with contextlib.suppress(CommitFailedError):  # another process created it at this very moment
            DeltaTable.create(
                self._uri(name),
                Schema.from_arrow(pl.DataFrame(schema=table.schema).to_arrow().schema),
                mode="ignore",
                partition_by=table.partition_by,
                configuration={
                    **_CONFIGURATION,
                    **(_READ_BY_VERSION if name in VERSIONS else {}),
                    _FLOOR: floor.isoformat(),
                },
                raise_if_key_not_exists=False,
            )

    def _mend(self, name: str) -> None:
        folder = self.folder(name)
        for file in mend(folder) if folder else []:
            _LOG.warning(
                "Table %s of the lake %s: %s was torn by a power cut, or a later one; it is in the folder "
                "_torn now. What it held is read from the topic or computed again.",
                name, self.uri, file,
            )  # fmt: skip

    @property
    def exists(self) -> bool:
        """Whether the tables have been created."""
        return DeltaTable.is_deltatable(self._uri("windows"))

    def floor(self) -> datetime:
        """The midnight (UTC) before which no window is due, runnable or shown."""
        day = self.table("windows").metadata().configuration[_FLOOR]
        return datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC)

    def raise_floor(self, day: date) -> None:
        """Move the floor to the UTC midnight that begins ``day``; it never moves back."""

        def move(table: DeltaTable) -> None:
            if date.fromisoformat(table.metadata().configuration[_FLOOR]) < day:
                table.alter.set_table_properties({_FLOOR: day.isoformat()}, raise_if_not_exists=False)

        self.commit("windows", move)

    def erasures(self) -> str:
        """Another text after each erasure of records: who keeps some in memory reads them again then."""
        return self.table("records").metadata().configuration.get(_ERASURES, "")

    def mark_erasure(self) -> None:
        """Tell all who keep records in memory that some were erased."""
        mark = {_ERASURES: os.urandom(8).hex()}
        self.commit(
            "records", lambda table: table.alter.set_table_properties(mark, raise_if_not_exists=False)
        )

    def table(self, name: str, version: int | None = None) -> DeltaTable:
        """A table as it is now, or as it was at an older version.

        Raises:
            LakeError: the table is not there.
        """
        try:
            if version is not None:
                return DeltaTable(self._uri(name), version=version)
            with self._lock:
                known = self._versions.get(name, -1)
                if name not in self._handles or (self._root and not self._has(name, known)):
                    self._handles[name] = DeltaTable(self._uri(name))
                elif not self._is_at(name, known):
                    self._handles[name].update_incremental()
                self._versions[name] = self._handles[name].version()
                return self._handles[name]
        except TableNotFoundError:
            raise self._lacks(name) from None

    def require(self, *names: str) -> None:
        """Check that tables are there: in an object store an open one that is gone goes unnoticed.

        Raises:
            LakeError: a table is not there.
        """
        for name in names:
            if not DeltaTable.is_deltatable(self._uri(name)):
                raise self._lacks(name)

    def _lacks(self, name: str) -> LakeError:
        return LakeError(
            f"The lake {self.uri} has no table {name}: `silt up` creates it; or correct SILT_LAKE_URI."
        )

    def versions_at_hand(self, names: tuple[str, ...]) -> tuple[int, ...] | None:
        """The tables' versions, if all are open at their newest as of 2 ms ago at most; only in a folder.

        It takes microseconds. To look at the log each time would be as quick, but lets other threads run.
        """
        versions = tuple(self._versions.get(name, -1) for name in names)
        now, looked = time.monotonic(), self._looked.get(names)
        if looked and looked[0] == versions and now < looked[1]:
            return versions
        if not all(map(self._is_at, names, versions)):
            return None
        self._looked[names] = versions, now + _LOOKED_SECONDS
        return versions

    def _is_at(self, name: str, version: int) -> bool:
        """Whether a table is at a version still, as the names in its log tell; False in an object store."""
        return self._has(name, version) and not self._has(name, version + 1)

    def _has(self, name: str, version: int) -> bool:
        """Whether the log in a local folder has a version: neither it nor the lake was deleted meanwhile."""
        return os.path.exists(f"{self._root}/{name}/_delta_log/{version:020}.json")  # noqa: PTH110  (quick)

    def last_with(self, name: str, window: str, version: int) -> int:
        """The last version, from ``version`` on, before the rows of a window (a key) were replaced."""
        later = [number for number in replacements(self.table(name)).get(window, []) if number > version]
        return later[0] - 1 if later else version

    def window_files(self, name: str, window: Window, version: int | None = None) -> Scan:
        """The files that can hold rows of a window, by the tables' own statistics."""
        with self._lock:  # another thread may bring the handle up to date between the two questions
            table = self.table(name, version)
            return Scan(self._files(name, table, window), table.version())

    def read_window(self, name: str, window: Window, version: int | None = None) -> pl.LazyFrame:
        """A window's rows, all columns but ``date``."""
        with self._lock:
            return self._rows(name, self.table(name, version), window)

    def _rows(self, name: str, table: DeltaTable, window: Window) -> pl.LazyFrame:
        known = schema_of(table) if name == "records" else TABLES[name].schema  # records get more columns
        schema = {column: kind for column, kind in known.items() if column != "date"}
        files = self._files(name, table, window)
        if not files:
            return pl.LazyFrame(schema=schema)
        frame = pl.scan_parquet(files, schema=schema, missing_columns="insert", extra_columns="ignore")
        return frame.filter(pl.col("window") == window.key)

    def window_rows(self, name: str, window: Window) -> Sequence[Mapping[str, Any]]:
        """A window's rows, all columns but ``date``: for tables with few of them.

        They are not read again while the table stays as it is.
        """
        with self._lock:
            table = self.table(name)
            known: dict[str, list[dict[str, Any]]] = self._once(name, "rows", table, dict)
            if window.key not in known:
                known[window.key] = self._rows(name, table, window).collect().to_dicts()
            return known[window.key]

    def _files(self, name: str, table: DeltaTable, window: Window) -> list[str]:
        """The files of a table that can hold rows of a window, by its own statistics."""
        actions = self._once(name, "files", table, lambda: add_actions(table))
        if actions.is_empty():
            return []
        key = pl.lit(window.key)
        kept = actions.filter(
            (pl.col("partition.date") == window.date)
            & pl.col("min.window").le(key).fill_null(value=True)
            & pl.col("max.window").ge(key).fill_null(value=True)
        )
        return kept["address"].to_list()

    def _once(self, name: str, what: str, table: DeltaTable, make: Callable[[], T]) -> T:
        """What was made of a handle, made anew once it is at another version."""
        found = self._made.get((name, what))
        if not found or found[0] is not table or found[1] != table.version():
            found = self._made[name, what] = table, table.version(), make()
        made: T = found[2]
        return made

    def read(self, name: str, columns: list[str] | None = None) -> pl.DataFrame:
        """A whole table: for those that stay small (``windows``, ``models``, ``cluster_stats``).

        Chosen columns are kept, and not read again while the table stays as it is.
        """
        wanted = tuple(columns or ())
        with self._lock:  # another thread may bring the handle up to date meanwhile
            table = self.table(name)
            known: dict[tuple[str, ...], pl.DataFrame] = self._once(name, "columns", table, dict)
            rows = None if wanted in known else scan(table)
        if rows is None:
            return known[wanted]
        if not columns:
            return rows.collect()
        known[wanted] = rows.select(columns).collect()
        return known[wanted]

    def append(self, name: str, frame: pl.DataFrame) -> None:
        """Append rows; columns that the table does not know yet are added to it.

        Raises:
            LakeError: a column stands there with another type; Delta would cast the rows, or fail.
        """
        if frame.is_empty():
            return
        self._widen(name, frame)
        stored = schema_of(self.table(name))
        missing = [pl.lit(None, kind).alias(column) for column, kind in stored.items() if column not in frame]
        self._add(name, frame.with_columns(missing).select(stored.names()))

    def insert_once(self, name: str, key: str, frame: pl.DataFrame) -> bool:
        """Insert one row unless a row with its number or a higher one as ``key`` stands there.

        No row is overwritten, and numbers rise, so that none stands there twice.

        Returns:
            Whether this call's row was inserted. An unknown outcome raises nothing: the caller reads what
            stands there.
        """
        number = int(frame[key].item())

        def stands(table: DeltaTable) -> bool:
            known = add_actions(table)
            return len(known) > 0 and known[f"max.{key}"].ge(number).fill_null(value=True).any()

        return self._add(name, frame, unless=stands)

    def _add(
        self, name: str, rows: pl.DataFrame, unless: Callable[[DeltaTable], bool] = lambda table: False
    ) -> bool:
        """Add rows in one commit, unless the version that it follows has something; on disk when it returns.

        Raises:
            TransientError: others were first every time.
        """
        version = self._enter(name, self._write(name, rows, by_file=True), unless)
        if version is None:
            return False
        self._settle(name, version)
        return True

    def _write(self, name: str, rows: pl.DataFrame, *, by_file: bool = False) -> list[AddAction]:
        root = str(self.folder(name) or self._uri(name))
        return write_files(root, TABLES[name].partition_by, rows, by_file=by_file)

    def _enter(
        self,
        name: str,
        files: list[AddAction],
        unless: Callable[[DeltaTable], object],
        window: str | None = None,
    ) -> int | None:
        """Commit files, unless the version that the commit follows has something: None then."""
        for attempt in range(_COMMIT_TRIES):
            with self._lock:  # no other thread brings the handle up to date meanwhile
                table = self.table(name)
                if unless(table):
                    return None
                with contextlib.suppress(CommitFailedError):
                    return add_files(table, files, window)
            _wait_after(attempt)
        raise self._busy(name, _COMMIT_TRIES)

    def _widen(self, name: str, frame: pl.DataFrame) -> None:
        """Add the columns that a table does not have yet."""
        stored = schema_of(self.table(name))
        for column, kind in frame.schema.items():
            if stored.get(column, kind) != kind:
                raise LakeError(
                    f"The lake {self.uri} keeps the column {column!r} of {name} as {stored[column]}, the "
                    f"contract makes it {kind}: set the field's type back, rename the field, or choose "
                    "another SILT_HOME or SILT_LAKE_URI."
                )

        def widen(table: DeltaTable) -> None:
            known = schema_of(table).names()
            if new := [column for column in frame.columns if column not in known]:
                table.alter.add_columns(Schema.from_arrow(frame.head(0).select(new).to_arrow().schema).fields)

        if not frame.schema.keys() <= stored.keys():
            self.commit(name, widen)

    def replace_window(
        self,
        name: str,
        window: Window,
        rows: pl.DataFrame | Callable[[], Iterable[pl.LazyFrame]],
        digest: str | None = None,
        revision: int | None = None,
        written: list[AddAction] | None = None,
    ) -> int:
        """Replace a window's rows (only those of a digest and a revision, if given) in one commit; no rows
        delete it. They are on disk after :meth:`settled`: nothing that names them is written before.

        Args:
            rows: or what makes them, part by part, once for each try.
            written: what :meth:`write_rows` made of the same rows before.

        Returns:
            The table's version that holds the new rows.
        """
        parts = rows if callable(rows) else lambda: [rows.lazy()]
        version = None
        if not self.window_files(name, window).files:
            files = self.write_rows(name, window, parts()) if written is None else written
            version = self._first_rows(name, window, files)
        if version is None:
            version = self._overwrite(name, window, parts, digest, revision)
        self._unsettled[name] = (version, self._settler.submit(self._settle, name, version))
        return version

    def write_rows(self, name: str, window: Window, parts: Iterable[pl.LazyFrame]) -> list[AddAction]:
        """Write a window's rows, part by part, into files that no version names yet."""
        write = partial(self._write_part, name, window)
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            return [file for files in _some_ahead(threads, write, parts) for file in files]

    def _first_rows(self, name: str, window: Window, files: list[AddAction]) -> int | None:
        """Append a window's first rows, in half the time of an overwrite; None if it has some meanwhile."""
        if not files:
            return self.table(name).version()
        return self._enter(name, files, partial(self._files, name, window=window), window.key)

    def _write_part(self, name: str, window: Window, part: pl.LazyFrame) -> list[AddAction]:
        rows = part.collect()
        if not rows["window"].eq(window.key).all():
            raise ValueError(f"Rows of {name} break the predicate window = {window.key!r}.")
        files = self._write(name, rows) if rows.height else []
        if folder := self.folder(name):  # the disk works while the next part is made
            for file in files:
                self._settler.submit(sync, folder / file.path)
        return files

    def _overwrite(
        self,
        name: str,
        window: Window,
        parts: Callable[[], Iterable[pl.LazyFrame]],
        digest: str | None,
        revision: int | None,
    ) -> int:
        predicate = _of(window)
        if digest:
            predicate += f" AND digest = '{digest}'"
        if revision:
            predicate += f" AND revision = {revision}"

        def write(table: DeltaTable) -> None:
            data = arrow_stream(TABLES[name].schema, (part.collect() for part in parts()))
            write_deltalake(table, data, mode="overwrite", predicate=predicate, writer_properties=WRITER)

        return self.commit(name, write, settle=False)

    def settled(self) -> None:
        """Wait until all that :meth:`replace_window` has written is on disk.

        Raises:
            OSError: the disk does not take it.
        """
        while self._unsettled:
            name, (version, settling) = next(iter(self._unsettled.items()))
            if settling.exception():
                self._settle(name, version)
            del self._unsettled[name]

    @cached_property
    def _settler(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(1)

    def replace_windows(self, name: str, first: str, last: str, frame: pl.DataFrame) -> int:
        """Replace the rows of all windows from one to another (keys, both included) in one commit.

        Returns:
            The table's version that holds the new rows.
        """
        days = f"date >= '{first[:10]}' AND date <= '{last[:10]}'"
        predicate = f"{days} AND \"window\" >= '{first}' AND \"window\" <= '{last}'"

        def write(table: DeltaTable) -> None:
            write_deltalake(table, frame, mode="overwrite", predicate=predicate, writer_properties=WRITER)

        return self.commit(name, write)

    def change_window(
        self, name: str, window: Window, change: Callable[[list[dict[str, Any]]], pl.DataFrame]
    ) -> int:
        """Replace a window's rows by what ``change`` makes of them; it is called again if another writer
        replaced them meanwhile.

        Returns:
            The table's version that holds the new rows.
        """
        if not self.window_files(name, window).files:
            version = self._first_rows(name, window, self._write(name, change([])))
            if version is not None:
                self._settle(name, version)
                return version

        def write(table: DeltaTable) -> None:
            rows = self._rows(name, table, window).collect().to_dicts()
            write_deltalake(
                table, change(rows), mode="overwrite", predicate=_of(window), writer_properties=WRITER
            )

        return self.commit(name, write)

    def commit(
        self,
        name: str,
        write: Callable[[DeltaTable], object],
        tries: int = _COMMIT_TRIES,
        settle: bool = True,
    ) -> int:
        """Have ``write`` commit to the newest version, again if another was first; on disk when it returns.

        Args:
            settle: False: the caller brings it to disk.

        Returns:
            The table's version that it made.

        Raises:
            TransientError: others were first every time.
        """
        for attempt in range(tries):
            with self._lock:
                table = self.table(name)
                del self._handles[name]  # it is the writer's alone meanwhile
            try:
                write(table)
            except CommitFailedError:
                _wait_after(attempt)
                continue
            version = table.version()
            with self._lock:
                self._handles[name], self._versions[name] = table, version
            if settle:
                self._settle(name, version)
            return version
        raise self._busy(name, tries)

    def _busy(self, name: str, tries: int) -> TransientError:
        return TransientError(f"Table {name} of the lake {self.uri} was busy {tries} times: try again.")

    def _settle(self, name: str, version: int) -> None:
        if folder := self.folder(name):
            settle(folder, self._settled.get(name, version - UNSETTLED), version)
            self._settled[name] = version

    def folder(self, name: str) -> Path | None:
        """A table's folder; None in an object store."""
        return self._root / name if self._root else None

    @cached_property
    def _root(self) -> Path | None:
        url = urlsplit(self.uri)
        if url.scheme not in ("", "file"):
            return None
        return Path(unquote(url.path) if url.scheme else self.uri)

    def _uri(self, name: str) -> str:
        return f"{self.uri}/{name}"


def _some_ahead(threads: ThreadPoolExecutor, make: Callable[[T], M], items: Iterable[T]) -> Iterator[M]:
    """What is made of items, in their order; not more of them are taken than threads work on, and one."""
    making = deque[Future[M]]()
    for item in items:
        making.append(threads.submit(make, item))
        if len(making) > (os.cpu_count() or 1):
            yield making.popleft().result()
    yield from (future.result() for future in making)


def _wait_after(attempt: int) -> None:
    """Let others go first for a moment, a longer one each time."""
    time.sleep(random.uniform(0, 0.02 * 2 ** min(attempt, 6)))


def _of(window: Window) -> str:
    return f"date = '{window.date}' AND \"window\" = '{window.key}'"


def store_failed(uri: str, error: Exception) -> TransientError:
    """The error of ours for a store that does not take or give what it should."""
    return TransientError(
        f"The lake {uri} fails: {_line(error)}. Free its disk, or see that its object store answers."
    )


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
