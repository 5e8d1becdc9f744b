"""The lake: the Delta tables under one URI, how a window is replaced in them, and how they are read."""

import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

import polars as pl
from deltalake import DeltaTable, Schema, write_deltalake
from deltalake.exceptions import DeltaError
from deltalake.transaction import AddAction

from resources.commits import Commits
from resources.delta import WRITER, add_actions, arrow_stream, replacements, scan, schema_of, write_files
from resources.durability import mend
from resources.errors import LakeError, TransientError
from resources.new_tables import make_table
from resources.tables import TABLES, Table
from resources.windows import Window

STORE_ERRORS = (DeltaError, OSError)
"""What a store raises that is full, away or busy."""
_FLOOR = "silt.floor"
_ERASURES = "silt.erasures"
T = TypeVar("T")
M = TypeVar("M")
_LOG = logging.getLogger("silt.lake")


@dataclass(frozen=True)
class Scan:
    """The files of one table version that can hold rows of one window, and that version."""

    files: list[str]
    version: int


class Lake(Commits):
    """All tables of Silt under one URI. Safe to share among threads."""

    def create(self, now: datetime, lateness: timedelta) -> None:
        """Create the tables that are not there, and fix the floor at the first time; mend what is torn.

        The floor is a UTC midnight at least ``lateness`` and a day before ``now``.

        Raises:
            LakeError: the place cannot be written, or an older Silt made the tables.
        """
        floor = (now.astimezone(UTC) - lateness - timedelta(days=1)).date()
        try:
            for name in TABLES:
                self._mend(name)
                if not DeltaTable.is_deltatable(self._uri(name)):
                    make_table(self._uri(name), name, {_FLOOR: floor.isoformat()})
        except (DeltaError, OSError) as error:
            raise LakeError(
                f"The lake {self.uri} cannot be written: {_line(error)}. Set SILT_LAKE_URI or SILT_HOME."
            ) from None
        for name, table in TABLES.items():
            self._check_columns(name, table)

    def _mend(self, name: str) -> None:
        folder = self.folder(name)
        for file in mend(folder) if folder else []:
            _LOG.warning(
                "Table %s of the lake %s: %s was torn by a power cut, or a later one; it is in the folder "
                "_torn now. What it held is read from the topic or computed again.",
                name, self.uri, file,
            )  # fmt: skip

    def _check_columns(self, name: str, table: Table) -> None:
        stored = schema_of(self.table(name))
        if any(stored.get(column) != kind for column, kind in table.schema.items()):
            raise LakeError(
                f"The lake {self.uri} was made by an older Silt, whose table {name} this one does not know: "
                "choose another SILT_HOME or SILT_LAKE_URI; the topic is taken in again."
            )

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
        self._settle_meanwhile(name, version)
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
        self._sync_meanwhile(name, files)
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


def _some_ahead(threads: ThreadPoolExecutor, make: Callable[[T], M], items: Iterable[T]) -> Iterator[M]:
    """What is made of items, in their order; not more of them are taken than threads work on, and one."""
    making = deque[Future[M]]()
    for item in items:
        making.append(threads.submit(make, item))
        if len(making) > (os.cpu_count() or 1):
            yield making.popleft().result()
    yield from (future.result() for future in making)


def _of(window: Window) -> str:
    return f"date = '{window.date}' AND \"window\" = '{window.key}'"


def store_failed(uri: str, error: Exception) -> TransientError:
    """The error of ours for a store that does not take or give what it should."""
    return TransientError(
        f"The lake {uri} fails: {_line(error)}. Free its disk, or see that its object store answers."
    )


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
