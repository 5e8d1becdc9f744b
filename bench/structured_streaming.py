"""``python -m bench.structured_streaming FOLDER``: what Silt is measured against, on one warm Spark.

Structured Streaming and MLlib do the job. While a window is open its records are taken in, parsed, cached and
counted, in a few large micro-batches. Once it has closed KMeans is fitted, and one pass assigns every record,
sums up each cluster and writes Parquet. The settings are those that were quickest. It keeps none of Silt's
guarantees: nothing survives a crash, no record comes late or twice, none breaks the contract. Its statistics
leave out the categories' most frequent values.

Windows' keys come in on standard input. A window's answer is there once ``FOLDER/<key>/answer.json`` is.
"""

import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import reduce
from pathlib import Path
from typing import Any

import click
import numpy as np
from pyspark.ml.clustering import KMeans
from pyspark.ml.functions import array_to_vector
from pyspark.sql import Column, DataFrame, Observation, SparkSession
from pyspark.sql import functions as sf

from bench.summaries import Summary, features, summed_up
from local_stack import ivy
from resources.cluster_model import ClusterModel, Feature
from resources.contract import Contract, load_contract
from resources.settings import Settings, load_settings
from resources.windows import Window

PACKAGE = "org.apache.spark:spark-sql-kafka-0-10_2.13:4.2.0"
ANSWER = "answer.json"
_OPTIONS = {
    "spark.driver.memory": "4g",
    "spark.driver.extraJavaOptions": "-XX:+UseParallelGC",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.jars.packages": PACKAGE,
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.shuffle.partitions": "2",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}
_BATCHES = (0.4, 0.8, 0.95, 1.0)
"""How much of a window is over at each micro-batch: few of them, since few cached frames are read quickly.
The last is small, and so over before the close."""
_ARRIVED = timedelta(seconds=0.3)
"""So long after a window's end its last records are in the topic."""
_SMALL = 20_000
"""Up to so many records, compiling takes longer than running uncompiled, and a task longer than its rows."""
_UNCOMPILED = {"spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN"}
_SUMMARIES = (sf.count, sf.avg, sf.stddev_samp, sf.min, sf.max)


def connect(folder: Path, settings: Settings) -> SparkSession:
    """Start Spark with the Kafka source, which Ivy brings."""
    os.environ["SPARK_SUBMIT_OPTS"] = shlex.join(ivy.proxy_properties(os.environ))
    options = _OPTIONS | {"spark.local.dir": str(folder / "tmp")}
    if settings.maven_mirror:
        options["spark.jars.ivySettings"] = str(ivy.write_settings(folder, settings.maven_mirror))
    builder = SparkSession.builder.master("local[*]")
    for name, value in options.items():
        builder = builder.config(name, value)
    session: SparkSession = builder.getOrCreate()
    return session


class Pipeline:
    """Answers windows, one after the other."""

    def __init__(self, spark: SparkSession, settings: Settings, contract: Contract, folder: Path) -> None:
        self._spark, self._settings, self._contract, self._folder = spark, settings, contract, folder
        self._cores = spark.sparkContext.defaultParallelism

    def answer(self, window: Window) -> None:
        """Take a window in while it is open, and answer it once it has closed."""
        frames: list[DataFrame] = []
        summaries: list[Summary] = []

        def take(messages: DataFrame, _: int) -> None:
            frames.append(self._parsed(messages, window).persist())
            summaries.extend(summed_up(frames[-1], self._contract))

        for part in _BATCHES:
            _sleep(window.start + (window.end - window.start) * part + _ARRIVED)
            self._micro_batch(window, take)
        moments = {"read": time.time()}
        _sleep(self._settings.grid.close(window))
        answer = self._answered(window, reduce(DataFrame.union, frames), summaries, moments)
        file = self._folder / window.key / ANSWER
        file.with_suffix(".new").write_text(json.dumps(answer | {"moments": moments}))
        file.with_suffix(".new").replace(file)
        for frame in frames:
            frame.unpersist()

    def _micro_batch(self, window: Window, take: Callable[[DataFrame, int], None]) -> None:
        """What has come since the one before: the query goes on from its checkpoint."""
        source = {
            "kafka.bootstrap.servers": self._settings.kafka_properties["bootstrap.servers"],
            "subscribe": self._contract.topic,
            "startingTimestamp": str(int(window.start.timestamp() * 1000)),
            "startingOffsetsByTimestampStrategy": "latest",
            "minPartitions": str(self._cores),
        }
        messages = self._spark.readStream.format("kafka").options(**source).load()
        query = messages.writeStream.foreachBatch(take).trigger(availableNow=True)
        checkpoint = str(self._folder / window.key / "checkpoint")
        query.option("checkpointLocation", checkpoint).start().awaitTermination()

    def _parsed(self, messages: DataFrame, window: Window) -> DataFrame:
        """The window's records of a micro-batch: event time, id, and what the answer needs."""
        contract = self._contract
        names = list(dict.fromkeys([contract.id, *contract.features, *contract.statistics.values()]))
        schema = ", ".join(f"`{name}` STRING" for name in names)  # a number may come as text
        record = sf.from_json(sf.col("value").cast("string"), schema).alias("record")
        inside = f"timestamp >= '{window.start}' AND timestamp < '{window.end}'"
        values = {name: sf.col("record").getField(name) for name in names}
        return (
            messages.where(inside)
            .select(sf.col("timestamp").alias("event_time"), record)
            .select("event_time", *(_typed(contract, name, value) for name, value in values.items()))
        )

    def _answered(
        self, window: Window, records: DataFrame, summaries: Sequence[Summary], moments: dict[str, float]
    ) -> dict[str, Any]:
        """Fit, assign, sum up and write the results; the moments at which each is done are noted."""
        total = sum(row["count"] for row in summaries)
        records = records.coalesce(1 if total <= _SMALL else self._cores)
        _suit_size(records.sparkSession, total)
        encoded = features(summaries, self._contract)
        points = {f"point {place}": _point(feature) for place, feature in enumerate(encoded)}
        kmeans = KMeans(k=self._contract.fewest_clusters, seed=self._contract.seed, solver="block")
        fitted = kmeans.fit(records.select(array_to_vector(sf.array(*points.values())).alias("features")))
        model = ClusterModel(encoded, np.asarray(fitted.clusterCenters()))
        moments["fitted"] = time.time()
        clustered = _clustered(records.withColumns(points), model).drop(*points)
        summed = Observation()
        clustered = clustered.observe(summed, *self._statistics(len(model.centres)))
        clustered.write.parquet(str(self._folder / window.key / "results"))
        moments["written"] = time.time()
        return {"records": total, "statistics": summed.get, **model.row()}

    def _statistics(self, clusters: int) -> list[Column]:
        """Of each cluster the count, and the numbers' count, mean, deviation, least and greatest."""
        names = dict.fromkeys([*self._contract.numbers, *self._contract.statistics.values()])
        found = []
        for cluster in range(clusters):
            mine = sf.col("cluster") == cluster
            found.append(sf.count_if(mine).alias(f"{cluster} count"))
            for name in names:
                value = sf.when(mine, sf.col(f"`{name}`"))
                found += [make(value).alias(f"{cluster} {name} {make.__name__}") for make in _SUMMARIES]
        return found


def _typed(contract: Contract, name: str, value: Column) -> Column:
    if contract.fields[name] == "number":
        return value.try_cast("double").alias(name)
    return sf.nullif(value, sf.lit("")).alias(name)


def _suit_size(spark: SparkSession, records: int) -> None:
    for name, value in _UNCOMPILED.items():
        if records <= _SMALL:
            spark.conf.set(name, value)
        else:
            spark.conf.unset(name)


def _point(feature: Feature) -> Column:
    value = sf.col(f"`{feature.name}`")
    if feature.kind == "number":
        return sf.coalesce(value, sf.lit(feature.fill)) * feature.scale
    place = sf.lit(len(feature.labels) * feature.scale)
    for rank, label in reversed(list(enumerate(feature.labels))):
        place = sf.when(value == label, sf.lit(rank * feature.scale)).otherwise(place)
    return place


def _clustered(points: DataFrame, model: ClusterModel) -> DataFrame:
    """Two more columns: the cluster, and the distance to its centre."""
    squares = {f"square {cluster}": _square(centre) for cluster, centre in enumerate(model.centres.tolist())}
    names = list(squares)
    cluster = sf.lit(len(names) - 1)
    for place in reversed(range(len(names) - 1)):
        cluster = sf.when(sf.col(names[place]) == sf.col("least"), place).otherwise(cluster)
    return (
        points.withColumns(squares)
        .withColumn("least", sf.least(*names))
        .withColumns({"cluster": cluster, "distance": sf.sqrt("least")})
        .drop("least", *names)
    )


def _square(centre: list[float]) -> Column:
    differences = (sf.col(f"point {place}") - value for place, value in enumerate(centre))
    return reduce(lambda total, term: total + term, (difference * difference for difference in differences))


def _sleep(moment: datetime) -> None:
    time.sleep(max(0.0, (moment - datetime.now(UTC)).total_seconds()))


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def main(folder: Path) -> None:
    """Answer the windows whose keys come in, one a line, below FOLDER; ends with its input."""
    settings = load_settings()
    pipeline = Pipeline(connect(folder, settings), settings, load_contract(settings.contract), folder)
    click.echo("ready")
    for line in sys.stdin:
        pipeline.answer(settings.grid.window(line.strip()))


if __name__ == "__main__":
    main()
