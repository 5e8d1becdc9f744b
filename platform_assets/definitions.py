"""The one Definitions object: assets, sensor, schedules and resources, made from the settings."""

from datetime import UTC, datetime

import dagster as dg

from platform_assets.alerts import make_alert_sensor
from platform_assets.checks import make_window_checks
from platform_assets.cluster_stats import make_cluster_stats
from platform_assets.clustering_results import make_clustering_results
from platform_assets.forking import fork_runs
from platform_assets.kafka_batch import make_kafka_batch
from platform_assets.model_review import make_model_review
from platform_assets.models import make_model
from platform_assets.partitions import make_partitions
from platform_assets.run import Platform
from platform_assets.sensors import make_window_sensor
from platform_assets.spark_session import SparkConnectResource
from platform_assets.upkeep import make_upkeep
from resources.contract import load_contract
from resources.intake import Taker
from resources.lake import Lake
from resources.settings import load_settings
from resources.spark import spark_config
from resources.windows import SLOTS


@dg.definitions
def defs() -> dg.Definitions:
    """What Dagster loads."""
    fork_runs()
    settings = load_settings()
    contract = load_contract(settings.contract)
    lake = Lake(settings.lake)
    lake.create(datetime.now(UTC), settings.lateness)
    platform = Platform(settings, contract, lake, Taker(settings, contract, lake))
    partitions = make_partitions(lake.floor(), settings.window_minutes)
    assets = [
        make_kafka_batch(partitions),
        *(make_model(slot, partitions, settings.model_scheme) for slot in SLOTS),
        make_clustering_results(partitions),
        make_cluster_stats(partitions),
        make_model_review(partitions),
    ]
    return dg.Definitions(
        assets=assets,
        asset_checks=[make_window_checks(partitions)],
        sensors=[make_window_sensor(assets), make_alert_sensor()],
        schedules=make_upkeep(assets),
        resources={
            "platform": platform,
            "spark": SparkConnectResource(spark_config=spark_config(settings)),
        },
        executor=dg.in_process_executor,
    )
