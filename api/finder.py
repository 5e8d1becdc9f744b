"""Where a record is: the id index says it of the files that it holds; the others are scanned."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Any

import polars as pl

from api.problems import UnavailableError
from api.snapshots import SQL_NAME, File, Snapshot
from resources.id_index import Held, IdIndex

COLUMNS = ("window", "digest", "record_id", "cluster", "distance", "event_time", "features")
_SCANNED_ONE_BY_ONE = 8

Row = tuple[Any, ...]
"""Values of ``COLUMNS``."""


class Finder:
    """Finds the rows of an id in ``clustering_results``."""

    def __init__(self, index: IdIndex) -> None:
        self._index = index

    def rows(self, unique_id: str, snapshot: Snapshot) -> Iterator[tuple[str, list[Row]]]:
        """The rows of an id in a version, by file, with the newest window that this file and later ones hold.

        Those of an id that is nowhere are found without a look into a file, once the index has all files.
        """
        held = self._index.held
        places = held.find(unique_id)
        files = [snapshot.files[address] for address in places if address in snapshot.files]
        unknown = _unknown(snapshot, held)
        several = len(unknown) > _SCANNED_ONE_BY_ONE
        for file in sorted([*files, *unknown[: 1 if several else None]], key=_newest, reverse=True):
            if several and file is unknown[0]:
                yield file.newest, _query(unique_id, snapshot)
                return
            yield file.newest, _in_file(unique_id, file, places.get(file.address))

    def rows_in(self, unique_id: str, files: Iterable[File]) -> Iterator[Row]:
        """The rows of an id in some files."""
        held = self._index.held
        places = held.find(unique_id)
        for file in files:
            nowhere = set[int]() if file.address in held.files else None
            yield from _in_file(unique_id, file, places.get(file.address, nowhere))


@lru_cache(2)
def _unknown(snapshot: Snapshot, held: Held) -> list[File]:
    """The files of which the index holds nothing, newest first."""
    unknown = [file for address, file in snapshot.files.items() if address not in held.files]
    return sorted(unknown, key=_newest, reverse=True)


def _newest(file: File) -> str:
    return file.newest


def _in_file(unique_id: str, file: File, rows: set[int] | None) -> list[Row]:
    """The rows of an id in a file; if they are known, no others are read."""
    frame = pl.scan_parquet(file.address).select(COLUMNS)
    if rows is None:
        return frame.filter(pl.col("record_id") == unique_id).collect().rows()
    found = [row for run in _runs(sorted(rows)) for row in frame.slice(*run).collect().rows()]
    if any(row[2] != unique_id for row in found) or len(found) < len(rows):
        return _in_file(unique_id, file, None)  # two ids have a hash in common, or the index is damaged
    return found


def _runs(rows: list[int]) -> Iterator[tuple[int, int]]:
    """First and length of each run of neighbours."""
    start = rows[0] if rows else -1
    for row, following in pairwise([*rows, -1]):
        if following != row + 1:
            yield start, row + 1 - start
            start = following


def _query(unique_id: str, snapshot: Snapshot) -> list[Row]:
    """All rows of an id in a version, by statistics and bloom filters."""
    columns = ", ".join(f'"{column}"' for column in COLUMNS)
    literal = unique_id.replace("'", "''")
    sql = f"SELECT {columns} FROM {SQL_NAME} WHERE record_id = '{literal}'"
    try:
        found = snapshot.sql.execute(sql).read_all()
    except Exception as error:  # delta-rs raises no narrower type for a file that cannot be read
        raise UnavailableError(f"the query {sql} failed: {error}") from error
    return pl.Series(pl.from_arrow(found)).struct.unnest().rows()
