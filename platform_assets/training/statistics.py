"""Statistics of each cluster, from records with their clusters: in memory, or Spark's of what outgrows it."""

from dataclasses import dataclass
from typing import Any

import polars as pl
from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

from resources.contract import Contract
from resources.spark import column

Assigned = pl.LazyFrame | DataFrame
"""Records with a column ``cluster`` and the contract's."""
Counted = tuple[pl.DataFrame, dict[str, pl.DataFrame]]
"""A row per cluster: ``cluster``, ``count``, the averages, each detail of each number; and by category the
``count`` of each ``value`` per ``cluster``."""
TOP_VALUES = 5
"""So many of a category's most frequent values are named per cluster."""
_DETAILS = {
    "nulls": pl.Expr.null_count,
    "mean": pl.Expr.mean,
    "std": pl.Expr.std,
    "min": pl.Expr.min,
    "max": pl.Expr.max,
}
_SPARK_DETAILS = {
    "nulls": lambda value: sf.count_if(sf.isnull(value)),
    "mean": sf.mean,
    "std": sf.stddev,
    "min": sf.min,
    "max": sf.max,
}


@dataclass(frozen=True)
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
    features: dict[str, dict[str, Any]]


def cluster_statistics(assigned: Assigned, contract: Contract) -> list[ClusterStatistics]:
    """The statistics of each cluster, in order."""
    if isinstance(assigned, pl.LazyFrame):
        numbers, labels = _in_process(assigned, contract)
    else:
        numbers, labels = _on_spark(assigned, contract)
    return [
        ClusterStatistics(
            cluster=row["cluster"],
            count=row["count"],
            averages={statistic: row[f"average {statistic}"] for statistic in contract.statistics},
            features={
                name: _category(labels[name].filter(pl.col("cluster") == row["cluster"]))
                if name in labels
                else {detail: row[f"{detail} {name}"] for detail in _DETAILS}
                for name in contract.features
            },
        )
        for row in numbers.sort("cluster").iter_rows(named=True)
    ]


def _in_process(assigned: pl.LazyFrame, contract: Contract) -> Counted:
    averages = [
        pl.col(contract.columns[name]).mean().alias(f"average {statistic}")
        for statistic, name in contract.statistics.items()
    ]
    details = [
        function(pl.col(contract.columns[name])).alias(f"{detail} {name}")
        for name in contract.numbers
        for detail, function in _DETAILS.items()
    ]
    by_cluster = assigned.group_by("cluster", maintain_order=True)
    numbers, *labels = pl.collect_all(
        [
            by_cluster.agg(pl.len().alias("count"), *averages, *details),
            *(_labels(assigned, contract.columns[name]) for name in contract.categories),
        ]
    )
    return numbers, dict(zip(contract.categories, labels, strict=True))


def _labels(assigned: pl.LazyFrame, column: str) -> pl.LazyFrame:
    counts = assigned.group_by("cluster", pl.col(column).alias("value")).agg(pl.len().alias("count"))
    return counts.with_columns(pl.col("value").cast(pl.String))


def _on_spark(assigned: DataFrame, contract: Contract) -> Counted:
    averages = [
        sf.mean(column(contract, name)).alias(f"average {statistic}")
        for statistic, name in contract.statistics.items()
    ]
    details = [
        function(sf.col(column(contract, name))).alias(f"{detail} {name}")
        for name in contract.numbers
        for detail, function in _SPARK_DETAILS.items()
    ]
    numbers = assigned.groupBy("cluster").agg(sf.count("*").alias("count"), *averages, *details)
    values = [
        sf.struct(sf.lit(name).alias("feature"), sf.col(column(contract, name)).alias("value"))
        for name in contract.categories
    ]
    labels = assigned.select("cluster", sf.inline(sf.array(*values))).groupBy("cluster", "feature", "value")
    counts = pl.DataFrame(labels.agg(sf.count("*").alias("count")).toArrow()) if values else pl.DataFrame()
    return pl.DataFrame(numbers.toArrow()), {
        name: counts.filter(pl.col("feature") == name) for name in contract.categories
    }


def _category(labels: pl.DataFrame) -> dict[str, Any]:
    present = labels.drop_nulls("value")
    ranked = present.sort(["count", "value"], descending=[True, False])
    return {
        "nulls": int(labels["count"].sum()) - int(present["count"].sum()),
        "distinct": present.height,
        "top": dict(ranked.head(TOP_VALUES).select("value", "count").iter_rows()),
    }
