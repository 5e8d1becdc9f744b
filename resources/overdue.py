"""What is overdue: windows that have been due for longer than an operator expects."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from resources.due import Due
from resources.intakes import Intakes
from resources.windows import Grid

PATIENCE = 2
"""A window may be due for so many lengths of a window."""


@dataclass(frozen=True, order=True)
class Overdue:
    """A window that is due, and since when: its close, or when records landed for it, if that was later."""

    due: Due
    since: datetime


def overdue(due: Sequence[Due], intakes: Intakes, grid: Grid, now: datetime) -> list[Overdue]:
    """The due windows that are overdue at ``now``, oldest first."""
    found = [Overdue(item, _since(item, intakes, grid)) for item in due]
    return [item for item in found if now - item.since > patience(grid)]


def patience(grid: Grid) -> timedelta:
    """So long a window may be due."""
    return PATIENCE * timedelta(minutes=grid.minutes)


def _since(item: Due, intakes: Intakes, grid: Grid) -> datetime:
    close = grid.close(item.window)
    return close if item.takes_in else max(close, intakes[item.intake].taken_at)
