"""Samples of published windows: what is compared, tested and matched after the publication."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from resources.batch import Batch, selected
from resources.cluster_model import ClusterModel
from resources.contract import Contract
from resources.intakes import Intakes
from resources.lake import Lake
from resources.windows import Grid, Window

MOST = 20_000
"""So many records of a window at most."""


@dataclass(frozen=True)
class Sample:
    """A window's records, at most :data:`MOST`, and the model that answered it.

    Attributes:
        window: its key.
        records: a column per feature of the contract, by the contract's names.
        model: None where there were too few points.
    """

    window: str
    digest: str
    records: pl.DataFrame
    model: ClusterModel | None


def sample(lake: Lake, contract: Contract, batch: Batch, intakes: Intakes) -> Sample:
    """A batch's sample: evenly spread over its records in order of event time, so always the same."""
    rows = selected(lake, batch, intakes)
    there = rows.collect_schema()
    columns = {contract.columns[name]: name for name in contract.features if contract.columns[name] in there}
    records = rows.select(pl.col(column).alias(name) for column, name in columns.items()).collect()
    if records.height > MOST:
        records = records[np.linspace(0, records.height - 1, MOST).astype(np.int64)]
    return Sample(batch.window.key, batch.digest, records, _model(lake, batch))


def published_batch(lake: Lake, window: Window) -> Batch | None:
    """What a window's published answer was made from; None where it has none, or no cluster."""
    rows = lake.read_window("windows", window).filter(pl.col("state") == "published").collect().to_dicts()
    if not rows:
        return None
    row = rows[0]
    return Batch(**{name: row[name] for name in Batch.__dataclass_fields__} | {"window": window})


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


def _model(lake: Lake, batch: Batch) -> ClusterModel | None:
    rows = lake.read_window("models", batch.window).filter(
        (pl.col("digest") == batch.digest) & (pl.col("state") == "trained")
    )
    found = rows.collect().to_dicts()
    return ClusterModel.from_row(found[0]) if found else None
