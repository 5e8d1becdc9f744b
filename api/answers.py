"""The consistent reading of the lake: what the API shows of a window is what its row in ``windows`` says."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import polars as pl

from api import schemas
from api.cursors import Filters, Position
from api.problems import BadParameterError, NotThereError
from api.published import Answer, WindowsTable, WindowsView
from api.results import Results
from api.snapshots import AnswerTable, only
from resources.errors import WindowError
from resources.lake import Lake
from resources.windows import Grid

_REMEMBERED = 64
_NO_IDENTITY: dict[str, str | None] = {"clusterId": None, "clusterName": None}


class Answers:
    """All that the API shows. Safe to share among threads.

    Every public method may raise, beside what it names, whatever an unreadable lake raises;
    ``api.problems`` turns that into 503.
    """

    def __init__(self, lake: Lake, grid: Grid) -> None:
        self._grid = grid
        self._windows = WindowsTable(lake)
        self._results = Results(lake)
        self._stats = AnswerTable(lake, "cluster_stats")
        self._models = AnswerTable(lake, "models")
        self._ids = AnswerTable(lake, "cluster_ids")
        self._stats_of = lru_cache(_REMEMBERED)(self._read_stats)
        self._model_of = lru_cache(_REMEMBERED)(self._read_model)
        self._ids_of = lru_cache(_REMEMBERED)(self._read_ids)

    def check(self) -> None:
        """Read the newest version of every table that answers come from."""
        self._windows.view()
        for table in (self._results.table, self._stats, self._models, self._ids):
            table.snapshot()

    def cluster_stats(self, model: str | None, window: str | None) -> list[dict[str, Any]]:
        """The clusters of a window, or of the newest published window of each model.

        Raises:
            BadParameterError: the window cannot exist.
            NotThereError: the window has no answer.
        """
        version = self._ids.snapshot().version
        return [
            cluster | self._ids_of(answer, version).get(cluster["cluster"], _NO_IDENTITY)
            for answer in self._chosen(model, window)
            for cluster in self._stats_of(answer)
        ]

    def models(self, model: str | None, window: str | None) -> list[schemas.Model]:
        """A window's model, or the newest of each model; raises as :meth:`cluster_stats` does."""
        return [self._model_of(answer) for answer in self._chosen(model, window)]

    def page(
        self, filters: Filters, limit: int, after: Position | None = None
    ) -> tuple[list[schemas.Clustered], Position | None]:
        """At most ``limit`` results from behind a position, newest window first, then by id.

        Returns:
            The results, and the position that the next page starts from, if there is one.

        Raises:
            BadParameterError: the window or the position cannot exist.
            NotThereError: the window has no answer.
        """
        rows = self._results.first(limit + 1, self._walked(filters, after), filters.cluster, after)
        if len(rows) <= limit:
            return rows, None
        last = rows[limit - 1]
        return rows[:limit], Position(last.window, last.unique_id)

    def find(self, unique_id: str, model: str | None, window: str | None) -> schemas.Clustered:
        """A record's result in a window, or in the newest published window that has it.

        Raises:
            BadParameterError: the window cannot exist.
            NotThereError: the window has no answer, or nothing published has the id.
        """
        view = self._windows.view()
        if window is None:
            newest = self._results.newest_of_id(unique_id, view, model)
        else:
            named = self._named(view, window, model)
            newest = self._results.of_id_in(unique_id, named[0]) if named else None
        if newest is None:
            where = f" of the window {window}" if window else f" of {model}" if model else ""
            raise NotThereError(f"No published result{where} has the id {unique_id!r}.")
        return newest

    def _chosen(self, model: str | None, window: str | None) -> list[Answer]:
        view = self._windows.view()
        if window is not None:
            return self._named(view, window, model)
        return [answer for answer in view.newest.values() if model in (None, answer.model)]

    def _walked(self, filters: Filters, after: Position | None) -> Iterable[Answer]:
        if after is not None:
            self._slot(after.window, "cursor")
        view = self._windows.view()
        answers = view.published
        if filters.window is not None:
            answers = self._named(view, filters.window, filters.model)
        return (
            answer
            for answer in answers
            if filters.model in (None, answer.model) and (after is None or answer.window <= after.window)
        )

    def _named(self, view: WindowsView, window: str, model: str | None) -> list[Answer]:
        """The answer of a window asked for by name; none if it was empty or had too few records."""
        own = schemas.MODELS[self._slot(window, "window") - 1]
        if model not in (None, own):
            raise BadParameterError("window", f"{model} has no window {window}: that one trains {own}.")
        answer = view.answers.get(window)
        if answer is None or answer.state is None:
            failed = f"; runs that failed: {answer.attempts}" if answer and answer.attempts else ""
            raise NotThereError(f"The window {window} has no published answer{failed}.")
        return [answer] if answer.published else []

    def _slot(self, window: str, parameter: str) -> int:
        try:
            return self._grid.window(window).slot
        except WindowError as error:
            raise BadParameterError(parameter, f"{error}.") from None

    def _read_stats(self, answer: Answer) -> list[dict[str, Any]]:
        rows = (
            self._stats.rows(self._stats.snapshot(), answer, answer.stats_version).sort("cluster").collect()
        )
        names = {"model": answer.model, "window": answer.window, "modelVersion": answer.model_version}
        return [schemas.cluster_stats(names, row) for row in rows.iter_rows(named=True)]

    def _read_ids(self, answer: Answer, version: int) -> dict[int, dict[str, str | None]]:
        """Ids and names by cluster, as of a version of their table or later; none until they are matched."""
        files = self._ids.snapshot().held.get((answer.window, answer.digest or ""), [])
        rows = only(files, answer).select("cluster", "id", "name").collect() if files else pl.DataFrame()
        return {cluster: {"clusterId": id_, "clusterName": name} for cluster, id_, name in rows.iter_rows()}

    def _read_model(self, answer: Answer) -> schemas.Model:
        row = self._models.rows(self._models.snapshot(), answer).collect().row(0, named=True)
        return schemas.Model(
            model=answer.model,
            window=answer.window,
            model_version=answer.model_version,
            k=row["k"],
            silhouette=row["silhouette"],
            inertia=row["inertia"],
            records=row["records"],
            trained_at=row["trained_at"],
            features={f["name"]: schemas.Feature(f["kind"], f["mean"]) for f in row["features"]},
        )
