"""KMeans on the driver: restarted until the best inertia was found again from independent starts."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from platform_assets.training.one_thread import one_thread
from resources.cluster_model import Floats

LEAST_STARTS, MOST_STARTS = 30, 50
"""Ten miss an optimum that 30 % of the starts reach in 3 % of the windows; thirty in 0.002 %."""
FOUND = 3
"""So many starts must have reached the best inertia before the least number of starts suffices."""
_AS_GOOD = 1e-4


@dataclass(frozen=True)
class Fit:
    """The best of several fits.

    Attributes:
        centres: shape (k, d), or fewer where there are fewer distinct points; by falling weight of their
            points, then by place.
        converged: whether the best start ended because no point changed its cluster.
        iterations: of the best start.
        starts: how many there were.
        found: how many of them reached the best inertia, within a ten-thousandth of it.
    """

    centres: Floats
    converged: bool
    iterations: int
    starts: int
    found: int


def best_fit(points: Floats, weights: Floats, k: int, seed: int) -> Fit:
    """Fit k centres: k-means++ and Lloyd's iterations from thirty starts at least, from more until three have
    reached the best inertia, and from fifty at most.

    One thread works: with several, scikit-learn adds up in the order in which they end.

    Args:
        points: shape (n, d), at least one; the same points in another order give another fit.
        weights: positive, shape (n,).
    """
    k = min(k, len(np.unique(points, axis=0)))
    fits: list[KMeans] = []
    found = 0
    with one_thread():
        for start in np.random.SeedSequence(seed).generate_state(MOST_STARTS).tolist():
            kmeans = KMeans(k, n_init=1, tol=0, random_state=start)
            fits.append(kmeans.fit(points, sample_weight=weights))
            best = min(fits, key=lambda fit: fit.inertia_)
            found = sum(fit.inertia_ <= best.inertia_ * (1 + _AS_GOOD) for fit in fits)
            if len(fits) >= LEAST_STARTS and found >= FOUND:
                break
    return Fit(
        centres=_ordered(best, weights),
        converged=best.n_iter_ < best.max_iter,
        iterations=best.n_iter_,
        starts=len(fits),
        found=found,
    )


def _ordered(best: KMeans, weights: Floats) -> Floats:
    centres: Floats = best.cluster_centers_
    sizes = np.bincount(best.labels_, weights, minlength=len(centres))
    return centres[by_size(sizes, centres)]


def by_size(sizes: NDArray[Any], centres: Floats) -> NDArray[np.int64]:
    """The places of centres, shape (k, d), by falling size, shape (k,), then by place."""
    return np.lexsort((*centres.T[::-1], -sizes))
