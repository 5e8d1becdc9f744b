"""How much of the published windows the id index holds."""

from pathlib import Path

import polars as pl

from resources.delta import add_actions
from resources.id_index import IdIndex
from resources.lake import Lake


def uncovered_windows(lake: Lake, folder: Path) -> tuple[int, int]:
    """How many windows are published, and of how many of these the index lacks a file."""
    windows = lake.read("windows", ["window", "state"]).filter(pl.col("state") == "published")["window"]
    actions = add_actions(lake.table("clustering_results"))
    if actions.is_empty():
        return len(windows), len(windows)
    held = IdIndex(folder, 0).held.files
    lacking = [address for address in actions["address"] if address not in held]
    if not lacking:
        return len(windows), 0
    found = pl.scan_parquet(lacking).select(pl.col("window").unique()).collect()["window"]
    return len(windows), len(windows.filter(windows.is_in(found.implode())))
