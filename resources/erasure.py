"""Erasure: one record id leaves every table and its history.

A row of ``records`` or ``dead_letters`` keeps its place in the topic, so that what was read still adds up;
all that its message said is blanked, and no selection sees it. Its result goes. What was counted or computed
from it stays: digests, models, statistics.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import polars as pl
from deltalake import DeltaTable

from resources.contract import Contract
from resources.dead_letters import of_record
from resources.delta import WRITER, scan, schema_of
from resources.errors import SettingError
from resources.history import History, OldFile
from resources.lake import Lake
from resources.new_tables import VERSIONS
from resources.tables import TABLES
from resources.upkeep.vacuum import needed_answers
from resources.windows import Grid

HOLDERS = ("records", "dead_letters", "clustering_results")
"""The tables that hold what a message said, in the order in which they are erased."""
_PLACE = ["attempt", "kafka_partition", "kafka_offset"]
_PASSES = 5
_LETTER = {"key": "NULL", "value": "NULL", "headers": "NULL", "detail": "'erased'"}


@dataclass
class Trace:
    """Where a table holds an id.

    Attributes:
        rows: of its newest version: ``date``, ``window`` and, but for results, their place.
        old: the data files that left it and hold the id.
        windows: the keys of both.
    """

    name: str
    rows: pl.DataFrame
    old: list[OldFile]
    windows: set[str]


@dataclass
class Erased:
    """What an erasure did.

    Attributes:
        rows: erased, by table.
        files: deleted, by table.
        log_files: written anew, by table.
        left: what it could not do yet, a line each.
    """

    rows: dict[str, int] = field(default_factory=lambda: dict.fromkeys(HOLDERS, 0))
    files: dict[str, int] = field(default_factory=lambda: dict.fromkeys(HOLDERS, 0))
    log_files: dict[str, int] = field(default_factory=lambda: dict.fromkeys(HOLDERS, 0))
    left: list[str] = field(default_factory=list)


class Eraser:
    """Erases one id. It may run beside takers, runs and upkeep, and again after a crash.

    Raises:
        SettingError: the id is empty.
    """

    def __init__(self, lake: Lake, contract: Contract, grid: Grid, record_id: str) -> None:
        if not record_id:
            raise SettingError("The id to erase is empty: name a record's id.")
        self._lake, self._grid, self._id = lake, grid, record_id
        named = pl.col("record_id") == record_id
        letter = of_record(record_id, contract.id)
        self._holds = {"records": named, "dead_letters": letter, "clustering_results": named}

    def find(self) -> list[Trace]:
        """Where the id is now."""
        return [self._trace(name) for name in HOLDERS]

    def erase(self) -> Erased:
        """Erase the id; look again until nothing is found, as others write meanwhile.

        Raises:
            TransientError: a table was busy all the time.
        """
        done = Erased()
        for _ in range(_PASSES):
            traces = self.find()
            if not any(trace.rows.height for trace in traces):
                break
            self._erase_rows(traces, done)
        self._lake.settled()
        traces = self.find()
        for key in sorted(traces[-1].windows):
            self._show_anew(key)
        for trace in traces:
            self._erase_history(trace, done)
        return done

    def _trace(self, name: str) -> Trace:
        places = ["date", "window", *(_PLACE if "attempt" in TABLES[name].schema else [])]
        rows = scan(self._lake.table(name)).filter(self._holds[name]).select(places)
        found = rows.collect(engine="streaming")
        old = dict(self._old(name))
        windows = {*found["window"].drop_nulls(), *(key for keys in old.values() for key in keys)}
        return Trace(name, found, list(old), windows)

    def _old(self, name: str) -> Iterator[tuple[OldFile, list[str]]]:
        """The files that left a table and hold the id, and the windows of its rows in them."""
        for file in self._history(name).old():
            rows = pl.scan_parquet(file.address).filter(self._holds[name]).select("window")
            if not (found := rows.collect(engine="streaming")).is_empty():
                yield file, found["window"].drop_nulls().to_list()

    def _needed(self) -> dict[str, int]:
        return needed_answers(self._lake, "clustering_results")

    def _history(self, name: str) -> History:
        needed = self._needed().items() if name in VERSIONS else ()
        windows = [(self._grid.window(key), version) for key, version in needed]
        files = [self._lake.window_files(name, window, version).files for window, version in windows]
        return History(self._lake, name, {file for of_window in files for file in of_window})

    def _erase_rows(self, traces: list[Trace], done: Erased) -> None:
        records, letters, results = traces
        fields = schema_of(self._lake.table("records")).keys() - TABLES["records"].schema.keys()
        if records.rows.height:  # first: a crash after it costs others one more reading
            self._lake.mark_erasure()
        self._blank(records, dict.fromkeys(map(_quoted, ["record_id", *sorted(fields)]), "NULL"))
        self._blank(letters, _LETTER)
        for key in sorted(records.windows | results.windows):
            # A run that was selected with the record stops at its next step, and does not bring it back.
            window = self._grid.window(key)
            self._lake.replace_window(
                "kafka_batch", window, pl.DataFrame(schema=TABLES["kafka_batch"].schema)
            )
        self._remove(results)
        for trace in traces:
            done.rows[trace.name] += trace.rows.height

    def _blank(self, trace: Trace, updates: dict[str, str]) -> None:
        for (day,), rows in trace.rows.group_by("date"):
            wanted = f"date = '{day}' AND ({' OR '.join(_places(rows))})"

            def write(table: DeltaTable, wanted: str = wanted) -> None:
                table.update(updates, predicate=wanted, writer_properties=WRITER)

            self._lake.commit(trace.name, write)

    def _remove(self, trace: Trace) -> None:
        """Delete the rows by a join: a predicate's text would keep the id in the table's log."""
        ids = pl.DataFrame({"record_id": [self._id]})
        for (day,), _ in trace.rows.group_by("date"):
            same = f"target.date = '{day}' AND target.record_id = source.record_id"

            def write(table: DeltaTable, same: str = same) -> None:
                merge = table.merge(
                    ids,
                    same,
                    source_alias="source",
                    target_alias="target",
                    writer_properties=WRITER,
                    streamed_exec=True,  # otherwise the log has the source's values
                )
                merge.when_matched_delete().execute()

            self._lake.commit(trace.name, write)

    def _show_anew(self, key: str) -> None:
        """Write a window's row again: by the version of ``windows`` readers know that answers have changed.

        A published window whose only record it was shows nothing from now on.
        """
        window = self._grid.window(key)
        results = self._lake.read_window("clustering_results", window).select("digest").head(1).collect()
        closed = results.is_empty() and key not in self._needed()

        def change(rows: list[dict[str, Any]]) -> pl.DataFrame:
            for row in rows:
                row["date"] = window.date
                if closed and row["state"] == "published":
                    row["state"] = "too-few"
            return pl.DataFrame(rows, schema=TABLES["windows"].schema)

        self._lake.change_window("windows", window, change)

    def _erase_history(self, trace: Trace, done: Erased) -> None:
        history = self._history(trace.name)
        for file in trace.old:
            if file.why_kept:
                done.left.append(f"{trace.name}, {file.path}: {file.why_kept}")
            else:
                history.delete(file.path)
                done.files[trace.name] += 1
        done.log_files[trace.name] += self._history(trace.name).forget_gone()


def _places(rows: pl.DataFrame) -> Iterator[str]:
    for (attempt, partition), places in rows.group_by("attempt", "kafka_partition"):
        offsets = ", ".join(map(str, places["kafka_offset"]))
        yield f"(attempt = '{attempt}' AND kafka_partition = {partition} AND kafka_offset IN ({offsets}))"


def _quoted(column: str) -> str:
    name = column.replace('"', '""')
    return f'"{name}"'
