"""Delta tables as Silt writes and reads their files: how Parquet is written, and what polars opens."""

import json
import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import polars as pl
from deltalake import BloomFilterProperties, ColumnProperties, CommitProperties, DeltaTable, WriterProperties
from deltalake.fs import DeltaStorageHandler
from deltalake.transaction import AddAction

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
_APPENDED_ROW_GROUP = 65_536
_BOUNDED = ("number", "window", "intake", "attempt")
"""Columns whose least and greatest values files are chosen by: an appended file's are noted."""


def write_files(root: str, keys: Sequence[str], rows: pl.DataFrame) -> list[AddAction]:
    """Write rows into files of the table under ``root``, a path or URL, that no version names yet.

    Polars writes them: delta-rs takes twice the CPU time and four times the memory.

    Args:
        keys: the columns by which the table is partitioned.

    Raises:
        OSError: the disk is full, or the store does not take them.
    """
    parts = rows.partition_by(keys, as_dict=True, include_key=False) if keys else {(): rows}
    return [_write_file(root, dict(zip(keys, values, strict=True)), part) for values, part in parts.items()]


def _write_file(root: str, values: Mapping[str, object], rows: pl.DataFrame) -> AddAction:
    folders = [f"{key}={value}" for key, value in values.items()]
    path = "/".join([*folders, f"part-{uuid.uuid4()}.zstd.parquet"])
    _write_parquet(f"{root}/{path}", rows)
    (stored,) = DeltaStorageHandler(root).get_file_info([path])
    partition: dict[str, str | None] = {key: str(value) for key, value in values.items()}
    return AddAction(path, stored.size, partition, time.time_ns() // 1_000_000, True, _statistics(rows))


def _write_parquet(address: str, rows: pl.DataFrame) -> None:
    size = _APPENDED_ROW_GROUP
    try:
        rows.write_parquet(address, compression="zstd", compression_level=1, row_group_size=size, mkdir=True)
    except pl.exceptions.ComputeError as error:  # as polars calls a full disk
        Path(address).unlink(missing_ok=True)
        raise OSError(str(error)) from None


def add_files(table: DeltaTable, files: Sequence[AddAction]) -> int:
    """Commit files as the version after a handle's, which stays where it is.

    Returns:
        That version.

    Raises:
        CommitFailedError: another was first.
    """
    table.create_write_transaction(
        list(files),
        "append",
        table.schema(),
        table.metadata().partition_columns,
        commit_properties=CommitProperties(max_commit_retries=0),
    )
    return table.version() + 1


def _statistics(rows: pl.DataFrame) -> str:
    """What Delta's log says of a file."""
    bounded = rows.select(name for name in _BOUNDED if name in rows.columns)
    found: dict[str, Any] = {"numRecords": rows.height}
    for name, bounds in (("minValues", bounded.min()), ("maxValues", bounded.max())):
        found[name] = {
            column: value for column, value in bounds.row(0, named=True).items() if value is not None
        }
    return json.dumps(found)


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
