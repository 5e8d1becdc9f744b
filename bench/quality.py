"""How good a model is: its inertia, and the best that is known of the same points.

Points that are equal count with their number, which gives the same sums as all rows of a window.
"""

import json

import numpy as np
from sklearn.cluster import KMeans

from bench.generate import SAMPLE, drawn, sample
from resources.cluster_model import ClusterModel, squared_distances
from resources.contract import Contract
from resources.windows import Window

_STARTS = 20


def inertias(contract: Contract, window: Window, count: int, model: ClusterModel) -> tuple[float, float]:
    """A model's inertia over all records of a generated window, in the units of its own encoders; and the
    least of it and of scikit-learn's, the best of 20 starts."""
    rows = [contract.decode(json.dumps(row).encode()).values for row in sample()]
    points = model.encode([dict(zip(contract.fields, row, strict=True)) for row in rows])
    weights = np.bincount(drawn(window, count), minlength=SAMPLE).astype(np.float64)
    own = float(weights @ squared_distances(points, model.centres).min(axis=1))
    best = KMeans(len(model.centres), n_init=_STARTS, random_state=0).fit(points, sample_weight=weights)
    return own, min(own, float(best.inertia_))
