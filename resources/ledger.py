"""The ledger: the table of every intake there ever was, read as it grows, entered row by row."""

import threading
from collections.abc import Mapping
from typing import Any

import polars as pl

from resources.delta import add_actions
from resources.errors import LakeError
from resources.intake_rows import Intake
from resources.intakes import Intakes
from resources.lake import Lake
from resources.tables import TABLES


class Ledger:
    """What the ledger says now. Rows never change, so only new ones are read."""

    def __init__(self, lake: Lake, window_minutes: int, id_field: str) -> None:
        self._lake = lake
        self._own = {"window_minutes": window_minutes, "id_field": id_field}
        self._known = Intakes()
        self._version = -1
        self._lock = threading.Lock()

    def intakes(self) -> Intakes:
        """All intakes that are kept.

        Raises:
            LakeError: the lake was filled under another window length or id field, or an intake is missing.
        """
        with self._lock:
            table = self._lake.table("ledger")
            if table.version() == self._version:
                return self._known
            files = add_actions(table)
            if not files.is_empty():
                last = self._known.last
                new = files.filter(pl.col("max.number").gt(last).fill_null(value=True)).sort("min.number")
                if len(new):
                    rows = pl.scan_parquet(new["address"].to_list()).filter(pl.col("number") > last)
                    self._add(rows.collect())
            self._version = table.version()
            return self._known

    def enter(self, row: Mapping[str, Any]) -> Intake | None:
        """Enter a row under its number, unless another attempt was first. No other write touches rows.

        Args:
            row: its columns, without ``window_minutes`` and ``id_field``.

        Returns:
            What stands there now if it is this row; None if another attempt was first.
        """
        number = row["number"]
        if number > self.intakes().last:  # upkeep may have removed the row that was first
            frame = pl.DataFrame([{**row, **self._own}], schema=dict(TABLES["ledger"].schema))
            if self._lake.insert_once("ledger", "number", frame) and self._follows(frame):
                return self._known[number]
        known = self.intakes()
        standing = known[number] if known.first <= number <= known.last else None
        return standing if standing and standing.attempt == row["attempt"] else None

    def _follows(self, row: pl.DataFrame) -> bool:
        """Whether a row that was just entered is the next one: then it need not be read back."""
        with self._lock:
            if row["number"].item() != self._known.last + 1:
                return False
            self._add(row)
            return True

    def _add(self, rows: pl.DataFrame) -> None:
        if rows.is_empty():
            return
        for column, now in self._own.items():
            self._check(column, rows.filter(pl.col(column) != now)[column], now)
        ordered = rows.drop(self._own)
        if not ordered["number"].is_sorted():  # a sort copies all, and most files are
            ordered = ordered.sort("number")
        first = self._known.last + 1 if len(self._known) else ordered["number"][0]
        if not ordered["number"].equals(pl.Series("number", range(first, first + len(ordered)))):
            raise LakeError(f"The ledger of the lake {self._lake.uri} lacks an intake: restore the table.")
        self._known = self._known.extended(ordered)

    def _check(self, column: str, others: pl.Series, now: object) -> None:
        if len(others):
            setting = {"window_minutes": "SILT_WINDOW_MINUTES", "id_field": "SILT_CONTRACT (its id)"}[column]
            raise LakeError(
                f"The lake {self._lake.uri} was filled with {column}={others[0]!r}, the settings say "
                f"{now!r}: set {setting} back, or choose another SILT_HOME or SILT_LAKE_URI."
            )
