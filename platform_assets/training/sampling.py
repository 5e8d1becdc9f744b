"""Samples of weighted points for what looks at a bounded number of them."""

import numpy as np
from numpy.typing import NDArray

from resources.cluster_model import Floats


def even_sample(weights: Floats, size: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Places of at most ``size`` points, drawn by weight without replacement; of all if there are no more.

    A window's weighted sample favours its fringe and says so in the weights, shape (n,). Drawn by weight from
    it, each record of the window has the same chance again, and scores that know no weights (scikit-learn's)
    hold for the window. Points that are the whole window have equal weights.
    """
    if len(weights) <= size:
        return np.arange(len(weights))
    return rng.choice(len(weights), size, replace=False, p=weights / weights.sum())
