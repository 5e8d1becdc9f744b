"""What is overdue: windows that have been due for longer than an operator expects."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from resources.due import Due
from resources.intakes import Intakes
from resources.windows import Grid

PATIENCE = 2
"""A window may be due for so many lengths of a window."""
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, order=True)
class Overdue:
    """A window that is due, and since when: its close, or when records landed for it, if that was later."""

    due: Due
    since: datetime


def overdue(due: Sequence[Due], intakes: Intakes, grid: Grid, now: datetime) -> list[Overdue]:
    """The due windows that are overdue at ``now``, oldest first."""
    return [item for item in waiting(due, intakes, grid) if now - item.since > patience(grid)]


def waiting(due: Sequence[Due], intakes: Intakes, grid: Grid) -> list[Overdue]:
    """The due windows, and since when each of them is due."""
    clocks = {number: intakes[number].taken_at for number in {item.intake for item in due} if number}
    return [Overdue(item, max(grid.close(item.window), clocks.get(item.intake, _NEVER))) for item in due]


def patience(grid: Grid) -> timedelta:
    """So long a window may be due."""
    return PATIENCE * timedelta(minutes=grid.minutes)
