"""``python -m bench.training``: the trainers on the same records, warm, in one run."""

import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import numpy as np
import polars as pl
import psutil
from msgspec.structs import replace
from pyspark.sql import DataFrame, SparkSession

from bench.common import own_stack
from local_stack.groups import marked
from platform_assets.training.features import profile
from platform_assets.training.trainers import TRAINERS
from platform_assets.training.training import Training
from resources.contract import ClusterRange, Contract
from resources.spark import selected_records, spark_config, suit_size
from resources.tables import TABLES

NUMBERS = [f"number {place}" for place in range(10)]
CONTRACT = Contract(
    topic="bench",
    id="id",
    fields={"id": "string", **dict.fromkeys(NUMBERS, "number")},
    features=NUMBERS,
)
CASES = ((500, 2), (1_000, 2), (1_000_000, 8))
"""Records, and clusters."""
RANGE = ClusterRange(2, 10)
_WINDOW, _ATTEMPT = "2026-11-24T0500Z", "attempt"
_TIMES = 3


@click.command()
def main() -> None:
    """Train each case four times with either trainer, and with a chosen k; the first time warms it, the best
    of the others counts.

    CPU time is this process's and the Spark server's.
    """
    with own_stack() as stack, TemporaryDirectory(prefix="silt-bench-") as folder:
        stack.start("up", "--no-sample")
        builder = SparkSession.builder
        for name, value in spark_config(stack.settings).items():
            builder = builder.config(name, value)
        (server,) = (each for each in marked(stack.home) if "spark-internal" in each.cmdline())
        spark = builder.create()
        try:
            compare(spark, server, Path(folder))
        finally:
            spark.stop()


def compare(spark: SparkSession, server: psutil.Process, folder: Path) -> None:
    for records, clusters in CASES:
        file = folder / f"{records}.parquet"
        made_up(records, clusters).write_parquet(file)
        suit_size(spark, records)
        for trainer, k in (("mllib", clusters), ("coreset", clusters), ("coreset", RANGE)):
            contract = replace(CONTRACT, trainer=trainer, clusters=k)
            frame = selected_records(spark, contract, [_WINDOW], [str(file)], [_ATTEMPT])
            ordered = TRAINERS[trainer].in_order(frame, records).persist()
            ordered.count()
            runs = [_timed(ordered, contract, server) for _ in range(1 + _TIMES)][1:]
            ordered.unpersist()
            seconds, cpu, training = min(runs, key=lambda run: run[1])
            steps = ", ".join(f"{name} {spent:.2f}" for name, spent in training.seconds.items())
            click.echo(
                f"{records:>9,} records, {clusters} clusters, {trainer:>7}, {_told(k)}: "
                f"{seconds:5.2f} s, CPU {cpu:5.2f} s, "
                f"inertia {training.quality.inertia:.6g} ({steps}; {training.starts} starts)"
            )


def _told(k: int | ClusterRange) -> str:
    return f"k of {k.min} to {k.max}" if isinstance(k, ClusterRange) else f"k = {k}"


def made_up(records: int, clusters: int) -> pl.DataFrame:
    """Landed records of clusters of unequal sizes that overlap a little."""
    source = np.random.default_rng(records)
    centres = source.normal(size=(clusters, len(NUMBERS))) * 1.5
    weights = np.arange(clusters, 0, -1) / np.arange(clusters + 1).sum()
    points = centres[source.choice(clusters, records, p=weights)] + source.normal(
        size=(records, len(NUMBERS))
    )
    ids = pl.int_range(records, eager=True).cast(pl.String)
    kinds = TABLES["records"].schema
    landing = {
        "window": _WINDOW, "too_late": False, "intake": 1, "attempt": _ATTEMPT, "kafka_partition": 0,
    }  # fmt: skip
    return pl.DataFrame(
        {"record_id": ids} | {CONTRACT.columns[name]: points[:, place] for place, name in enumerate(NUMBERS)}
    ).with_columns(
        *(pl.lit(value).cast(kinds[name]).alias(name) for name, value in landing.items()),
        pl.int_range(records).alias("kafka_offset"),
        pl.int_range(records).cast(kinds["event_time"]).alias("event_time"),
    )


def _timed(ordered: DataFrame, contract: Contract, server: psutil.Process) -> tuple[float, float, Training]:
    start, used = time.perf_counter(), _cpu([psutil.Process(), server])
    trainer = TRAINERS[contract.trainer]
    training = trainer.train(ordered, contract, profile(ordered, contract))
    return time.perf_counter() - start, _cpu([psutil.Process(), server]) - used, training


def _cpu(processes: Sequence[psutil.Process]) -> float:
    return sum(process.cpu_times().user + process.cpu_times().system for process in processes)


if __name__ == "__main__":
    main()
