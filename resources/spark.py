"""Spark's configuration, and a window's records as a Spark frame."""

from collections.abc import Sequence

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql.types import (
    BooleanType,
    DoubleType,
    IntegerType,
    LongType,
    StringType,
    StructType,
    TimestampType,
)

from resources.contract import Contract
from resources.settings import Settings

_TYPES = {"string": StringType(), "number": DoubleType()}


def spark_config(settings: Settings) -> dict[str, str]:
    """The session's configuration: Spark Connect, times in UTC."""
    return {"spark.remote": settings.spark_url, "spark.sql.session.timeZone": "UTC"}


def selected_records(
    spark: SparkSession, contract: Contract, window: str, files: Sequence[str], attempts: Sequence[str]
) -> DataFrame:
    """A window's selected records, as ``resources.batch`` selects them.

    Columns: ``record_id``, ``event_time``, ``kafka_partition``, ``kafka_offset``, and the contract's.

    Args:
        files: the Parquet files of the table ``records`` that can hold the window's rows.
        attempts: those that the ledger names.
    """
    rows = spark.read.schema(_schema(contract)).parquet(*files)
    landed = rows.where(
        (F.col("window") == window) & ~F.col("too_late") & F.col("attempt").isin(list(attempts))
    )
    latest_first = Window.partitionBy("record_id").orderBy(
        F.desc("event_time"), F.desc("kafka_partition"), F.desc("kafka_offset")
    )
    return (
        landed.withColumn("rank", F.row_number().over(latest_first))
        .where(F.col("rank") == 1)
        .drop("rank", "window", "too_late", "attempt")
    )


def column(contract: Contract, field: str) -> str:
    """A field's column as Spark's SQL takes its name."""
    return f"`{contract.columns[field]}`"


def _schema(contract: Contract) -> StructType:
    schema = (
        StructType()
        .add("window", StringType())
        .add("record_id", StringType())
        .add("event_time", TimestampType())
        .add("too_late", BooleanType())
        .add("attempt", StringType())
        .add("kafka_partition", IntegerType())
        .add("kafka_offset", LongType())
    )
    for field, kind in contract.fields.items():
        schema = schema.add(contract.columns[field], _TYPES[kind])
    return schema
