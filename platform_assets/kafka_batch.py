"""``kafka_batch``: a window's records, selected from what the intakes have landed."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import dagster as dg

from platform_assets.attending import attend, log_intakes
from platform_assets.checks import ACCOUNTING, window_check
from platform_assets.partitions import Partitions
from platform_assets.run import RETRIES, Platform, window_of
from platform_assets.spark_session import SparkConnectResource
from platform_assets.verdicts import accounting
from resources.batch import Batch, select
from resources.errors import LakeError
from resources.intake_rows import Intake
from resources.versions import pin_of

SHOWN = 50
"""So many intakes of a window at most are listed in its metadata."""


def make_kafka_batch(partitions: Partitions) -> dg.AssetsDefinition:
    """The asset ``kafka_batch``."""

    @dg.asset(
        partitions_def=partitions.grid,
        check_specs=[window_check(ACCOUNTING, partitions.grid, blocking=True)],
        kinds={"kafka", "deltalake"},
        retry_policy=RETRIES,
    )
    def kafka_batch(
        context: dg.AssetExecutionContext,
        platform: dg.ResourceParam[Platform],
        spark: SparkConnectResource,
    ) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[None]]:
        """The records of one window: one per record id, the latest; late ones up to the allowed lateness."""
        attended = partial(attend, context, platform, spark)
        with window_of(context, platform, spark, wait=attended) as window:
            taken = platform.taker.take_to(platform.grid.close(window))
            log_intakes(context, taken)
            intakes = platform.taker.ledger.intakes()
            batch = select(
                platform.lake,
                platform.contract,
                platform.grid,
                window,
                intakes,
                platform.settings.model_scheme,
                pin_of(platform.lake, platform.contract, platform.grid, window),
                platform.rows,
            )
            accounted = accounting(platform.account(window, intakes))
            yield accounted.result(ACCOUNTING, dg.AssetCheckSeverity.ERROR)
            if not accounted.passed:
                raise LakeError(
                    f"What was read does not add up for window {window.key}: {accounted.description}. "
                    "Nothing is answered from it: restore the lake's tables."
                )
            yield dg.MaterializeResult(
                metadata={
                    "dagster/row_count": batch.records,
                    "late": batch.late,
                    "duplicates": batch.duplicates,
                    "dead letters": batch.dead_letters,
                    "missing offsets": batch.missing,
                    "revision": batch.revision,
                    **_model_terms(batch),
                    "last intake": batch.covered,
                    "offsets": dg.MetadataValue.md(_offsets(intakes.latest_for(window, SHOWN))),
                    "digest": batch.digest,
                }
            )

    return kafka_batch


def _model_terms(batch: Batch) -> dict[str, Any]:
    """Where the model sees more than the window, or another version assigns: what, and which."""
    terms: dict[str, Any] = {}
    if batch.first_source != batch.window.key:
        terms = {"model sees windows from": batch.first_source, "records that it sees": batch.seen}
    return terms | ({"pinned version": batch.pinned} if batch.pinned else {})


def _offsets(intakes: list[Intake]) -> str:
    rows = [
        f"| {intake.number} | {p} | {span.start} | {span.end} | {span.missing} |"
        for intake in intakes
        for p, span in sorted(intake.spans.items())
    ]
    return "\n".join(
        ["| intake | partition | from | to | missing |", "| --- | --- | --- | --- | --- |", *rows]
    )
