"""Every window's state, from the ledger and the table ``windows``."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import polars as pl

from resources.due import Due, last_intakes
from resources.intakes import Intakes
from resources.lake import Lake
from resources.windows import KEY_FORMAT, Grid, Window

STATES = ("open", "due", "failed", "published", "too-few", "empty")


def window_states(
    intakes: Intakes,
    rows: Mapping[str, Mapping[str, Any]],
    due: Sequence[Due],
    grid: Grid,
    floor: datetime,
    now: datetime,
) -> dict[str, str]:
    """The state of each window from the first one with a record, a row or a run to do to the open one.

    A due window whose last run failed is ``failed``; one that the ledger has passed without a record is
    ``empty``.

    Args:
        rows: the rows of ``windows`` by window key.
    """
    open_window = grid.home(now)
    due_keys = {item.window.key for item in due}
    known = last_intakes(intakes, grid, floor, now)
    first = max(grid.home(floor), grid.window(min([*known, *due_keys, *rows, open_window.key])))
    read_to = intakes.reach(now)
    reached = grid.newest_closed(read_to).key if read_to else ""
    now_open, states = open_window.key, {}
    for key in _keys(first, open_window):
        row = rows.get(key, {})
        if key == now_open:
            state = "open"
        elif key in due_keys:
            state = "failed" if row.get("error") else "due"
        elif row.get("state"):
            state = row["state"]
        else:
            state = "empty" if key <= reached else "due"
        states[key] = state
    return states


def _keys(first: Window, last: Window) -> list[str]:
    """The keys of all windows from one to another, both included: a month of them in milliseconds."""
    starts = pl.datetime_range(first.start, last.start, f"{first.minutes}m", eager=True, time_zone="UTC")
    return starts.dt.strftime(KEY_FORMAT).to_list()


def window_rows(lake: Lake) -> dict[str, dict[str, Any]]:
    """The rows of ``windows`` by window key."""
    return {row["window"]: row for row in lake.read("windows").iter_rows(named=True)}
