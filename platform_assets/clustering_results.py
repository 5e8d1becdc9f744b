"""``clustering_results``: every record's cluster, assigned by Spark from the stored model."""

import dagster as dg
import polars as pl
from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

from platform_assets.models import batch_records
from platform_assets.partitions import MAPPING, Partitions
from platform_assets.run import RETRIES, Platform, window_of
from platform_assets.spark_session import SparkConnectResource
from platform_assets.training.assign import assigned
from resources.assigning import assigning_model
from resources.batch import Batch
from resources.contract import Contract
from resources.errors import LakeError
from resources.spark import column
from resources.tables import TABLES
from resources.windows import SLOTS


def make_clustering_results(partitions: Partitions) -> dg.AssetsDefinition:
    """The asset ``clustering_results``."""

    @dg.asset(
        partitions_def=partitions.grid,
        deps=[dg.AssetDep(f"model_{slot}", partition_mapping=MAPPING) for slot in SLOTS],
        kinds={"spark", "deltalake"},
        retry_policy=RETRIES,
    )
    def clustering_results(
        context: dg.AssetExecutionContext,
        platform: dg.ResourceParam[Platform],
        spark: SparkConnectResource,
    ) -> dg.MaterializeResult[None]:
        """Every record of the window with its cluster and the distance to its centre."""
        with window_of(context, platform, spark) as window:
            batch = platform.batch(window)
            stored = assigning_model(platform.lake, platform.grid, batch)
            results = pl.DataFrame(schema=dict(TABLES["clustering_results"].schema))
            if stored and (model := stored.model):
                records = batch_records(spark, platform, batch)
                clustered = assigned(records, platform.contract, model, batch.records)
                results = _results(clustered, platform.contract, batch, str(stored.version))
            platform.check_current(batch)
            platform.lake.replace_window("clustering_results", window, results)
            return dg.MaterializeResult(
                metadata={
                    "dagster/row_count": results.height,
                    "sizes": results["cluster"].value_counts().sort("cluster")["count"].to_list(),
                    "mean distance": results.select(pl.col("distance").mean()).item(),
                    "revision": batch.revision,
                    "model version": str(stored.version) if stored else None,
                }
            )

    return clustering_results


def _results(frame: DataFrame, contract: Contract, batch: Batch, model_version: str) -> pl.DataFrame:
    features = sf.struct(*(sf.col(column(contract, name)).alias(name) for name in contract.features))
    rows = frame.select(
        "record_id",
        "event_time",
        "cluster",
        "distance",
        sf.to_json(features, {"ignoreNullFields": "false"}).alias("features"),
    ).toArrow()
    results = pl.DataFrame(rows)
    if results.height != batch.records:
        raise LakeError(
            f"Spark assigned {results.height} records of window {batch.window.key}, its batch has "
            f"{batch.records}: materialize the window again; if it stays so, the lake is damaged."
        )
    schema = TABLES["clustering_results"].schema
    values = batch.answer() | {"model_version": model_version}
    answer = [pl.lit(value).alias(name) for name, value in values.items()]
    typed = [pl.col(name).cast(kind) for name, kind in schema.items()]
    return results.with_columns(answer).select(typed).sort("record_id")
