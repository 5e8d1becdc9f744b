"""Reading ``clustering_results``: the next records of a walk, or one record wherever it is."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import polars as pl
from msgspec import Raw

from api import formats
from api.problems import UnavailableError
from api.published import Answer, WindowsView
from api.schemas import Clustered
from api.snapshots import SQL_NAME, AnswerTable, File, Snapshot, only
from resources.lake import Lake

_COLUMNS = ("record_id", "cluster", "distance", "event_time", "features")
_ID = pl.col("record_id")


@dataclass(frozen=True)
class After:
    """Behind a record of a window."""

    window: str
    unique_id: str


class Results:
    """The clustering results of published windows."""

    def __init__(self, lake: Lake) -> None:
        self.table = AnswerTable(lake, "clustering_results")

    def first(
        self, count: int, answers: Iterable[Answer], cluster: int | None, after: After | None
    ) -> pl.DataFrame:
        """The first ``count`` results of these windows, in each by id, from behind a place: the columns are
        the properties of :class:`api.schemas.Clustered`."""
        snapshot = self.table.snapshot()
        parts = [pl.DataFrame(schema=formats.schema(Clustered))]
        for answer in answers:
            files = self.table.files(snapshot, answer, answer.results_version)
            start = after.unique_id if after and after.window == answer.window else None
            parts.append(_first_of_window(count, files, answer, cluster, start))
            count -= parts[-1].height
            if not count:
                break
        return pl.concat(parts)

    def newest_of_id(self, unique_id: str, view: WindowsView, model: str | None) -> Clustered | None:
        """A record's result in the newest published window (of one model, if given) that has it."""
        snapshot = self.table.snapshot()
        found = [
            _clustered(answer, tuple(row))
            for window, digest, *row in _query(unique_id, snapshot)
            if (answer := view.shown(window, digest)) and model in (None, answer.model)
        ]
        newest = max(found, key=lambda result: result.window, default=None)
        for answer in _replaced(view, snapshot):
            if newest and answer.window < newest.window:
                break
            if model in (None, answer.model):
                newest = self._of_id_in(unique_id, snapshot, answer) or newest
        return newest

    def of_id_in(self, unique_id: str, answer: Answer) -> Clustered | None:
        """A record's result in a window."""
        return self._of_id_in(unique_id, self.table.snapshot(), answer)

    def _of_id_in(self, unique_id: str, snapshot: Snapshot, answer: Answer) -> Clustered | None:
        rows = self.table.rows(snapshot, answer, answer.results_version)
        return next(_read(rows.filter(unique_id == _ID), answer), None)


def _first_of_window(
    count: int, files: list[File], answer: Answer, cluster: int | None, after: str | None
) -> pl.DataFrame:
    nothing = pl.DataFrame(schema=formats.schema(Clustered))
    if cluster is not None:
        files = [f for f in files if f.highest_cluster is None or f.highest_cluster >= cluster]
    if not files:
        return nothing
    rows = only(files, answer)
    if cluster is not None:
        rows = rows.filter(pl.col("cluster") == cluster)
    if after is not None:
        rows = rows.filter(after < _ID)
    # The ids alone first: the last one wanted spares all later row groups of a big window.
    last = rows.select(_ID.bottom_k(count)).collect()["record_id"].max()
    if last is None:
        return nothing
    return _shown(rows.filter(last >= _ID).sort("record_id"), answer).collect()


def _shown(rows: pl.LazyFrame, answer: Answer) -> pl.LazyFrame:
    return rows.select(
        uniqueId=_ID,
        window=pl.lit(answer.window),
        model=pl.lit(answer.model),
        modelVersion=pl.lit(answer.model_version),
        cluster=pl.col("cluster").cast(pl.Int64),
        distance=pl.col("distance").fill_nan(None),
        eventTime=pl.col("event_time"),
        features=pl.col("features"),
    )


@lru_cache(2)
def _replaced(view: WindowsView, snapshot: Snapshot) -> list[Answer]:
    """The published windows whose rows this version of the table no longer holds, newest first."""
    return [a for a in view.published if (a.window, a.digest) not in snapshot.held]


def _query(unique_id: str, snapshot: Snapshot) -> Iterator[tuple[Any, ...]]:
    columns = ", ".join(f'"{column}"' for column in ("window", "digest", *_COLUMNS))
    literal = unique_id.replace("'", "''")
    sql = f"SELECT {columns} FROM {SQL_NAME} WHERE record_id = '{literal}'"
    try:
        found = snapshot.sql.execute(sql).read_all()
    except Exception as error:  # delta-rs raises no narrower type for a file that cannot be read
        raise UnavailableError(f"the query {sql} failed: {error}") from error
    return pl.Series(pl.from_arrow(found)).struct.unnest().iter_rows()


def _read(rows: pl.LazyFrame, answer: Answer) -> Iterator[Clustered]:
    return (_clustered(answer, row) for row in rows.select(_COLUMNS).collect().iter_rows())


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
