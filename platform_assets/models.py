"""``model_1``, ``model_2``, ``model_3``: a KMeans model of one window, one asset per slot of the cycle."""

from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import dagster as dg
import polars as pl
from pyspark.sql import DataFrame, SparkSession

from platform_assets.partitions import Partitions, source_mapping
from platform_assets.run import RETRIES, Platform, window_of
from platform_assets.spark_session import SparkConnectResource
from platform_assets.training.assign import assigned
from platform_assets.training.features import Profile, profile
from platform_assets.training.mllib import Training, in_order, train
from resources.batch import Batch
from resources.errors import LakeError
from resources.scheme import DISJOINT, Scheme
from resources.spark import SMALL, selected_records, suit_size
from resources.tables import TABLES
from resources.versions import Stored, Version, newest_pins, read_version
from resources.windows import Window


def make_model(slot: int, partitions: Partitions, scheme: Scheme = DISJOINT) -> dg.AssetsDefinition:
    """The asset ``model_<slot>``."""

    @dg.asset(
        name=f"model_{slot}",
        partitions_def=partitions.slots[slot],
        deps=[dg.AssetDep("kafka_batch", partition_mapping=source_mapping(scheme, slot, partitions))],
        kinds={"spark", "deltalake"},
        retry_policy=RETRIES,
        description=f"KMeans, trained by Spark on the window of slot {slot} of each cycle of three windows.",
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
                records = seen_records(spark, platform, batch)
                found = profile(records, platform.contract)
                if found.enough:
                    row |= _trained(train(records, platform.contract, found.features))
                row |= {"left_out": found.left_out, "state": _state(found, row)}
            platform.check_current(batch)
            frame = pl.DataFrame([row], schema=dict(TABLES["models"].schema))
            platform.lake.replace_window("models", window, frame, batch.digest, batch.revision)
            return dg.MaterializeResult(metadata=_metadata(row))

    return model


def batch_records(spark: SparkConnectResource, platform: Platform, batch: Batch) -> DataFrame:
    """A batch's records in order, as one Spark frame for all assets of a run; there is at least one."""
    return _held(spark, platform, batch, [batch.window], batch.records)


def seen_records(spark: SparkConnectResource, platform: Platform, batch: Batch) -> DataFrame:
    """The records that a batch's model is trained on, as :func:`batch_records` gives the window's own."""
    return _held(spark, platform, batch, batch.sources(platform.grid), batch.seen)


def _held(
    spark: SparkConnectResource, platform: Platform, batch: Batch, windows: list[Window], records: int
) -> DataFrame:
    def select(session: SparkSession) -> DataFrame:
        suit_size(session, records)
        return in_order(_landed(session, platform, windows, batch.covered))

    return spark.hold(f"{batch.digest} {len(windows)}", select)


def _landed(session: SparkSession, platform: Platform, windows: list[Window], covered: int) -> DataFrame:
    intakes, lake = platform.taker.ledger.intakes(), platform.lake
    attempts = {name for window in windows for name in intakes.attempts_with(window, covered)}
    files = {file for window in windows for file in lake.window_files("records", window).files}
    keys = [window.key for window in windows]
    return selected_records(session, platform.contract, keys, sorted(files), sorted(attempts))


def rehearse(spark: SparkConnectResource, platform: Platform, window: Window) -> None:
    """Train on some of what has landed so far, and forget it.

    What a first time costs, here and on the server, is paid before the close.
    """
    session, intakes = spark.spark_session, platform.taker.ledger.intakes()
    newest_pins(platform.lake)  # opens the table
    if not intakes.attempts_with(window, intakes.last):
        return
    suit_size(session, SMALL)
    records = in_order(_landed(session, platform, [window], intakes.last).limit(SMALL))
    found = profile(records, platform.contract)
    if found.enough:
        model = train(records, platform.contract, found.features).model
        assigned(records, platform.contract, model).select("cluster", "distance").toArrow()


def read_model(platform: Platform, batch: Batch) -> Stored | None:
    """What assigns a batch's records, with its model: the pinned version, or what was trained on the batch;
    None where there are no records, or too few points.

    Raises:
        LakeError: there is no model of this batch.
        VersionError: the pinned version is gone.
    """
    if not batch.records:
        return None
    if batch.pinned:
        version = Version.parse(batch.pinned, platform.grid)
        return read_version(platform.lake, version, batch.pinned_digest)
    rows = platform.lake.read_window("models", batch.window).filter(pl.col("digest") == batch.digest)
    found = rows.sort("revision").collect().to_dicts()
    if not found:
        raise LakeError(
            f"Window {batch.window.key} has no model of its present batch: "
            f"materialize model_{batch.window.slot} for it first."
        )
    stored = Stored(Version(batch.window, found[-1]["revision"]), found[-1])
    return stored if stored.model else None


def _empty(platform: Platform, batch: Batch) -> dict[str, Any]:
    contract = platform.contract
    return {
        **batch.answer(),
        "model": f"model_{batch.window.slot}",
        "state": "empty",
        "contract_version": contract.version,
        "trainer": contract.trainer,
        "seed": contract.seed,
        "k": contract.clusters,
        "first_source": batch.first_source,
        "records": batch.seen,
        "libraries": f"pyspark {version('pyspark')}",
        "trained_at": datetime.now(UTC),
    }


def _trained(training: Training) -> dict[str, Any]:
    return {
        **training.model.row(),
        "silhouette": training.silhouette,
        "inertia": training.inertia,
        "sizes": training.sizes,
    }


def _state(found: Profile, row: dict[str, Any]) -> str:
    return "trained" if found.enough and len(row["centres"]) == row["k"] else "too-few"


def _metadata(row: dict[str, Any]) -> dict[str, Any]:
    shown = {name: row[name] for name in ("state", "records", "k", "revision", "trainer", "seed")}
    shown["sees windows from"] = row["first_source"]
    if row["state"] == "trained":
        shown |= {name: row[name] for name in ("silhouette", "inertia", "sizes")}
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
        return f"nulls as {item['mean']:.4g}"
    return f"{len(item['labels'])} labels by frequency"
