"""Lakes as the API finds them: the answers of many windows, whose ids are all different, a day at once."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa  # type: ignore[import-untyped]

from bench import lake_rows
from bench.lake_rows import Plan
from resources.contract import load_contract
from resources.lake import Lake
from resources.settings import Settings
from resources.windows import Window

_RUNNING_FILES = 8
"""What compaction leaves of a running day whose windows are small."""


def build(home: Path, windows: int, records: int) -> Lake:
    """A lake below a SILT_HOME with so many published windows, the newest of which has just closed.

    Days that are past the allowed lateness are in order, as upkeep leaves them; of the others each window
    of 16,384 records or more is a file.
    """
    settings = Settings(home=home)
    plan = Plan(settings, load_contract(settings.contract), "made-up", 1, records, 1)
    last = settings.grid.newest_closed(datetime.now(UTC))
    placed = [(place, last.step(place + 1 - windows)) for place in range(windows)]
    lake = Lake(settings.lake)
    lake.create(placed[0][1].start + settings.lateness + timedelta(days=1), settings.lateness)
    draw = np.random.default_rng(7)
    running = (datetime.now(UTC) - settings.lateness - timedelta(hours=1)).date()
    for day, group in groupby(placed, lambda item: item[1].date):
        items = list(group)
        for part in [items] if day < running else _parts(items, records):
            rows = lake_rows.results(plan, _landed([window for _, window in part], records, draw), part)
            lake.append("clustering_results", rows.sort("record_id") if day < running else rows)
        versions = {name: lake.table(name).version() for name in ("clustering_results", "cluster_stats")}
        versions["cluster_stats"] += 1
        for name, rows in lake_rows.answers(plan, items, versions).items():
            lake.append(name, rows)
    return lake


def _parts(items: list[tuple[int, Window]], records: int) -> list[list[tuple[int, Window]]]:
    size = 1 if records >= 16_384 else max(1, len(items) // _RUNNING_FILES)
    return [items[start : start + size] for start in range(0, len(items), size)]


def _landed(windows: Sequence[Window], records: int, draw: np.random.Generator) -> pl.DataFrame:
    """Landed records with random ids of 32 characters, ``records`` in each window."""
    frame = pl.DataFrame({"window": [w.key for w in windows], "event_time": [w.start for w in windows]})
    rows = frame.select(pl.all().repeat_by(records).explode())
    return rows.with_columns(random_ids(len(rows), draw).alias("record_id"))


def random_ids(count: int, draw: np.random.Generator) -> pl.Series:
    """So many ids of 32 characters."""
    ids = pa.py_buffer(draw.bytes(16 * count).hex().encode())
    fixed = pa.FixedSizeBinaryArray.from_buffers(pa.binary(32), count, [None, ids])
    return pl.Series(pl.from_arrow(fixed.cast(pa.binary()).cast(pa.string())))
