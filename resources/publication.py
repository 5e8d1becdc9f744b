"""Publication: a window's row in ``windows``, written last of all. What it says is what readers show."""

from datetime import UTC, datetime
from typing import Any

import polars as pl

from resources.batch import Batch
from resources.errors import LakeError
from resources.lake import Lake
from resources.tables import TABLES
from resources.versions import Stored
from resources.windows import Grid, Window


def publish(
    lake: Lake,
    grid: Grid,
    batch: Batch,
    state: str,
    versions: tuple[int, int],
    assigned_by: Stored | None = None,
) -> float:
    """Write a window's row: from now on its answer is the one made from ``batch``.

    Args:
        state: ``published``, ``empty`` or ``too-few``.
        versions: the Delta versions of ``clustering_results`` and ``cluster_stats`` that hold the answer.
        assigned_by: the version that assigned the records; None where none did.

    Returns:
        Seconds from the window's close to now.

    Raises:
        LakeError: another run, which selected other records, has published under this revision.
    """
    now = datetime.now(UTC)
    seconds = (now - grid.close(batch.window)).total_seconds()
    row = {
        **batch.answer(),
        **batch.counts(),
        "state": state,
        "model_version": str(assigned_by.version) if assigned_by else None,
        "model_digest": assigned_by.digest if assigned_by else None,
        "results_version": versions[0],
        "stats_version": versions[1],
        "published_at": now,
        "seconds": seconds,
        "attempts": 0,
        "error": None,
    }
    lake.settled()
    lake.change_window("windows", batch.window, lambda rows: _frame(_newer(rows, row, batch.window)))
    return seconds


def _newer(rows: list[dict[str, Any]], row: dict[str, Any], window: Window) -> dict[str, Any]:
    """The row to stand: this one, or the one that covers more for the same answer."""
    if not rows or rows[0]["state"] is None:
        return row
    before = rows[0] | {"date": window.date}
    if before["digest"] != row["digest"] and before["revision"] >= row["revision"]:
        raise LakeError(
            f"Another run has answered window {window.key} from other records meanwhile: it is answered anew."
        )
    same = before["digest"] == row["digest"]
    return before if same and before["covered"] > row["covered"] else row


def record_failure(lake: Lake, window: Window, error: str) -> None:
    """Note a failed run in the window's row; the last answer stays."""

    def noted(rows: list[dict[str, Any]]) -> pl.DataFrame:
        first: dict[str, Any] = {"window": window.key, "slot": window.slot, "attempts": 0}
        row = rows[0] if rows else first
        return _frame(row | {"date": window.date, "attempts": row["attempts"] + 1, "error": error})

    lake.change_window("windows", window, noted)


def _frame(row: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame([row], schema=dict(TABLES["windows"].schema))
