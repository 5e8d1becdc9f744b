"""Every window's state and counts, and how far the topic has been read: kept in memory, by version."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import polars as pl

from api.window_schemas import STATES
from resources import overview as states
from resources.due import Due, due_windows
from resources.intake_rows import Span
from resources.intakes import Intakes
from resources.lake import Lake
from resources.ledger import Ledger
from resources.windows import KEY_FORMAT, SLOTS, Grid

_ANSWERED = (
    "window", "revision", "state", "model_version", "covered", "first_source", "records", "late",
    "duplicates", "missing", "published_at", "seconds", "attempts", "error",
)  # fmt: skip
_COUNTS = ("records", "late", "duplicates", "missing")


@dataclass(frozen=True, eq=False)
class View:
    """All windows from the first one with a record to the open one, at one moment.

    Attributes:
        version: changes with anything that is shown.
        windows: a row a window, the newest first: the columns of the table ``windows`` (null until there is
            an answer) and of :meth:`Intakes.counts_per_window` (``records`` as ``landed``), ``state`` and
            ``lag``.
        intakes: the ledger.
        due: the windows that are due.
    """

    version: str
    windows: pl.DataFrame
    intakes: Intakes
    due: Sequence[Due]

    @cached_property
    def by_state(self) -> Mapping[str, int]:
        """How many windows are in each of :data:`STATES`."""
        counts = dict(self.windows["state"].value_counts().iter_rows())
        return {state: counts.get(state, 0) for state in STATES}

    @property
    def spans(self) -> Mapping[int, Span]:
        """Per Kafka partition, the last span read: its ``end``, ``topic_end``, ``lag`` and ``watermark``."""
        return self.intakes.spans()

    @cached_property
    def newest_published(self) -> datetime | None:
        """When the newest window that has an answer from records was published."""
        return next(iter(self.windows.drop_nulls("model_version")["published_at"]), None)

    def row(self, window: str) -> dict[str, object] | None:
        """A window's row, by its key; None where no such window is known."""
        place = self.windows["window"].search_sorted(window, "left", descending=True)
        row = self.windows.row(place, named=True) if place < self.windows.height else {}
        return row if row.get("window") == window else None


class Overview:
    """The windows as they are now. Safe to share among threads.

    Args:
        clock: the time now, in UTC.
    """

    def __init__(self, lake: Lake, grid: Grid, ledger: Ledger, clock: Callable[[], datetime]) -> None:
        self._lake = lake
        self._grid = grid
        self._ledger = ledger
        self._clock = clock
        self._lock = threading.Lock()
        self._view: View | None = None
        self._answered: tuple[int, pl.DataFrame] = (-1, pl.DataFrame())

    def view(self) -> View:
        """What the ledger and the table ``windows`` say now.

        Raises:
            LakeError: the lake is not there, or contradicts the settings.
        """
        with self._lock:
            intakes, answered, now = self._ledger.intakes(), self._read_answered(), self._clock()
            moments = (self._grid.home(now).key, self._grid.newest_closed(now).key, intakes.reach(now))
            version = f"{intakes.first}-{intakes.last}-{self._answered[0]}-{moments[0]}-{moments[1:]}"
            if self._view is None or self._view.version != version:
                due = self._due(intakes, answered, now)
                self._view = View(version, self._windows(intakes, answered, due, now), intakes, due)
            return self._view

    def _read_answered(self) -> pl.DataFrame:
        version = self._lake.table("windows").version()
        if version != self._answered[0]:
            floor = self._lake.floor().strftime(KEY_FORMAT)
            rows = self._lake.read("windows", list(_ANSWERED)).filter(pl.col("window") >= floor)
            self._answered = (version, rows)
        return self._answered[1]

    def _windows(
        self, intakes: Intakes, answered: pl.DataFrame, due: Sequence[Due], now: datetime
    ) -> pl.DataFrame:
        known = self._states(intakes, answered, due, now)
        landed = intakes.counts_per_window().rename({"records": "landed"})
        rows = pl.DataFrame({"window": list(known), "state": list(known.values())})
        read_to = intakes.reach(now)
        reached = self._grid.newest_closed(read_to).key if read_to else ""
        lags = [span.lag for span in intakes.spans().values()]
        lag = None if not lags or None in lags else sum(filter(None, lags))
        return (
            rows.join(answered.drop("state"), on="window", how="left")
            .join(landed, on="window", how="left")
            .with_columns(
                self._slot.alias("slot"),
                pl.when(state="empty").then(pl.col(*_COUNTS).fill_null(0)).otherwise(pl.col(*_COUNTS)),
                pl.when((pl.col("state") == "published") & (pl.col("missing") > 0))
                .then(pl.lit("incomplete"))
                .otherwise("state")
                .alias("state"),
                pl.col("landed", "too_late", "dead_letters", "intakes").fill_null(0),
                pl.when(pl.col("window") > reached).then(lag).otherwise(0).cast(pl.Int64).alias("lag"),
            )
            .sort("window", descending=True)
        )

    @property
    def _slot(self) -> pl.Expr:
        starts = pl.col("window").str.to_datetime(KEY_FORMAT, time_unit="ms", time_zone="UTC")
        return starts.dt.epoch("s") // (60 * self._grid.minutes) % len(SLOTS) + 1

    def _due(self, intakes: Intakes, answered: pl.DataFrame, now: datetime) -> list[Due]:
        complete = answered.drop_nulls("state")
        earlier = complete.filter(pl.col("first_source") < pl.col("window"))
        return due_windows(
            intakes,
            dict(complete.select("window", "covered").iter_rows()),
            self._grid,
            self._lake.floor(),
            now,
            dict(earlier.select("window", "first_source").iter_rows()),
        )

    def _states(
        self, intakes: Intakes, answered: pl.DataFrame, due: Sequence[Due], now: datetime
    ) -> dict[str, str]:
        rows = {
            window: {"state": state, "error": error}
            for window, state, error in answered.select("window", "state", "error").iter_rows()
        }
        return states.window_states(intakes, rows, due, self._grid, self._lake.floor(), now)
