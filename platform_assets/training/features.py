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


@dataclass(frozen=True)
class Profile:
    """What a window's records look like before training.

    Attributes:
        features: the encoders of those with few enough nulls, in the contract's order.
        left_out: the others' names.
        enough: whether there are at least as many distinct points as clusters.
    """

    features: tuple[Feature, ...]
    left_out: list[str]
    enough: bool


def profile(records: DataFrame, contract: Contract) -> Profile:
    """Fit the encoders: categories indexed by frequency, nulls of numbers filled with the mean, all scaled
    by the sample standard deviation of what was encoded; and see whether the points suffice."""
    counted = _counted(records, contract)
    total = int(counted.filter(pl.col("feature") == contract.features[0])["count"].sum())
    kept: list[Feature] = []
    for name in contract.features:
        mine = counted.filter(pl.col("feature") == name)
        present = int(mine["present"].sum())
        if present and (total - present) / total <= contract.max_null_share:
            kept.append(_number(name, mine, total) if name in contract.numbers else _category(name, mine))
    names = {feature.name for feature in kept}
    return Profile(
        features=tuple(kept),
        left_out=[name for name in contract.features if name not in names],
        enough=bool(kept) and _enough(records, contract, kept),
    )


def _counted(records: DataFrame, contract: Contract) -> pl.DataFrame:
    """A row per feature and, of categories, label: records, those that have a value, mean, deviation."""
    values = [_value(contract, name) for name in contract.features]
    return pl.DataFrame(
        records.select(sf.inline(sf.array(*values)))
        .groupBy("feature", "label")
        .agg(
            sf.count("*").alias("count"),
            sf.count(sf.coalesce("label", sf.col("number").cast("string"))).alias("present"),
            sf.avg("number").alias("mean"),
            sf.stddev_samp("number").alias("deviation"),
        )
        .toArrow()
    )


def _value(contract: Contract, name: str) -> Column:
    value, nothing = sf.col(column(contract, name)), sf.lit(None)
    label, number = (nothing, value) if name in contract.numbers else (value, nothing)
    return sf.struct(
        sf.lit(name).alias("feature"),
        label.cast("string").alias("label"),
        number.cast("double").alias("number"),
    )


def _category(name: str, counted: pl.DataFrame) -> Feature:
    labels = counted.drop_nulls("label").sort(["count", "label"], descending=[True, False])
    nulls = int(counted.filter(pl.col("label").is_null())["count"].sum())
    counts = np.array([*labels["count"], nulls], dtype=np.float64)
    places = np.arange(len(counts))
    mean = (counts * places).sum() / counts.sum()
    squares = float((counts * (places - mean) ** 2).sum())
    return Feature(name, "category", tuple(labels["label"]), None, _scale(squares, int(counts.sum())))


def _number(name: str, counted: pl.DataFrame, total: int) -> Feature:
    present, mean, deviation = counted.select("present", "mean", "deviation").row(0)
    squares = (deviation or 0.0) ** 2 * (present - 1)  # filled nulls lie at the mean: they add nothing
    return Feature(name, "number", (), mean, _scale(squares, total))


def _scale(squares: float, total: int) -> float:
    """1 / standard deviation, from the sum of squared differences to the mean; 0 of a constant."""
    return float((total - 1) / squares) ** 0.5 if squares else 0.0


def _enough(records: DataFrame, contract: Contract, features: Sequence[Feature]) -> bool:
    if any(max(len(feature.labels), 2 if feature.scale else 1) >= contract.clusters for feature in features):
        return True  # by one feature alone; only else is it worth a pass over the points
    points = records.select(point(contract, features).alias("point")).distinct()
    return points.limit(contract.clusters).count() == contract.clusters


def point(contract: Contract, features: Sequence[Feature]) -> Column:
    """A record's encoded and scaled features, an array of doubles: the same as ``Feature.encode``."""
    return sf.array(*(_encoded(contract, feature) for feature in features))


def _encoded(contract: Contract, feature: Feature) -> Column:
    value = sf.col(column(contract, feature.name))
    if feature.kind == "number":
        raw = sf.coalesce(value, sf.lit(feature.mean))
    else:
        labels = sf.lit(list(feature.labels)) if feature.labels else sf.array().cast("array<string>")
        place = sf.array_position(labels, value)
        raw = sf.when(place > 0, place - 1).otherwise(len(feature.labels)).cast("double")
    return raw * feature.scale
