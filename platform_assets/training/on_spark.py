"""Spark's answers to what training asks, one pass each: for windows that outgrow the run's process.

What each Spark partition adds up is added in the order of the partitions, so that an answer repeats to the
last bit where the partitions and the order in them do.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf

from platform_assets.training.assign import LEAST, nearest, squares, with_point
from platform_assets.training.quality import Quality, Sums, added_up, quality_of
from platform_assets.training.sampling import Lightweight
from resources.cluster_model import Feature, Floats
from resources.contract import Contract
from resources.spark import column

_TO_MEANS, _SCORE = "to means", "silhouette of record"
_DRAW, _CHANCE = "uniform in [0, 1)", "chance to be drawn"


@dataclass(frozen=True)
class OnSpark:
    """A frame of Spark, laid out by its trainer."""

    records: DataFrame
    contract: Contract

    def counted(self) -> pl.DataFrame:
        values = [_value(self.contract, name) for name in self.contract.features]
        return pl.DataFrame(
            self.records.select(sf.spark_partition_id().alias("partition"), sf.inline(sf.array(*values)))
            .groupBy("partition", "feature", "label")
            .agg(
                sf.count("*").alias("count"),
                sf.count(sf.coalesce("label", sf.col("number").cast("string"))).alias("present"),
                sf.avg("number").alias("mean"),
                sf.stddev_samp("number").alias("deviation"),
                sf.min("number").alias("least"),
                sf.max("number").alias("greatest"),
            )
            .toArrow()
        ).sort("partition", "feature", "label")

    def quartiles(self) -> dict[str, list[float] | None]:
        quarters = sf.array(*map(sf.lit, (0.25, 0.5, 0.75)))
        names = self.contract.numbers
        of_each = [sf.percentile(column(self.contract, name), quarters) for name in names]
        (row,) = self.records.select(*of_each).collect()
        return dict(zip(names, row, strict=True))

    def points(self, features: Sequence[Feature], count: int) -> "SparkPoints":
        points, names = with_point(self.records, self.contract, features)
        return SparkPoints(points, names, count)


class SparkPoints:
    """Columns of a frame of Spark; those of a window that is sampled are cached on the server."""

    def __init__(self, records: DataFrame, names: Sequence[str], count: int) -> None:
        self._records = records
        self._count = count
        self._points = records.select(*names)
        self._held: DataFrame | None = None

    def rows(self) -> Floats:
        return _rows(self._points)

    def distinct(self, most: int) -> int:
        return self._points.distinct().limit(most).count()

    def drawn(self, coreset: Lightweight) -> Floats:
        """Each record is drawn by itself, by its id and the seed, in whatever order they lie."""
        names = self._points.columns
        self._held = self._records.select(*names, _draw(coreset.seed).alias(_DRAW)).persist()
        self._points = self._held.drop(_DRAW)
        from_mean = squares(names, coreset.mean[None, :], self._count)[0]
        chance = sf.least(sf.lit(1.0), coreset.evenly + coreset.by_square * from_mean)
        drawn = self._held.withColumn(_CHANCE, chance).where(sf.col(_DRAW) < sf.col(_CHANCE))
        return _rows(drawn.select(*names, 1 / sf.col(_CHANCE)))

    def sums(self, centres: Floats) -> Sums:
        names = self._points.columns
        clusters, rows = _by_cluster(nearest(self._points, names, centres, self._count), [LEAST, *names])
        return added_up(clusters, rows, centres)

    def quality(self, centres: Floats, found: Sums) -> Quality:
        names = self._points.columns
        clustered = nearest(self._points, names, centres, self._count)
        to_means = clustered.withColumn(_TO_MEANS, squares(names, found.means, self._count))
        clusters, rows = _by_cluster(
            to_means.withColumn(_SCORE, _silhouette(found, centres)), [LEAST, _SCORE]
        )
        totals = np.zeros((len(centres), rows.shape[1]))
        np.add.at(totals, clusters, rows)
        return quality_of(totals[:, 0].astype(np.int64), totals[:, 2], float(totals[:, 1].sum()), centres)

    def release(self) -> None:
        if self._held is not None:
            self._held.unpersist()


def _value(contract: Contract, name: str) -> Column:
    value, nothing = sf.col(column(contract, name)), sf.lit(None)
    label, number = (nothing, value) if name in contract.numbers else (value, nothing)
    return sf.struct(
        sf.lit(name).alias("feature"),
        label.cast("string").alias("label"),
        number.cast("double").alias("number"),
    )


def _draw(seed: int) -> Column:
    """A number in [0, 1) for each record, from its id and the seed alone."""
    return sf.shiftrightunsigned(sf.xxhash64("record_id", sf.lit(seed)), 11) * 2.0**-53


def _rows(points: DataFrame) -> Floats:
    return np.column_stack([column.to_numpy() for column in points.toArrow().columns])


def _silhouette(found: Sums, centres: Floats) -> Column:
    """A record's silhouette, as :func:`quality.silhouettes` has it."""
    own = sf.col("cluster") + 1
    between = sf.zip_with(_TO_MEANS, _array(found.variances(centres)), lambda square, spread: square + spread)
    near = sf.element_at(between, own) * sf.element_at(
        _array(found.counts / np.maximum(found.counts - 1, 1)), own
    )
    far = sf.array_min(
        sf.transform(between, lambda square, place: sf.when(place != sf.col("cluster"), square))
    )
    alone = sf.element_at(_array(found.counts), own) == 1
    scored = ~alone & (sf.greatest(near, far) > 0) & (far < math.inf)
    return sf.when(scored, (far - near) / sf.greatest(near, far)).otherwise(0.0)


def _array(values: NDArray[Any]) -> Column:
    return sf.array(*map(sf.lit, values.tolist()))


def _by_cluster(clustered: DataFrame, summed: Sequence[str]) -> tuple[NDArray[np.int64], Floats]:
    """Clusters, shape (n,), and for each the number of points and the sums of columns, shape (n, 1 + sums).

    A row per Spark partition and cluster, in this order: so that what is added up of them repeats to the last
    bit where the partitions and the order in them do.
    """
    partition = sf.spark_partition_id().alias("partition")
    totals = [sf.count("*").alias("count"), *(sf.sum(name).alias(name) for name in summed)]
    rows = pl.DataFrame(clustered.groupBy(partition, "cluster").agg(*totals).toArrow())
    rows = rows.sort("partition", "cluster")
    return rows["cluster"].to_numpy().astype(np.int64), rows.drop("partition", "cluster").to_numpy().astype(
        float
    )
