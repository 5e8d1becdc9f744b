"""The trainer ``coreset``: the driver fits a weighted sample, Spark refines the centres on all records.

The sample is a lightweight coreset (Bachem, Lucic, Krause: Scalable k-means clustering via lightweight
coresets, KDD 2018): drawn half uniformly, half by squared distance from the mean, each point weighted by one
over its probability. A window no larger than the sample is its own, and the fit is all there is to do.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf

from platform_assets.training.assign import squares
from platform_assets.training.choice import Candidate, choose
from platform_assets.training.features import Profile, with_point
from platform_assets.training.quality import Quality, Sums, quality, spark_quality, spark_sums
from platform_assets.training.restarts import Fit, best_fit, by_size
from platform_assets.training.training import Stopwatch, Training
from resources.cluster_model import ClusterModel, Floats
from resources.contract import ClusterRange, Contract
from resources.spark import SMALL

SAMPLE = SMALL
"""So many points the driver fits, about."""
STEPS = 4
"""So many of Lloyd's steps over all records, at most; the last one only assigns, and is what is scored."""
MOVED = 1e-3
"""Centres that move by less, in scaled units, stand still: a mean of a million records is no surer."""
_BLOCK = 65_536
_DRAW, _CHANCE = "uniform in [0, 1)", "chance to be drawn"


@dataclass(frozen=True)
class _Lloyd:
    """Centres, by falling number of records, and the sums of the records nearest to each."""

    centres: Floats
    sums: Sums
    converged: bool
    steps: int


def in_order(records: DataFrame, count: int) -> DataFrame:
    """The records by id, in Spark partitions whose number and content they alone decide.

    So training is repeatable, however the records came and lie. A small window is in one partition: tasks
    cost more than rows.
    """
    blocks = math.ceil(count / _BLOCK) if count > SAMPLE else 1
    return records.repartition(blocks, "record_id").sortWithinPartitions("record_id")


def train(ordered: DataFrame, contract: Contract, found: Profile) -> Training:
    """Fit the centres: to all points, or to a sample of them and then to all.

    Args:
        ordered: the records, :func:`in_order`.
        found: what they look like; there are enough.
    """
    points, names = with_point(ordered, contract, found.features)
    if found.records <= SAMPLE:
        return _exact(points.select(*names), contract, found)
    held = points.select(*names, _draw(contract.seed).alias(_DRAW)).persist()
    try:
        return _refined(held, contract, found)
    finally:
        held.unpersist()


def _exact(points: DataFrame, contract: Contract, found: Profile) -> Training:
    watch = Stopwatch()
    with watch.step("sample"):
        sample = _rows(points)
    fit, candidates = _fitted(contract, sample, np.ones(len(sample)), watch)
    with watch.step("score"):
        scores = quality(sample, fit.centres)
    return _training(found, fit, candidates, scores, len(sample), watch)


def _refined(held: DataFrame, contract: Contract, found: Profile) -> Training:
    watch = Stopwatch()
    points = held.drop(_DRAW)
    with watch.step("sample"):
        rows = _rows(_drawn(held, points.columns, found))
        sample, weights = rows[:, :-1], rows[:, -1]
    fit, candidates = _fitted(contract, sample, weights, watch)
    with watch.step("refine"):
        lloyd = _lloyd(points, fit.centres, found.records)
    with watch.step("score"):
        scores = spark_quality(points, lloyd.centres, lloyd.sums)
    moved = replace(
        fit, centres=lloyd.centres, converged=lloyd.converged, iterations=fit.iterations + lloyd.steps
    )
    return _training(found, moved, candidates, scores, len(sample), watch)


def _training(
    found: Profile,
    fit: Fit,
    candidates: tuple[Candidate, ...],
    scores: Quality,
    sample: int,
    watch: Stopwatch,
) -> Training:
    return Training(
        model=ClusterModel(found.features, fit.centres),
        quality=scores,
        candidates=candidates,
        converged=fit.converged,
        iterations=fit.iterations,
        starts=fit.starts,
        found=fit.found,
        sample=sample,
        seconds=watch.seconds,
    )


def _fitted(
    contract: Contract, points: Floats, weights: Floats, watch: Stopwatch
) -> tuple[Fit, tuple[Candidate, ...]]:
    k = contract.clusters
    candidates: tuple[Candidate, ...] = ()
    if isinstance(k, ClusterRange):
        with watch.step("choose"):
            choice = choose(points, weights, k.min, k.max, contract.seed)
        k, candidates = choice.k, choice.candidates
    with watch.step("fit"):
        return best_fit(points, weights, k, contract.seed), candidates


def _rows(points: DataFrame) -> Floats:
    """A frame's rows, shape (n, columns), in an order that they alone decide."""
    rows = np.column_stack([column.to_numpy() for column in points.toArrow().columns])
    return rows[np.lexsort(rows.T[::-1])]


def _draw(seed: int) -> Column:
    """A number in [0, 1) for each record, from its id and the seed alone."""
    return sf.shiftrightunsigned(sf.xxhash64("record_id", sf.lit(seed)), 11) * 2.0**-53


def _drawn(held: DataFrame, names: list[str], found: Profile) -> DataFrame:
    """The sample's points and their weights: each is drawn by itself, in whatever order they lie."""
    means = [place for encoder in found.encoders for place in encoder.mean]
    spread = sum(encoder.squares for encoder in found.encoders)
    from_mean = squares(names, np.array([means]), found.records)[0]
    chance = sf.least(sf.lit(1.0), SAMPLE * (0.5 / found.records + 0.5 / spread * from_mean))
    return (
        held.withColumn(_CHANCE, chance)
        .where(sf.col(_DRAW) < sf.col(_CHANCE))
        .select(*names, 1 / sf.col(_CHANCE))
    )


def _lloyd(points: DataFrame, centres: Floats, count: int) -> _Lloyd:
    """Lloyd's steps over all records: each moves the centres to the means of the records nearest to them."""
    for step in range(1, STEPS + 1):
        sums = spark_sums(points, centres, count)
        converged = bool(np.linalg.norm(sums.means - centres, axis=1).max() < MOVED)
        if converged or step == STEPS:
            break
        centres = sums.means
    order = by_size(sums.counts, centres)
    return _Lloyd(centres[order], sums.take(order), converged, step)
