"""Assigning with Spark: the stored model as expressions, the same answer as ``ClusterModel.assign``."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf

from resources.cluster_model import ClusterModel, Feature
from resources.contract import Contract
from resources.spark import column


def assigned(records: DataFrame, contract: Contract, model: ClusterModel) -> DataFrame:
    """The records with two more columns: ``cluster``, and ``distance`` to its centre (Euclidean, scaled)."""
    point = sf.array(*(_encoded(contract, feature) for feature in model.features))
    with_squares = records.withColumn("point", point).withColumn("squares", _squares(model))
    least = sf.array_min("squares")
    return (
        with_squares.withColumn("cluster", (sf.array_position("squares", least) - 1).cast("int"))
        .withColumn("distance", sf.sqrt(least))
        .drop("point", "squares")
    )


def _encoded(contract: Contract, feature: Feature) -> Column:
    value = sf.col(column(contract, feature.name))
    if feature.kind == "number":
        raw = sf.coalesce(value, sf.lit(feature.mean))
    else:
        labels = sf.lit(list(feature.labels)) if feature.labels else sf.array().cast("array<string>")
        place = sf.array_position(labels, value)
        raw = sf.when(place > 0, place - 1).otherwise(len(feature.labels)).cast("double")
    return raw * feature.scale


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
