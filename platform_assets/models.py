"""``model_1``, ``model_2``, ``model_3``: a KMeans model of one window, one asset per slot of the cycle."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from typing import Any

import dagster as dg
import polars as pl
from pyspark.sql import DataFrame, SparkSession

from platform_assets.partitions import Partitions, source_mapping
from platform_assets.run import RETRIES, Platform, window_of
from platform_assets.spark_session import SparkConnectResource
from platform_assets.training.engines import Records
from platform_assets.training.features import Profile, profile
from platform_assets.training.trainers import TRAINERS
from platform_assets.training.training import Stopwatch, Training
from resources.batch import Batch
from resources.contract import ClusterRange, Contract
from resources.scheme import DISJOINT, Scheme
from resources.spark import SMALL, selected_records, suit_size
from resources.tables import TABLES
from resources.windows import Window

_SCORES = (
    "silhouette", "silhouettes", "inertia", "sizes", "separation",
    "converged", "iterations", "starts", "found", "sample",
)  # fmt: skip

_BEGUN = "begun training"


def make_model(slot: int, partitions: Partitions, scheme: Scheme = DISJOINT) -> dg.AssetsDefinition:
    """The asset ``model_<slot>``."""

    @dg.asset(
        name=f"model_{slot}",
        partitions_def=partitions.slots[slot],
        deps=[dg.AssetDep("kafka_batch", partition_mapping=source_mapping(scheme, slot, partitions))],
        kinds={"spark", "deltalake"},
        retry_policy=RETRIES,
        description=f"KMeans, trained on the window of slot {slot} of each cycle of three windows.",
    )
    def model(
        context: dg.AssetExecutionContext,
        platform: dg.ResourceParam[Platform],
        spark: SparkConnectResource,
    ) -> dg.MaterializeResult[None]:
        with window_of(context, platform, spark, slot) as window:
            batch = platform.batch(window)
            row = _empty(platform, batch)
            if batch.seen:
                row |= trained(spark, platform, batch)
            platform.check_current(batch)
            frame = pl.DataFrame([row], schema=dict(TABLES["models"].schema))
            platform.lake.replace_window("models", window, frame, batch.digest, batch.revision)
            return dg.MaterializeResult(metadata=_metadata(row))

    return model


def trained(spark: SparkConnectResource, platform: Platform, batch: Batch) -> dict[str, Any]:
    """What training on a batch gives of the columns of ``models``; there is at least one record."""

    def make() -> dict[str, Any]:
        begun = platform.made.found(_BEGUN, batch.digest)
        finish = begun or _begun(seen_records(spark, platform, batch), platform.contract)
        row: dict[str, Any] = finish()
        return row

    return platform.made.once("model", batch.digest, make)


def train_ahead(platform: Platform, batch: Batch) -> None:
    """Begin training on a batch that the run has in memory: what a sample of it takes."""
    platform.made.once(_BEGUN, batch.digest, lambda: _begun(platform.seen(batch), platform.contract))


def seen_records(spark: SparkConnectResource, platform: Platform, batch: Batch) -> Records:
    """The records that a batch's model is trained on; there is at least one."""
    if in_process(platform, batch.seen):
        return platform.seen(batch)
    return on_spark(spark, platform, batch, batch.sources(platform.grid), batch.seen)


def in_process(platform: Platform, records: int) -> bool:
    """Whether the run itself trains on so many records."""
    return TRAINERS[platform.contract.trainer].in_process and platform.rows.fit(records)


def on_spark(
    spark: SparkConnectResource, platform: Platform, batch: Batch, windows: list[Window], records: int
) -> DataFrame:
    """A batch's records of windows in order, as one Spark frame for all assets of a run."""

    def select(session: SparkSession) -> DataFrame:
        suit_size(session, records)
        landed = _landed(session, platform, windows, batch.covered)
        return TRAINERS[platform.contract.trainer].in_order(landed, records)

    return spark.hold(f"{batch.digest} {len(windows)}", select)


def _landed(session: SparkSession, platform: Platform, windows: list[Window], covered: int) -> DataFrame:
    intakes, lake = platform.taker.ledger.intakes(), platform.lake
    attempts = {name for window in windows for name in intakes.attempts_with(window, covered)}
    files = {file for window in windows for file in lake.window_files("records", window).files}
    keys = [window.key for window in windows]
    return selected_records(session, platform.contract, keys, sorted(files), sorted(attempts))


def rehearse(spark: SparkConnectResource, platform: Platform, window: Window) -> None:
    """Train on Spark on some of what has landed so far, and forget it.

    What a first time costs, here and on the server, is paid before the close.
    """
    intakes, trainer = platform.taker.ledger.intakes(), TRAINERS[platform.contract.trainer]
    if intakes.records(window):
        suit_size(spark.spark_session, SMALL)
        some = _landed(spark.spark_session, platform, [window], intakes.last).limit(SMALL)
        records = trainer.in_order(some, SMALL)
        found = profile(records, platform.contract)
        if found.enough:
            trainer.train(records, platform.contract, found)


def _empty(platform: Platform, batch: Batch) -> dict[str, Any]:
    contract = platform.contract
    return {
        **batch.answer(),
        "model": f"model_{batch.window.slot}",
        "state": "empty",
        "contract_version": contract.version,
        "trainer": contract.trainer,
        "seed": contract.seed,
        "k": None if isinstance(contract.clusters, ClusterRange) else contract.clusters,
        "first_source": batch.first_source,
        "records": batch.seen,
        "libraries": ", ".join(f"{name} {version(name)}" for name in ("pyspark", "scikit-learn")),
        "trained_at": datetime.now(UTC),
    }


def _begun(records: Records, contract: Contract) -> Callable[[], dict[str, Any]]:
    watch = Stopwatch()
    with watch.step("profile"):
        found = profile(records, contract)
    if not found.enough:
        return lambda: {"state": "too-few", "left_out": found.left_out}
    finish = TRAINERS[contract.trainer].begin(records, contract, found)
    return partial(_trained, finish, found, contract, watch)


def _trained(
    finish: Callable[[], Training], found: Profile, contract: Contract, watch: Stopwatch
) -> dict[str, Any]:
    training = finish()
    return {
        **training.row(),
        "state": "trained" if len(training.model.centres) >= contract.fewest_clusters else "too-few",
        "left_out": found.left_out,
        "seconds": watch.seconds | training.seconds,
    }


def _metadata(row: dict[str, Any]) -> dict[str, Any]:
    shown = {name: row[name] for name in ("state", "records", "k", "revision", "trainer", "seed")}
    shown["sees windows from"] = row["first_source"]
    if row["state"] == "trained":
        shown |= {name: row[name] for name in _SCORES if row[name] is not None}
        shown["seconds"] = {name: round(seconds, 3) for name, seconds in row["seconds"].items()}
        shown["features"] = dg.MetadataValue.md(_table(row["features"]))
        shown["features left out, too many nulls"] = row["left_out"]
    return shown


def _table(features: list[dict[str, Any]]) -> str:
    rows = [
        f"| {item['name']} | {item['kind']} | {_encoding(item)} | {item['scale']:.4g} |" for item in features
    ]
    return "\n".join(["| feature | kind | encoding | scale |", "| --- | --- | --- | --- |", *rows])


def _encoding(item: dict[str, Any]) -> str:
    if item["kind"] == "number":
        return f"nulls as {item['fill']:.4g}"
    return f"{len(item['labels'])} labels {'one-hot' if item['one_hot'] else 'by frequency'}"
