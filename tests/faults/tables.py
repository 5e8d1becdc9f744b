"""A lake's tables, as any reader of Delta reads them."""

from dataclasses import dataclass, fields
from pathlib import Path

import polars as pl


@dataclass(frozen=True)
class Tables:
    """The lake's tables."""

    ledger: pl.DataFrame
    records: pl.DataFrame
    dead_letters: pl.DataFrame
    kafka_batch: pl.DataFrame
    models: pl.DataFrame
    clustering_results: pl.DataFrame
    cluster_stats: pl.DataFrame
    windows: pl.DataFrame


def read_tables(lake: Path | str) -> Tables:
    """The tables of a lake in a local folder."""
    return Tables(
        **{name: pl.read_delta(f"{lake}/{name}") for name in [field.name for field in fields(Tables)]}
    )
