"""Records of a frame as points, in blocks: encoded as ``Feature.encode`` does it; few of them are held."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from resources.cluster_model import ClusterModel, Feature, Floats, squared_distances
from resources.contract import Contract

BLOCK = 65_536
"""Points that are looked at at once: they and their distances stay in the processor's caches."""
_HELD_BYTES = 1 << 27
"""Points that take no more are encoded once; of others each look encodes them again."""
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
        """Each coordinate of a block lies in one piece."""
        held = self._held.get((place.start, place.stop))
        if held is not None:
            return held
        block = self.records[place]
        points: Floats = np.vstack([encode(block).T for encode in self._encoders]).T
        if len(self) * points.shape[1] * points.itemsize <= _HELD_BYTES:
            self._held[place.start, place.stop] = points
        return points

    @cached_property
    def _held(self) -> dict[tuple[int, int], Floats]:
        return {}

    @cached_property
    def _encoders(self) -> list[Callable[[pl.DataFrame], Floats]]:
        return [_encoder(self.records[self.contract.columns[each.name]], each) for each in self.features]


def encoded(records: pl.DataFrame, features: Sequence[Feature]) -> Floats:
    """Few records, by the contract's field names, as points, as ``ClusterModel.encode`` has them."""
    kinds = {"number": pl.Float64(), "category": pl.Categorical()}
    lacking = [pl.lit(None).alias(each.name) for each in features if each.name not in records.columns]
    typed = records.with_columns(lacking).select(
        pl.col(each.name).cast(kinds[each.kind]) for each in features
    )
    return np.hstack([_encoder(typed[each.name], each)(typed) for each in features])


def clusters_of(records: pl.DataFrame, model: ClusterModel) -> NDArray[np.int64]:
    """The cluster of each of few records, shape (n,), as ``ClusterModel.assign`` has it."""
    nearest: NDArray[np.int64] = squared_distances(encoded(records, model.features), model.centres).argmin(1)
    return nearest


def _encoder(values: pl.Series, feature: Feature) -> Callable[[pl.DataFrame], Floats]:
    return _number(values.name, feature) if feature.kind == "number" else _category(values, feature)


def _number(column: str, feature: Feature) -> Callable[[pl.DataFrame], Floats]:
    def encode(block: pl.DataFrame) -> Floats:
        filled: Floats = block[column].fill_null(feature.fill).to_numpy()
        return filled[:, None] * feature.scale

    return encode


def _category(values: pl.Series, feature: Feature) -> Callable[[pl.DataFrame], Floats]:
    """By a table from a category's code to its encoding; the last row is that of a missing one."""
    known = values.unique().drop_nulls()
    codes = known.to_physical().to_numpy().astype(np.int64)
    table: Floats = np.repeat(feature.encode([None]), codes.max(initial=-1) + 2, axis=0)
    table[codes] = feature.encode(known.cast(pl.String).to_list())
    name = values.name

    def encode(block: pl.DataFrame) -> Floats:
        code = block[name].to_physical().fill_null(len(table) - 1).to_numpy()
        return cast(Floats, table[code])

    return encode


def assigned(points: Points, centres: Floats) -> tuple[NDArray[np.int32], Floats]:
    """Each point's cluster, shape (n,), and its Euclidean distance to the centre, shape (n,), as
    ``ClusterModel.assign`` has them."""

    clusters, distances = np.empty(len(points), np.int32), np.empty(len(points))

    def nearest(block: Floats, place: slice) -> None:
        squares = squared_distances(block, centres)
        clusters[place], distances[place] = squares.argmin(axis=1), np.sqrt(squares.min(axis=1))

    points.each(nearest)
    return clusters, distances
