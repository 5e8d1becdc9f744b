"""The intakes, as the ledger names them."""

from typing import Any

import polars as pl

from api.cursors import Place, Position
from api.intake_schemas import Intake, Landed, Refused, Span
from api.keys import named
from resources.intake_rows import read_intake
from resources.ledger import Ledger
from resources.windows import Grid


class IntakeList:
    """All intakes that are kept, newest first. Safe to share among threads."""

    def __init__(self, ledger: Ledger, grid: Grid) -> None:
        self._ledger = ledger
        self._grid = grid

    def version(self) -> int:
        """The number of the last intake: those up to it never change."""
        return self._ledger.intakes().last

    def page(self, window: str | None, place: Place, limit: int) -> tuple[list[Intake], Position | None]:
        """At most ``limit`` intakes from a place on, of those that landed anything for a window, if given.

        Raises:
            BadParameterError: the window cannot exist.
        """
        intakes = self._ledger.intakes()
        rows = intakes.of_window(named(self._grid, window)) if window is not None else intakes.rows
        last = int(place.position[0]) - 1 if place.position else place.version
        kept = rows.filter(pl.col("number") <= last).tail(limit + 1).reverse()
        found = [_shown(row) for row in kept.head(limit).iter_rows(named=True)]
        return found, [found[-1].number] if kept.height > limit else None


def _shown(row: dict[str, Any]) -> Intake:
    return Intake(
        number=row["number"],
        kind=row["kind"],
        taken_at=row["taken_at"],
        caught_up=row["caught_up"],
        records=sum(item["records"] for item in row["landed"]),
        too_late=sum(item["too_late"] for item in row["landed"]),
        dead_letters=sum(item["count"] for item in row["refused"]),
        replayed=len(row["replayed"]),
        landed=[Landed(**item) for item in row["landed"]],
        refused=[Refused(**item) for item in row["refused"]],
        spans=[
            Span(span.partition, span.start, span.end, span.missing, span.topic_end, span.lag, span.watermark)
            for span in read_intake(row).spans.values()
        ],
    )
