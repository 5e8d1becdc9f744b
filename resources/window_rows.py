"""A window's records in the memory of the run that answers it: what it landed itself is not read back."""

import math
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import polars as pl

from resources.contract import Contract
from resources.id_order import by_id
from resources.intake_rows import Intake
from resources.intakes import Intakes, in_slices
from resources.lake import Lake
from resources.shelves import SHELF, Shelves
from resources.tables import TABLES
from resources.windows import Window

ORDER = ("event_time", "kafka_partition", "kafka_offset", "intake")
"""Of several records with one id the last in this order counts."""
_OWN = ("record_id", *ORDER)
_NEEDED = ("window", "attempt", "too_late", *_OWN)
_PART_ROWS = 1 << 21
"""So many rows of a window that does not fit are looked at at once, in some 400 MB. Parts cost little."""
_ROW_BYTES = 104
"""Of a record's id (of 36 characters), place and time, and of what sorting them takes meanwhile."""
_FIELD_BYTES = {pl.Float64: 8, pl.String: 4}
"""Of a number, and of a category's code."""


class WindowRows:
    """The records that the windows of a run are answered from.

    A frame of them has the columns ``record_id``, ``event_time``, ``kafka_partition``, ``kafka_offset``,
    ``intake``, and of the contract those that are features or averaged: numbers as Float64, strings as
    Categorical.
    """

    def __init__(self, lake: Lake, contract: Contract, most_bytes: int = 1 << 30) -> None:
        fields = {*contract.features, *contract.statistics.values()}
        kinds = {"number": pl.Float64, "string": pl.String}
        self._fields = {
            contract.columns[name]: kinds[kind] for name, kind in contract.fields.items() if name in fields
        }
        self._lake = lake
        of_fields = sum(_FIELD_BYTES[kind] for kind in self._fields.values())
        self._most = most_bytes // (_ROW_BYTES + of_fields)
        self._window: Window | None = None
        self._erasures = ""
        self._attempts: list[str] = []
        self._kept = Shelves()
        self._so_far: tuple[pl.DataFrame, pl.Series] | None = None
        self._selected: dict[str, pl.DataFrame] = {}

    def fit(self, records: int) -> bool:
        """Whether so many records may be held in memory."""
        return records <= self._most

    def keep(self, window: Window) -> None:
        """From now on keep what lands for a window, and forget all else."""
        self._forget()
        self._window, self._erasures = window, self._lake.erasures()

    def land(self, intake: Intake, frame: pl.DataFrame) -> None:
        """Keep the rows of ``records`` that an intake has landed, as far as they are the kept window's."""
        if self._window is None:
            return
        mine = pl.col("window") == self._window.key
        rows = self._typed(frame.lazy().filter(mine, ~pl.col("too_late"))).collect()
        if not self.fit(self._kept.height + rows.height):
            self._forget()
        elif rows.height:
            self._keep(rows, [intake.attempt])

    def so_far(self, window: Window, intakes: Intakes) -> tuple[pl.DataFrame, pl.Series] | None:
        """The :meth:`selection` of what has landed for the open window, all of which is kept from now on.

        None if that is nothing, or more than may be held.
        """
        attempts = set(intakes.attempts_with(window, intakes.last))
        if not self._keeps_of(window, attempts) or not self.fit(intakes.records(window)):
            return None
        for landed_by, rows in self._read(window, intakes, attempts.difference(self._attempts)):
            self._keep(rows, landed_by)
        if not self._kept.height:
            return None
        self._so_far = self._so_far or _selection(self._kept.frames())
        return self._so_far

    def selection(self, window: Window, intakes: Intakes, covered: int) -> tuple[pl.DataFrame, pl.Series]:
        """A window's records, the latest of each record id, by rising id; and the intakes of all that landed.

        Too late and erased ones are none of them.
        """
        attempts, landed = set(intakes.attempts_with(window, covered)), Shelves()
        if self._keeps_of(window, attempts):
            attempts = attempts.difference(self._attempts)
            if self._so_far and not attempts:
                found = self._so_far
                self._forget()
                return found
            landed = self._kept
            self._forget()
        for _, rows in self._read(window, intakes, attempts):
            landed.add(rows)
        frames = landed.taken() or [self._typed(self._empty()).collect()]
        return _selection(frames)

    def selections(
        self, window: Window, intakes: Intakes, covered: int
    ) -> Iterator[tuple[pl.DataFrame, pl.Series]]:
        """A window's :meth:`selection`, or, of one that does not fit, the selections of its parts.

        A part has all that landed with some of the record ids; of the columns ids, times and places alone.
        """
        self._selected = {}
        landed = intakes.records(window)
        if self.fit(landed):
            yield self.selection(window, intakes, covered)
            return
        parts = math.ceil(landed / max(1, min(self._most, _PART_ROWS)))
        for part in range(parts):
            mine = pl.col("record_id").hash() % parts == part
            named = self._landed(window, intakes.attempts_with(window, covered))
            rows = by_id(named.filter(mine).select(_OWN).collect())
            yield _latest(rows), rows["intake"]

    def _keeps_of(self, window: Window, attempts: set[str]) -> bool:
        """Whether what is kept is a window's, landed by some of these, and nothing was erased meanwhile."""
        kept = window == self._window and attempts.issuperset(self._attempts)
        return kept and self._erasures == self._lake.erasures()

    def _read(
        self, window: Window, intakes: Intakes, attempts: set[str]
    ) -> Iterator[tuple[list[str], pl.DataFrame]]:
        """What these landed for a window: some of them, and their rows, at a time."""
        named = intakes.of_window(window).filter(pl.col("attempt").is_in(attempts))
        for part in in_slices(named, SHELF):
            own = pl.col("intake").is_between(*part["number"][[0, -1]])  # most files have none of them
            landed_by = part["attempt"].to_list()
            yield landed_by, self._typed(self._landed(window, landed_by).filter(own)).collect()

    def hold(self, digest: str, records: pl.DataFrame) -> None:
        """Hold a batch's records for the steps that follow, if they fit."""
        places = ("kafka_partition", "kafka_offset", "intake")
        self._selected = {digest: records.drop(places, strict=False)} if self.fit(records.height) else {}

    def held(self, digest: str) -> pl.DataFrame | None:
        """The records that are held of a batch, if they are."""
        return self._selected.get(digest)

    def _keep(self, rows: pl.DataFrame, landed_by: Sequence[str]) -> None:
        self._so_far = None
        self._kept.add(rows)
        self._attempts += landed_by

    def _forget(self) -> None:
        self._window, self._attempts, self._kept, self._so_far = None, [], Shelves(), None

    def _landed(self, window: Window, attempts: Sequence[str]) -> pl.LazyFrame:
        """What attempts landed for a window, without too late and erased ones."""
        files = self._lake.window_files("records", window).files if attempts else []
        if not files:
            return self._empty()
        schema = self._empty().collect_schema()
        rows = pl.scan_parquet(files, schema=schema, missing_columns="insert", extra_columns="ignore")
        return rows.filter(
            pl.col("window") == window.key, ~pl.col("too_late"), pl.col("attempt").is_in(attempts),
            pl.col("record_id").is_not_null(),  # erased
        )  # fmt: skip

    def _empty(self) -> pl.LazyFrame:
        own = TABLES["records"].schema
        return pl.LazyFrame(schema={**{name: own[name] for name in _NEEDED}, **self._fields})

    def _typed(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        fields = [
            pl.col(name).cast(pl.Categorical) if kind == pl.String else pl.col(name)
            for name, kind in self._fields.items()
        ]
        return rows.select(*_OWN, *fields)


def _selection(frames: Sequence[pl.DataFrame]) -> tuple[pl.DataFrame, pl.Series]:
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        latest = list(threads.map(_latest, frames))
    return pl.concat(latest), pl.concat(frame["intake"] for frame in frames)


def _latest(rows: pl.DataFrame) -> pl.DataFrame:
    """Of rows by rising id, the latest of each id."""
    ids = rows["record_id"]
    same = (ids == ids.shift(1)).fill_null(value=False)
    if not same.any():
        return rows
    several = same | same.shift(-1, fill_value=False)
    latest = rows.filter(several).sort(*ORDER).unique("record_id", keep="last").sort("record_id")
    return rows.filter(~several).merge_sorted(latest, "record_id").rechunk()
