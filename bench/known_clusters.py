"""Generated points whose clusters, or lack of them, are known; scaled as a contract's numbers are."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resources.cluster_model import Floats

POINTS = 1_000
MOST_FEATURES = 10
CLEAR, MIDDLING, OVERLAPPING = 6.0, 4.0, 3.0
"""Least Mahalanobis distance between two centres."""


@dataclass(frozen=True)
class Clustered:
    """Points, shape (1000, features), scaled by their deviation, and the cluster each was drawn from."""

    points: Floats
    labels: NDArray[np.int64]
    k: int


def clustered(least_distance: float, seed: int, *, crowded: bool = False) -> Clustered:
    """A set of 2 to 8 Gaussian clusters, the largest up to five times the smallest, and one or two features
    of noise, of unit deviation as the clusters' own.

    There are at least as many informative features as clusters, or, if ``crowded``, fewer. The clusters have
    one covariance with a random orientation and deviations between 1 and 1.5. Each centre lies in a random
    direction from another, 1 to 1.5 least distances away; the nearest two are the least distance apart.
    """
    rng = np.random.default_rng([seed, int(least_distance), crowded])
    noise = int(rng.integers(1, 3))
    k = int(rng.integers(3 if crowded else 2, 9))
    informative = int(rng.integers(2, k)) if crowded else int(rng.integers(k, MOST_FEATURES - noise + 1))
    shares = rng.uniform(1, 5, k)
    labels = rng.choice(k, POINTS, p=shares / shares.sum())
    white = _centres(k, informative, least_distance, rng)[labels] + rng.normal(size=(POINTS, informative))
    turned = _rotation(informative, rng)
    raw = white @ (turned * rng.uniform(1, 1.5, informative)) @ turned.T
    return Clustered(scaled(np.column_stack([raw, rng.normal(size=(POINTS, noise))])), labels, k)


def _centres(k: int, features: int, least_distance: float, rng: np.random.Generator) -> Floats:
    centres = np.zeros((1, features))
    while len(centres) < k:
        direction = rng.normal(size=features)
        step = least_distance * rng.uniform(1, 1.5) * direction / np.linalg.norm(direction)
        centre = centres[rng.integers(len(centres))] + step
        if np.linalg.norm(centres - centre, axis=1).min() >= least_distance:
            centres = np.vstack([centres, centre])
    distances = np.linalg.norm(centres[:, None] - centres, axis=2)
    return centres * (least_distance / float(distances[np.triu_indices(k, 1)].min()))


def _rotation(features: int, rng: np.random.Generator) -> Floats:
    return np.linalg.qr(rng.normal(size=(features, features))).Q


def scaled(raw: Floats) -> Floats:
    """Divided by the sample standard deviation."""
    deviations: Floats = raw.std(axis=0, ddof=1)
    return raw / deviations


def uniform(features: int, rng: np.random.Generator) -> Floats:
    """Points spread evenly over a cube."""
    return scaled(rng.uniform(size=(POINTS, features)))


def gaussian(features: int, rng: np.random.Generator) -> Floats:
    """Points of one Gaussian with independent features."""
    return scaled(rng.normal(size=(POINTS, features)))


def correlated_gaussian(features: int, rng: np.random.Generator) -> Floats:
    """Points of one Gaussian whose deviations along random axes are between 1 and 5."""
    turned = _rotation(features, rng) * rng.uniform(1, 5, features)
    return scaled(rng.normal(size=(POINTS, features)) @ turned.T)


UNSTRUCTURED: dict[str, Callable[[int, np.random.Generator], Floats]] = {
    "uniform": uniform,
    "one Gaussian": gaussian,
    "correlated Gaussian": correlated_gaussian,
}


def one_bimodal(rng: np.random.Generator) -> Floats:
    """One feature with two modes, six deviations apart, among three of noise."""
    raw = rng.normal(size=(POINTS, 4))
    raw[:, 0] += 6 * rng.integers(0, 2, POINTS)
    return scaled(raw)
