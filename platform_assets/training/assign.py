"""Assigning with Spark: the stored model as expressions, the same answer as ``ClusterModel.assign``."""

from collections.abc import Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf

from platform_assets.training.features import with_point
from resources.cluster_model import ClusterModel, Floats
from resources.contract import Contract

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
