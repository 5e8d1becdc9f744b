"""Delta tables as Silt writes and reads their files: how Parquet is written, and what polars opens."""

from datetime import date
from urllib.parse import unquote, urlsplit

import polars as pl
from deltalake import BloomFilterProperties, ColumnProperties, DeltaTable, WriterProperties

WRITER = WriterProperties(
    compression="ZSTD",
    max_row_group_size=16_384,
    column_properties={
        "record_id": ColumnProperties(
            dictionary_enabled=False,
            statistics_enabled="PAGE",
            bloom_filter_properties=BloomFilterProperties(set_bloom_filter_enabled=True, fpp=0.01),
        )
    },
)


def replacements(table: DeltaTable) -> dict[str, list[int]]:
    """Per window key, the versions that replaced its rows, ascending, as far as the table's log goes back."""
    found: dict[str, list[int]] = {}
    for commit in table.history():
        predicate = str(commit.get("operationParameters", {}).get("predicate", ""))
        for window in predicate.split("'")[3:4]:  # date = '…' AND "window" = '…'
            found.setdefault(window, []).insert(0, commit["version"])
    return found


def add_actions(table: DeltaTable) -> pl.DataFrame:
    """A table version's files, one a row: path, size, rows, partition values, least and greatest values.

    The column ``address`` is what polars and Spark open: a local file's path as it is, not as a URL.
    """
    actions = pl.Series(pl.from_arrow(table.get_add_actions(flatten=True)))
    if actions.is_empty():
        return pl.DataFrame()
    return actions.struct.unnest().with_columns(address=pl.concat_str(pl.lit(f"{root_of(table)}/"), "path"))


def root_of(table: DeltaTable) -> str:
    """Where a table's files are: a local path as it is, or an object store's URL; no slash at its end."""
    url = urlsplit(table.table_uri)
    return (unquote(url.path) if url.scheme == "file" else table.table_uri).rstrip("/")


def scan(table: DeltaTable, day: date | None = None) -> pl.LazyFrame:
    """All rows of a table version, or those of one day.

    Not ``pl.scan_delta``: that takes a local table's URL for its path, and finds nothing in ``my%20home``.
    """
    schema = schema_of(table)
    actions = add_actions(table)
    if actions.is_empty():
        return pl.LazyFrame(schema=schema)
    stored = pl.Schema({name: kind for name, kind in schema.items() if f"partition.{name}" not in actions})
    if stored == schema:
        return _files(actions, stored)
    days = actions.group_by("partition.date", maintain_order=True)
    frames = [
        _files(files, stored).select(pl.lit(value, pl.Date).alias("date"), pl.all()).select(schema.names())
        for (value,), files in days
        if day is None or value == day
    ]
    return pl.concat(frames) if frames else pl.LazyFrame(schema=schema)


def schema_of(table: DeltaTable) -> pl.Schema:
    return pl.Schema(table.schema().to_arrow())


def _files(actions: pl.DataFrame, schema: pl.Schema) -> pl.LazyFrame:
    addresses = actions["address"].to_list()
    return pl.scan_parquet(addresses, schema=schema, missing_columns="insert", extra_columns="ignore")
