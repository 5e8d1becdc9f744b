"""Ahead of the close: the answer of what has come, worked out in the seconds of grace.

As a rule nothing more comes for a window that has ended. Then all that is left for the close is to see that,
and to commit. If something does come, the batch has another digest, and nothing made here is used.
"""

from datetime import timedelta

from platform_assets.cluster_stats import statistics_of
from platform_assets.clustering_results import clustered, write_ahead
from platform_assets.models import in_process, train_ahead, trained
from platform_assets.run import Platform
from platform_assets.spark_session import SparkConnectResource
from resources.batch import batch_of
from resources.versions import Stored, Version, pin_of
from resources.windows import Window

ARRIVED = timedelta(seconds=0.3)
"""So long after a window's end its last records have come, as a rule."""
MOST = 250_000
"""Records of a window that is worked on ahead, in a quarter of a second on two cores. The more there are, the
surer one of them comes in the grace, and the more is made in vain."""


def work_ahead(platform: Platform, spark: SparkConnectResource, window: Window) -> bool:
    """Train on what has come for a window, assign, sum up and write it; a large window is sorted and a sample
    of it fitted, no more.

    Nothing is committed. Files that no commit will name are upkeep's to remove.

    Returns:
        Whether all of it was done.
    """
    intakes, lake, grid = platform.taker.ledger.intakes(), platform.lake, platform.grid
    so_far, landed = platform.rows.so_far(window, intakes), intakes.records(window)
    if so_far is None or not in_process(platform, landed):
        return False
    scheme, pin = platform.settings.model_scheme, pin_of(lake, platform.contract, grid, window)
    batch, kept = batch_of(
        lake, platform.contract, grid, window, intakes, scheme, pin, platform.rows, [so_far]
    )
    if batch.pinned or not in_process(platform, batch.seen):
        return False
    platform.rows.hold(batch.digest, kept)
    train_ahead(platform, batch)
    if landed > MOST:
        return False
    stored = Stored(Version(window, batch.revision), trained(spark, platform, batch))
    if stored.model:
        found = clustered(platform, batch, stored.model)
        statistics_of(spark, platform, batch, stored)
        write_ahead(platform, batch, found, str(stored.version))
    return True
