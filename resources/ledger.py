"""The ledger: every intake there ever was, and what follows from it: what is covered, what is due."""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from resources.errors import LakeError
from resources.lake import Lake, add_actions
from resources.tables import TABLES
from resources.windows import Window


@dataclass(frozen=True)
class Span:
    """Offsets [start, end) of one Kafka partition, as one intake read them."""

    partition: int
    start: int
    end: int
    missing: int
    watermark: datetime | None
    last_timestamp: datetime | None
    missing_from: datetime | None
    missing_to: datetime | None


@dataclass(frozen=True)
class Intake:
    """One row of the ledger: a numbered, bounded read of the topic."""

    number: int
    attempt: str
    kind: str
    """``topic``, ``replay`` (of dead letters) or ``reset``."""
    topic_id: str
    taken_at: datetime
    caught_up: bool
    spans: Mapping[int, Span]
    landed: Mapping[str, int]
    """Records per window, without the too late ones."""
    refused: Mapping[str, int]
    """Dead letters per window of their timestamp."""


class Ledger:
    """What the ledger says now. Rows never change, so only new ones are read."""

    def __init__(self, lake: Lake, window_minutes: int, id_field: str) -> None:
        self._lake = lake
        self._window_minutes = window_minutes
        self._id_field = id_field
        self._rows: list[Intake] = []
        self._lock = threading.Lock()

    def intakes(self) -> list[Intake]:
        """All intakes, in order of their numbers.

        Raises:
            LakeError: the lake was filled under another window length or id field, or an intake is missing.
        """
        with self._lock:
            known = len(self._rows)
            table = self._lake.table("ledger")
            files = add_actions(table)
            if not files.is_empty():
                new = files.filter(pl.col("max.number").gt(known).fill_null(value=True))
                if not new.is_empty():
                    self._add(
                        pl.scan_parquet(new["address"].to_list())
                        .filter(pl.col("number") > known)
                        .sort("number")
                    )
            return list(self._rows)

    def enter(self, row: Mapping[str, Any]) -> Intake | None:
        """Enter a row under its number, unless another attempt stands there. No other write touches rows.

        Args:
            row: its columns, without ``window_minutes`` and ``id_field``.

        Returns:
            What stands there now if it is this row; None if another attempt was first.
        """
        own = {"window_minutes": self._window_minutes, "id_field": self._id_field}
        frame = pl.DataFrame([{**row, **own}], schema=dict(TABLES["ledger"].schema))
        self._lake.insert_once("ledger", "number", frame)
        standing = self.intakes()[row["number"] - 1 :]
        return standing[0] if standing and standing[0].attempt == row["attempt"] else None

    def _add(self, frame: pl.LazyFrame) -> None:
        rows = list(frame.collect().iter_rows(named=True))
        for row in rows:
            self._check(row)
        self._rows.extend(map(_intake, rows))
        if [row.number for row in self._rows] != list(range(1, len(self._rows) + 1)):
            raise LakeError(f"The ledger of the lake {self._lake.uri} lacks an intake: restore the table.")

    def _check(self, row: Mapping[str, Any]) -> None:
        for column, now, setting in (
            ("window_minutes", self._window_minutes, "SILT_WINDOW_MINUTES"),
            ("id_field", self._id_field, "SILT_CONTRACT (its id)"),
        ):
            if row[column] != now:
                raise LakeError(
                    f"The lake {self._lake.uri} was filled with {column}={row[column]!r}, the settings say "
                    f"{now!r}: set {setting} back, or choose another SILT_HOME or SILT_LAKE_URI."
                )


def reach(intakes: Iterable[Intake]) -> datetime | None:
    """The instant up to which the topic has been read: the latest clock of an intake that caught up."""
    return max((row.taken_at for row in intakes if row.caught_up), default=None)


def reaches(intakes: Iterable[Intake], close: datetime) -> bool:
    """Whether the topic has been read to its end at or after ``close``."""
    known = reach(intakes)
    return known is not None and known >= close


def ends(intakes: Iterable[Intake]) -> dict[int, int]:
    """Per Kafka partition, the offset at which the next intake starts."""
    return {p: span.end for row in intakes for p, span in row.spans.items()}


def latest_per_window(intakes: Iterable[Intake]) -> dict[str, int]:
    """Per window key, the number of the last intake that landed a record for it."""
    return {window: row.number for row in intakes for window, count in row.landed.items() if count}


def first_to_reach(intakes: Iterable[Intake], close: datetime) -> int | None:
    """The number of the first intake that read to the topic's end at or after ``close``."""
    return next((row.number for row in intakes if row.caught_up and row.taken_at >= close), None)


def attempts_with(intakes: Iterable[Intake], window: Window, covered: int) -> list[str]:
    """The attempts, up to intake ``covered``, that landed records for a window."""
    return [row.attempt for row in intakes if row.number <= covered and row.landed.get(window.key)]


def _intake(row: Mapping[str, Any]) -> Intake:
    landed: dict[str, int] = {item["window"]: item["records"] for item in row["landed"]}
    refused: dict[str, int] = {}
    for item in row["refused"]:
        refused[item["window"]] = refused.get(item["window"], 0) + item["count"]
    return Intake(
        number=row["number"],
        attempt=row["attempt"],
        kind=row["kind"],
        topic_id=row["topic_id"],
        taken_at=row["taken_at"],
        caught_up=row["caught_up"],
        spans={span["partition"]: Span(**span) for span in row["spans"]},
        landed=landed,
        refused=refused,
    )
