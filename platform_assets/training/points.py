"""Records of a frame as points, in blocks: encoded as ``Feature.encode`` does it, anew for each look."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from resources.cluster_model import ClusterModel, Feature, Floats, nearest
from resources.contract import Contract

BLOCK = 65_536
"""Points that are looked at at once: they and their distances stay in the processor's caches."""
T = TypeVar("T")


@dataclass(frozen=True)
class Points:
    """The points of records, in their order.

    Attributes:
        records: with the contract's columns: numbers as Float64, strings as Categorical.
    """

    records: pl.DataFrame
    contract: Contract
    features: Sequence[Feature]

    def __len__(self) -> int:
        return self.records.height

    def each(self, look: Callable[[Floats, slice], T]) -> list[T]:
        """What ``look`` makes of each block, shape (at most ``BLOCK``, d), and its place; in their order.

        As many threads work as there are cores. What is added up from the list, in its order, does not
        depend on them.
        """
        places = [slice(start, start + BLOCK) for start in range(0, len(self), BLOCK)]
        if len(places) == 1:
            return [look(self._encoded(places[0]), places[0])]
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            return list(threads.map(lambda place: look(self._encoded(place), place), places))

    def all(self) -> Floats:
        """All points at once, shape (n, d): of few records."""
        return np.ascontiguousarray(self._encoded(slice(0, len(self))))

    def _encoded(self, place: slice) -> Floats:
        return _points(self.records[place], self._encoders)

    @cached_property
    def _encoders(self) -> "list[_Encoder]":
        return [_encoder(self.records[self.contract.columns[each.name]], each) for each in self.features]


def encoded(records: pl.DataFrame, features: Sequence[Feature]) -> Floats:
    """Few records, by the contract's field names, as points, as ``ClusterModel.encode`` has them."""
    kinds = {"number": pl.Float64(), "category": pl.Categorical()}
    lacking = [pl.lit(None).alias(each.name) for each in features if each.name not in records.columns]
    typed = records.with_columns(lacking).select(
        pl.col(each.name).cast(kinds[each.kind]) for each in features
    )
    return _points(typed, [_encoder(typed[each.name], each) for each in features])


def clusters_of(records: pl.DataFrame, model: ClusterModel) -> NDArray[np.int64]:
    """The cluster of each of few records, shape (n,), as ``ClusterModel.assign`` has it."""
    return nearest(encoded(records, model.features), model.centres)[0]


class _Encoder(NamedTuple):
    """How a column becomes so many coordinates: ``write`` makes them of its values, shape (width, n)."""

    column: str
    width: int
    write: Callable[[pl.Series, Floats], object]


def _points(records: pl.DataFrame, encoders: Sequence[_Encoder]) -> Floats:
    """Shape (n, sum of widths); each coordinate lies in one piece."""
    points = np.empty((sum(each.width for each in encoders), records.height))
    start = 0
    for column, width, write in encoders:
        write(records[column], points[start : start + width])
        start += width
    return points.T


def _encoder(values: pl.Series, feature: Feature) -> _Encoder:
    write = _number(feature) if feature.kind == "number" else _category(values, feature)
    return _Encoder(values.name, feature.width, write)


def _number(feature: Feature) -> Callable[[pl.Series, Floats], object]:
    return lambda values, out: np.multiply(_filled(values, feature.fill), feature.scale, out=out[0])


def _category(values: pl.Series, feature: Feature) -> Callable[[pl.Series, Floats], object]:
    """By a table from a category's code to its encoding; the last row is that of a missing one."""
    known = values.unique().drop_nulls()
    codes = known.to_physical().to_numpy().astype(np.int64)
    table: Floats = np.repeat(feature.encode([None]), codes.max(initial=-1) + 2, axis=0)
    table[codes] = feature.encode(known.cast(pl.String).to_list())

    def write(values: pl.Series, out: Floats) -> None:
        code = _filled(values.to_physical(), len(table) - 1)
        for coordinate, column in zip(out, table.T, strict=True):
            np.take(column, code, out=coordinate, mode="clip")

    return write


def _filled(values: pl.Series, missing: float | None) -> NDArray[Any]:
    return (values.fill_null(missing) if values.null_count() else values).to_numpy()


def assigned(points: Points, centres: Floats) -> tuple[NDArray[np.int32], Floats]:
    """Each point's cluster, shape (n,), and its Euclidean distance to the centre, shape (n,), as
    ``ClusterModel.assign`` has them."""

    clusters, distances = np.empty(len(points), np.int32), np.empty(len(points))

    def assign(block: Floats, place: slice) -> None:
        clusters[place], squares = nearest(block, centres)
        np.sqrt(squares, out=distances[place])

    points.each(assign)
    return clusters, distances
