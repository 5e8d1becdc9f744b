"""Commits: how a version of a table is made while others make theirs, and how it gets to disk."""

import contextlib
import random
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property

from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction

from resources.delta import add_files
from resources.durability import UNSETTLED, settle, sync
from resources.errors import TransientError
from resources.open_tables import OpenTables

_COMMIT_TRIES = 20


class Commits(OpenTables):
    """Open tables that are committed to."""

    def __init__(self, uri: str) -> None:
        super().__init__(uri)
        self._settled: dict[str, int] = {}
        self._settling: list[Future[None]] = []

    def commit(
        self,
        name: str,
        write: Callable[[DeltaTable], object],
        tries: int = _COMMIT_TRIES,
        settle: bool = True,
    ) -> int:
        """Have ``write`` commit to the newest version, again if another was first; on disk when it returns.

        Args:
            settle: False: the caller brings it to disk.

        Returns:
            The table's version that it made.

        Raises:
            TransientError: others were first every time.
        """
        for attempt in range(tries):
            with self._lock:
                table = self.table(name)
                del self._handles[name]  # it is the writer's alone meanwhile
            try:
                write(table)
            except CommitFailedError:
                _wait_after(attempt)
                continue
            version = table.version()
            with self._lock:
                self._handles[name], self._versions[name] = table, version
            if settle:
                self._settle(name, version)
            return version
        raise self._busy(name, tries)

    def _enter(
        self,
        name: str,
        files: list[AddAction],
        unless: Callable[[DeltaTable], object],
        window: str | None = None,
    ) -> int | None:
        """Commit files, unless the version that the commit follows has something: None then."""
        for attempt in range(_COMMIT_TRIES):
            with self._lock:  # no other thread brings the handle up to date meanwhile
                table = self.table(name)
                if unless(table):
                    return None
                with contextlib.suppress(CommitFailedError):
                    return add_files(table, files, window)
            _wait_after(attempt)
        raise self._busy(name, _COMMIT_TRIES)

    def _busy(self, name: str, tries: int) -> TransientError:
        return TransientError(f"Table {name} of the lake {self.uri} was busy {tries} times: try again.")

    def _settle(self, name: str, version: int) -> None:
        if folder := self.folder(name):
            settle(folder, self._settled.get(name, version - UNSETTLED), version)
            self._settled[name] = version

    def _settle_meanwhile(self, name: str, version: int) -> None:
        """As :meth:`_settle`, while the caller goes on; see :meth:`settled`."""
        self._settling.append(self._settler.submit(self._settle, name, version))

    def _sync_meanwhile(self, name: str, files: list[AddAction]) -> None:
        """Begin to bring files to disk that a version will name, so that less is left to wait for."""
        if folder := self.folder(name):
            for file in files:
                self._settling.append(self._settler.submit(sync, folder / file.path))

    def settled(self) -> None:
        """Wait until all that was to be brought to disk meanwhile is there.

        Raises:
            OSError: the disk did not take it. Each call says so again: a disk may say it only once, and what
                it lost must be written anew, by another run.
        """
        while self._settling:
            self._settling[0].result()
            del self._settling[0]

    @cached_property
    def _settler(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(1)


def _wait_after(attempt: int) -> None:
    """Let others go first for a moment, a longer one each time."""
    time.sleep(random.uniform(0, 0.02 * 2 ** min(attempt, 6)))
