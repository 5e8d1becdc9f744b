"""Which cluster of a model is which of the next one: overlaps, events, and the clusters that keep their id.

The definitions are MONIC's (Spiliopoulou, Ntoutsi, Theodoridis, Schult: MONIC, modeling and monitoring
cluster transitions, KDD 2006), with one addition: see :func:`transition`.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

Labels = NDArray[np.int64]
Floats = NDArray[np.float64]
EventName = Literal["survived", "split", "merged", "appeared", "disappeared"]

SURVIVAL = 0.5
"""MONIC's tau, of [0.5, 1]: so much of a cluster's records must be found again in its match, or its parts."""
SPLIT = 0.1
"""MONIC's tau_split: so much of a cluster's records makes a part of it."""


@dataclass(frozen=True)
class Event:
    """What became of clusters, by the labels of the model before and of the one after.

    Attributes:
        overlaps: the share of each cluster of ``before`` that is in each of ``after``; one of them is single.
        keeps: the cluster before and the one after that is the same one, so that its id goes on.
    """

    event: EventName
    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    overlaps: tuple[float, ...] = ()
    keeps: tuple[int, int] | None = None


def transition(
    earlier: tuple[Labels, Labels], later: tuple[Labels, Labels], before: int, after: int
) -> list[Event]:
    """The events between two models, from the records of both their windows, each assigned by both models.

    ``overlap(X, Y)`` is the share of the earlier records of X, by the model before, that the model after
    assigns to Y. Y is a part of X if that is :data:`SPLIT` or more and, which is our addition, if later
    records are still there: the share of them in both X and Y is at least :data:`SPLIT` of what it was among
    the earlier ones. (KMeans gives every record to some cluster: one that dies would look absorbed.)

    X is ``split`` into its parts if they are several, and matches its part if it is one; but if they overlap
    it by less than :data:`SURVIVAL` together, it ``disappeared``. Y is ``merged`` if several match it,
    ``survived`` if one does, ``appeared`` if it is part of none. Of those, who are the same is the one-to-one
    assignment with the greatest sum of shares of both windows' records: of a split the largest part keeps the
    id, of a merger the largest contributor's lives on.

    Args:
        earlier: of the records of the window before, the labels by the model before, and by the model after,
            shape (n,) each.
        later: the same of the records of the window after.
        before: clusters of the model before.
        after: clusters of the model after.
    """
    was, now = (_counts(*labels, before, after) for labels in (earlier, later))
    overlap = _shares(was, was.sum(axis=1, keepdims=True))
    was, now = _shares(was, was.sum()), _shares(now, now.sum())
    part = (overlap >= SPLIT) & (now >= SPLIT * was)
    part &= (overlap * part).sum(axis=1, keepdims=True) >= SURVIVAL
    return _events(overlap, part, _same((was + now) * part))


def _counts(labels_before: Labels, labels_after: Labels, before: int, after: int) -> Floats:
    """Records by both labels, shape (before, after)."""
    cells = np.bincount(labels_before * after + labels_after, minlength=before * after)
    return cells.reshape(before, after).astype(np.float64)


def _shares(counts: Floats, whole: Floats) -> Floats:
    return np.divide(counts, whole, out=np.zeros_like(counts), where=whole > 0)


def _same(weights: Floats) -> dict[int, int]:
    pairs = zip(*linear_sum_assignment(weights, maximize=True), strict=True)
    return {int(x): int(y) for x, y in pairs if weights[x, y] > 0}


def _events(overlap: Floats, part: NDArray[np.bool_], same: dict[int, int]) -> list[Event]:
    parts = part.sum(axis=1)
    matched = part & (parts == 1)[:, None]
    events = []
    for x in np.flatnonzero(parts > 1).tolist():
        targets = np.flatnonzero(part[x])
        keeps = (x, same[x]) if x in same else None
        events.append(Event("split", (x,), _ints(targets), _floats(overlap[x, targets]), keeps))
    for y in np.flatnonzero(matched.any(axis=0)).tolist():
        sources = np.flatnonzero(matched[:, y])
        keeps = next(((x, y) for x in sources.tolist() if same.get(x) == y), None)
        name: EventName = "merged" if len(sources) > 1 else "survived"
        events.append(Event(name, _ints(sources), (y,), _floats(overlap[sources, y]), keeps))
    events += [Event("appeared", after=(y,)) for y in np.flatnonzero(~part.any(axis=0)).tolist()]
    events += [Event("disappeared", before=(x,)) for x in np.flatnonzero(parts == 0).tolist()]
    return events


def _ints(values: NDArray[np.intp]) -> tuple[int, ...]:
    return tuple(values.tolist())


def _floats(values: Floats) -> tuple[float, ...]:
    return tuple(values.tolist())
