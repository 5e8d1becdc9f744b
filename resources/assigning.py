"""Which model assigns a batch's records: the one that is trained on it, or a pinned version."""

import polars as pl

from resources.batch import Batch
from resources.errors import LakeError
from resources.lake import Lake
from resources.versions import Stored, Version, read_version
from resources.windows import Grid


def assigning_model(lake: Lake, grid: Grid, batch: Batch) -> Stored | None:
    """What assigns a batch's records, with its model; None where there are no records, or too few points.

    Raises:
        LakeError: there is no model of this batch.
        VersionError: the pinned version is gone.
    """
    if not batch.records:
        return None
    if batch.pinned:
        return read_version(lake, Version.parse(batch.pinned, grid), batch.pinned_digest)
    rows = lake.read_window("models", batch.window).filter(pl.col("digest") == batch.digest)
    found = rows.sort("revision").collect().to_dicts()
    if not found:
        raise LakeError(
            f"Window {batch.window.key} has no model of its present batch: "
            f"materialize model_{batch.window.slot} for it first."
        )
    stored = Stored(Version(batch.window, found[-1]["revision"]), found[-1])
    return stored if stored.model else None
