"""The number of clusters: every candidate is fitted and scored, and one written rule picks."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import squareform
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import (
    adjusted_rand_score,
    calinski_harabasz_score,
    davies_bouldin_score,
    pairwise_distances,
    silhouette_score,
)

from platform_assets.training.one_thread import one_thread
from platform_assets.training.sampling import even_sample
from resources.cluster_model import Floats

MOST_FITS = 200
"""Small fits a window, all candidates and resamples together; every start of k-means counts as one."""
POINTS = 1_000
"""Starts, scores and resamples look at so many points at most."""
SEPARATED = 3.5
"""From this Ashman's D on two clusters are separated. Halves of a Gaussian have 2.65, of a uniform 3.46."""
_STARTS, _RESAMPLES = 14, 7
_NO_SPREAD = 1e-12  # of clusters of equal records: the separation stays finite

Labels = NDArray[np.int32]


@dataclass(frozen=True)
class Candidate:
    """One number of clusters, and how well it fits.

    The scores of scikit-learn are None if all but one cluster are too light to be in the even sample.

    Attributes:
        inertia: weighted sum of squared distances to the centres.
        silhouette: mean over the even sample, squared Euclidean, -1 to 1, more is better.
        calinski_harabasz: of the even sample, more is better.
        davies_bouldin: of the even sample, less is better.
        stability: mean adjusted Rand index between this fit and fits on bootstrap resamples, 1 is best.
        separations: the k - 1 values of Ashman's D (:func:`ashman_ds`), rising, at which its clusters join
            one after the other if the least separated ones always join first (single linkage).
    """

    k: int
    inertia: float
    silhouette: float | None
    calinski_harabasz: float | None
    davies_bouldin: float | None
    stability: float
    separations: tuple[float, ...]

    def groups(self, separated: float = SEPARATED) -> int:
        """How many are left when all clusters that are not separated have joined."""
        return 1 + sum(each >= separated for each in self.separations)


@dataclass(frozen=True)
class Choice:
    """The chosen number of clusters, the candidates by rising k, and how many fits they took."""

    k: int
    candidates: tuple[Candidate, ...]
    fits: int


