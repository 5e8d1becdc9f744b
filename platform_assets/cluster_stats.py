"""``cluster_stats``: statistics of each cluster; with it the window is published."""

from typing import Any

import dagster as dg
import msgspec
import polars as pl

from platform_assets.models import on_spark
from platform_assets.partitions import MAPPING, Partitions
from platform_assets.pictures import sizes_picture
from platform_assets.run import RETRIES, Platform, window_of
from platform_assets.spark_session import SparkConnectResource
from platform_assets.training.assign import assigned as assigned_on_spark
from platform_assets.training.statistics import Assigned, ClusterStatistics, cluster_statistics
from resources.assigning import assigning_model
from resources.batch import Batch, selected
from resources.errors import LakeError
from resources.publication import publish
from resources.tables import TABLES
from resources.versions import Stored


def make_cluster_stats(partitions: Partitions) -> dg.AssetsDefinition:
    """The asset ``cluster_stats``."""

    @dg.asset(
        partitions_def=partitions.grid,
        deps=[dg.AssetDep("clustering_results", partition_mapping=MAPPING)],
        kinds={"polars", "deltalake"},
        retry_policy=RETRIES,
    )
    def cluster_stats(
        context: dg.AssetExecutionContext,
        platform: dg.ResourceParam[Platform],
        spark: SparkConnectResource,
    ) -> dg.MaterializeResult[None]:
        """Count, share, averages and details per feature of each cluster. Publishes the window."""
        with window_of(context, platform, spark) as window:
            batch = platform.batch(window)
            stored = assigning_model(platform.lake, platform.grid, batch)
            statistics, rows = [], []
            if stored:
                statistics = statistics_of(spark, platform, batch, stored)
                rows = [_row(cluster, batch, str(stored.version)) for cluster in statistics]
            platform.check_current(batch)
            frame = pl.DataFrame(rows, schema=dict(TABLES["cluster_stats"].schema))
            stats_version = platform.lake.replace_window("cluster_stats", window, frame)
            results_version = platform.lake.table("clustering_results").version()
            state = "published" if stored else "too-few" if batch.records else "empty"
            versions = (results_version, stats_version)
            seconds = publish(platform.lake, platform.grid, batch, state, versions, stored)
            return dg.MaterializeResult(metadata=_metadata(statistics, batch, state, seconds))

    return cluster_stats


def statistics_of(
    spark: SparkConnectResource, platform: Platform, batch: Batch, stored: Stored
) -> list[ClusterStatistics]:
    """The statistics of each cluster of a batch.

    Raises:
        LakeError: the window's results are not its present batch's.
    """
    return platform.made.once(
        "statistics",
        batch.digest,
        lambda: cluster_statistics(_assigned(spark, platform, batch, stored), platform.contract),
    )


def _assigned(spark: SparkConnectResource, platform: Platform, batch: Batch, stored: Stored) -> Assigned:
    """The batch's records with their clusters: of this run, or else as the lake has them; of a window that
    outgrows the run, as Spark assigns them.

    Raises:
        LakeError: the window's results are not its present batch's.
    """
    held = platform.rows.held(batch.digest)
    if held is not None and "cluster" in held.columns:
        return held.lazy()
    rows = platform.lake.read_window("clustering_results", batch.window)
    results = rows.filter(pl.col("digest") == batch.digest).select("record_id", "cluster")
    if results.select(pl.len()).collect().item() != batch.records:
        raise LakeError(
            f"Window {batch.window.key} has no results of its present batch: "
            "materialize clustering_results for it first."
        )
    if stored.model and not platform.rows.fit(batch.records):
        outgrown = on_spark(spark, platform, batch, [batch.window], batch.records)
        return assigned_on_spark(outgrown, platform.contract, stored.model, batch.records)
    records = selected(platform.lake, batch, platform.taker.ledger.intakes())
    return records.join(results, on="record_id", maintain_order="left")


def _row(cluster: ClusterStatistics, batch: Batch, model_version: str) -> dict[str, object]:
    return {
        **batch.answer(),
        "model_version": model_version,
        "cluster": cluster.cluster,
        "count": cluster.count,
        "share": cluster.count / batch.records,
        "averages": msgspec.json.encode(cluster.averages).decode(),
        "features": msgspec.json.encode(cluster.features).decode(),
    }


def _metadata(
    statistics: list[ClusterStatistics], batch: Batch, state: str, seconds: float
) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "state": state,
        "revision": batch.revision,
        "seconds from close to publication": round(seconds, 2),
    }
    if statistics:
        names = list(statistics[0].averages)
        head = f"| cluster | count | {' | '.join(names)} |"
        rule = "| --- " * (len(names) + 2) + "|"
        rows = [
            f"| {s.cluster} | {s.count} | {' | '.join(_number(s.averages[n]) for n in names)} |"
            for s in statistics
        ]
        shown["clusters"] = dg.MetadataValue.md("\n".join([head, rule, *rows]))
        shown["picture"] = dg.MetadataValue.md(sizes_picture(statistics))
    return shown


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
