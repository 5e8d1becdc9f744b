"""The trainer ``mllib``: KMeans of pyspark.ml, one start from the contract's seed."""

from dataclasses import dataclass

import numpy as np
from pyspark.ml.clustering import KMeans
from pyspark.ml.evaluation import ClusteringEvaluator
from pyspark.ml.functions import array_to_vector
from pyspark.sql import DataFrame

from platform_assets.training.features import point
from resources.cluster_model import ClusterModel, Feature
from resources.contract import Contract


@dataclass(frozen=True)
class Training:
    """A trained model and its scores.

    Attributes:
        inertia: sum of squared distances to the centres, in scaled units.
        silhouette: mean, squared Euclidean (Spark's ClusteringEvaluator); None of a single cluster.
        sizes: records per cluster.
    """

    model: ClusterModel
    inertia: float
    silhouette: float | None
    sizes: list[int]


def in_order(records: DataFrame) -> DataFrame:
    """The records in one Spark partition, by (event time, Kafka partition, offset).

    So training is repeatable, whatever the number of Kafka partitions.
    """
    return records.repartition(1).sortWithinPartitions("event_time", "kafka_partition", "kafka_offset")


def train(ordered: DataFrame, contract: Contract, features: tuple[Feature, ...]) -> Training:
    """Fit KMeans on the encoded records.

    Args:
        ordered: the records, :func:`in_order`.
        features: their encoders, as ``training.features.profile`` fits them.
    """
    points = ordered.select(array_to_vector(point(contract, features)).alias("features"))
    fitted = KMeans(k=contract.clusters, seed=contract.seed).fit(points)
    centres = np.asarray(fitted.clusterCenters())
    evaluated = len(centres) > 1
    silhouette = ClusteringEvaluator().evaluate(fitted.transform(points)) if evaluated else None
    summary = fitted.summary
    return Training(ClusterModel(features, centres), summary.trainingCost, silhouette, summary.clusterSizes)
