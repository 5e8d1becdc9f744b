"""The trainer ``mllib``: a pyspark.ml pipeline with one KMeans start from the contract's seed."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.clustering import KMeans
from pyspark.ml.evaluation import ClusteringEvaluator
from pyspark.ml.feature import Imputer, StandardScaler, StringIndexer, VectorAssembler
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf

from resources.cluster_model import ClusterModel, Feature
from resources.contract import Contract
from resources.spark import column


@dataclass(frozen=True)
class Profile:
    """What a window's records look like before training.

    Attributes:
        features: those with few enough nulls, in the contract's order.
        left_out: the others.
        enough: whether there are at least as many distinct points as clusters.
    """

    features: list[str]
    left_out: list[str]
    enough: bool


@dataclass(frozen=True)
class Training:
    """A trained model and its scores.

    Attributes:
        inertia: sum of squared distances to the centres, in scaled units.
        silhouette: mean, squared Euclidean (Spark's ClusteringEvaluator); None of a single cluster.
        sizes: records per cluster.
        pipeline: the fitted stages, for as long as the session lives.
    """

    model: ClusterModel
    inertia: float
    silhouette: float | None
    sizes: list[int]
    pipeline: PipelineModel


def profile(records: DataFrame, contract: Contract) -> Profile:
    """Which features have few enough nulls, and whether the points suffice."""
    counted = records.agg(
        sf.count("*"),
        *(sf.count(column(contract, name)) for name in contract.features),
        *(sf.avg(column(contract, name)) for name in contract.numbers),
    ).first()
    total, *found = counted or (0,)
    present = dict(zip(contract.features, found, strict=False))
    means = dict(zip(contract.numbers, found[len(present) :], strict=True))
    kept = [
        name
        for name, count in present.items()
        if count and (total - count) / total <= contract.max_null_share
    ]
    points = records.select(*(_filled(contract, name, means) for name in kept)).distinct()
    enough = bool(kept) and points.limit(contract.clusters).count() == contract.clusters
    return Profile(kept, [name for name in contract.features if name not in kept], enough)


def _filled(contract: Contract, name: str, means: dict[str, float]) -> Column:
    """A feature as training sees it: two records that differ only by a filled null are one point."""
    value = sf.col(column(contract, name))
    return sf.coalesce(value, sf.lit(means[name])) if name in means else value


def in_order(records: DataFrame) -> DataFrame:
    """The records in one Spark partition, by (event time, Kafka partition, offset), cached.

    So training is repeatable, whatever the number of Kafka partitions.
    """
    ordered = records.repartition(1).sortWithinPartitions("event_time", "kafka_partition", "kafka_offset")
    return ordered.persist()


def train(ordered: DataFrame, contract: Contract, features: list[str]) -> Training:
    """Fit the pipeline: categories indexed by frequency, numbers filled with their mean, scaled, KMeans.

    Args:
        ordered: the records, :func:`in_order`.
    """
    points = ordered.select(
        [sf.col(column(contract, name)).alias(f"in_{i}") for i, name in enumerate(features)]
    )
    pipeline = Pipeline(stages=_stages(contract, features)).fit(points)
    kmeans: Any = pipeline.stages[-1]
    several = len(kmeans.clusterCenters()) > 1
    evaluator = ClusteringEvaluator(featuresCol="scaled")
    silhouette = evaluator.evaluate(pipeline.transform(points)) if several else None
    model = ClusterModel(_features(pipeline, contract, features), np.asarray(kmeans.clusterCenters()))
    summary = kmeans.summary
    return Training(model, summary.trainingCost, silhouette, summary.clusterSizes, pipeline)


def _stages(contract: Contract, features: list[str]) -> list[Any]:
    kinds = [contract.fields[name] for name in features]
    categories = [i for i, kind in enumerate(kinds) if kind == "string"]
    numbers = [i for i, kind in enumerate(kinds) if kind == "number"]
    stages: list[Any] = []
    if categories:
        stages.append(
            StringIndexer(
                inputCols=[f"in_{i}" for i in categories],
                outputCols=[f"out_{i}" for i in categories],
                handleInvalid="keep",
            )
        )
    if numbers:
        stages.append(
            Imputer(inputCols=[f"in_{i}" for i in numbers], outputCols=[f"out_{i}" for i in numbers])
        )
    return [
        *stages,
        VectorAssembler(inputCols=[f"out_{i}" for i in range(len(features))], outputCol="assembled"),
        StandardScaler(inputCol="assembled", outputCol="scaled"),
        KMeans(featuresCol="scaled", k=contract.clusters, seed=contract.seed),
    ]


def _features(pipeline: PipelineModel, contract: Contract, names: list[str]) -> tuple[Feature, ...]:
    fitted: list[Any] = pipeline.stages
    *encoders, _, scaler, _ = fitted
    labels: dict[str, tuple[str, ...]] = {}
    means: dict[str, float] = {}
    for encoder in encoders:
        if hasattr(encoder, "labelsArray"):
            labels = dict(zip(encoder.getInputCols(), map(tuple, encoder.labelsArray), strict=True))
        else:
            means = encoder.surrogateDF.first().asDict()
    scales = [1 / std if std else 0.0 for std in scaler.std]
    return tuple(
        Feature(
            name=name,
            kind="category" if contract.fields[name] == "string" else "number",
            labels=labels.get(f"in_{i}", ()),
            mean=means.get(f"in_{i}"),
            scale=scale,
        )
        for i, (name, scale) in enumerate(zip(names, scales, strict=True))
    )
