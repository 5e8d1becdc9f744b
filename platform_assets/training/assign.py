"""Assigning with Spark: the stored model as expressions, the same answer as ``ClusterModel.assign``."""

from collections.abc import Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf

from resources.cluster_model import ClusterModel, Feature, Floats
from resources.contract import Contract
from resources.spark import column

LEAST = "least square"  # a blank is in no column of a record, nor of the lake
_SQUARES = "all squares"
MANY = 65_536
"""For more records, sums are written out: Spark plans a term for 5 ms, and then compiles it to a sixth of the
70 ns that it takes in a loop."""
_LONGEST = 1_000
"""Terms; a longer sum is a loop however many records there are."""


def assigned(records: DataFrame, contract: Contract, model: ClusterModel, count: int = 0) -> DataFrame:
    """The records with two more columns: ``cluster``, and ``distance`` to its centre (Euclidean, scaled).

    Args:
        count: of the records; the answer does not depend on it, the time of :data:`MANY` does.
    """
    points, names = with_point(records, contract, model.features)
    clustered = nearest(points, names, model.centres, count)
    return clustered.withColumn("distance", sf.sqrt(LEAST)).drop(LEAST, *names)


def nearest(points: DataFrame, names: Sequence[str], centres: Floats, count: int) -> DataFrame:
    """Two more columns: ``cluster``, the nearest of the centres (of equally near ones the first), and
    :data:`LEAST`, the squared distance to it.

    Args:
        names: of the point's columns.
        centres: shape (k, d).
        count: of the points, see :func:`squares`.
    """
    least = sf.array_min(_SQUARES)
    return (
        points.withColumn(_SQUARES, squares(names, centres, count))
        .withColumn("cluster", (sf.array_position(_SQUARES, least) - 1).cast("int"))
        .withColumn(LEAST, least)
        .drop(_SQUARES)
    )


def squares(names: Sequence[str], centres: Floats, count: int) -> Column:
    """The squared distances to the centres, an array: added up column by column, as numpy does it.

    Args:
        count: of the points; more than :data:`MANY` are worth a longer plan, which gives the same answer.
    """
    if count <= MANY or centres.size > _LONGEST:
        return _looped(names, centres)
    return sf.array(
        *(
            reduce(lambda total, term: total + term, (_square(sf.col(name) - place) for name, place in terms))
            for terms in (zip(names, centre, strict=True) for centre in centres.tolist())
        )
    )


def _square(difference: Column) -> Column:
    return difference * difference


def _looped(names: Sequence[str], centres: Floats) -> Column:
    coordinates = sf.array(*names)
    return sf.transform(
        sf.array(*(sf.lit(centre) for centre in centres.tolist())),
        lambda centre: sf.aggregate(
            sf.zip_with(coordinates, centre, lambda a, b: (a - b) * (a - b)),
            sf.lit(0.0),
            lambda total, square: total + square,
        ),
    )


def with_point(
    records: DataFrame, contract: Contract, features: Sequence[Feature]
) -> tuple[DataFrame, list[str]]:
    """The records with more columns, the encoded and scaled features: the same as ``Feature.encode``.

    Returns:
        The frame, and these columns' names: with a blank, which no column of a record has.
    """
    columns = [column for feature in features for column in _encoded(contract, feature)]
    named = {f"point {place}": column for place, column in enumerate(columns)}
    return records.withColumns(named), list(named)


def _encoded(contract: Contract, feature: Feature) -> list[Column]:
    value, other = sf.col(column(contract, feature.name)), len(feature.labels)
    if feature.kind == "number":
        return [sf.coalesce(value, sf.lit(feature.fill)) * feature.scale]
    if feature.one_hot:
        one, none = sf.lit(feature.scale), sf.lit(0.0)
        own = [sf.when(value == label, one).otherwise(none) for label in feature.labels]
        return [*own, sf.when(value.isin(*feature.labels), none).otherwise(one)]
    labels = sf.lit(list(feature.labels)) if feature.labels else sf.array().cast("array<string>")
    place = sf.array_position(labels, value)
    return [sf.when(place > 0, place - 1).otherwise(other).cast("double") * feature.scale]
