"""Rows sorted by record id as they come, in the memory of little more than themselves."""

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import polars as pl

from resources.id_order import by_id

SHELF = 1 << 19
"""Rows that are sorted and copied at once, at most; a shelf with more is divided. The first may have twice as
many: as long as it is the only one, each row is copied once, when it is asked for."""
_PARTS = 8
_FEW = 6


class Shelves:
    """Rows by ranges of their record ids: a shelf each range, which is divided when it has too many.

    A shelf is some sorted frames, merged so that each row is copied a few times only; the first one's are not
    sorted before it is divided.
    """

    def __init__(self) -> None:
        self.height = 0
        self._starts: list[str] = [""]
        self._shelves: list[list[pl.DataFrame]] = [[]]

    def add(self, rows: pl.DataFrame) -> None:
        """Add rows, in any order."""
        self.height += rows.height
        if len(self._shelves) > 1:
            rows = by_id(rows)
        bounds = _bounds(rows, self._starts[1:])
        for place in reversed(range(len(self._shelves))):  # what is divided moves those that follow
            part = rows[bounds[place] : bounds[place + 1]]
            if part.height:
                self._put(place, part)

    def _put(self, place: int, part: pl.DataFrame) -> None:
        shelf = self._shelves[place]
        shelf.append(part)
        if len(self._shelves) > 1:
            _merge(shelf)
        most = SHELF if len(self._shelves) > 1 else 2 * SHELF
        if sum(frame.height for frame in shelf) > most:
            self._divide(place)

    def _divide(self, place: int) -> None:
        whole = _one(self._shelves[place])
        ids = whole["record_id"]
        starts = sorted({ids[whole.height * part // _PARTS] for part in range(1, _PARTS)} - {ids[0]})
        parts = [whole[np.arange(*pair)] for pair in pairwise(_bounds(whole, starts))]  # copies, not views
        self._starts[place + 1 : place + 1] = starts
        self._shelves[place : place + 1] = [[part] for part in parts]

    def frames(self) -> list[pl.DataFrame]:
        """All rows by rising id, in frames of which no two have the same id; they stay here too."""
        shelves = [shelf for shelf in self._shelves if shelf]
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            list(threads.map(_sort, shelves))
        return [shelf[0] for shelf in shelves]

    def taken(self) -> list[pl.DataFrame]:
        """As :meth:`frames`; none is left here."""
        frames = self.frames()
        self._starts, self._shelves, self.height = [""], [[]], 0
        return frames


def _bounds(rows: pl.DataFrame, starts: list[str]) -> list[int]:
    """The places where rows by rising id are cut, both ends included."""
    return [0, *rows["record_id"].search_sorted(pl.Series(starts, dtype=pl.String), "left"), rows.height]


def _merge(shelf: list[pl.DataFrame]) -> None:
    """Merge the last few, as long as none is much the greater: each row is copied a few times."""
    while len(shelf) >= _FEW and shelf[-_FEW].height <= 2 * shelf[-1].height:
        shelf[-_FEW:] = [_one(shelf[-_FEW:])]


def _sort(shelf: list[pl.DataFrame]) -> None:
    shelf[:] = [_one(shelf)]


def _one(frames: list[pl.DataFrame]) -> pl.DataFrame:
    return by_id(pl.concat(frames) if len(frames) > 1 else frames[0])
