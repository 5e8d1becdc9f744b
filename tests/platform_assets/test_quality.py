"""A clustering's scores: as Spark's own evaluator and the definitions have them, and their corner cases."""

import numpy as np
import polars as pl
import pytest
from pyspark.ml.evaluation import ClusteringEvaluator
from pyspark.ml.functions import array_to_vector
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sf

from platform_assets.training.assign import LEAST, MANY, nearest
from platform_assets.training.on_spark import SparkPoints
from platform_assets.training.quality import Quality, quality
from resources.cluster_model import Floats, squared_distances
from tests.platform_assets.frames import silhouettes


def framed(spark: SparkSession, points: Floats) -> DataFrame:
    columns = {f"point {place}": column for place, column in enumerate(points.T)}
    return spark.createDataFrame(pl.DataFrame(columns).to_arrow())


def in_spark(points: DataFrame, centres: Floats) -> Quality:
    asked = SparkPoints(points, points.columns, 0)
    return asked.quality(centres, asked.sums(centres))


@pytest.mark.parametrize(("k", "d"), [(2, 1), (5, 3), (25, 20)])
def test_silhouettes_are_those_of_sparks_evaluator(spark: SparkSession, k: int, d: int) -> None:
    source = np.random.default_rng(k)
    centres = source.normal(size=(k, d)) * 3
    points = 1_000 + centres[source.integers(0, k, 600)] + source.normal(size=(600, d))
    centres = 1_000 + centres
    frame = framed(spark, points)
    clustered = nearest(frame, frame.columns, centres, 0).select(
        array_to_vector(sf.array(*frame.columns)).alias("features"), sf.col("cluster").alias("prediction")
    )
    expected = ClusteringEvaluator().evaluate(clustered)
    scores = in_spark(frame, centres)
    assert quality(points, centres).silhouette == pytest.approx(expected, abs=1e-7)
    assert scores.silhouette == pytest.approx(expected, abs=1e-7)
    alone = quality(points, centres)
    assert scores.silhouettes == pytest.approx(alone.silhouettes, abs=1e-9)
    assert scores.inertia == pytest.approx(alone.inertia)
    assert (scores.sizes, scores.separation) == (alone.sizes, alone.separation)


def test_sums_written_out_and_in_a_loop_give_the_same_bits_as_numpy(spark: SparkSession) -> None:
    source = np.random.default_rng(2)
    points, centres = source.normal(size=(500, 7)), source.normal(size=(4, 7))
    frame = framed(spark, points)
    squares = squared_distances(points, centres)
    for count in (0, MANY + 1):
        answer = nearest(frame, frame.columns, centres, count).select(*frame.columns, "cluster", LEAST)
        rows = pl.DataFrame(answer.toArrow())
        assert np.array_equal(rows.select(frame.columns).to_numpy(), points)
        assert rows["cluster"].to_list() == squares.argmin(axis=1).tolist()
        assert rows[LEAST].to_list() == squares.min(axis=1).tolist()


def test_centres_need_not_be_means() -> None:
    source = np.random.default_rng(1)
    points, centres = source.normal(size=(300, 2)), np.array([[-2.0, 0.0], [0.5, 3.0], [3.0, -1.0]])
    scores = quality(points, centres)
    clusters = ((points[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
    assert scores.silhouette == pytest.approx(silhouettes(points, clusters).mean(), abs=1e-12)


@pytest.mark.parametrize("where", ["numpy", "spark"])
def test_a_cluster_of_one_record_an_empty_one_and_equal_records(spark: SparkSession, where: str) -> None:
    points = np.array([[0.0], [0.0], [0.0], [9.0]])
    centres = np.array([[0.0], [9.0], [100.0]])
    scores = quality(points, centres) if where == "numpy" else in_spark(framed(spark, points), centres)
    assert scores == Quality(
        inertia=0.0, silhouette=0.75, silhouettes=[1.0, 0.0, None], sizes=[3, 1, 0], separation=9.0
    )


@pytest.mark.parametrize("where", ["numpy", "spark"])
def test_a_single_cluster_has_no_silhouette_and_no_separation(spark: SparkSession, where: str) -> None:
    points, centres = np.array([[1.0], [3.0]]), np.array([[2.0]])
    scores = quality(points, centres) if where == "numpy" else in_spark(framed(spark, points), centres)
    assert scores == Quality(inertia=2.0, silhouette=None, silhouettes=[None], sizes=[2], separation=None)
