"""Samples of weighted points for what looks at a bounded number of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resources.cluster_model import Floats


@dataclass(frozen=True)
class Lightweight:
    """How a lightweight coreset is drawn (Bachem, Lucic, Krause 2018): about ``size`` of so many points, each
    by itself, with a chance half even and half by its squared distance from the mean.

    Attributes:
        mean: of the points, shape (d,).
        squares: sum of the points' squared distances to it.
    """

    size: int
    points: int
    mean: Floats
    squares: float
    seed: int

    @property
    def evenly(self) -> float:
        """The part of a point's chance that all have."""
        return 0.5 * self.size / self.points

    @property
    def by_square(self) -> float:
        """The part of its chance per unit of its squared distance from the mean."""
        return 0.5 * self.size / self.squares


def even_sample(weights: Floats, size: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Places of at most ``size`` points, drawn by weight without replacement; of all if there are no more.

    A window's weighted sample favours its fringe and says so in the weights, shape (n,). Drawn by weight from
    it, each record of the window has the same chance again, and scores that know no weights (scikit-learn's)
    hold for the window. Points that are the whole window have equal weights.
    """
    if len(weights) <= size:
        return np.arange(len(weights))
    return rng.choice(len(weights), size, replace=False, p=weights / weights.sum())
