"""Dagster's storage in SQLite files, with connections that are kept.

Dagster's own opens a file anew for every event that it stores and every question that it asks, and waits for
the disk after each event: two thirds of what a step costs.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, TypeVar, cast
from weakref import WeakSet

from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._core.storage.runs.sqlite.sqlite_run_storage import SqliteRunStorage
from dagster._core.storage.schedules.sqlite.sqlite_schedule_storage import SqliteScheduleStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS, create_db_conn_string
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, create_engine, event

_OPEN = 8
"""Files that are kept open: runs, schedules, the index of all events, and some runs' events."""
_LOOKED_AT: set[str] = set()
"""Files whose tables were found, or made, as they should be: Dagster looks each time that it opens one."""


@lru_cache(_OPEN)
def _engine(url: str, synchronous: str) -> Engine:
    engine = create_engine(url, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS})
    pragma = f"PRAGMA synchronous = {synchronous}"
    event.listen(engine, "connect", lambda opened, _: opened.execute(pragma))
    _ENGINES.add(engine)
    return engine


_ENGINES: WeakSet[Engine] = WeakSet()


def _close() -> None:
    """SQLite forbids to take an open file into a fork: there it waits for locks that nobody holds."""
    for engine in list(_ENGINES):
        engine.dispose()


os.register_at_fork(before=_close)


class _EventLog(SqliteEventLogStorage):
    """A power cut may take the last events, and leaves the files whole: answers are in the lake, not here."""

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            url = self.conn_string_for_shard(shard)
            engine = _engine(url, "NORMAL")
            if url not in _LOOKED_AT:
                self._initdb(engine)
                _LOOKED_AT.add(url)
            with engine.begin() as connection:
                yield connection


class _Kept:
    _conn_string: str

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        with _engine(self._conn_string, "FULL").begin() as connection:
            yield connection


class _Runs(_Kept, SqliteRunStorage):
    pass


class _Schedules(_Kept, SqliteScheduleStorage):
    pass


S = TypeVar("S", _Runs, _Schedules)


def _opened(storage: type[S], folder: str, name: str) -> S:
    url = create_db_conn_string(folder, name)
    if url in _LOOKED_AT:
        return storage(url)
    opened: Any = storage.from_local(folder)
    _LOOKED_AT.add(url)
    return cast(S, opened)


class SqliteStorage(DagsterSqliteStorage):
    """Dagster's, of these classes: the same files, so that either opens what the other wrote."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self.base_dir, self._inst_data = base_dir, inst_data
        self._run_storage = _opened(_Runs, f"{base_dir}/history/", "runs")
        self._event_log_storage = _EventLog(f"{base_dir}/history/runs/")
        self._schedule_storage = _opened(_Schedules, f"{base_dir}/schedules", "schedules")
        super(DagsterSqliteStorage, self).__init__()  # type: ignore[no-untyped-call]

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "SqliteStorage":
        return cls.from_local(inst_data=inst_data, **config_value)
