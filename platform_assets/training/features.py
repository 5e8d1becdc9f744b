"""How a window's records become points: one pass of Spark counts what the encoders need."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf

from resources.cluster_model import Feature
from resources.contract import Contract
from resources.spark import column

MOST_LABELS = 20
"""So many labels of a one-hot category, the most frequent, have a column of their own."""
_IQR_OF_NORMAL = 1.349
"""The interquartile range of a normal distribution, in standard deviations."""


@dataclass(frozen=True)
class Encoder:
    """A feature fitted to a window's records.

    Attributes:
        mean: of its encoded and scaled columns.
        squares: sum over records and columns of the squared differences to the mean.
    """

    feature: Feature
    mean: tuple[float, ...]
    squares: float


@dataclass(frozen=True)
class Profile:
    """What a window's records look like before training.

    Attributes:
        encoders: of the features with few enough nulls, in the contract's order.
        left_out: the others' names.
        enough: whether there are at least as many distinct points as clusters.
    """

    records: int
    encoders: tuple[Encoder, ...]
    left_out: list[str]
    enough: bool

    @property
    def features(self) -> tuple[Feature, ...]:
        return tuple(encoder.feature for encoder in self.encoders)


def profile(records: DataFrame, contract: Contract) -> Profile:
    """Fit the encoders, as the contract says; and see whether the points suffice.

    What each Spark partition adds up is added in the order of the partitions, so that the result repeats to
    the last bit where the partitions and the order in them do.
    """
    counted = _counted(records, contract)
    quartiles = _quartiles(records, contract)
    total = int(counted.filter(pl.col("feature") == contract.features[0])["count"].sum())
    kept: list[Encoder] = []
    for name in contract.features:
        mine = counted.filter(pl.col("feature") == name)
        present = int(mine["present"].sum())
        if present and (total - present) / total <= contract.max_null_share:
            kept.append(
                _number(name, mine, total, quartiles.get(name))
                if name in contract.numbers
                else _category(name, mine, total, one_hot=contract.encoding == "one-hot")
            )
    names = {encoder.feature.name for encoder in kept}
    return Profile(
        records=total,
        encoders=tuple(kept),
        left_out=[name for name in contract.features if name not in names],
        enough=bool(kept) and _enough(records, contract, [encoder.feature for encoder in kept]),
    )


def _counted(records: DataFrame, contract: Contract) -> pl.DataFrame:
    """A row per Spark partition, feature and, of categories, label, in this order."""
    values = [_value(contract, name) for name in contract.features]
    return pl.DataFrame(
        records.select(sf.spark_partition_id().alias("partition"), sf.inline(sf.array(*values)))
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


def _value(contract: Contract, name: str) -> Column:
    value, nothing = sf.col(column(contract, name)), sf.lit(None)
    label, number = (nothing, value) if name in contract.numbers else (value, nothing)
    return sf.struct(
        sf.lit(name).alias("feature"),
        label.cast("string").alias("label"),
        number.cast("double").alias("number"),
    )


def _quartiles(records: DataFrame, contract: Contract) -> dict[str, list[float] | None]:
    """The quartiles of each number, nulls aside, where the contract scales by them."""
    if contract.scaling != "robust" or not contract.numbers:
        return {}
    of_each = [
        sf.percentile(column(contract, name), sf.array(*map(sf.lit, (0.25, 0.5, 0.75))))
        for name in contract.numbers
    ]
    (row,) = records.select(*of_each).collect()
    return dict(zip(contract.numbers, row, strict=True))


def _category(name: str, counted: pl.DataFrame, total: int, *, one_hot: bool) -> Encoder:
    ranked = (
        counted.drop_nulls("label")
        .group_by("label")
        .agg(pl.col("count").sum())
        .sort(["count", "label"], descending=[True, False])
        .head(MOST_LABELS if one_hot else counted.height)
    )
    counts = np.array([*ranked["count"], total - ranked["count"].sum()], dtype=np.float64)
    if one_hot:
        # The columns share one scale, so any two labels are equally far apart (simple matching: Gower 1971),
        # and their variances add up to that of a scaled number (both kinds weigh alike, as in the factor
        # analysis of mixed data: Pagès 2004).
        mean, squares = counts / total, total - float((counts**2).sum()) / total
    else:
        places = np.arange(len(counts))
        mean = np.array([(counts * places).sum() / total])
        squares = float((counts * (places - mean) ** 2).sum())
    feature = Feature(name, "category", tuple(ranked["label"]), None, _scale(squares, total), one_hot)
    return _encoder(feature, mean, squares)


def _number(name: str, counted: pl.DataFrame, total: int, quartiles: list[float] | None) -> Encoder:
    mean, squares = _added_up(counted)
    present = int(counted["present"].sum())
    lower, fill, upper = quartiles or (mean, mean, mean)
    squares += (fill - mean) ** 2 * present * (total - present) / total
    if counted["least"].min() == counted["greatest"].max():
        squares = 0.0  # whatever the rounding of its mean
    scale = _scale(squares, total)
    if scale and upper > lower:
        scale = _IQR_OF_NORMAL / (upper - lower)
    mean += (fill - mean) * (total - present) / total
    return _encoder(Feature(name, "number", (), fill, scale), np.array([mean]), squares)


def _added_up(counted: pl.DataFrame) -> tuple[float, float]:
    """Mean and sum of squared differences to it, from those of each partition (Chan, Golub, LeVeque 1983)."""
    parts = counted.filter(pl.col("present") > 0).select("present", "mean", "deviation").rows()
    count, mean, squares = 0, float(parts[0][1]), 0.0
    for more, its_mean, deviation in parts:
        count, step = count + more, its_mean - mean
        mean += step * more / count
        squares += (deviation or 0.0) ** 2 * (more - 1) + step**2 * more * (count - more) / count
    return mean, squares


def _encoder(feature: Feature, mean: np.ndarray, squares: float) -> Encoder:
    return Encoder(feature, tuple((mean * feature.scale).tolist()), squares * feature.scale**2)


def _scale(squares: float, total: int) -> float:
    """1 / standard deviation, from the sum of squared differences to the mean; 0 of a constant."""
    return float((total - 1) / squares) ** 0.5 if squares else 0.0


def _enough(records: DataFrame, contract: Contract, features: Sequence[Feature]) -> bool:
    fewest = contract.fewest_clusters
    if any(max(len(feature.labels), 2 if feature.scale else 1) >= fewest for feature in features):
        return True  # by one feature alone; only else is it worth a pass over the points
    points, names = with_point(records, contract, features)
    return points.select(*names).distinct().limit(fewest).count() == fewest


def with_point(
    records: DataFrame, contract: Contract, features: Sequence[Feature]
) -> tuple[DataFrame, list[str]]:
    """The records with more columns, the encoded and scaled features: the same as ``Feature.encode``.

    Returns:
        The frame, and these columns' names: with a blank, which no column of a record has.
    """
    columns = [column for feature in features for column in _encoded(contract, feature)]
    named = {f"point {place}": column for place, column in enumerate(columns)}
    return records.withColumns(named), list(named)


def _encoded(contract: Contract, feature: Feature) -> list[Column]:
    value, other = sf.col(column(contract, feature.name)), len(feature.labels)
    if feature.kind == "number":
        return [sf.coalesce(value, sf.lit(feature.fill)) * feature.scale]
    if feature.one_hot:
        one, none = sf.lit(feature.scale), sf.lit(0.0)
        own = [sf.when(value == label, one).otherwise(none) for label in feature.labels]
        return [*own, sf.when(value.isin(*feature.labels), none).otherwise(one)]
    labels = sf.lit(list(feature.labels)) if feature.labels else sf.array().cast("array<string>")
    place = sf.array_position(labels, value)
    return [sf.when(place > 0, place - 1).otherwise(other).cast("double") * feature.scale]
