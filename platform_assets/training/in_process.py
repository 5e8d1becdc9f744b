"""The run's own answers to what training asks, for windows that fit its memory: the same as Spark's.

What is added up is added in the order of the records, so that an answer repeats to the last bit where they
come in the same order, whatever the number of threads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from platform_assets.training.points import Points
from platform_assets.training.quality import Quality, Sums, added_up, quality_of, silhouettes
from platform_assets.training.sampling import Lightweight
from resources.cluster_model import Feature, Floats, squared_distances
from resources.contract import Contract

_QUARTERS = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class InProcess:
    """A frame of records by rising id."""

    records: pl.DataFrame
    contract: Contract

    def counted(self) -> pl.DataFrame:
        numbers = [self._number(name) for name in self.contract.numbers]
        return pl.concat([*numbers, *map(self._category, self.contract.categories)], how="diagonal")

    def quartiles(self) -> dict[str, list[float] | None]:
        columns = {name: self.records[self.contract.columns[name]] for name in self.contract.numbers}
        return {
            name: [float(np.quantile(column.drop_nulls(), part)) for part in _QUARTERS]
            if column.count()
            else None
            for name, column in columns.items()
        }

    def points(self, features: Sequence[Feature], count: int) -> "PointsInProcess":
        return PointsInProcess(Points(self.records, self.contract, features))

    def _number(self, name: str) -> pl.DataFrame:
        values = pl.col(self.contract.columns[name])
        return self.records.select(
            pl.lit(0).alias("partition"),
            pl.lit(name).alias("feature"),
            pl.lit(None, pl.String).alias("label"),
            pl.len().cast(pl.Int64).alias("count"),
            values.count().cast(pl.Int64).alias("present"),
            values.mean().alias("mean"),
            values.std().alias("deviation"),
            values.min().alias("least"),
            values.max().alias("greatest"),
        )

    def _category(self, name: str) -> pl.DataFrame:
        labels = self.records[self.contract.columns[name]].value_counts(name="count")
        return labels.select(
            pl.lit(0).alias("partition"),
            pl.lit(name).alias("feature"),
            pl.col(self.contract.columns[name]).cast(pl.String).alias("label"),
            pl.col("count").cast(pl.Int64),
        ).with_columns(present=pl.when(pl.col("label").is_null()).then(0).otherwise("count").cast(pl.Int64))


@dataclass(frozen=True)
class PointsInProcess:
    """The points of records in memory."""

    points: Points

    def rows(self) -> Floats:
        return self.points.all()

    def distinct(self, most: int) -> int:
        found = self.points.each(lambda block, _: np.unique(block, axis=0)[:most])
        return min(most, len(np.unique(np.vstack(found), axis=0)))

    def drawn(self, coreset: Lightweight) -> Floats:
        """Each record is drawn by its place in the order of the ids, and the seed."""
        draws = np.random.default_rng(coreset.seed).random(len(self.points))

        def draw(block: Floats, place: slice) -> Floats:
            from_mean = squared_distances(block, coreset.mean[None, :])[:, 0]
            chance = np.minimum(1.0, coreset.evenly + coreset.by_square * from_mean)
            mine = draws[place] < chance
            return np.column_stack([block[mine], 1 / chance[mine]])

        return np.vstack(self.points.each(draw))

    def sums(self, centres: Floats) -> Sums:
        everyone = np.arange(len(centres))
        parts = self.points.each(partial(_sums, centres))
        return added_up(np.tile(everyone, len(parts)), np.vstack(parts), centres)

    def quality(self, centres: Floats, found: Sums) -> Quality:
        def score(block: Floats, _: slice) -> Floats:
            clusters = squared_distances(block, centres).argmin(axis=1)
            scores = silhouettes(block, clusters, found, centres)
            return np.bincount(clusters, scores, len(centres)).astype(np.float64)

        totals: Floats = np.sum(self.points.each(score), axis=0)
        return quality_of(found.counts, totals, float(found.squares.sum()), centres)

    def release(self) -> None:
        """The records are the run's."""


def _sums(centres: Floats, block: Floats, _: slice) -> Floats:
    """Of each cluster the number of points, and the sums of squares and coordinates: shape (k, 2 + d)."""
    squares = squared_distances(block, centres)
    clusters: NDArray[np.int64] = squares.argmin(axis=1)
    summed = [None, squares.min(axis=1), *block.T]
    return np.column_stack([np.bincount(clusters, weights, len(centres)) for weights in summed])
