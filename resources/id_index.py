"""Where each record id is: its rows in the files of ``clustering_results``, from sorted arrays on disk.

A data file never changes, so what the index says of a file stays true. It is derived: whoever deletes its
folder loses nothing but the time to make it again. Readers compare the id in the row that it points to.
"""

import contextlib
import fcntl
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl

from resources.id_segments import ENTRY_BYTES, Array, Segment, hashes_of, read_segment, write_segment

FOLDER = "id_index"
"""Below ``SILT_HOME``."""
_FULL = 4_000_000
"""Entries of the largest segment (48 MB); only a file with more rows makes one that is larger."""
_MOST_FILES = 65_536
"""Of a segment: 16 bits of an entry name the file."""
_RATIO = 3
"""A segment joins smaller ones that together have a third of its entries: so few segments are left."""


class Held:
    """The segments at one moment. It never changes."""

    def __init__(self, segments: Sequence[Segment]) -> None:
        self.segments = tuple(segments)

    @cached_property
    def files(self) -> frozenset[str]:
        """The addresses of the files whose ids are all here."""
        return frozenset(address for segment in self.segments for address in segment.files)

    def find(self, unique_id: str) -> dict[str, set[int]]:
        """Address to rows that may have an id; where no other file has it, there is none."""
        (wanted,), found = hashes_of(pl.Series([unique_id])), dict[str, set[int]]()
        for segment in self.segments:
            for address, row in segment.find(wanted):
                found.setdefault(address, set()).add(row)
        return found


class IdIndex:
    """The index in a folder. Safe to share among threads; of several processes one at a time writes."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        self._folder = folder
        self._most_rows = megabytes * 1_000_000 // ENTRY_BYTES
        self.held = Held(_load(folder))

    def update(self, files: Mapping[str, int]) -> bool:
        """Hold the ids of these files, as far as they fit, and of no other.

        What is new can be found as soon as a segment of it is written. Nothing is done while another
        process writes.

        Args:
            files: address to number of rows, the most wanted first.

        Returns:
            Whether it was this process's turn.
        """
        with self.alone() as alone:
            if alone:
                self._update(self._fitting(files))
            return alone

    @contextlib.contextmanager
    def alone(self) -> Iterator[bool]:
        """Whether this process may write; what it then finds of torn and of older segments is removed."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            for path in _folders(self._folder):
                if read_segment(path) is None:
                    shutil.rmtree(path, ignore_errors=True)
            yield True

    def _fitting(self, files: Mapping[str, int]) -> dict[str, int]:
        wanted, total = dict[str, int](), 0
        for address, rows in files.items():
            total += rows
            if total > self._most_rows:
                break
            wanted[address] = rows
        return wanted

    def _update(self, wanted: Mapping[str, int]) -> None:
        self.held = Held(_load(self._folder))
        missing = {address: rows for address, rows in wanted.items() if address not in self.held.files}
        for batch in _batches(missing):
            segment = write_segment(self._folder, *_ids_of(batch))
            self.held = Held([*self.held.segments, segment])
        while group := _to_merge(self.held.segments, wanted):
            self._merge(group, wanted)

    def _merge(self, group: Sequence[Segment], wanted: Mapping[str, int]) -> None:
        kept = [segment for segment in self.held.segments if segment not in group]
        elsewhere = {address for segment in kept for address in segment.files}
        files, parts = dict[str, int](), list[tuple[Array, Array]]()
        for segment in group:
            mine = [a for a in segment.files if a in wanted and a not in elsewhere and a not in files]
            parts.append(segment.entries(mine, len(files)))
            files |= {address: segment.files[address] for address in mine}
        if files:
            kept.append(write_segment(self._folder, files, *map(np.concatenate, zip(*parts, strict=True))))
        self.held = Held(kept)
        for segment in group:
            shutil.rmtree(segment.folder, ignore_errors=True)


def damaged(folder: Path) -> list[str]:
    """The names of the segments whose content is not what was written; all of it is read."""
    return [path.name for path in _folders(folder) if not (s := read_segment(path)) or not s.is_whole()]


def _load(folder: Path) -> list[Segment]:
    return [segment for path in _folders(folder) if (segment := read_segment(path))]


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if path.is_dir()) if folder.is_dir() else []


def _batches(files: Mapping[str, int]) -> Iterator[dict[str, int]]:
    batch: dict[str, int] = {}
    for address, rows in files.items():
        if batch and (sum(batch.values()) + rows > _FULL or len(batch) == _MOST_FILES):
            yield batch
            batch = {}
        batch[address] = rows
    if batch:
        yield batch


def _ids_of(addresses: Iterable[str]) -> tuple[dict[str, int], Array, Array]:
    """What a segment of these files holds: the files with their rows, and of each entry its key and row."""
    files, keys = dict[str, int](), list[Array]()
    for number, address in enumerate(addresses):
        hashes = hashes_of(pl.read_parquet(address, columns=["record_id"])["record_id"])
        files[address] = len(hashes)
        keys.append(hashes | np.uint64(number))
    rows = [np.arange(count, dtype=np.uint32) for count in files.values()]
    return files, np.concatenate(keys), np.concatenate(rows)


def _to_merge(segments: Iterable[Segment], wanted: Mapping[str, int]) -> list[Segment]:
    """The segments that are better one, or that hold more than a half of what nobody wants."""
    live = {s: sum(rows for address, rows in s.files.items() if address in wanted) for s in segments}
    worn = [segment for segment, rows in live.items() if 2 * rows < len(segment)]
    if worn:
        return worn[:1]
    ordered = sorted(live, key=lambda segment: live[segment])
    totals = [sum(live[s] for s in ordered[:count]) for count in range(1, len(ordered) + 1)]
    for count, (below, total) in enumerate(pairwise(totals), 1):
        joined = sum(len(segment.files) for segment in ordered[: count + 1])
        if total - below > _RATIO * below or total > _FULL or joined > _MOST_FILES:
            return ordered[:count] if count > 1 else []
    return ordered if len(ordered) > 1 else []
