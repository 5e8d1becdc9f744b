"""``python -m local_stack.warm_spark sc://host:port``: runs once what every window's training runs.

Classes get loaded and code compiled before the first window needs them.
"""

import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
from pyspark.ml import Pipeline
from pyspark.ml.clustering import KMeans
from pyspark.ml.evaluation import ClusteringEvaluator
from pyspark.ml.feature import Imputer, StandardScaler, StringIndexer, VectorAssembler
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import avg, count

from resources.contract import Contract
from resources.spark import check_answers, give_up_early, selected_records, suit_size

CONTRACT = Contract(
    topic="warm",
    id="id",
    fields={"id": "string", "category": "string", "number": "number", "other": "number"},
    features=["category", "number", "other"],
)


def warm(spark: SparkSession) -> None:
    """Read, train and evaluate on a few made-up records, with the steps that production takes."""
    suit_size(spark, records=60)
    with tempfile.TemporaryDirectory(prefix="silt-warm-") as folder:
        file = Path(folder) / "records.parquet"
        _records().write_parquet(file)
        _train(selected_records(spark, CONTRACT, ["window"], [str(file)], ["attempt"]))


def _records() -> pl.DataFrame:
    fields = {
        "category": [("a", "b", "c")[i % 3] for i in range(60)],
        "number": [None if i % 10 == 0 else float(i % 7) for i in range(60)],
        "other": [float(i % 2 * 10) for i in range(60)],
    }
    return pl.DataFrame(fields).select(
        pl.lit("window").alias("window"),
        pl.int_range(60).cast(pl.String).alias("record_id"),
        pl.lit(datetime(2026, 1, 1, tzinfo=UTC)).alias("event_time"),
        pl.lit(False).alias("too_late"),
        pl.lit("attempt").alias("attempt"),
        pl.lit(0, pl.Int32).alias("kafka_partition"),
        pl.int_range(60).alias("kafka_offset"),
        pl.col("category").alias("id"),
        *fields,
    )


def _train(records: DataFrame) -> None:
    frame = records.cache()
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
    """Warm the server up, as far as it lives: one that dies meanwhile is no reason for the stack to end."""
    try:
        check_answers(sys.argv[1])
        spark = SparkSession.builder.remote(sys.argv[1]).create()
        give_up_early(spark)
        try:
            warm(spark)
        finally:
            spark.stop()
    except Exception as error:
        sys.stderr.write(f"Spark stays cold until the first window: {' '.join(str(error).split())[:300]}\n")


if __name__ == "__main__":
    main()