def choose(points: Floats, weights: Floats, smallest: int, largest: int, seed: int) -> Choice:
    """Choose k: the largest number of groups (:meth:`Candidate.groups`) on which two candidates agree, or
    which is a candidate's own k: all its clusters are separated then. If there is none from 2 on, it is the k
    of the best silhouette.

    So k is how many clusters are apart, not how often they can be cut: what a larger candidate has cut counts
    once, and what k-means has merged beside a cut, a larger candidate has apart.

    Every candidate starts from an even sample of at most ``POINTS`` points and is then fitted on all weighted
    points, where inertia and Ashman's D are taken. The scores of scikit-learn know no weights: they, and the
    resamples, are of the even sample, in which each record of the window has the same chance.

    Args:
        points: shape (n, features), scaled.
        weights: shape (n,), how many records each point stands for.
        smallest, largest: the range of k, both ends included, from 2 on; it ends below the number of distinct
            points. If no candidate is left, ``smallest`` is chosen without any. At most 50 candidates.

    Sources: joining what is not separated: Hennig, Methods for merging Gaussian mixture components, ADAC 4
    (2010); separation: Ashman, Bird and Zepf, Astronomical J. 108 (1994); stability by bootstrap: Fang and
    Wang, CSDA 56 (2012), by the adjusted Rand index of Hubert and Arabie, J. Classification 2 (1985). The
    threshold was tuned on generated data: docs/models.md.
    """
    rng = np.random.default_rng(seed)
    sample = points[even_sample(weights, POINTS, rng)]
    ks = range(smallest, min(largest, len(np.unique(sample, axis=0)) - 1) + 1)
    if not ks:
        return Choice(smallest, (), 0)
    each = MOST_FITS // len(ks)
    resamples = [_resample(sample, rng) for _ in range(min(_RESAMPLES, each // 3))]
    starts = min(_STARTS, each - 1 - len(resamples))
    distances = pairwise_distances(sample, metric="sqeuclidean")
    window = _Window(points, weights, sample, distances, resamples)
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # resamples may have fewer distinct points than k
        started: list[KMeans] = []
        for k in ks:
            started.append(_started(sample, k, started[-1:], starts, rng))
        candidates = tuple(_candidate(window, each.cluster_centers_, rng) for each in started)
    return Choice(picked(candidates), candidates, len(ks) * (starts + 1 + len(resamples)))


def picked(candidates: Sequence[Candidate], separated: float = SEPARATED) -> int:
    """The rule of :func:`choose`."""
    groups = [each.groups(separated) for each in candidates]
    agreed = {number for number in groups if groups.count(number) > 1}
    confirmed = agreed | {each.k for each, number in zip(candidates, groups, strict=True) if number == each.k}
    if max(confirmed, default=1) > 1:
        return max(candidates[0].k, *confirmed)
    return max(candidates, key=lambda each: -1.0 if each.silhouette is None else each.silhouette).k


@dataclass(frozen=True)
class _Window:
    """What all candidates look at; distances are squared, within the even sample."""

    points: Floats
    weights: Floats
    sample: Floats
    distances: Floats
    resamples: Sequence[Floats]


def _resample(sample: Floats, rng: np.random.Generator) -> Floats:
    return sample[rng.integers(len(sample), size=len(sample))]


def _started(
    sample: Floats, k: int, fewer: Sequence[KMeans], starts: int, rng: np.random.Generator
) -> KMeans:
    """The best of so many starts: by k-means++, and half of them from the fit of one cluster fewer, if there
    is one, with one of its widest clusters split (the global k-means of Likas, Vlassis and Verbeek, Pattern
    Recognition 36, 2003): where that one has merged two clusters, few random starts find them apart."""
    splits = [centres for fit in fewer for centres in _splits(sample, fit, starts // 2, rng)]
    fits = [KMeans(k, init=centres, n_init=1).fit(sample) for centres in splits]
    return min([_fitted(sample, k, starts - len(fits), rng), *fits], key=lambda fit: float(fit.inertia_))


def _splits(sample: Floats, fit: KMeans, most: int, rng: np.random.Generator) -> list[Floats]:
    squares = ((sample - fit.cluster_centers_[fit.labels_]) ** 2).sum(axis=1)
    widest = np.argsort(-np.bincount(fit.labels_, squares))[:most]
    return [np.vstack([fit.cluster_centers_, rng.choice(sample[fit.labels_ == each])]) for each in widest]


def _candidate(window: _Window, centres: Floats, rng: np.random.Generator) -> Candidate:
    k = len(centres)
    fit = KMeans(k, init=centres, n_init=1, tol=0).fit(window.points, sample_weight=window.weights)
    labels = fit.predict(window.sample)
    others = [_fitted(resample, k, 1, rng).predict(window.sample) for resample in window.resamples]
    apart = ashman_ds(window.points, window.weights, fit.labels_, fit.cluster_centers_)
    silhouette, calinski_harabasz, davies_bouldin = _scores(window, labels)
    return Candidate(
        k=k,
        inertia=float(fit.inertia_),
        silhouette=silhouette,
        calinski_harabasz=calinski_harabasz,
        davies_bouldin=davies_bouldin,
        stability=float(np.mean([adjusted_rand_score(labels, other) for other in others])),
        separations=tuple(linkage(squareform(apart, checks=False), "single")[:, 2].tolist()),
    )


def _scores(window: _Window, labels: Labels) -> tuple[float | None, float | None, float | None]:
    if len(np.unique(labels)) < 2:
        return None, None, None
    return (
        float(silhouette_score(window.distances, labels, metric="precomputed")),
        float(calinski_harabasz_score(window.sample, labels)),
        float(davies_bouldin_score(window.sample, labels)),
    )


def _fitted(points: Floats, k: int, starts: int, rng: np.random.Generator) -> KMeans:
    return KMeans(k, n_init=starts, random_state=int(rng.integers(2**31))).fit(points)


def ashman_ds(points: Floats, weights: Floats, labels: Labels, centres: Floats) -> Floats:
    """How far apart each two clusters are, shape (k, k): the distance of their centres in units of their
    pooled standard deviation along the line between them.

    It is Ashman's D (Ashman, Bird and Zepf, Astronomical J. 108, 1994) with the deviations pooled by weight,
    and of two round Gaussians the Mahalanobis distance. Noise across the line does not enter.
    """
    masses = np.bincount(labels, weights, len(centres))
    scatters = np.stack(
        [_scatter(points, weights, labels == place, centre) for place, centre in enumerate(centres)]
    )
    lines = centres[:, None, :] - centres[None, :, :]
    along = np.einsum("ijd,ide,ije->ij", lines, scatters, lines)
    pooled = (along + along.T) / (masses[:, None] + masses[None, :])
    squares: Floats = (lines**2).sum(axis=2) ** 2 / np.maximum(pooled, _NO_SPREAD)
    return np.sqrt(squares)


def _scatter(points: Floats, weights: Floats, mine: NDArray[np.bool_], centre: Floats) -> Floats:
    around = points[mine] - centre
    return (around * weights[mine, None]).T @ around
