"""How good a clustering is: inertia, silhouettes, sizes and separation."""

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import pdist

from resources.cluster_model import Floats, nearest, squared_distances


@dataclass(frozen=True)
class Quality:
    """A clustering's scores, in scaled units.

    Attributes:
        inertia: sum of squared distances to the centres.
        silhouette: mean over all points, squared Euclidean; None of a single cluster.
        silhouettes: mean of each cluster, None of an empty one.
        sizes: points per cluster.
        separation: least Euclidean distance between two centres; None of a single one.
    """

    inertia: float
    silhouette: float | None
    silhouettes: list[float | None]
    sizes: list[int]
    separation: float | None


@dataclass(frozen=True)
class Sums:
    """What is added up over the points of each cluster, those nearest to its centre.

    Attributes:
        counts: shape (k,).
        means: shape (k, d); the centre where there is no point.
        squares: of the distances to the centre, shape (k,).
    """

    counts: NDArray[np.int64]
    means: Floats
    squares: Floats

    def take(self, order: NDArray[np.int64]) -> "Sums":
        """The clusters in another order."""
        return Sums(self.counts[order], self.means[order], self.squares[order])

    def variances(self, centres: Floats) -> Floats:
        """The mean squared distance of a cluster's points to their mean, shape (k,): the parallel axis
        theorem from that to the centre; infinite without a point."""
        shift = ((self.means - centres) ** 2).sum(axis=1)
        with np.errstate(divide="ignore"):
            each = np.where(self.counts > 0, self.squares / np.maximum(self.counts, 1) - shift, np.inf)
        return np.maximum(each, 0.0)


def quality(points: Floats, centres: Floats) -> Quality:
    """The scores of points, shape (n, d), each with the nearest of the centres, shape (k, d)."""
    clusters, least = nearest(points, centres)
    found = added_up(clusters, np.column_stack([np.ones(len(points)), least, points]), centres)
    scores = silhouettes(points, clusters, found, centres)
    totals = np.bincount(clusters, weights=scores, minlength=len(centres))
    return quality_of(found.counts, totals, float(least.sum()), centres)


def silhouettes(points: Floats, clusters: NDArray[np.int64], found: Sums, centres: Floats) -> Floats:
    """Each point's silhouette (Rousseeuw 1987) for squared Euclidean distances, shape (n,).

    The mean squared distance of a point to those of a cluster is its squared distance to their mean and
    their variance: O(n k) in all.
    """
    between = squared_distances(points, found.means) + found.variances(centres)
    everyone, own = np.arange(len(points)), found.counts[clusters]
    near = between[everyone, clusters] * own / np.maximum(own - 1, 1)
    between[everyone, clusters] = np.inf
    far = between.min(axis=1)
    greater = np.maximum(near, far)
    alone = (own == 1) | (greater == 0) | np.isinf(far)
    with np.errstate(invalid="ignore"):
        return cast(Floats, np.where(alone, 0.0, (far - near) / np.where(greater > 0, greater, 1.0)))


def added_up(clusters: NDArray[np.int64], rows: Floats, centres: Floats) -> Sums:
    """Sums from rows of a cluster's number of points, squares and coordinates, added in their order."""
    totals = np.zeros((len(centres), rows.shape[1]))
    np.add.at(totals, clusters, rows)
    counts = totals[:, :1]
    means = np.where(counts > 0, totals[:, 2:] / np.maximum(counts, 1), centres)
    return Sums(counts[:, 0].astype(np.int64), means, totals[:, 1])


def quality_of(counts: NDArray[np.int64], totals: NDArray[Any], inertia: float, centres: Floats) -> Quality:
    several = len(centres) > 1
    return Quality(
        inertia=inertia,
        silhouette=float(totals.sum() / counts.sum()) if several else None,
        silhouettes=[
            float(total / count) if several and count else None
            for total, count in zip(totals, counts, strict=True)
        ],
        sizes=counts.tolist(),
        separation=float(pdist(centres).min()) if several else None,
    )
