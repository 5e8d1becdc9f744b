"""The run's own answers to what training asks, for windows that fit its memory: the same as Spark's.

What is added up is added in the order of the records, so that an answer repeats to the last bit where they
come in the same order, whatever the number of threads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl
from scipy.sparse import csc_array

from platform_assets.training.points import BLOCK, Points
from platform_assets.training.quality import Quality, Sums, added_up, quality_of, silhouettes
from platform_assets.training.sampling import Lightweight
from resources.cluster_model import Feature, Floats, nearest, squared_distances
from resources.contract import Contract

_COLUMNS = 8
"""So many coordinates are added up at once: of a point they lie side by side in the processor's caches."""
_QUARTERS = (0.25, 0.5, 0.75)
_COUNTED = {
    "partition": pl.Int64, "feature": pl.String, "label": pl.String, "count": pl.Int64, "present": pl.Int64,
    "mean": pl.Float64, "deviation": pl.Float64, "least": pl.Float64, "greatest": pl.Float64,
}  # fmt: skip


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
        """Each block is a part: a sum over all would depend on how the frame's columns are cut in memory."""
        values, starts = self.records[self.contract.columns[name]], range(0, self.records.height, BLOCK)
        parts = [values[start : start + BLOCK].rechunk() for start in starts]
        return pl.DataFrame(
            {
                "partition": range(len(parts)),
                "feature": name,
                "label": None,
                "count": [part.len() for part in parts],
                "present": [part.count() for part in parts],
                "mean": [part.mean() for part in parts],
                "deviation": [part.std() for part in parts],
                "least": [part.min() for part in parts],
                "greatest": [part.max() for part in parts],
            },
            schema=_COUNTED,
        )

    def _category(self, name: str) -> pl.DataFrame:
        labels = self.records[self.contract.columns[name]].value_counts(name="count")
        return pl.DataFrame(
            {
                "partition": 0,
                "feature": name,
                "label": labels[self.contract.columns[name]].cast(pl.String),
                "count": labels["count"],
                "present": labels["count"] * labels[self.contract.columns[name]].is_not_null(),
            },
            schema={
                column: _COUNTED[column] for column in ("partition", "feature", "label", "count", "present")
            },
        )


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
            clusters = nearest(block, centres)[0]
            scores = silhouettes(block, clusters, found, centres)
            return np.bincount(clusters, scores, len(centres)).astype(np.float64)

        totals: Floats = np.sum(self.points.each(score), axis=0)
        return quality_of(found.counts, totals, float(found.squares.sum()), centres)

    def release(self) -> None:
        """The records are the run's."""


def _sums(centres: Floats, block: Floats, _: slice) -> Floats:
    """Of each cluster the number of points, and the sums of squares and coordinates: shape (k, 2 + d).

    Sparse products add up in the order of the points, as ``np.bincount`` does, in half its time.
    """
    clusters, squares = nearest(block, centres)
    count, k = len(block), len(centres)
    one_each = csc_array((np.ones(count), clusters, np.arange(count + 1)), (k, count))
    values, places = [squares, *block.T], range(0, 1 + block.shape[1], _COLUMNS)
    sums = [one_each @ np.column_stack(values[place : place + _COLUMNS]) for place in places]
    return np.column_stack([np.bincount(clusters, minlength=k), *sums])
