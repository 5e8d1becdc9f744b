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
    """How one field of a record becomes one number.

    Attributes:
        labels: of a category, by falling frequency, then by name; a label's place is its number. An
            unseen or missing label is encoded as ``len(labels)``.
        mean: of a number; it stands in for a missing one.
        scale: what the encoded value is multiplied with: 1 / standard deviation, or 0 for a constant.
    """

    name: str
    kind: Literal["category", "number"]
    labels: tuple[str, ...]
    mean: float | None
    scale: float

    def encode(self, values: Sequence[Value]) -> Floats:
        """Encoded and scaled values, shape (n,)."""
        if self.kind == "category":
            places = {label: float(place) for place, label in enumerate(self.labels)}
            other = float(len(self.labels))
            raw = [places.get(value, other) if isinstance(value, str) else other for value in values]
        else:
            raw = [self.mean if value is None else value for value in values]  # type: ignore[misc]
        return np.asarray(raw, dtype=np.float64) * self.scale


@dataclass(frozen=True)
class ClusterModel:
    """The features in their order, and the centres, shape (k, features), in scaled units."""

    features: tuple[Feature, ...]
    centres: Floats

    def encode(self, records: Sequence[Mapping[str, Value]]) -> Floats:
        """Records, by the contract's field names, as points, shape (n, features), in scaled units."""
        columns = [
            feature.encode([record.get(feature.name) for record in records]) for feature in self.features
        ]
        return np.column_stack(columns)

    def assign(self, records: Sequence[Mapping[str, Value]]) -> tuple[NDArray[np.int64], Floats]:
        """Each record's cluster, shape (n,), and the Euclidean distance to its centre, shape (n,).

        The nearest centre counts; of equally near ones the first.
        """
        if not records:
            return np.empty(0, dtype=np.int64), np.empty(0)
        points = self.encode(records)
        squares = ((points[:, None, :] - self.centres[None, :, :]) ** 2).sum(axis=2)
        nearest = squares.argmin(axis=1)
        return nearest, np.sqrt(squares[np.arange(len(points)), nearest])

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
