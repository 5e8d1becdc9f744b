"""Statistics of each cluster, computed by Spark: two passes, whatever the number of features."""

from dataclasses import dataclass, field
from typing import Any

import polars as pl
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as sf

from resources.contract import Contract
from resources.spark import column

TOP_VALUES = 5
"""So many of a category's most frequent values are named per cluster."""


@dataclass
class ClusterStatistics:
    """One cluster's statistics.

    Attributes:
        averages: the contract's statistics; None where no record has the field.
        features: per feature ``nulls`` and, of numbers, ``mean``, ``std``, ``min``, ``max``; of categories
            ``distinct`` and ``top``, the most frequent values with their counts.
    """

    cluster: int
    count: int
    averages: dict[str, float | None]
    features: dict[str, dict[str, Any]] = field(default_factory=dict)


def cluster_statistics(assigned: DataFrame, contract: Contract) -> list[ClusterStatistics]:
    """The statistics of each cluster of a frame with a column ``cluster``, in the clusters' order."""
    statistics = [_from_row(row, contract) for row in _numbers(assigned, contract)]
    values = _categories(assigned, contract)
    for cluster in statistics:
        mine = values.filter(pl.col("cluster") == cluster.cluster)
        for name in contract.categories:
            cluster.features[name] = _category(mine.filter(pl.col("feature") == name), cluster.count)
        cluster.features = {name: cluster.features[name] for name in contract.features}
    return statistics


def _numbers(assigned: DataFrame, contract: Contract) -> list[Row]:
    averages = [
        sf.avg(column(contract, name)).alias(f"average_{statistic}")
        for statistic, name in contract.statistics.items()
    ]
    details = [
        function(column(contract, name)).alias(f"{label}_{name}")
        for name in contract.numbers
        for label, function in _DETAILS.items()
    ]
    grouped = assigned.groupBy("cluster").agg(sf.count("*").alias("count"), *averages, *details)
    return grouped.orderBy("cluster").collect()


_DETAILS = {
    "present": sf.count,
    "mean": sf.avg,
    "std": sf.stddev_samp,
    "min": sf.min,
    "max": sf.max,
}


def _from_row(row: Row, contract: Contract) -> ClusterStatistics:
    details = {
        name: {"nulls": row["count"] - row[f"present_{name}"]}
        | {label: row[f"{label}_{name}"] for label in ("mean", "std", "min", "max")}
        for name in contract.numbers
    }
    averages = {statistic: row[f"average_{statistic}"] for statistic in contract.statistics}
    return ClusterStatistics(row["cluster"], row["count"], averages, details)


def _categories(assigned: DataFrame, contract: Contract) -> pl.DataFrame:
    """Columns ``cluster``, ``feature``, ``value``, ``count``: as many rows as a model has labels, and more
    only by the number of clusters."""
    pairs = [
        sf.struct(sf.lit(name).alias("feature"), sf.col(column(contract, name)).alias("value"))
        for name in contract.categories
    ]
    if not pairs:
        return pl.DataFrame(schema=["cluster"])
    counted = assigned.select("cluster", sf.inline(sf.array(*pairs))).groupBy("cluster", "feature", "value")
    return pl.DataFrame(counted.agg(sf.count("*").alias("count")).toArrow()).drop_nulls("value")


def _category(values: pl.DataFrame, count: int) -> dict[str, Any]:
    top = values.sort(["count", "value"], descending=[True, False]).head(TOP_VALUES)
    return {
        "nulls": count - values["count"].sum(),
        "distinct": values.height,
        "top": dict(top.select("value", "count").iter_rows()),
    }
