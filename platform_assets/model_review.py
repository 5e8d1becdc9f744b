"""``model_review``: what the published answer is worth. Nobody waits for it."""

from collections.abc import Iterator

import dagster as dg
import numpy as np
import polars as pl

from platform_assets import verdicts
from platform_assets.checks import DRIFT, STRUCTURE, window_check
from platform_assets.drift import Drift, write_drift
from platform_assets.identity import update
from platform_assets.partitions import MAPPING, Partitions
from platform_assets.review_pictures import review_pictures
from platform_assets.run import RETRIES, Platform, window_of
from platform_assets.spark_session import SparkConnectResource
from platform_assets.training.points import encoded
from platform_assets.training.structure import Structure, structure
from resources.batch import Batch
from resources.cluster_model import ClusterModel
from resources.contract import Contract
from resources.samples import Sample, published_batch
from resources.tables import TABLES


def make_model_review(partitions: Partitions) -> dg.AssetsDefinition:
    """The asset ``model_review``."""

    @dg.asset(
        partitions_def=partitions.grid,
        deps=[dg.AssetDep("cluster_stats", partition_mapping=MAPPING)],
        check_specs=[window_check(key, partitions.grid) for key in (DRIFT, STRUCTURE)],
        kinds={"polars", "scikitlearn", "deltalake"},
        retry_policy=RETRIES,
    )
    def model_review(
        context: dg.AssetExecutionContext,
        platform: dg.ResourceParam[Platform],
        spark: SparkConnectResource,
    ) -> Iterator[dg.MaterializeResult[None]]:
        """Which cluster is which of the window before, whether there are any at all, and what has drifted."""
        with window_of(context, platform, spark, answers=False) as window:
            batch = published_batch(platform.lake, window)
            drifts, found, pictures = _review(platform, batch) if batch else ([], None, {})
            yield dg.MaterializeResult(
                metadata={
                    "state": "reviewed" if batch else "no clusters",
                    "structure": found.verdict if found else None,
                    "drift": dg.MetadataValue.md(_table(drifts)),
                    **{name: dg.MetadataValue.md(picture) for name, picture in pictures.items()},
                },
                check_results=[
                    verdicts.drift(drifts).result(DRIFT),
                    verdicts.structure(found).result(STRUCTURE),
                ],
            )

    return model_review


def _review(platform: Platform, batch: Batch) -> tuple[list[Drift], Structure | None, dict[str, str]]:
    update(platform.samples, batch.window)
    drifts = write_drift(platform, batch)
    taken = platform.samples.sample(batch)
    if not taken.model:
        return drifts, None, {}
    found = _structure(platform.contract, taken, taken.model)
    frame = pl.DataFrame([_row(batch, found)], schema=dict(TABLES["model_reviews"].schema))
    platform.lake.replace_window("model_reviews", batch.window, frame)
    return drifts, found, review_pictures(platform, batch, taken)


def _structure(contract: Contract, taken: Sample, model: ClusterModel) -> Structure:
    points = encoded(taken.records, model.features)
    columns = [feature.name for feature in model.features for _ in range(feature.width)]
    weights = np.ones(len(points))
    return structure(points, weights, len(model.centres), columns, contract.categories, contract.seed)


def _row(batch: Batch, found: Structure) -> dict[str, object]:
    return {
        **batch.answer(),
        "structure": found.verdict,
        "box_p": found.box_p,
        "gaussian_p": found.gaussian_p,
        "dip_p": [{"feature": name, "p": p} for name, p in found.dip_p.items()],
    }


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
