"""Encoders of a window from its micro-batches: each is counted as it comes, none is read again for it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

from resources.cluster_model import Feature
from resources.contract import Contract

Summary = Mapping[str, Any]
"""Of a micro-batch's records with the same labels: these, ``count``, and of each number its count, mean and
sample variance."""


def summed_up(records: DataFrame, contract: Contract) -> list[Summary]:
    """A micro-batch's summaries, a row per combination of labels."""
    numbers = {name: sf.col(f"`{name}`") for name in contract.numbers}
    moments = [
        sf.array(sf.count(number), sf.avg(number), sf.var_samp(number)).alias(name)
        for name, number in numbers.items()
    ]
    labels = [sf.col(f"`{name}`") for name in contract.categories]
    rows = records.groupBy(*labels).agg(sf.count("*").alias("count"), *moments).collect()
    return [row.asDict() for row in rows]


def features(summaries: Sequence[Summary], contract: Contract) -> tuple[Feature, ...]:
    """The window's features, encoded as the contract says: labels by falling frequency, means for missing
    numbers, all divided by its deviation."""
    total = sum(row["count"] for row in summaries)
    made = (_number if name in contract.numbers else _category for name in contract.features)
    fitted = [make(name, summaries, total) for make, name in zip(made, contract.features, strict=True)]
    return tuple(feature for feature, missing in fitted if missing <= contract.max_null_share * total)


def _category(name: str, summaries: Sequence[Summary], total: int) -> tuple[Feature, int]:
    counts = Counter[str | None]()
    for row in summaries:
        counts[row[name]] += row["count"]
    missing = counts.pop(None, 0)
    ranked = sorted(
        ((label or "", count) for label, count in counts.items()), key=lambda one: (-one[1], one[0])
    )
    places = [*enumerate(count for _, count in ranked), (len(ranked), missing)]
    mean = sum(place * count for place, count in places) / total
    squares = sum((place - mean) ** 2 * count for place, count in places)
    labels = tuple(label for label, _ in ranked)
    return Feature(name, "category", labels, None, _scale(squares, total)), missing


def _number(name: str, summaries: Sequence[Summary], total: int) -> tuple[Feature, int]:
    parts = [row[name] for row in summaries if row[name][0]]
    present = sum(count for count, _, _ in parts)
    mean = sum(count * its_mean for count, its_mean, _ in parts) / max(present, 1)
    squares = sum(
        (variance or 0.0) * (count - 1) + count * (its - mean) ** 2 for count, its, variance in parts
    )
    return Feature(name, "number", (), mean, _scale(squares, total)), int(total - present)


def _scale(squares: float, total: int) -> float:
    return float((total - 1) / squares) ** 0.5 if squares else 0.0
