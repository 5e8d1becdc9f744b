"""``python -m local_stack.warm_spark sc://host:port``: runs once what every window's training runs.

Classes get loaded and code compiled before the first window needs them.
"""

import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sf

from resources.contract import Contract
from resources.spark import check_answers, give_up_early, selected_records, suit_size

CONTRACT = Contract(
    topic="warm",
    id="id",
    fields={"id": "string", "category": "string", "number": "number", "other": "number"},
    features=["category", "number", "other"],
)


def warm(spark: SparkSession) -> None:
    """Read, count, encode and assign a few made-up records, with the steps that production takes."""
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
    frame = records.repartition(1, "record_id").sortWithinPartitions("record_id").cache()
    values = sf.array(
        *(
            sf.struct(sf.lit(name).alias("feature"), sf.col(name).alias("number"))
            for name in ("number", "other")
        )
    )
    frame.select(sf.spark_partition_id().alias("partition"), "category", sf.inline(values)).groupBy(
        "partition", "feature", "category"
    ).agg(sf.count("*"), sf.avg("number"), sf.stddev_samp("number")).toArrow()
    place = sf.array_position(sf.lit(["a", "b"]), sf.col("category"))
    points = frame.withColumns({"point 0": place * 0.5, "point 1": sf.coalesce("number", sf.lit(3.0)) * 0.5})
    points.select("point 0", "point 1").toArrow()
    squares = sf.array(*(sf.pow(sf.col("point 0") - x, 2) + sf.col("point 1") * x for x in (0.0, 1.0)))
    points.withColumn("cluster", sf.array_position(squares, sf.array_min(squares))).select(
        "record_id", "cluster", sf.to_json(sf.struct("category", "number"))
    ).toArrow()


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
