"""New tables: how a Delta table of a lake is made, and how long its old files and versions are kept."""

import contextlib
from collections.abc import Mapping
from datetime import timedelta

import polars as pl
from deltalake import DeltaTable, Schema
from deltalake.exceptions import CommitFailedError

from resources.tables import TABLES

FILES_KEPT = timedelta(hours=6)
"""A data file stays so long after it left its table: readers of an older version have hours to finish."""
VERSIONS = {"clustering_results": "results_version", "cluster_stats": "stats_version"}
"""The tables that are read at the version which a row of ``windows`` names, and in which column."""
VERSIONS_KEPT = timedelta(days=3)
"""So long a version of these can be opened."""
_CONFIGURATION = {
    "delta.checkpointInterval": "20",
    "delta.logRetentionDuration": f"interval {FILES_KEPT // timedelta(hours=1)} hours",
    "delta.deletedFileRetentionDuration": f"interval {FILES_KEPT // timedelta(hours=1)} hours",
}
_READ_BY_VERSION = {  # upkeep alone shortens their logs: a row of `windows` may name an old version
    "delta.logRetentionDuration": f"interval {VERSIONS_KEPT.days} days",
    "delta.enableExpiredLogCleanup": "false",
}


def make_table(uri: str, name: str, marks: Mapping[str, str]) -> None:
    """Make a table, if it is not there.

    Args:
        marks: of our own, into the table's properties.

    Raises:
        DeltaError, OSError: the place cannot be written.
    """
    table = TABLES[name]
    with contextlib.suppress(CommitFailedError):  # another process made it at this very moment
        DeltaTable.create(
            uri,
            Schema.from_arrow(pl.DataFrame(schema=table.schema).to_arrow().schema),
            mode="ignore",
            partition_by=table.partition_by,
            configuration={**_CONFIGURATION, **(_READ_BY_VERSION if name in VERSIONS else {}), **marks},
            raise_if_key_not_exists=False,
        )
