"""Delta tables as Silt writes and reads their files: how Parquet is written, and what polars opens."""

import json
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import polars as pl
import pyarrow as pa  # type: ignore[import-untyped]
from deltalake import BloomFilterProperties, ColumnProperties, CommitProperties, DeltaTable, WriterProperties
from deltalake.fs import DeltaStorageHandler
from deltalake.transaction import AddAction

ROW_GROUP = 16_384
"""So many rows of an answer are read to find one of them."""
_FILE_ROW_GROUP = 1 << 18
"""Of a file that is read whole."""
WRITER = WriterProperties(
    compression="ZSTD",
    max_row_group_size=ROW_GROUP,
    column_properties={
        "record_id": ColumnProperties(
            dictionary_enabled=False,
            statistics_enabled="PAGE",
            bloom_filter_properties=BloomFilterProperties(set_bloom_filter_enabled=True, fpp=0.01),
        )
    },
)
Schema = Mapping[str, Any]
"""Polars' types by column."""
_WINDOW = "silt.window"
"""In a commit: the window whose first rows it appends."""
_BOUNDED = ("number", "window", "intake", "attempt", "digest", "cluster")
"""Columns whose least and greatest values files are chosen by: an appended file's are noted."""


def write_files(
    root: str, keys: Sequence[str], rows: pl.DataFrame, *, by_file: bool = False
) -> list[AddAction]:
    """Write rows into files of the table under ``root``, a path or URL, that no version names yet.

    Polars writes them: delta-rs takes twice the CPU time and four times the memory.

    Args:
        keys: the columns by which the table is partitioned.
        by_file: whether they will be read by the whole file, not searched for one of them.

    Raises:
        OSError: the disk is full, or the store does not take them.
    """
    parts = rows.partition_by(keys, as_dict=True, include_key=False) if keys else {(): rows}
    return [
        _write_file(root, dict(zip(keys, values, strict=True)), part, by_file)
        for values, part in parts.items()
    ]


def _write_file(root: str, values: Mapping[str, object], rows: pl.DataFrame, by_file: bool) -> AddAction:
    folders = [f"{key}={value}" for key, value in values.items()]
    path = "/".join([*folders, f"part-{uuid.uuid4()}.zstd.parquet"])
    _write_parquet(f"{root}/{path}", rows, by_file)
    (stored,) = DeltaStorageHandler(root).get_file_info([path])
    partition: dict[str, str | None] = {key: str(value) for key, value in values.items()}
    return AddAction(path, stored.size, partition, time.time_ns() // 1_000_000, True, _statistics(rows))


def _write_parquet(address: str, rows: pl.DataFrame, by_file: bool) -> None:
    try:
        rows.write_parquet(
            address,
            compression="zstd",
            compression_level=1,
            row_group_size=_FILE_ROW_GROUP if by_file else ROW_GROUP,
            statistics=not by_file,
            mkdir=True,
        )
    except pl.exceptions.ComputeError as error:  # as polars calls a full disk
        Path(address).unlink(missing_ok=True)
        raise OSError(str(error)) from None


def add_files(table: DeltaTable, files: Sequence[AddAction], window: str | None = None) -> int:
    """Commit files as the version after a handle's, which stays where it is.

    Args:
        window: the key of the one that they are the first rows of, see :func:`replacements`.

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
        commit_properties=CommitProperties({_WINDOW: window} if window else None, max_commit_retries=0),
    )
    return table.version() + 1


def arrow_stream(schema: Schema, parts: Iterable[pl.DataFrame]) -> pa.RecordBatchReader:
    """Rows as an Arrow stream, made while it is read."""
    empty = pl.DataFrame(schema=dict(schema)).to_arrow(compat_level=pl.CompatLevel.oldest())
    tables = (part.to_arrow(compat_level=pl.CompatLevel.oldest()) for part in parts)
    return pa.RecordBatchReader.from_batches(
        empty.schema, (batch for table in tables for batch in table.to_batches())
    )


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
        named = predicate.split("'")[3:4]  # date = '…' AND "window" = '…'
        for window in [commit[_WINDOW]] if _WINDOW in commit else named:
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
