"""``model_review``: what the published answer is worth. Nobody waits for it."""

from collections.abc import Iterator

import dagster as dg

from platform_assets import verdicts
from platform_assets.checks import DRIFT, window_check
from platform_assets.drift import Drift, write_drift
from platform_assets.partitions import MAPPING, Partitions
from platform_assets.run import RETRIES, Platform, window_of
from platform_assets.spark_session import SparkConnectResource
from resources.samples import published_batch


def make_model_review(partitions: Partitions) -> dg.AssetsDefinition:
    """The asset ``model_review``."""

    @dg.asset(
        partitions_def=partitions.grid,
        deps=[dg.AssetDep("cluster_stats", partition_mapping=MAPPING)],
        check_specs=[window_check(DRIFT, partitions.grid)],
        kinds={"polars", "deltalake"},
        retry_policy=RETRIES,
    )
    def model_review(
        context: dg.AssetExecutionContext,
        platform: dg.ResourceParam[Platform],
        spark: SparkConnectResource,
    ) -> Iterator[dg.MaterializeResult[None]]:
        """How far the window lies from the one before and from the baseline."""
        with window_of(context, platform, spark, answers=False) as window:
            batch = published_batch(platform.lake, window)
            drifts = write_drift(platform, batch) if batch else []
            yield dg.MaterializeResult(
                metadata={
                    "state": "reviewed" if batch else "no clusters",
                    "drift": dg.MetadataValue.md(_table(drifts)),
                },
                check_results=[verdicts.drift(drifts).result(DRIFT)],
            )

    return model_review


def _table(drifts: list[Drift]) -> str:
    head = "| against | feature | PSI | distance | p | level |"
    rows = []
    for drift in drifts:
        name = f"{drift.reference} {drift.against.window}"
        rows += [
            f"| {name} | {each.feature} | {_number(each.psi)} | {_number(each.distance)} "
            f"| {_number(each.p)} | {each.level} |"
            for each in drift.features
        ]
        rows.append(f"| {name} | the model | ratio {_number(drift.inertia_ratio)} | | | {drift.model} |")
    return "\n".join([head, "| --- " * 6 + "|", *rows]) if rows else "No window to compare with yet."


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
