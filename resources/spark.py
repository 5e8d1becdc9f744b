"""Spark's configuration, and a window's records as a Spark frame."""

import socket
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from pyspark.errors.exceptions.connect import SparkConnectGrpcException
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as sf
from pyspark.sql.connect.client.retries import DefaultPolicy
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
from resources.errors import TransientError
from resources.settings import Settings

DEFAULT_PORT = 15002
SERVER_ERRORS = (SparkConnectGrpcException,)
"""What a session raises when its server is gone."""
SMALL = 20_000
"""Up to so many records, compiling what Spark runs takes longer than running it uncompiled."""
_UNCOMPILED = {
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
}
_JVM_METHOD_LIMIT = 8000
"""Bytes of code, HotSpot's HugeMethodLimit."""
_TYPES = {"string": StringType(), "number": DoubleType()}


def spark_config(settings: Settings) -> dict[str, str]:
    """The session's configuration: Spark Connect, times in UTC."""
    return {"spark.remote": settings.spark_url, "spark.sql.session.timeZone": "UTC"}


def check_answers(url: str) -> None:
    """Make sure that a Spark Connect server listens, before a client waits minutes for it.

    Raises:
        TransientError: it does not.
    """
    address = urlsplit(url)
    try:
        socket.create_connection((address.hostname or "", address.port or DEFAULT_PORT), 10).close()
    except OSError as error:
        raise TransientError(
            f"Spark at {url} does not answer ({error}): start it, or set SILT_SPARK_REMOTE."
        ) from None


def give_up_early(spark: SparkSession) -> None:
    """Let a session retry a lost server for about 20 seconds instead of ten minutes."""
    client: Any = spark.client
    client.set_retry_policies([DefaultPolicy(max_retries=5)])


def suit_size(spark: SparkSession, records: int) -> None:
    """Let a session run a small window uncompiled, which costs a third less CPU time for 500 records.

    Of a large one, Spark must write no method that the JVM leaves uncompiled: that takes nine times as long.
    """
    spark.conf.set("spark.sql.codegen.hugeMethodLimit", _JVM_METHOD_LIMIT)
    for name, value in _UNCOMPILED.items():
        if records <= SMALL:
            spark.conf.set(name, value)
        else:
            spark.conf.unset(name)


def stopped_answering(url: str, error: Exception) -> TransientError:
    """The error of ours for a server that went away in the middle of a session."""
    return TransientError(f"Spark at {url} stopped answering: {' '.join(str(error).split())[:300]}")


def selected_records(
    spark: SparkSession,
    contract: Contract,
    windows: Sequence[str],
    files: Sequence[str],
    attempts: Sequence[str],
) -> DataFrame:
    """The selected records of windows, as ``resources.batch`` selects them in each.

    Columns: ``record_id``, ``event_time``, ``kafka_partition``, ``kafka_offset``, and the contract's.

    Args:
        files: the Parquet files of the table ``records`` that can hold the windows' rows.
        attempts: those that the ledger names.
    """
    rows = spark.read.schema(_schema(contract)).parquet(*map(_url, files))
    landed = rows.where(
        sf.col("window").isin(list(windows)) & ~sf.col("too_late") & sf.col("attempt").isin(list(attempts))
    ).where(sf.col("record_id").isNotNull())  # erased
    unique = ["record_id"] if len(windows) == 1 else ["window", "record_id"]
    latest_first = Window.partitionBy(*unique).orderBy(
        sf.desc("event_time"), sf.desc("kafka_partition"), sf.desc("kafka_offset"), sf.desc("intake")
    )
    return (
        landed.withColumn("rank", sf.row_number().over(latest_first))
        .where(sf.col("rank") == 1)
        .drop("rank", "window", "too_late", "intake", "attempt")
    )


def _url(file: str) -> str:
    """A local path as Hadoop takes it whatever its default file system is; it wants no percent-encoding."""
    return f"file://{file}" if file.startswith("/") else file


def arrow_tables(frame: DataFrame) -> Iterator[Any]:
    """A frame's rows as they come, as Arrow tables: ``toArrow`` would hold them all.

    What ``toLocalIterator`` of pyspark goes over, before it makes objects of the rows.
    """
    connected: Any = frame
    client, plan = connected.sparkSession.client, connected._plan
    answers = client.to_table_as_iterator(plan.to_proto(client), plan.observations)
    return (table for table in answers if not isinstance(table, StructType))


def column(contract: Contract, field: str) -> str:
    """A field's column as Spark's SQL takes its name."""
    quoted = contract.columns[field].replace("`", "``")
    return f"`{quoted}`"


def _schema(contract: Contract) -> StructType:
    schema = (
        StructType()
        .add("window", StringType())
        .add("event_time", TimestampType())
        .add("too_late", BooleanType())
        .add("intake", LongType())
        .add("attempt", StringType())
        .add("kafka_partition", IntegerType())
        .add("kafka_offset", LongType())
    )
    for field, kind in contract.fields.items():
        schema = schema.add(contract.columns[field], _TYPES[kind])
    return schema
