"""What an upkeep job did, and what it left for the next time."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from deltalake import DeltaTable

from resources.delta import WRITER
from resources.errors import TransientError
from resources.lake import Lake

_TRIES = 6


@dataclass
class Change:
    """What happened to one table: its data files, and on disk.

    Attributes:
        rewritten: files that were merged into others.
        deleted: files that no version needs any more and that are gone from the disk.
        freed: their bytes, in a local lake.
    """

    files_before: int
    files_after: int
    rewritten: int = 0
    rows_removed: int = 0
    deleted: int = 0
    freed: int = 0


@dataclass
class Report:
    """What was done to each table of a lake, in so many seconds at most (what has begun is ended)."""

    lake: Lake
    seconds: float = 300.0
    changes: dict[str, Change] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    """What was not done, one line each: a table was busy, or there was no time."""
    _started: float = field(default_factory=time.monotonic)

    @property
    def elapsed(self) -> float:
        """Seconds since the work began."""
        return time.monotonic() - self._started

    def of(self, name: str) -> Change:
        """The change of a table; its files are counted at the first call."""
        if name not in self.changes:
            files = _count_files(self.lake, name)
            self.changes[name] = Change(files, files)
        return self.changes[name]

    def in_time(self, what: str) -> bool:
        """Whether there is time for one thing more; otherwise it is left."""
        if self.elapsed < self.seconds:
            return True
        self.left.append(f"{what}: no time, the next run goes on")
        return False

    def rewrite(self, name: str, what: str, write: Callable[[DeltaTable], dict[str, Any]]) -> None:
        """Have files of a table merged; ``write`` gives delta-rs's figures."""
        figures = self.commit(name, what, write)
        self.of(name).rewritten += figures.get("numFilesRemoved", 0)

    def delete(self, name: str, what: str, predicate: str) -> None:
        """Delete the rows of a table for which a predicate holds."""
        figures = self.commit(name, what, lambda table: table.delete(predicate, writer_properties=WRITER))
        self.of(name).rows_removed += figures.get("num_deleted_rows", 0)

    def commit(self, name: str, what: str, write: Callable[[DeltaTable], dict[str, Any]]) -> dict[str, Any]:
        """Commit to a table if other writers let it; otherwise leave it, and say nothing was done."""
        change, figures = self.of(name), dict[str, Any]()
        try:
            self.lake.commit(name, lambda table: figures.update(write(table)), _TRIES)
        except TransientError:
            self.left.append(f"{name}, {what}: busy, the next run tries again")
            return {}
        change.files_after = _count_files(self.lake, name)
        return figures


def _count_files(lake: Lake, name: str) -> int:
    return len(lake.table(name).file_uris())
