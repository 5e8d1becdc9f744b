"""Publication: a window's row in ``windows``, written last of all. What it says is what readers show."""

from datetime import UTC, datetime
from typing import Any

import polars as pl

from resources.batch import Batch
from resources.lake import Lake
from resources.tables import TABLES
from resources.windows import Grid, Window


def publish(lake: Lake, grid: Grid, batch: Batch, state: str, versions: tuple[int, int]) -> float:
    """Write a window's row: from now on its answer is the one made from ``batch``.

    Args:
        state: ``published``, ``empty`` or ``too-few``.
        versions: the Delta versions of ``clustering_results`` and ``cluster_stats`` that hold the answer.

    Returns:
        Seconds from the window's close to now.
    """
    now = datetime.now(UTC)
    seconds = (now - grid.close(batch.window)).total_seconds()
    row = {
        **batch.answer(),
        **batch.counts(),
        "state": state,
        "results_version": versions[0],
        "stats_version": versions[1],
        "published_at": now,
        "seconds": seconds,
        "attempts": 0,
        "error": None,
    }
    lake.replace_window("windows", batch.window, _frame(row))
    return seconds


def record_failure(lake: Lake, window: Window, error: str) -> None:
    """Note a failed run in the window's row; the last answer stays."""

    def noted(rows: list[dict[str, Any]]) -> pl.DataFrame:
        first: dict[str, Any] = {"window": window.key, "slot": window.slot, "attempts": 0}
        row = rows[0] if rows else first
        return _frame(row | {"date": window.date, "attempts": row["attempts"] + 1, "error": error})

    lake.change_window("windows", window, noted)


def _frame(row: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame([row], schema=dict(TABLES["windows"].schema))
