"""The stored model: data from which any process assigns a record to its cluster, with Spark's answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from resources.contract import Value

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Feature:
    """How one field of a record becomes one number, or several.

    Attributes:
        labels: of a category, by falling frequency, then by name; a label's place is its number, or its
            column. An unseen or missing label is at ``len(labels)``.
        fill: of a number; it stands in for a missing one.
        scale: what the encoded value is multiplied with: 1 / deviation, or 0 for a constant.
        one_hot: whether a category becomes a column per label and one for all else, each 0 or 1 before
            scaling, instead of one number.
    """

    name: str
    kind: Literal["category", "number"]
    labels: tuple[str, ...]
    fill: float | None
    scale: float
    one_hot: bool = False

    @property
    def width(self) -> int:
        """So many columns of a point."""
        return len(self.labels) + 1 if self.one_hot else 1

    def encode(self, values: Sequence[Value]) -> Floats:
        """Encoded and scaled values, shape (n, width)."""
        if self.kind == "number":
            filled = [self.fill if value is None else value for value in values]
            return np.array(filled, dtype=np.float64)[:, None] * self.scale
        places = {label: place for place, label in enumerate(self.labels)}
        other = len(self.labels)
        raw = [places.get(value, other) if isinstance(value, str) else other for value in values]
        if self.one_hot:
            return np.eye(self.width)[np.array(raw, dtype=np.int64)] * self.scale
        return np.array(raw, dtype=np.float64)[:, None] * self.scale


@dataclass(frozen=True)
class ClusterModel:
    """The features in their order, and the centres, shape (k, sum of widths), in scaled units."""

    features: tuple[Feature, ...]
    centres: Floats

    def encode(self, records: Sequence[Mapping[str, Value]]) -> Floats:
        """Records, by the contract's field names, as points, shape (n, sum of widths), in scaled units."""
        columns = [
            feature.encode([record.get(feature.name) for record in records]) for feature in self.features
        ]
        return np.hstack(columns)

    def assign(self, records: Sequence[Mapping[str, Value]]) -> tuple[NDArray[np.int64], Floats]:
        """Each record's cluster, shape (n,), and the Euclidean distance to its centre, shape (n,).

        The nearest centre counts; of equally near ones the first.
        """
        if not records:
            return np.empty(0, dtype=np.int64), np.empty(0)
        clusters, squares = nearest(self.encode(records), self.centres)
        return clusters, np.sqrt(squares)

    def squares(self, records: Sequence[Mapping[str, Value]]) -> Floats:
        """Each record's squared distances to all centres, shape (n, k)."""
        return squared_distances(self.encode(records), self.centres)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "ClusterModel":
        """The model in a row of the table ``models``."""
        features = tuple(
            Feature(**{**item, "labels": tuple(item["labels"] or ())}) for item in row["features"]
        )
        return cls(features, np.asarray(row["centres"], dtype=np.float64))

    def row(self) -> dict[str, Any]:
        """The columns ``features`` and ``centres`` of the table ``models``."""
        features = [vars(feature) | {"labels": list(feature.labels)} for feature in self.features]
        return {"features": features, "centres": self.centres.tolist()}


_AT_ONCE = 32_768
"""Points whose distances are worked out at once: they stay in a processor's second cache, and threads side by
side wait for Python's lock a quarter as often as with those that the first would hold."""


def squared_distances(points: Floats, centres: Floats) -> Floats:
    """Squared Euclidean distances, shape (n, k), of points (n, d) to centres (k, d).

    The columns are added one after the other, as Spark adds them: so both round alike, and equally near
    centres are so for both.
    """
    squares = np.zeros((len(centres), len(points)))
    for start in range(0, len(points), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        columns = points[part].T
        differences = np.empty(columns.shape[1])
        for totals, centre in zip(squares[:, part], centres, strict=True):
            for column, place in zip(columns, centre, strict=True):
                np.subtract(column, place, out=differences)
                np.multiply(differences, differences, out=differences)
                np.add(totals, differences, out=totals)
    return squares.T


def nearest(points: Floats, centres: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Of each point (n, d) the nearest centre (k, d), of equally near ones the first, shape (n,); and the
    squared distance to it, shape (n,)."""
    squares = squared_distances(points, centres).T
    least, clusters = squares[0], np.zeros(len(points), np.int64)
    for number, each in enumerate(squares[1:], 1):
        np.copyto(clusters, number, where=each < least)
        least = np.minimum(least, each)
    return clusters, least
