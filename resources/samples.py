"""Samples of published windows: what is compared, tested and matched after the publication."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from resources.assigning import assigning_model
from resources.batch import Batch, selected
from resources.cluster_model import ClusterModel
from resources.contract import Contract, column_of
from resources.intakes import Intakes
from resources.lake import Lake
from resources.windows import Grid, Window

MOST = 20_000
"""So many records of a window at most."""


@dataclass(frozen=True)
class Sample:
    """A window's records, at most :data:`MOST`, and the model that assigned them.

    Attributes:
        window: its key.
        records: a column per feature of the contract, by the contract's names.
        model: None where there were too few points.
    """

    window: str
    digest: str
    records: pl.DataFrame
    model: ClusterModel | None


def sample(lake: Lake, contract: Contract, grid: Grid, batch: Batch, intakes: Intakes) -> Sample:
    """A batch's sample, with its model."""
    stored = assigning_model(lake, grid, batch)
    records = sampled(lake, batch, intakes, contract.features)
    return Sample(batch.window.key, batch.digest, records, stored.model if stored else None)


def sampled(lake: Lake, batch: Batch, intakes: Intakes, names: Iterable[str]) -> pl.DataFrame:
    """At most :data:`MOST` of a batch's records: evenly spread in order of event time, so always the same.

    Args:
        names: the contract's fields that are wanted; those that the lake does not have are left out.
    """
    rows = selected(lake, batch, intakes)
    there = rows.collect_schema()
    columns = [pl.col(column_of(name)).alias(name) for name in names if column_of(name) in there]
    records = rows.select(columns).collect()
    if records.height > MOST:
        records = records[np.linspace(0, records.height - 1, MOST).astype(np.int64)]
    return records


def published_batch(lake: Lake, window: Window) -> Batch | None:
    """What a window's published answer was made from; None where it has none, or no cluster."""
    rows = lake.read_window("windows", window).filter(pl.col("state") == "published").collect().to_dicts()
    return batch_of(window, rows[0]) if rows else None


def batch_of(window: Window, row: Mapping[str, Any]) -> Batch:
    """The batch that a row of ``windows`` was answered from."""
    pinned = row["model_digest"] != row["digest"]
    pin = {"pinned": row["model_version"], "pinned_digest": row["model_digest"]} if pinned else {}
    counts = {name: row[name] for name in Batch.__dataclass_fields__ if name in row}
    return Batch(**counts | pin | {"window": window})


def published_before(lake: Lake, grid: Grid, window: Window) -> Window | None:
    """The last window before this one that has clusters."""
    earlier = _published(lake).filter(pl.col("window") < window.key)["window"].max()
    return grid.window(earlier) if isinstance(earlier, str) else None


def published_after(lake: Lake, grid: Grid, window: Window) -> Window | None:
    """The first window after this one that has clusters."""
    later = _published(lake).filter(pl.col("window") > window.key)["window"].min()
    return grid.window(later) if isinstance(later, str) else None


def _published(lake: Lake) -> pl.DataFrame:
    return lake.read("windows", ["window", "state"]).filter(pl.col("state") == "published")
