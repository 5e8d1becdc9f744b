"""How near a record lies to its cluster, and how much nearer than to the second-best one."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from resources.cluster_model import ClusterModel
from resources.contract import Value


class Nearness(NamedTuple):
    """The two centres nearest to a record, in scaled units; a distance is None where it is beyond numbers.

    Attributes:
        margin: how much nearer the first is: 1 - distance / second distance; 0 on the border between the
            two, 1 at the centre. None where there is one cluster alone.
    """

    cluster: int
    distance: float | None
    second_cluster: int | None
    second_distance: float | None
    margin: float | None


NOWHERE = Nearness(0, None, None, None, None)
"""Where there is no model to ask any more."""


def nearness(model: ClusterModel, records: Sequence[Mapping[str, Value]]) -> list[Nearness]:
    """Of each record; of equally near centres the first counts, as in Spark."""
    if not records:
        return []
    with np.errstate(over="ignore", invalid="ignore"):  # a number of 1e300 is one all the same
        squares = model.squares(records)
    order = squares.argsort(axis=1, kind="stable")[:, :2]
    distances = np.sqrt(np.take_along_axis(squares, order, axis=1))
    return [_nearness(*pair) for pair in zip(order.tolist(), distances.tolist(), strict=True)]


def _nearness(order: list[int], distances: list[float]) -> Nearness:
    finite = [distance if math.isfinite(distance) else None for distance in distances]
    if len(order) == 1:
        return Nearness(order[0], finite[0], None, None, None)
    nearest, second = finite
    margin = None if nearest is None or second is None else 1 - nearest / second if second else 0.0
    return Nearness(order[0], nearest, order[1], second, margin)
