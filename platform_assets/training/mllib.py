"""The trainer ``mllib``: KMeans of pyspark.ml, one start from the contract's seed."""

from collections.abc import Callable
from functools import partial

import numpy as np
from pyspark.ml.clustering import KMeans
from pyspark.ml.functions import array_to_vector
from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

from platform_assets.training.assign import with_point
from platform_assets.training.engines import Records
from platform_assets.training.features import Profile
from platform_assets.training.on_spark import SparkPoints
from platform_assets.training.training import Stopwatch, Training
from resources.cluster_model import ClusterModel
from resources.contract import Contract


def in_order(records: DataFrame, count: int) -> DataFrame:
    """The records in one Spark partition, by (event time, Kafka partition, offset).

    So training is repeatable, whatever the number of Kafka partitions.
    """
    return records.repartition(1).sortWithinPartitions("event_time", "kafka_partition", "kafka_offset")


def begin(ordered: Records, contract: Contract, found: Profile) -> Callable[[], Training]:
    """What is returned fits KMeans on the encoded records.

    Args:
        ordered: the records, :func:`in_order`.
        found: what they look like; there are enough.
    """
    return partial(_train, ordered, contract, found)


def _train(ordered: Records, contract: Contract, found: Profile) -> Training:
    assert isinstance(ordered, DataFrame)
    watch = Stopwatch()
    points, names = with_point(ordered, contract, found.features)
    with watch.step("fit"):
        vectors = points.select(array_to_vector(sf.array(*names)).alias("features"))
        kmeans = KMeans(k=contract.fewest_clusters, seed=contract.seed)
        fitted = kmeans.fit(vectors)
        centres = np.asarray(fitted.clusterCenters())
        iterations = fitted.summary.numIter
    with watch.step("score"):
        asked = SparkPoints(points, names, found.records)
        scores = asked.quality(centres, asked.sums(centres))
    return Training(
        model=ClusterModel(found.features, centres),
        quality=scores,
        candidates=(),
        converged=iterations < kmeans.getMaxIter(),
        iterations=iterations,
        starts=1,
        found=1,
        sample=None,
        seconds=watch.seconds,
    )
