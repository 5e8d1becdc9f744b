"""Drift: how far a window's records, and the model they need, lie from a reference window's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from platform_assets.training.holm import holm
from resources.cluster_model import Floats, squared_distances

Level = Literal["unknown", "none", "moderate", "major"]
Values = NDArray[np.float64] | NDArray[np.str_]
"""One feature's values, shape (n,): numbers, null as NaN, or labels, null as ``""``."""
Columns = Mapping[str, Values]
"""Values by feature."""

LEVELS: tuple[Level, ...] = ("unknown", "none", "moderate", "major")
"""From the least to the worst."""
RAISED: tuple[Level, ...] = ("moderate", "major")
BINS = 10
MODERATE, MAJOR = 0.1, 0.25
"""Population stability index from which a change counts as moderate, as major (Siddiqi, Credit Risk
Scorecards, 2006)."""
SIGNIFICANCE = 0.01
ENOUGH = 500
"""With fewer values in either window a level is ``unknown``: chance alone moves the index too far."""
WORSE, MUCH_WORSE = 1.2, 1.5
"""Inertia ratio from which the reference's model explains the window moderately, majorly worse; of a steady
stream it stays below 1.1 (`python -m bench.drift`)."""
_EXPECTED = 5.0
_PSEUDOCOUNT = 0.5


@dataclass(frozen=True)
class FeatureDrift:
    """How far one feature has moved.

    Attributes:
        psi: population stability index; None, as the others, where the level is ``unknown``.
        distance: of numbers the Kolmogorov-Smirnov distance, of categories Cramér's V; both 0 to 1.
        p: of the two-sample test, adjusted for the number of features (Holm).
    """

    feature: str
    psi: float | None
    distance: float | None
    p: float | None
    level: Level


def feature_drift(reference: Columns, window: Columns) -> list[FeatureDrift]:
    """The drift of each feature that both have, in the window's order.

    Raised where the index and the test agree: an index of at least 0.1 and an adjusted p of at most 0.01.
    """
    compared = {
        name: _compare(reference[name], values) for name, values in window.items() if name in reference
    }
    tested = {name: found for name, found in compared.items() if found}
    adjusted = dict(zip(tested, holm([p for _, _, p in tested.values()]), strict=True))
    return [
        FeatureDrift(name, found[0], found[1], adjusted[name], _level(found[0], adjusted[name]))
        if found
        else FeatureDrift(name, None, None, None, "unknown")
        for name, found in compared.items()
    ]


def psi(reference: NDArray[np.int64], window: NDArray[np.int64]) -> float:
    """Population stability index of two windows' counts per bin, shape (bins,).

    sum((p - q) ln(p / q)), the symmetric Kullback-Leibler divergence (Jeffreys 1946; Siddiqi 2006), of shares
    with half a record added to each bin, so that an empty one stays finite.
    """
    p, q = (
        (counts + _PSEUDOCOUNT) / (counts.sum() + _PSEUDOCOUNT * len(counts))
        for counts in (reference, window)
    )
    return float(((p - q) * np.log(p / q)).sum())


def inertia_ratio(points: Floats, centres: Floats, clusters: NDArray[np.int64]) -> float:
    """How much worse the reference's model explains a window than the window's own does; 1: as well.

    Both are measured in the reference model's units: its inertia with its own centres, over the inertia of
    the window's clusters around their means.

    Args:
        points: the window's records as the reference's model encodes them, shape (n, features).
        centres: the reference's, shape (k, features).
        clusters: each record's cluster by the window's own model, shape (n,).
    """
    theirs = squared_distances(points, centres).min(axis=1).sum()
    members = [points[clusters == cluster] for cluster in np.unique(clusters)]
    own = sum(((mine - mine.mean(axis=0)) ** 2).sum() for mine in members)
    if own == 0:
        return 1.0 if theirs == 0 else float("inf")
    return float(theirs / own)


def ratio_level(ratio: float, records: int) -> Level:
    """The level of an inertia ratio that was measured on so many records."""
    if records < ENOUGH:
        return "unknown"
    return "major" if ratio >= MUCH_WORSE else "moderate" if ratio >= WORSE else "none"


def worst(levels: Sequence[Level]) -> Level:
    """The worst of some levels; ``unknown`` where there is none."""
    return max(levels, key=LEVELS.index, default="unknown")


def _level(index: float, p: float) -> Level:
    if index < MODERATE or p > SIGNIFICANCE:
        return "none"
    return "major" if index >= MAJOR else "moderate"


def _compare(reference: Values, window: Values) -> tuple[float, float, float] | None:
    """Index, distance and p; None of too few values."""
    compare = _compare_labels
    if window.dtype == np.float64:
        compare = _compare_numbers
        reference, window = reference[~np.isnan(reference)], window[~np.isnan(window)]
    return compare(reference, window) if min(len(reference), len(window)) >= ENOUGH else None


def _compare_numbers(reference: Values, window: Values) -> tuple[float, float, float]:
    test = stats.ks_2samp(reference, window, method="asymp")
    counts = _counts(_bins(reference, reference), _bins(reference, window))
    return psi(*counts), float(test.statistic), float(test.pvalue)


def _bins(reference: Values, values: Values) -> NDArray[np.int64]:
    """Each value's bin: the reference's deciles; of at most ten different numbers, each of them."""
    distinct = np.unique(reference)
    if len(distinct) <= BINS:
        return np.searchsorted(distinct, values) + np.searchsorted(distinct, values, side="right")
    edges = np.quantile(reference.astype(np.float64), np.arange(1, BINS) / BINS)
    return np.searchsorted(np.unique(edges), values)


def _compare_labels(reference: Values, window: Values) -> tuple[float, float, float]:
    _, codes = np.unique(np.concatenate([reference, window]), return_inverse=True)
    counts = _pooled(_counts(codes[: len(reference)], codes[len(reference) :]))
    test = stats.chi2_contingency(counts, correction=False)
    return psi(*counts), float(np.sqrt(test.statistic / counts.sum())), float(test.pvalue)


def _counts(reference: NDArray[np.int64], window: NDArray[np.int64]) -> NDArray[np.int64]:
    """Records per window and bin, shape (2, bins), without bins that are empty in both."""
    bins = int(max(reference.max(), window.max())) + 1
    counts = np.stack([np.bincount(codes, minlength=bins) for codes in (reference, window)])
    return counts[:, counts.any(axis=0)]


def _pooled(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rare labels as one: those of which a window would expect fewer than five (Cochran 1954)."""
    expected = counts.sum(axis=0) * counts.sum(axis=1).min() / counts.sum()
    rare = expected < _EXPECTED
    if rare.sum() < 2:
        return counts
    return np.column_stack([counts[:, ~rare], counts[:, rare].sum(axis=1)])
