"""Whether a window has clusters at all: its points against two nulls, its features by the dip test."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from diptest import diptest
from sklearn.cluster import KMeans

from platform_assets.training.holm import holm
from platform_assets.training.one_thread import one_thread
from platform_assets.training.sampling import even_sample
from resources.cluster_model import Floats

LEVEL = 0.01
"""A p-value rejects from here down: strict, because several tests can each lead to ``yes``."""
REFERENCES = 99
"""Sets drawn from each null."""
POINTS = 1_000
"""The tests look at so many at most."""
FEWEST_POINTS = 50
"""Of fewer no verdict is given."""
_STARTS = 2


@dataclass(frozen=True)
class Structure:
    """The verdict and what it rests on.

    Attributes:
        verdict: ``yes``: both nulls are rejected, or a feature is multimodal; ``weak``: one null is rejected;
            ``none``: neither is. ``unknown``: every feature was left out or constant, or the points are few.
        box_p: against points spread evenly over a box, None if ``unknown``.
        gaussian_p: against one Gaussian, None if ``unknown``.
        dip_p: per feature that was looked at, the dip test's p after Holm's correction.
    """

    verdict: Literal["yes", "weak", "none", "unknown"]
    box_p: float | None
    gaussian_p: float | None
    dip_p: dict[str, float]


def structure(
    points: Floats, weights: Floats, k: int, features: Sequence[str], left_out: Collection[str], seed: int
) -> Structure:
    """Test the points for clusters.

    Neither null alone will do: a Gaussian one rejects evenly spread points in one or two dimensions, a box
    misses one bimodal feature among several. Both compare by how much k clusters cut the sum of squares,
    W(k) / W(1), found the same way in the points and in every set drawn from the null.

    Args:
        points: shape (n, features), scaled.
        weights: shape (n,), how many records each point stands for; ``POINTS`` at most are drawn by them.
        k: clusters of the window's model, at least 2.
        left_out: features that are no quantities (categories by index or one-hot): a few values far apart
            are clusters by themselves, whatever the records are like.

    Sources: the box along the principal axes is the gap statistic's reference (Tibshirani, Walther, Hastie,
    JRSS B 63, 2001); the Gaussian with the points' covariance is SigClust's (Liu, Hayes, Nobel, Marron, JASA
    103, 2008); dip test: Hartigan and Hartigan, Ann. Statist. 13, 1985; Holm, Scand. J. Statist. 6, 1979.
    """
    rng = np.random.default_rng(seed)
    varying = points.std(axis=0) > 0
    kept = [place for place, name in enumerate(features) if varying[place] and name not in left_out]
    if not kept or len(points) < FEWEST_POINTS:
        return Structure("unknown", None, None, {})
    sample = points[even_sample(weights, POINTS, rng)][:, kept]
    dips = holm([_dip_p(values, rng) for values in sample.T])
    with one_thread():
        box_p, gaussian_p = _reference_ps(sample, k, rng)
    return Structure(
        verdict=_verdict(box_p, gaussian_p, min(dips)),
        box_p=box_p,
        gaussian_p=gaussian_p,
        dip_p={features[place]: p for place, p in zip(kept, dips, strict=True)},
    )


def _verdict(box_p: float, gaussian_p: float, least_dip_p: float) -> Literal["yes", "weak", "none"]:
    rejected = (box_p <= LEVEL) + (gaussian_p <= LEVEL)
    if rejected == 2 or least_dip_p <= LEVEL:
        return "yes"
    return "weak" if rejected else "none"


def _reference_ps(sample: Floats, k: int, rng: np.random.Generator) -> tuple[float, float]:
    """The p-values against the box and against the Gaussian, both drawn along the principal axes.

    They are not turned back into the features' axes: distances, and so k-means, do not change by it.
    """
    centred = sample - sample.mean(axis=0)
    axes = centred @ np.linalg.svd(centred, full_matrices=False)[2].T
    low, high, deviations = axes.min(axis=0), axes.max(axis=0), axes.std(axis=0)
    observed = _cut(axes, k, rng)
    box = [_cut(rng.uniform(low, high, axes.shape), k, rng) for _ in range(REFERENCES)]
    gaussian = [_cut(rng.normal(0.0, deviations, axes.shape), k, rng) for _ in range(REFERENCES)]
    return _p(observed, box), _p(observed, gaussian)


def _p(observed: float, references: Sequence[float]) -> float:
    """The share of sets, the observed one among them, that k clusters cut as deep as the observed one."""
    return float(1 + np.count_nonzero(np.asarray(references) <= observed)) / (1 + len(references))


def _cut(points: Floats, k: int, rng: np.random.Generator) -> float:
    """W(k) / W(1): the sum of squares within k clusters as a share of that around the mean."""
    fitted = KMeans(k, n_init=_STARTS, random_state=int(rng.integers(2**31))).fit(points)
    return float(fitted.inertia_) / float(((points - points.mean(axis=0)) ** 2).sum())


def _dip_p(values: Floats, rng: np.random.Generator) -> float:
    """The dip test's p. Rounded values are spread over their step: ties would be modes of their own."""
    step = np.diff(np.unique(values)).min()
    return float(diptest(values + rng.uniform(-step / 2, step / 2, len(values)))[1])
