"""What is due: the closed windows whose published answer does not cover what has landed for them."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from resources.intakes import Intakes
from resources.lake import Lake
from resources.windows import Grid, Window


@dataclass(frozen=True, order=True)
class Due:
    """A due window.

    Attributes:
        intake: the last intake that landed records for it or for a window that its answer's model saw, or
            found some missing; 0 where the ledger does not reach its close.
    """

    window: Window
    intake: int

    @property
    def takes_in(self) -> bool:
        """Whether its run has to take the topic in first."""
        return self.intake == 0


def due_windows(
    intakes: Intakes,
    covered: Mapping[str, int],
    grid: Grid,
    floor: datetime,
    now: datetime,
    first_sources: Mapping[str, str] | None = None,
) -> list[Due]:
    """The due windows at ``now``, oldest first.

    Of those that the ledger does not reach yet only the oldest is named (with an empty ledger the newest
    closed one): its run takes in for all.

    Args:
        covered: per window key, the last intake that its published answer covers.
        first_sources: per key of a window whose answer's model saw more than its own window, the first that
            it saw. What its answer was made from counts, not the scheme in force: so a changed scheme makes
            nothing due.
    """
    newest, read_to = grid.newest_closed(now), intakes.reach(now)
    reached = min(newest, grid.newest_closed(read_to)) if read_to else None
    oldest = grid.home(floor)
    first, last = oldest.key, reached.key if reached else ""
    latest = last_intakes(intakes, grid, floor, now)
    due = [
        Due(grid.window(key), intake)
        for key, intake in (latest | _of_sources(latest, first_sources or {})).items()
        if first <= key <= last and intake > covered.get(key, 0)
    ]
    if reached != newest:
        due.append(Due(max(reached.step(1), oldest) if reached else newest, 0))
    return sorted(due)


def _of_sources(latest: Mapping[str, int], first_sources: Mapping[str, str]) -> dict[str, int]:
    """Per key of a window with records, the last intake of all windows from its first source on."""
    keys = sorted(latest)
    return {
        key: max(latest[source] for source in keys[bisect_left(keys, first) : bisect_right(keys, key)])
        for key, first in first_sources.items()
        if key in latest
    }


def last_intakes(intakes: Intakes, grid: Grid, floor: datetime, now: datetime) -> dict[str, int]:
    """Per window key, the last intake that landed a record for it, or missed what may have been one."""
    last = intakes.latest_per_window()
    for gap in intakes.gaps:
        first = grid.home(max(floor, gap.missing_from))
        for window in grid.between(first, min(grid.home(gap.missing_to), grid.home(now))):
            last[window.key] = max(gap.intake, last.get(window.key, 0))
    return last


def passed_without_record(
    intakes: Intakes,
    covered: Mapping[str, int],
    grid: Grid,
    floor: datetime,
    after: Window | None,
    now: datetime,
) -> list[Window]:
    """The empty windows: closed, read past by the ledger, with no record, nothing missing and no run.

    Oldest first.

    Args:
        after: only later ones; None: those after the first window with a record.
    """
    read_to = intakes.reach(now)
    known = last_intakes(intakes, grid, floor, now)
    if after is None and known:
        after = grid.window(min(known))
    if read_to is None or after is None:
        return []
    windows = grid.between(after.step(1), grid.newest_closed(read_to))
    return [window for window in windows if window.key not in known and window.key not in covered]


def covered_intakes(lake: Lake) -> dict[str, int]:
    """Per window key, the last intake that its published answer covers."""
    rows = lake.read("windows", ["window", "covered", "state"]).filter(pl.col("state").is_not_null())
    return dict(zip(rows["window"], rows["covered"], strict=True))


def first_sources(lake: Lake) -> dict[str, str]:
    """Per key of a window whose answer's model saw more than its own window, the first that it saw."""
    rows = lake.read("windows", ["window", "first_source"]).filter(pl.col("first_source") < pl.col("window"))
    return dict(rows.iter_rows())
