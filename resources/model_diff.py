"""The difference of two models: which clusters correspond, and which records would move."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from resources.batch import latest
from resources.cluster_model import ClusterModel, Feature
from resources.contract import Contract
from resources.intakes import Intakes
from resources.lake import Lake
from resources.versions import Stored, check_assigns

_AT_ONCE = 50_000


@dataclass(frozen=True)
class Difference:
    """What becomes of the newer one's window if it is assigned by one model and by the other.

    Attributes:
        shared: records by (cluster of the older, cluster of the newer), shape (k older, k newer).
        pairs: clusters that correspond, those of the older ascending: together they share the most records.
    """

    older: Stored
    newer: Stored
    shared: NDArray[np.int64]
    pairs: list[tuple[int, int]]

    @property
    def records(self) -> int:
        """The records of the newer one's window."""
        return int(self.shared.sum())

    @property
    def moved(self) -> int:
        """The records whose clusters do not correspond; other numbers alone move none."""
        return self.records - sum(int(self.shared[pair]) for pair in self.pairs)


def difference(lake: Lake, contract: Contract, intakes: Intakes, one: Stored, other: Stored) -> Difference:
    """Have two models assign the records of the newer one's window.

    Clusters correspond as ``scipy.optimize.linear_sum_assignment`` matches them by the records they share.

    Raises:
        VersionError: one of them cannot assign records under the present contract.
    """
    older, newer = sorted((one, other), key=lambda stored: (stored.version.window, stored.version.revision))
    models = [check_assigns(stored, contract) for stored in (older, newer)]
    names = sorted({feature.name for model in models for feature in model.features})
    columns = [pl.col(contract.columns[name]).alias(name) for name in names]
    records = latest(lake, newer.version.window, intakes, intakes.last).select(columns).collect()
    shared = np.zeros([len(model.centres) for model in models], dtype=np.int64)
    for part in records.iter_slices(_AT_ONCE):
        clusters = [model.assign(part.to_dicts())[0] for model in models]
        np.add.at(shared, tuple(clusters), 1)
    matched = linear_sum_assignment(shared, maximize=True)
    return Difference(older, newer, shared, [(int(a), int(b)) for a, b in zip(*matched, strict=True)])


def plain_centres(model: ClusterModel) -> list[dict[str, float]]:
    """Each cluster's centre in plain units: of a number its mean, of a category its mean place among the
    labels, or where it is one-hot the share of each label, under ``feature=label``."""
    widths = [feature.width for feature in model.features]
    columns = np.split(model.centres, np.cumsum(widths)[:-1], axis=1)
    return [
        {
            name: value / feature.scale if feature.scale else feature.fill or 0.0
            for feature, values in zip(model.features, places, strict=True)
            for name, value in zip(_names(feature), values.tolist(), strict=True)
        }
        for places in zip(*columns, strict=True)
    ]


def _names(feature: Feature) -> list[str]:
    if not feature.one_hot:
        return [feature.name]
    return [f"{feature.name}={label}" for label in (*feature.labels, "other")]
