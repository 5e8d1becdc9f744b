"""Reading ``clustering_results``: the next records of a walk, or one record wherever it is."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import polars as pl
from msgspec import Raw

from api import formats
from api.finder import Finder
from api.keys import LAST
from api.published import Answer, WindowsView
from api.schemas import Clustered
from api.snapshots import AnswerTable, File, Snapshot, only
from resources.id_index import IdIndex
from resources.lake import Lake

_ID = pl.col("record_id")
_MANY = 2**31
_PROPERTIES = {
    "uniqueId": _ID,
    "window": pl.col("window"),
    "model": pl.col("model"),
    "modelVersion": pl.col("model_version"),
    "cluster": pl.col("cluster").cast(pl.Int64),
    "distance": pl.col("distance").fill_nan(None),
    "eventTime": pl.col("event_time"),
    "features": pl.col("features"),
}


@dataclass(frozen=True)
class After:
    """Behind a record of a window."""

    window: str
    unique_id: str


class Results:
    """The clustering results of published windows."""

    def __init__(self, lake: Lake, index: IdIndex) -> None:
        self.table = AnswerTable(lake, "clustering_results")
        self._index = index
        self._finder = Finder(index)
        self._kept_up: Snapshot | None = None

    def first(
        self, count: int, answers: Iterable[Answer], cluster: int | None, after: After | None
    ) -> pl.DataFrame:
        """The first ``count`` results of these windows, in each by id, from behind a place: the columns are
        the properties of :class:`api.schemas.Clustered`."""
        snapshot = self.table.snapshot()
        parts = [pl.DataFrame(schema=formats.schema(Clustered))]
        for group in _together(answers, count):
            files = {
                file.address: file
                for answer in group
                for file in self.table.files(snapshot, answer, answer.results_version)
                if cluster is None or file.highest_cluster is None or file.highest_cluster >= cluster
            }
            if files:
                parts.append(_first_of_group(count, list(files.values()), group, cluster, after))
                count -= parts[-1].height
            if not count:
                break
        return pl.concat(parts)

    def of_id(
        self, unique_id: str, view: WindowsView, model: str | None, count: int, before: str = LAST
    ) -> list[Clustered]:
        """A record's results in the newest ``count`` published windows that have it (of one model, if given),
        newest first; of windows before a key alone."""
        snapshot = self.table.snapshot()
        found: list[Clustered] = []

        def add(results: Iterable[Clustered]) -> None:
            wanted = (each for each in results if each.window < before and model in (None, each.model))
            found[:] = sorted([*found, *wanted], key=_window, reverse=True)[:count]

        for newest_possible, rows in self._finder.rows(unique_id, snapshot):
            if len(found) == count and newest_possible <= found[-1].window:
                break
            shown = ((view.shown(window, digest), row) for window, digest, *row in rows)
            add(_clustered(answer, tuple(row)) for answer, row in shown if answer)
        for answer in _replaced(view, snapshot):
            if len(found) == count and answer.window < found[-1].window:
                break
            if answer.window < before and (result := self._of_id_in(unique_id, snapshot, answer)):
                add([result])
        return found

    def of_id_in(self, unique_id: str, answer: Answer) -> Clustered | None:
        """A record's result in a window."""
        return self._of_id_in(unique_id, self.table.snapshot(), answer)

    def keep_up(self) -> None:
        """Have the index hold the table's newest version, the newest windows first."""
        snapshot = self.table.snapshot()
        if snapshot is not self._kept_up:
            files = sorted(snapshot.files.values(), key=lambda file: file.newest, reverse=True)
            if self._index.update({file.address: file.rows for file in files}):
                self._kept_up = snapshot

    def _of_id_in(self, unique_id: str, snapshot: Snapshot, answer: Answer) -> Clustered | None:
        files = self.table.files(snapshot, answer, answer.results_version)
        mine = (answer.window, answer.digest)
        rows = self._finder.rows_in(unique_id, files)
        return next((_clustered(answer, row[2:]) for row in rows if row[:2] == mine), None)


def _together(answers: Iterable[Answer], count: int) -> Iterator[list[Answer]]:
    """Windows one after the other that have so many records at most, to be read at once; or one window."""
    group: list[Answer] = []
    records = 0
    for answer in answers:
        if group and records + _records(answer) > count:
            yield group
            group, records = [], 0
        group.append(answer)
        records += _records(answer)
    if group:
        yield group


def _records(answer: Answer) -> int:
    return _MANY if answer.records is None else answer.records


def _first_of_group(
    count: int, files: list[File], group: list[Answer], cluster: int | None, after: After | None
) -> pl.DataFrame:
    rows = _of_one(files, group[0], after) if len(group) == 1 else _of_several(files, group, after)
    if cluster is not None:
        rows = rows.filter(pl.col("cluster") == cluster)
    if len(group) == 1 and _records(group[0]) > count:
        # The ids alone first: the last one wanted spares all later row groups of a big window.
        last = rows.select(_ID.bottom_k(count)).collect()["record_id"].max()
        rows = rows.filter(pl.lit(last, pl.String) >= _ID)
    return (
        rows.sort("window", "record_id", descending=[True, False]).head(count).select(**_PROPERTIES).collect()
    )


def _of_one(files: list[File], answer: Answer, after: After | None) -> pl.LazyFrame:
    rows = only(files, answer).with_columns(
        model=pl.lit(answer.model), model_version=pl.lit(answer.model_version)
    )
    return rows.filter(after.unique_id < _ID) if after and after.window == answer.window else rows


def _of_several(files: list[File], group: list[Answer], after: After | None) -> pl.LazyFrame:
    shown = pl.LazyFrame(
        [(answer.window, answer.digest, answer.model, answer.model_version) for answer in group],
        schema=["window", "digest", "model", "model_version"],
        orient="row",
    )
    span = pl.col("window").is_between(pl.lit(group[-1].window), pl.lit(group[0].window))
    rows = (
        pl.scan_parquet([file.address for file in files])
        .filter(span)
        .drop("model_version")
        .join(shown, on=["window", "digest"])
    )
    return rows.filter((pl.col("window") < after.window) | (after.unique_id < _ID)) if after else rows


@lru_cache(2)
def _replaced(view: WindowsView, snapshot: Snapshot) -> list[Answer]:
    """The published windows whose rows this version of the table no longer holds, newest first."""
    return [a for a in view.published if (a.window, a.digest) not in snapshot.held]


def _window(result: Clustered) -> str:
    return result.window


def _clustered(answer: Answer, row: tuple[Any, ...]) -> Clustered:
    unique_id, cluster, distance, event_time, features = row
    return Clustered(
        unique_id=unique_id,
        window=answer.window,
        model=answer.model,
        model_version=answer.model_version,
        cluster=cluster,
        distance=distance,
        event_time=event_time,
        features=Raw(features.encode()),
    )
