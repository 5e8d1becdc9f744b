"""Samples of published windows: what is compared, tested and matched after the publication."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import polars as pl

from resources.assigning import assigning_model
from resources.batch import Batch, landed, latest_of
from resources.cluster_model import ClusterModel
from resources.contract import column_of
from resources.delta import schema_of
from resources.intakes import Intakes
from resources.lake import Lake
from resources.window_rows import WindowRows
from resources.windows import Grid, Window

MOST = 20_000
"""About so many records of a window at most."""
_KEPT = 4


@dataclass(frozen=True)
class Sample:
    """A window's records, about :data:`MOST` at most, and the model that assigned them.

    Attributes:
        window: its key.
        records: a column per feature of the contract, by the contract's names, by rising record id.
        model: None where there were too few points.
    """

    window: str
    digest: str
    records: pl.DataFrame
    model: ClusterModel | None


class Samples:
    """The samples of batches. Those asked for last are kept: each is read once in a run."""

    def __init__(
        self,
        lake: Lake,
        intakes: Callable[[], Intakes],
        grid: Grid,
        features: Iterable[str] = (),
        rows: WindowRows | None = None,
    ) -> None:
        """Args:
        features: the contract's, which every sample has.
        rows: records in memory: a sample of those is not read.
        """
        self.lake = lake
        self.grid = grid
        self._intakes = intakes
        self._features = tuple(features)
        self._rows = rows
        self._kept = lru_cache(_KEPT)(self._taken)

    def sample(self, batch: Batch) -> Sample:
        """A batch's sample, with its model."""
        stored = assigning_model(self.lake, self.grid, batch)
        records = self.records(batch, self._features)
        return Sample(batch.window.key, batch.digest, records, stored.model if stored else None)

    def records(self, batch: Batch, names: Iterable[str]) -> pl.DataFrame:
        """A sample's records; of the contract's fields those that are wanted and that the lake has."""
        wanted = dict.fromkeys(names)
        found = self._kept(batch, frozenset(wanted.keys() | self._features))
        return found.select(name for name in wanted if name in found.columns)

    def _taken(self, batch: Batch, names: frozenset[str]) -> pl.DataFrame:
        held = self._rows.held(batch.digest) if self._rows else None
        if held is not None and {column_of(name) for name in names}.issubset(held.columns):
            rows = _share(held.lazy(), batch)
        else:
            rows = _share(landed(self.lake, batch.window, self._intakes(), batch.covered), batch)
            rows = latest_of(rows).sort("record_id")
        there = schema_of(self.lake.table("records"))
        columns = [pl.col(column_of(name)).alias(name) for name in sorted(names) if column_of(name) in there]
        return rows.select(columns).with_columns(pl.col(pl.Categorical).cast(pl.String)).collect()


def _share(rows: pl.LazyFrame, batch: Batch) -> pl.LazyFrame:
    """About :data:`MOST` of a batch's records: a hash of the id decides, so that they are the same ones
    whoever reads them and however they lie. (Another version of polars may choose otherwise.)"""
    if batch.records <= MOST:
        return rows
    share = pl.lit(int(MOST / batch.records * 2**64), pl.UInt64)
    return rows.filter(pl.col("record_id").hash() < share)


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
