"""Retention: the floor moves first, then what lies before it is deleted."""

from datetime import UTC, date, datetime, timedelta

import polars as pl

from resources.lake import Lake
from resources.tables import TABLES
from resources.upkeep.attempts import LANDED_IN
from resources.upkeep.report import Report
from resources.versions import newest_pins
from resources.windows import KEY_FORMAT


def kept_from(now: datetime, retention: timedelta, lateness: timedelta) -> date:
    """The first day that is kept: never less than the allowed lateness and a day."""
    return (now.astimezone(UTC) - max(retention, lateness + timedelta(days=1))).date()


def apply_retention(lake: Lake, first: date, report: Report) -> None:
    """Raise the floor to the day ``first``, then delete all rows before the floor, and their intakes.

    Raises:
        TransientError: the table ``windows``, which keeps the floor, was busy all the time.
    """
    lake.raise_floor(first)
    floor = lake.floor().date()
    for name, table in TABLES.items():
        if table.partition_by:
            others = _but_assigning(lake) if name == "models" else ""
            report.delete(name, f"days before {floor}", f"date < '{floor}'{others}")
    oldest = _first_kept_intake(lake, floor)
    for name in LANDED_IN:  # a dead letter's own timestamp may lie in any future
        report.delete(name, f"intakes before {oldest}", f"intake < {oldest}")
    report.delete("ledger", f"intakes before {oldest}", f"number < {oldest}")


def _but_assigning(lake: Lake) -> str:
    """Spare the models that are pinned, and those that assigned what a kept window shows."""
    of_window = pl.col("model_version").str.split("/").list.get(1)
    floor = lake.floor().strftime(KEY_FORMAT)
    rows = lake.read("windows", ["window", "model_version", "model_digest"])
    shown = rows.filter(pl.col("window") >= floor, of_window < floor)
    spared = {*shown["model_digest"], *newest_pins(lake)["digest"]}
    listed = ", ".join(f"'{digest}'" for digest in sorted(spared))
    return f" AND digest NOT IN ({listed})" if spared else ""


def _first_kept_intake(lake: Lake, floor: date) -> int:
    """The first intake that landed a record for a day from the floor on, or is of the day before or later.

    The last one that read the topic always stays: the next starts where it ended. So do the intakes whose
    dead letters a kept replay names.
    """
    rows = lake.read("ledger", ["number", "kind", "taken_at", "landed", "replayed"])
    newest = pl.col("landed").list.eval(pl.element().struct.field("window")).list.max()
    since = datetime.combine(floor - timedelta(days=1), datetime.min.time(), UTC)
    needed = (pl.col("taken_at") >= since) | (newest >= floor.isoformat())
    last = pl.col("number") == pl.col("number").filter(pl.col("kind") == "topic").max()
    origin = pl.col("replayed").list.eval(pl.element().struct.field("intake")).list.min()
    kept = rows.filter(needed | last).select(pl.min_horizontal("number", origin)).to_series().min()
    return kept if isinstance(kept, int) else 0
