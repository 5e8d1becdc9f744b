"""Assigning with Spark: the stored model as expressions, the same answer as ``ClusterModel.assign``."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf

from platform_assets.training.features import point
from resources.cluster_model import ClusterModel
from resources.contract import Contract


def assigned(records: DataFrame, contract: Contract, model: ClusterModel) -> DataFrame:
    """The records with two more columns: ``cluster``, and ``distance`` to its centre (Euclidean, scaled)."""
    encoded = point(contract, model.features)
    with_squares = records.withColumn("point", encoded).withColumn("squares", _squares(model))
    least = sf.array_min("squares")
    return (
        with_squares.withColumn("cluster", (sf.array_position("squares", least) - 1).cast("int"))
        .withColumn("distance", sf.sqrt(least))
        .drop("point", "squares")
    )


def _squares(model: ClusterModel) -> Column:
    centres = sf.array(*(sf.lit(centre) for centre in model.centres.tolist()))
    return sf.transform(
        centres,
        lambda centre: sf.aggregate(
            sf.zip_with("point", centre, lambda a, b: (a - b) * (a - b)),
            sf.lit(0.0),
            lambda total, square: total + square,
        ),
    )
