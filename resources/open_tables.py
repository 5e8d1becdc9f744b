"""Open tables: one handle per Delta table of a lake, brought up to date at each use."""

import os
import threading
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from resources.errors import LakeError

_LOOKED_SECONDS = 0.002
T = TypeVar("T")


class OpenTables:
    """The tables under one URI: a local folder, or an object store that delta-rs knows."""

    def __init__(self, uri: str) -> None:
        self.uri = uri.rstrip("/")
        self._handles: dict[str, DeltaTable] = {}
        self._versions: dict[str, int] = {}
        self._looked: dict[tuple[str, ...], tuple[tuple[int, ...], float]] = {}
        self._made: dict[tuple[str, str], tuple[DeltaTable, int, Any]] = {}
        self._lock = threading.RLock()

    def table(self, name: str, version: int | None = None) -> DeltaTable:
        """A table as it is now, or as it was at an older version.

        Raises:
            LakeError: the table is not there.
        """
        try:
            if version is not None:
                return DeltaTable(self._uri(name), version=version)
            with self._lock:
                known = self._versions.get(name, -1)
                if name not in self._handles or (self._root and not self._has(name, known)):
                    self._handles[name] = DeltaTable(self._uri(name))
                elif not self._is_at(name, known):
                    self._handles[name].update_incremental()
                self._versions[name] = self._handles[name].version()
                return self._handles[name]
        except TableNotFoundError:
            raise self._lacks(name) from None

    def require(self, *names: str) -> None:
        """Check that tables are there: in an object store an open one that is gone goes unnoticed.

        Raises:
            LakeError: a table is not there.
        """
        for name in names:
            if not DeltaTable.is_deltatable(self._uri(name)):
                raise self._lacks(name)

    def _lacks(self, name: str) -> LakeError:
        return LakeError(
            f"The lake {self.uri} has no table {name}: `silt up` creates it; or correct SILT_LAKE_URI."
        )

    def versions_at_hand(self, names: tuple[str, ...]) -> tuple[int, ...] | None:
        """The tables' versions, if all are open at their newest as of 2 ms ago at most; only in a folder.

        It takes microseconds. To look at the log each time would be as quick, but lets other threads run.
        """
        versions = tuple(self._versions.get(name, -1) for name in names)
        now, looked = time.monotonic(), self._looked.get(names)
        if looked and looked[0] == versions and now < looked[1]:
            return versions
        if not all(map(self._is_at, names, versions)):
            return None
        self._looked[names] = versions, now + _LOOKED_SECONDS
        return versions

    def _is_at(self, name: str, version: int) -> bool:
        """Whether a table is at a version still, as the names in its log tell; False in an object store."""
        return self._has(name, version) and not self._has(name, version + 1)

    def _has(self, name: str, version: int) -> bool:
        """Whether the log in a local folder has a version: neither it nor the lake was deleted meanwhile."""
        return os.path.exists(f"{self._root}/{name}/_delta_log/{version:020}.json")  # noqa: PTH110  (quick)

    def _once(self, name: str, what: str, table: DeltaTable, make: Callable[[], T]) -> T:
        """What was made of a handle, made anew once it is at another version."""
        found = self._made.get((name, what))
        if not found or found[0] is not table or found[1] != table.version():
            found = self._made[name, what] = table, table.version(), make()
        made: T = found[2]
        return made

    def folder(self, name: str) -> Path | None:
        """A table's folder; None in an object store."""
        return self._root / name if self._root else None

    @cached_property
    def _root(self) -> Path | None:
        url = urlsplit(self.uri)
        if url.scheme not in ("", "file"):
            return None
        return Path(unquote(url.path) if url.scheme else self.uri)

    def _uri(self, name: str) -> str:
        return f"{self.uri}/{name}"
