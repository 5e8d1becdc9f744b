"""Statistics of each cluster, from the records and the clusters that the lake has of them."""

from dataclasses import dataclass
from typing import Any

import polars as pl

from resources.contract import Contract

TOP_VALUES = 5
"""So many of a category's most frequent values are named per cluster."""
_DETAILS = {
    "nulls": pl.Expr.null_count,
    "mean": pl.Expr.mean,
    "std": pl.Expr.std,
    "min": pl.Expr.min,
    "max": pl.Expr.max,
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


def cluster_statistics(assigned: pl.LazyFrame, contract: Contract) -> list[ClusterStatistics]:
    """The statistics of each cluster of a frame with a column ``cluster`` and the contract's, in order."""
    numbers, *categories = pl.collect_all(
        [_numbers(assigned, contract), *(_labels(assigned, contract, name) for name in contract.categories)]
    )
    labels = dict(zip(contract.categories, categories, strict=True))
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
        for row in numbers.iter_rows(named=True)
    ]


def _numbers(assigned: pl.LazyFrame, contract: Contract) -> pl.LazyFrame:
    averages = [
        pl.col(contract.columns[name]).mean().alias(f"average {statistic}")
        for statistic, name in contract.statistics.items()
    ]
    details = [
        function(pl.col(contract.columns[name])).alias(f"{detail} {name}")
        for name in contract.numbers
        for detail, function in _DETAILS.items()
    ]
    return (
        assigned.group_by("cluster", maintain_order=True)
        .agg(pl.len().alias("count"), *averages, *details)
        .sort("cluster")
    )


def _labels(assigned: pl.LazyFrame, contract: Contract, name: str) -> pl.LazyFrame:
    """Columns ``cluster``, ``value``, ``count``, the most frequent values first."""
    value = pl.col(contract.columns[name]).alias("value")
    return (
        assigned.group_by("cluster", value)
        .agg(pl.len().alias("count"))
        .with_columns(pl.col("value").cast(pl.String))
        .sort(["count", "value"], descending=[True, False])
    )


def _category(labels: pl.DataFrame) -> dict[str, Any]:
    present = labels.drop_nulls("value")
    return {
        "nulls": int(labels["count"].sum()) - int(present["count"].sum()),
        "distinct": present.height,
        "top": dict(present.head(TOP_VALUES).select("value", "count").iter_rows()),
    }
