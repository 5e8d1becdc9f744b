"""Reading ``clustering_results``: a slice of one window's records, or one record wherever it is."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import polars as pl
from msgspec import Raw

from api.problems import UnavailableError
from api.published import Answer, WindowsView
from api.schemas import Clustered
from api.snapshots import SQL_NAME, AnswerTable, Snapshot, only
from resources.lake import Lake

_COLUMNS = ("record_id", "cluster", "distance", "event_time", "features")
_ID = pl.col("record_id")


class Results:
    """The clustering results of published windows."""

    def __init__(self, lake: Lake) -> None:
        self.table = AnswerTable(lake, "clustering_results")

    def slice(self, answer: Answer, cluster: int | None, after: str | None, count: int) -> list[Clustered]:
        """The first ``count`` results of a window in the order of their ids, from behind the id ``after``."""
        files = self.table.files(answer, answer.results_version)
        if cluster is not None:
            files = [f for f in files if f.highest_cluster is None or f.highest_cluster >= cluster]
        if not files:
            return []
        rows = only(files, answer)
        if cluster is not None:
            rows = rows.filter(pl.col("cluster") == cluster)
        if after is not None:
            rows = rows.filter(after < _ID)
        # The ids alone first: their greatest spares all later row groups of a big window.
        last = rows.select(_ID.bottom_k(count)).collect()["record_id"].max()
        return [] if last is None else list(_read(rows.filter(last >= _ID).sort("record_id"), answer))

    def of_id(self, unique_id: str, view: WindowsView, model: str | None) -> Iterator[Clustered]:
        """A record's results in all published windows (of one model, if given), in no order."""
        snapshot = self.table.snapshot()
        wanted = (answer for answer in _replaced(view, snapshot) if model in (None, answer.model))
        yield from self.of_id_in(unique_id, wanted)
        for window, digest, *row in _query(unique_id, snapshot):
            answer = view.answers.get(window)
            if answer and answer.published and answer.digest == digest and model in (None, answer.model):
                yield _clustered(answer, tuple(row))

    def of_id_in(self, unique_id: str, answers: Iterable[Answer]) -> Iterator[Clustered]:
        """A record's results in these windows."""
        for answer in answers:
            rows = self.table.rows(answer, answer.results_version)
            yield from _read(rows.filter(unique_id == _ID), answer)


@lru_cache(2)
def _replaced(view: WindowsView, snapshot: Snapshot) -> list[Answer]:
    """The published windows whose rows this version of the table no longer holds."""
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
