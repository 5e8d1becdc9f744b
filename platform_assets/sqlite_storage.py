"""Dagster's storage in SQLite files, with connections that are kept.

Dagster's own opens a file anew for every event that it stores and every question that it asks, and waits for
the disk after each event: two thirds of what a step costs.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, lru_cache
from typing import Any
from weakref import WeakSet

from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._core.storage.runs.sqlite.sqlite_run_storage import SqliteRunStorage
from dagster._core.storage.schedules.sqlite.sqlite_schedule_storage import SqliteScheduleStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, create_engine, event

_OPEN_LOGS = 4
"""Event logs that are kept open: the index of all, and those of the runs that were last asked for."""


_ENGINES: WeakSet[Engine] = WeakSet()


def _engine(url: str) -> Engine:
    engine = create_engine(url, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS})
    _ENGINES.add(engine)
    return engine


def _close() -> None:
    """SQLite forbids to take an open file into a fork: there it waits for locks that nobody holds."""
    for engine in list(_ENGINES):
        engine.dispose()


os.register_at_fork(before=_close)


class _EventLog(SqliteEventLogStorage):
    """A power cut may take the last events, and leaves the files whole: answers are in the lake, not here."""

    def __init__(self, base_dir: str) -> None:
        self._kept = lru_cache(_OPEN_LOGS)(self._opened)
        super().__init__(base_dir)

    def _opened(self, shard: str) -> Engine:
        engine = _engine(self.conn_string_for_shard(shard))
        event.listen(engine, "connect", lambda opened, _: opened.execute("PRAGMA synchronous = NORMAL"))
        return engine

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            engine = self._kept(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.begin() as connection:
                yield connection


class _Kept:
    """One engine for the file of a storage, where Dagster makes one for each connection."""

    _conn_string: str

    @cached_property
    def _engine(self) -> Engine:
        return _engine(self._conn_string)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        with self._engine.begin() as connection:
            yield connection


class _Runs(_Kept, SqliteRunStorage):
    pass


class _Schedules(_Kept, SqliteScheduleStorage):
    pass


class SqliteStorage(DagsterSqliteStorage):
    """Dagster's, of these classes: the same files, so that either opens what the other wrote."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self.base_dir, self._inst_data = base_dir, inst_data
        self._run_storage = _Runs.from_local(f"{base_dir}/history/")
        self._event_log_storage = _EventLog(f"{base_dir}/history/runs/")
        self._schedule_storage = _Schedules.from_local(f"{base_dir}/schedules")
        super(DagsterSqliteStorage, self).__init__()  # type: ignore[no-untyped-call]

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "SqliteStorage":
        return cls.from_local(inst_data=inst_data, **config_value)
