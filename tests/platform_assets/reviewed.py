"""Windows landed and clustered here, without Kafka and Spark, then published and reviewed in Dagster."""

from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import polars as pl
from sklearn.cluster import KMeans

from platform_assets.checks import make_window_checks
from platform_assets.cluster_stats import make_cluster_stats
from platform_assets.clustering_results import make_clustering_results
from platform_assets.kafka_batch import make_kafka_batch
from platform_assets.model_review import make_model_review
from platform_assets.models import make_model
from platform_assets.partitions import make_partitions
from platform_assets.run import PARTITION_TAG, Platform
from platform_assets.spark_session import SparkConnectResource
from resources.batch import Batch, select
from resources.cluster_model import ClusterModel, Feature
from resources.contract import Contract, load_contract
from resources.intake import Taker
from resources.lake import Lake
from resources.settings import Settings
from resources.spark import spark_config
from resources.tables import TABLES
from resources.windows import SLOTS, Window
from tests.resources.conftest import contract_file, landed_rows, ledger_row, span

CHANGES: dict[str, Any] = {
    "fields": {"id": "string", "shop": "string", "price": "number", "weight": "number"},
    "features": ["shop", "price", "weight"],
}
RECORDS = 600
_SHOPS = np.array(["north", "south", "west"])


@dataclass
class Reviewed:
    """A lake, an instance of Dagster, and the code location's assets and checks."""

    folder: Path
    settings_changes: dict[str, Any] = field(default_factory=dict)
    contract_changes: dict[str, Any] = field(default_factory=dict)
    instance: dg.DagsterInstance = field(default_factory=dg.DagsterInstance.ephemeral)

    def __post_init__(self) -> None:
        path = contract_file(self.folder, **CHANGES, **self.contract_changes)
        self.settings = Settings(_env_file=None, home=self.folder, contract=path, **self.settings_changes)
        self.contract: Contract = load_contract(path)
        self.lake = Lake(self.settings.lake)
        self.lake.create(datetime.now(UTC), self.settings.lateness)
        self.taker = Taker(self.settings, self.contract, self.lake)
        self.platform = Platform(self.settings, self.contract, self.lake, self.taker)
        back = self.settings.grid.newest_closed(datetime.now(UTC)).step(-30)
        self.windows = [back.step(place) for place in range(6)]

    @cached_property
    def definitions(self) -> dg.Definitions:
        partitions = make_partitions(self.lake.floor(), 5)
        assets = [
            make_kafka_batch(partitions),
            *(make_model(slot, partitions) for slot in SLOTS),
            make_clustering_results(partitions),
            make_cluster_stats(partitions),
            make_model_review(partitions),
        ]
        return dg.Definitions(
            assets=assets,
            asset_checks=[make_window_checks(partitions)],
            resources={
                "platform": self.platform,
                "spark": SparkConnectResource(spark_config=spark_config(self.settings)),
            },
            executor=dg.in_process_executor,
        )

    def land(self, window: Window, seed: int, records: int = RECORDS, **shifts: float) -> None:
        """An intake of a window's records: ``price`` and ``weight`` lie so many deviations off."""
        source = np.random.default_rng(seed)
        number = len(self.taker.ledger.intakes()) + 1
        start = 20_000 * number
        rows = landed_rows(window, number, [(0, start + place) for place in range(records)])
        rows = rows.with_columns(
            shop=pl.Series(source.choice(_SHOPS, records)),
            price=pl.Series(source.normal(10 + 2 * shifts.get("price", 0), 2, records)),
            weight=pl.Series(source.normal(shifts.get("weight", 0), 1, records)),
        )
        self.lake.append("records", rows)
        landed = [{"window": window.key, "records": records, "too_late": 0}]
        spans = [vars(span(start, start + 20_000))]
        row = ledger_row(number, taken_at=self.settings.grid.close(window), spans=spans, landed=landed)
        assert self.lake.insert_once("ledger", "number", row)

    def cluster(self, window: Window) -> Batch:
        """Select a window's batch, and write the model and results that Spark would."""
        batch = select(self.lake, self.contract, self.settings.grid, window, self.taker.ledger.intakes())
        rows = self.lake.read_window("records", window).collect()
        model, state = _fitted(rows), "trained" if rows.height > 1 else "too-few"
        stored = {"state": state, "silhouette": 0.3, **(model.row() if model else {})}
        frame = pl.DataFrame([batch.answer() | stored], schema=dict(TABLES["models"].schema))
        self.lake.replace_window("models", window, frame, batch.digest)
        clusters = model.assign(rows.to_dicts())[0].tolist() if model else []
        results = [
            {**batch.answer(), "record_id": name, "cluster": cluster}
            for name, cluster in zip(rows["record_id"], clusters, strict=False)
        ]
        frame = pl.DataFrame(results, schema=dict(TABLES["clustering_results"].schema))
        self.lake.replace_window("clustering_results", window, frame)
        return batch

    def run(
        self,
        window: Window,
        assets: Sequence[str] = ("cluster_stats", "model_review"),
        checks: Set[dg.AssetCheckKey] | None = None,
    ) -> dg.ExecuteInProcessResult:
        """A run of some assets of a window and their checks, as the sensor requests it; or of some checks."""
        job = self.definitions.resolve_implicit_global_asset_job_def()
        keys = {dg.AssetKey(name) for name in assets}
        chosen = job.get_subset(asset_selection=keys, asset_check_selection=checks)
        return chosen.execute_in_process(
            instance=self.instance, tags={PARTITION_TAG: window.key}, raise_on_error=False
        )

    def publish(self, window: Window, seed: int, records: int = RECORDS, **shifts: float) -> None:
        """Land, cluster, publish and review a window."""
        self.land(window, seed, records, **shifts)
        self.cluster(window)
        assert self.run(window).success

    def drift(self, window: Window) -> list[dict[str, Any]]:
        """A window's rows of the table ``drift``."""
        return self.lake.read_window("drift", window).collect().to_dicts()


def _fitted(rows: pl.DataFrame) -> ClusterModel | None:
    if rows.height < 2:
        return None
    features = (
        Feature("shop", "category", tuple(_SHOPS), None, 1.0),
        Feature("price", "number", (), 10.0, 0.5),
        Feature("weight", "number", (), 0.0, 1.0),
    )
    points = ClusterModel(features, np.empty((0, 3))).encode(rows.to_dicts())
    return ClusterModel(features, KMeans(2, n_init=3, random_state=0).fit(points).cluster_centers_)


def evaluations(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    """A run's check evaluations by ``asset:check``."""
    found = result.get_asset_check_evaluations()
    return {f"{each.asset_key.to_user_string()}:{each.check_name}": each for each in found}
