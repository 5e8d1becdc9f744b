"""``clustering_results``: every record's cluster, assigned from the stored model."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
import numpy as np
import polars as pl
from numpy.typing import NDArray
from pyspark.sql import functions as sf

from platform_assets.features_json import as_json
from platform_assets.models import on_spark
from platform_assets.partitions import MAPPING, Partitions
from platform_assets.run import RETRIES, Platform, window_of
from platform_assets.spark_session import SparkConnectResource
from platform_assets.training.assign import assigned as assigned_on_spark
from platform_assets.training.points import Points, assigned
from resources.assigning import assigning_model
from resources.batch import Batch
from resources.cluster_model import ClusterModel
from resources.errors import LakeError
from resources.spark import arrow_tables, column
from resources.tables import TABLES
from resources.windows import SLOTS

_BLOCK = 262_144


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
            found, version = Clustered(), str(stored.version) if stored else None
            if stored and stored.model:
                if platform.rows.fit(batch.records):
                    found = clustered(platform, batch, stored.model)
                else:
                    found = _on_spark(spark, platform, batch, stored.model)
            platform.check_current(batch)
            written = platform.made.found(_files(batch, version), batch.digest)
            platform.lake.replace_window(
                "clustering_results", window, lambda: _rows(found, batch, version), written=written
            )
            return dg.MaterializeResult(
                metadata={
                    "dagster/row_count": sum(found.sizes),
                    "sizes": list(found.sizes),
                    "mean distance": found.mean_distance,
                    "revision": batch.revision,
                    "model version": version,
                }
            )

    return clustering_results


@dataclass(frozen=True)
class Clustered:
    """A batch's records with their clusters.

    Attributes:
        blocks: makes them, by rising id: ``record_id``, ``event_time``, ``cluster``, ``distance`` and
            ``features``, a JSON object.
        sizes: records per cluster.
    """

    blocks: Callable[[], Iterable[pl.LazyFrame]] = tuple
    sizes: Sequence[int] = ()
    mean_distance: float | None = None


def clustered(platform: Platform, batch: Batch, model: ClusterModel) -> Clustered:
    """A batch's records with their clusters, in the run's memory."""
    return platform.made.once("clusters", batch.digest, lambda: _in_process(platform, batch, model))


def write_ahead(platform: Platform, batch: Batch, found: Clustered, model_version: str) -> None:
    """Write the files of a window's first results; to commit them is left."""
    if platform.lake.window_files("clustering_results", batch.window).files:
        return
    rows = _rows(found, batch, model_version)
    platform.made.once(
        _files(batch, model_version),
        batch.digest,
        lambda: platform.lake.write_rows("clustering_results", batch.window, rows),
    )


def _files(batch: Batch, model_version: str | None) -> str:
    return f"files of revision {batch.revision} by {model_version}"


def _in_process(platform: Platform, batch: Batch, model: ClusterModel) -> Clustered:
    contract, records = platform.contract, platform.records(batch)
    clusters, distances = assigned(Points(records, contract, model.features), model.centres)
    platform.rows.hold(batch.digest, records.with_columns(_cut_alike(clusters, records)))
    features = as_json(records, contract)

    def blocks() -> Iterator[pl.LazyFrame]:
        for start in range(0, len(clusters), _BLOCK):
            place = slice(start, start + _BLOCK)
            yield (
                records[place]
                .lazy()
                .select(
                    "record_id",
                    "event_time",
                    pl.Series("cluster", clusters[place]),
                    pl.Series("distance", distances[place]),
                    features.alias("features"),
                )
            )

    sizes = np.bincount(clusters, minlength=len(model.centres))
    return Clustered(blocks, sizes[sizes > 0].tolist(), float(distances.mean()))


def _cut_alike(clusters: NDArray[np.int32], records: pl.DataFrame) -> pl.Series:
    """The column ``cluster``, cut in memory as the frame is: else all of the frame would be copied."""
    ends = np.cumsum(records["record_id"].chunk_lengths())
    parts = np.split(clusters, ends[:-1])
    return pl.concat([pl.Series("cluster", part) for part in parts], rechunk=False)


def _on_spark(
    spark: SparkConnectResource, platform: Platform, batch: Batch, model: ClusterModel
) -> Clustered:
    contract = platform.contract
    records = on_spark(spark, platform, batch, [batch.window], batch.records)
    clustered = assigned_on_spark(records, contract, model, batch.records)
    sums = clustered.groupBy("cluster").agg(sf.count("*"), sf.sum("distance")).orderBy("cluster").collect()
    sizes = [row[1] for row in sums]
    if sum(sizes) != batch.records:
        raise LakeError(
            f"Spark assigned {sum(sizes)} records of window {batch.window.key}, its batch has "
            f"{batch.records}: materialize the window again; if it stays so, the lake is damaged."
        )
    features = sf.struct(*(sf.col(column(contract, name)).alias(name) for name in contract.features))
    rows = clustered.orderBy("record_id").select(
        "record_id",
        "event_time",
        "cluster",
        "distance",
        sf.to_json(features, {"ignoreNullFields": "false"}).alias("features"),
    )
    return Clustered(lambda: _in_blocks(arrow_tables(rows)), sizes, sum(row[2] for row in sums) / sum(sizes))


def _in_blocks(tables: Iterable[Any]) -> Iterator[pl.LazyFrame]:
    """Arrow tables, as many at once as make a block."""
    block: list[pl.DataFrame] = []
    for table in map(pl.DataFrame, tables):
        block.append(table)
        if sum(part.height for part in block) >= _BLOCK:
            yield pl.concat(block).lazy()
            block = []
    if block:
        yield pl.concat(block).lazy()


def _rows(found: Clustered, batch: Batch, model_version: str | None) -> Iterator[pl.LazyFrame]:
    """The rows of ``clustering_results``, made when they are written."""
    values = batch.answer() | {"model_version": model_version}
    constant = [pl.lit(value).alias(name) for name, value in values.items()]
    typed = [pl.col(name).cast(kind) for name, kind in TABLES["clustering_results"].schema.items()]
    return (block.with_columns(constant).select(typed) for block in found.blocks())
