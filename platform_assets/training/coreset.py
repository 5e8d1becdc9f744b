"""The trainer ``coreset``: a weighted sample is fitted, and the centres are refined on all records.

The sample is a lightweight coreset (Bachem, Lucic, Krause: Scalable k-means clustering via lightweight
coresets, KDD 2018): drawn half uniformly, half by squared distance from the mean, each point weighted by one
over its probability. A window no larger than the sample is its own, and the fit is all there is to do.
"""

import math
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from pyspark.sql import DataFrame

from platform_assets.training.choice import Candidate, choose
from platform_assets.training.engines import EnginePoints, Records, engine
from platform_assets.training.features import Profile
from platform_assets.training.quality import Quality, Sums, quality
from platform_assets.training.restarts import Fit, best_fit, by_size
from platform_assets.training.sampling import Lightweight
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


def begin(records: Records, contract: Contract, found: Profile) -> Callable[[], Training]:
    """Fit the centres to a sample; what is returned moves them by all records, and scores them. Where there
    are no more records than a sample has, it does everything.

    Args:
        records: those of Spark :func:`in_order`.
        found: what they look like; there are enough.
    """
    points = engine(records, contract).points(found.features, found.records)
    with ExitStack() as ending:
        ending.callback(points.release)
        if found.records <= SAMPLE:
            return partial(_exact, ending.pop_all(), points, contract, found)
        watch = Stopwatch()
        with watch.step("sample"):
            coreset = Lightweight(SAMPLE, found.records, found.means, found.squares, contract.seed)
            rows = _in_order(points.drawn(coreset))
            sample, weights = rows[:, :-1], rows[:, -1]
        fit, candidates = _fitted(contract, sample, weights, watch)
        return partial(_refined, ending.pop_all(), points, found, fit, candidates, len(sample), watch)


def _exact(ending: ExitStack, points: EnginePoints, contract: Contract, found: Profile) -> Training:
    watch = Stopwatch()
    with ending:
        with watch.step("sample"):
            sample = _in_order(points.rows())
        fit, candidates = _fitted(contract, sample, np.ones(len(sample)), watch)
        with watch.step("score"):
            scores = quality(sample, fit.centres)
    return _training(found, fit, candidates, scores, len(sample), watch)


def _refined(
    ending: ExitStack,
    points: EnginePoints,
    found: Profile,
    fit: Fit,
    candidates: tuple[Candidate, ...],
    sample: int,
    watch: Stopwatch,
) -> Training:
    with ending:
        with watch.step("refine"):
            lloyd = _lloyd(points, fit.centres)
        with watch.step("score"):
            scores = points.quality(lloyd.centres, lloyd.sums)
    moved = replace(
        fit, centres=lloyd.centres, converged=lloyd.converged, iterations=fit.iterations + lloyd.steps
    )
    return _training(found, moved, candidates, scores, sample, watch)


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


def _in_order(rows: Floats) -> Floats:
    """Rows, shape (n, columns), in an order that they alone decide."""
    return rows[np.lexsort(rows.T[::-1])]


def _lloyd(points: EnginePoints, centres: Floats) -> _Lloyd:
    """Lloyd's steps over all records: each moves the centres to the means of the records nearest to them."""
    for step in range(1, STEPS + 1):
        sums = points.sums(centres)
        converged = bool(np.linalg.norm(sums.means - centres, axis=1).max() < MOVED)
        if converged or step == STEPS:
            break
        centres = sums.means
    order = by_size(sums.counts, centres)
    return _Lloyd(centres[order], sums.take(order), converged, step)
