"""``python -m local_stack.warm_spark sc://host:port``: runs once what every window's training runs.

Classes get loaded and code compiled before the first window needs them.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import polars as pl
from pyspark.ml import Pipeline
from pyspark.ml.clustering import KMeans
from pyspark.ml.evaluation import ClusteringEvaluator
from pyspark.ml.feature import Imputer, StandardScaler, StringIndexer, VectorAssembler
from pyspark.sql import SparkSession
from pyspark.sql.functions import avg, count


def warm(spark: SparkSession) -> None:
    """Train and evaluate on a few made-up rows, with the stages that production uses."""
    rows = pl.DataFrame(
        {
            "category": [("a", "b", "c")[i % 3] for i in range(60)],
            "number": [None if i % 10 == 0 else float(i % 7) for i in range(60)],
            "other": [float(i % 2 * 10) for i in range(60)],
        }
    )
    with tempfile.TemporaryDirectory(prefix="silt-warm-") as folder:
        file = Path(folder) / "rows.parquet"
        rows.write_parquet(file)
        _train(spark, str(file))


def _train(spark: SparkSession, path: str) -> None:
    frame = spark.read.parquet(path)
    frame.groupBy("category").agg(count("number"), avg("other")).toArrow()
    stages: list[Any] = [
        StringIndexer(inputCol="category", outputCol="category_index", handleInvalid="keep"),
        Imputer(inputCols=["number", "other"], outputCols=["number_full", "other_full"], strategy="mean"),
        VectorAssembler(inputCols=["category_index", "number_full", "other_full"], outputCol="raw"),
        StandardScaler(inputCol="raw", outputCol="features", withStd=True, withMean=False),
        KMeans(featuresCol="features", predictionCol="cluster", k=2, seed=1, maxIter=2),
    ]
    model = Pipeline(stages=stages).fit(frame)
    clustered = model.transform(frame)
    ClusteringEvaluator(featuresCol="features", predictionCol="cluster").evaluate(clustered)
    clustered.select("cluster").toArrow()


def main() -> None:
    spark = SparkSession.builder.remote(sys.argv[1]).create()
    try:
        warm(spark)
    finally:
        spark.stop()


if __name__ == "__main__":
    main()
