"""The asset checks of every window. Accounting blocks; the rest warn, and run after the publication."""

import json
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import polars as pl

from platform_assets import verdicts
from platform_assets.partitions import MAPPING, Partitions
from platform_assets.run import PARTITION_TAG, Platform, our_errors
from platform_assets.verdicts import Verdict
from resources.batch import Batch
from resources.due import covered_intakes, due_windows
from resources.overdue import overdue
from resources.windows import SLOTS, Window

ACCOUNTING = dg.AssetCheckKey(dg.AssetKey("kafka_batch"), "accounting")
ENOUGH_RECORDS = dg.AssetCheckKey(dg.AssetKey("kafka_batch"), "enough_records")
NULLS = dg.AssetCheckKey(dg.AssetKey("kafka_batch"), "nulls")
SILHOUETTES = {slot: dg.AssetCheckKey(dg.AssetKey(f"model_{slot}"), "silhouette") for slot in SLOTS}
FRESHNESS = dg.AssetCheckKey(dg.AssetKey("cluster_stats"), "freshness")
STRUCTURE = dg.AssetCheckKey(dg.AssetKey("model_review"), "structure")
DRIFT = dg.AssetCheckKey(dg.AssetKey("model_review"), "drift")


def window_check(
    key: dg.AssetCheckKey,
    partitions: dg.PartitionsDefinition,
    blocking: bool = False,
    deps: list[dg.AssetDep] | None = None,
) -> dg.AssetCheckSpec:
    """A check of every partition of its asset."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)  # of partitioned checks; a test holds them
        return dg.AssetCheckSpec(
            key.name, asset=key.asset_key, blocking=blocking, partitions_def=partitions, additional_deps=deps
        )


def make_window_checks(partitions: Partitions) -> dg.AssetChecksDefinition:
    """The checks that nobody waits for: one step after ``cluster_stats``, of the assets in the run."""
    published = [dg.AssetDep("cluster_stats", partition_mapping=MAPPING)]
    early = [(ENOUGH_RECORDS, partitions.grid), (NULLS, partitions.grid)]
    early += [(SILHOUETTES[slot], partitions.slots[slot]) for slot in SLOTS]
    specs = [window_check(key, definition, deps=published) for key, definition in early]

    @dg.multi_asset_check(specs=[*specs, window_check(FRESHNESS, partitions.grid)], can_subset=True)
    def window_checks(
        context: dg.AssetCheckExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> Iterator[dg.AssetCheckResult]:
        with our_errors(platform):
            window = platform.grid.window(context.run.tags[PARTITION_TAG])
            found = _verdicts(platform, window)
        for key in sorted(context.selected_asset_check_keys):
            yield found[key.name].result(key)

    return window_checks


def _verdicts(platform: Platform, window: Window) -> dict[str, Verdict]:
    """By the check's name."""
    batch, contract = platform.batch(window), platform.contract
    models = _rows(platform, "models", batch)
    return {
        ENOUGH_RECORDS.name: verdicts.enough_records(batch.records, len(contract.features)),
        NULLS.name: verdicts.nulls(_null_shares(platform, batch), contract.max_null_share),
        SILHOUETTES[window.slot].name: verdicts.silhouette(models[0]["silhouette"] if models else None),
        FRESHNESS.name: verdicts.freshness(_overdue_since(platform, window, datetime.now(UTC))),
    }


def _null_shares(platform: Platform, batch: Batch) -> dict[str, float]:
    """Per feature the share of nulls among the batch's records, as the clusters' statistics count them."""
    clusters = [json.loads(row["features"]) for row in _rows(platform, "cluster_stats", batch)]
    return {
        name: sum(features[name]["nulls"] for features in clusters) / batch.records
        for name in platform.contract.features
        if clusters
    }


def _overdue_since(platform: Platform, window: Window, now: datetime) -> datetime | None:
    intakes, covered = platform.taker.ledger.intakes(), covered_intakes(platform.lake)
    due = due_windows(intakes, covered, platform.grid, platform.lake.floor(), now)
    mine = [item for item in due if item.window == window]
    return next((item.since for item in overdue(mine, intakes, platform.grid, now)), None)


def _rows(platform: Platform, name: str, batch: Batch) -> list[dict[str, Any]]:
    rows = platform.lake.read_window(name, batch.window).filter(pl.col("digest") == batch.digest)
    return rows.collect().to_dicts()
