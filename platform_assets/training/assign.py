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
_UNROLLED = 400
"""Up to so many terms, sums are written out, which Spark compiles to a fifth of a loop's time; the plan of
more takes longer than a loop over a small window does."""


def assigned(records: DataFrame, contract: Contract, model: ClusterModel) -> DataFrame:
    """The records with two more columns: ``cluster``, and ``distance`` to its centre (Euclidean, scaled)."""
    points, names = with_point(records, contract, model.features)
    clustered = nearest(points, names, model.centres)
    return clustered.withColumn("distance", sf.sqrt(LEAST)).drop(LEAST, *names)


def nearest(points: DataFrame, names: Sequence[str], centres: Floats) -> DataFrame:
    """Two more columns: ``cluster``, the nearest of the centres (of equally near ones the first), and
    :data:`LEAST`, the squared distance to it.

    Args:
        names: of the point's columns.
        centres: shape (k, d).
    """
    least = sf.array_min(_SQUARES)
    return (
        points.withColumn(_SQUARES, squares(names, centres))
        .withColumn("cluster", (sf.array_position(_SQUARES, least) - 1).cast("int"))
        .withColumn(LEAST, least)
        .drop(_SQUARES)
    )


def squares(names: Sequence[str], centres: Floats) -> Column:
    """The squared distances to the centres, an array: added up column by column, as numpy does it."""
    if centres.size > _UNROLLED:
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
