"""A segment of the id index: sorted arrays in a folder of their own, mapped into memory."""

import json
import uuid
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from resources.durability import sync

Array = NDArray[Any]
_FORMAT = f"1, polars {pl.__version__}"
"""Polars keeps its hashes the same within a version only: a segment of another one is made again."""
_FILE_MASK = np.uint64(0xFFFF)
_UNFINISHED = ".new"
ENTRY_BYTES = 12
"""48 bits of the id's hash and 16 of the file's number in the segment; 32 of the row in the file."""


class Segment:
    """The ids of some files.

    Attributes:
        folder: what it lies in.
        files: address to number of rows; the place is the file's number in the entries.
    """

    def __init__(self, folder: Path, files: Mapping[str, int], sums: Sequence[int]) -> None:
        self.folder = folder
        self.files = files
        self._sums = sums
        self._addresses = list(files)
        self._keys: Array = np.load(folder / "keys.npy", mmap_mode="r")
        self._rows: Array = np.load(folder / "rows.npy", mmap_mode="r")
        if not len(self._keys) == len(self._rows) == sum(files.values()):
            raise ValueError("torn")

    def __len__(self) -> int:
        """Entries, those of unwanted files among them."""
        return len(self._keys)

    def find(self, wanted: np.uint64) -> Iterator[tuple[str, int]]:
        """Address and row of each entry with a hash."""
        first = np.searchsorted(self._keys, wanted)
        last = np.searchsorted(self._keys, wanted | _FILE_MASK, "right")
        for key, row in zip(self._keys[first:last], self._rows[first:last], strict=True):
            yield self._addresses[int(key & _FILE_MASK)], int(row)

    def entries(self, addresses: Sequence[str], first: int) -> tuple[Array, Array]:
        """Keys and rows of some of its files, which get numbers from ``first`` on."""
        numbers = np.full(len(self.files), -1, np.int64)
        numbers[[self._places[address] for address in addresses]] = np.arange(first, first + len(addresses))
        renumbered = numbers[(self._keys & _FILE_MASK).astype(np.int64)]
        mine = renumbered >= 0
        keys = self._keys[mine] & ~_FILE_MASK | renumbered[mine].astype(np.uint64)
        return keys, self._rows[mine]

    def is_whole(self) -> bool:
        """Whether the arrays are what was written."""
        return [_sum(self._keys), _sum(self._rows)] == self._sums

    @cached_property
    def _places(self) -> dict[str, int]:
        return {address: place for place, address in enumerate(self._addresses)}


def hashes_of(ids: pl.Series) -> NDArray[np.uint64]:
    """48 bits of a hash of each id, above 16 bits that are zero."""
    hashes: NDArray[np.uint64] = ids.hash(0).to_numpy() & ~_FILE_MASK
    return hashes


def write_segment(folder: Path, files: Mapping[str, int], keys: Array, rows: Array) -> Segment:
    """Sort entries and put them on disk: a crash leaves the whole segment, or nothing that is read."""
    order = np.argsort(keys)
    keys, rows = keys[order], rows[order]
    temporary = folder / f"{uuid.uuid4().hex}{_UNFINISHED}"
    temporary.mkdir(parents=True)
    np.save(temporary / "keys.npy", keys)
    np.save(temporary / "rows.npy", rows)
    sums = [_sum(keys), _sum(rows)]
    head = {"format": _FORMAT, "files": files, "sums": sums}
    (temporary / "files.json").write_text(json.dumps(head))
    for path in (*temporary.iterdir(), temporary):
        sync(path)
    segment = temporary.with_suffix("")
    temporary.rename(segment)
    sync(folder)
    return Segment(segment, files, sums)


def read_segment(folder: Path) -> Segment | None:
    """The segment in a folder; None if it is torn, or of another format."""
    try:
        head = json.loads((folder / "files.json").read_text())
        if folder.suffix == _UNFINISHED or head["format"] != _FORMAT:
            return None
        return Segment(folder, head["files"], head["sums"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _sum(array: Array) -> int:
    return zlib.crc32(array.data)
