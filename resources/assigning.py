"""Which model assigns a batch's records: the one that is trained on it, or a pinned version."""

from operator import itemgetter

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
    found = [row for row in lake.window_rows("models", batch.window) if row["digest"] == batch.digest]
    if not found:
        raise LakeError(
            f"Window {batch.window.key} has no model of its present batch: "
            f"materialize model_{batch.window.slot} for it first."
        )
    row = max(found, key=itemgetter("revision"))
    stored = Stored(Version(batch.window, row["revision"]), row)
    return stored if stored.model else None
