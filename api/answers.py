"""The consistent reading of the lake: what the API shows of a window is what its row in ``windows`` says."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import polars as pl
from deltalake.exceptions import DeltaError
from polars.exceptions import PolarsError

from api import schemas
from api.cursors import Place, Position
from api.keys import bounds, named
from api.problems import BadParameterError, NotThereError, UnavailableError, VersionGoneError
from api.published import Answer, WindowsTable, WindowsView
from api.results import After, Results
from api.snapshots import AnswerTable, only
from resources.id_index import IdIndex
from resources.lake import Lake
from resources.windows import Grid

_REMEMBERED = 64
_SOURCES = (
    "windows", "clustering_results", "cluster_stats", "models", "cluster_ids", "drift", "model_reviews",
)  # fmt: skip
_DRIFT = ("reference", "reference_window", "feature", "psi", "distance", "p", "inertia_ratio", "level")
_NO_IDENTITY: dict[str, str | None] = {"clusterId": None, "clusterName": None}


@dataclass(frozen=True)
class Chosen:
    """Which results a walk goes through; None: all. ``first`` and ``end`` are windows: [first, end)."""

    window: str | None = None
    model: str | None = None
    cluster: int | None = None
    first: str | None = None
    end: str | None = None

    @property
    def parameters(self) -> dict[str, str | int | None]:
        """The choice as query parameters."""
        return {
            "window": self.window,
            "model": self.model,
            "cluster": self.cluster,
            "from": self.first,
            "to": self.end,
        }


class Answers:
    """All that the API shows. Safe to share among threads.

    Every public method may raise, beside what it names, whatever an unreadable lake raises;
    ``api.problems`` turns that into 503.
    """

    def __init__(self, lake: Lake, grid: Grid, index: IdIndex) -> None:
        self._lake = lake
        self._grid = grid
        self._windows = WindowsTable(lake)
        self._results = Results(lake, index)
        self._stats = AnswerTable(lake, "cluster_stats")
        self._models = AnswerTable(lake, "models")
        self._ids = AnswerTable(lake, "cluster_ids")
        self._drift = AnswerTable(lake, "drift")
        self._reviews = AnswerTable(lake, "model_reviews")
        self._followers = {"cluster_ids": self._ids, "drift": self._drift, "model_reviews": self._reviews}
        self._stats_of = lru_cache(_REMEMBERED)(self._read_stats)
        self._model_of = lru_cache(_REMEMBERED)(self._read_model)
        self._ids_of = lru_cache(_REMEMBERED)(self._read_ids)
        self._drift_of = lru_cache(_REMEMBERED)(self._read_drift)

    def check(self) -> None:
        """Read the newest version of every table that answers come from, and one record."""
        self._lake.require(*_SOURCES)
        view = self._windows.view()
        reviewed = (self._ids, self._drift, self._reviews)
        for table in (self._results.table, self._stats, self._models, *reviewed):
            table.snapshot()
        self._results.first(1, view.published[:1], None, None)

    def keep_up(self) -> None:
        """Bring what answers are made from up to date, so that no request waits for it."""
        self._windows.view()
        self._results.keep_up()

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
        version = self._reviews.snapshot().version
        return [self._model_of(answer, version) for answer in self._chosen(model, window)]

    def drift(self, model: str | None, window: str | None) -> list[schemas.Drift]:
        """A window's drift, or that of the newest of each model; raises as :meth:`cluster_stats` does."""
        version = self._drift.snapshot().version
        return [row for answer in self._chosen(model, window) for row in self._drift_of(answer, version)]

    def view(self, version: int | None = None) -> WindowsView:
        """The windows as they are now, or as they were at a version."""
        return self._windows.view(version)

    def version(self) -> int:
        """The version of the table ``windows``: all answers but ids, drift and reviews are as of it."""
        return self._windows.view().version

    def state(self, table: str) -> tuple[int, int]:
        """The version of ``windows``, and that of a table that follows the publication."""
        return self.version(), self._followers[table].snapshot().version

    def page(self, chosen: Chosen, place: Place, limit: int) -> tuple[pl.DataFrame, Position | None]:
        """At most ``limit`` results from a place on, newest window first, then by id.

        Returns:
            The results, and the position that the next page starts from, if there is one.

        Raises:
            BadParameterError: a window cannot exist.
            NotThereError: the window has no answer.
            VersionGoneError: what the windows showed at that version is no longer kept.
        """
        view = self._windows.view(place.version)
        after = _after(place)
        answers = self.walked(view, chosen, after)
        with self._kept(view):
            rows = self._results.first(limit + 1, answers, chosen.cluster, after)
        if rows.height <= limit:
            return rows, None
        return rows[:limit], list(rows.select("window", "uniqueId").row(limit - 1))

    def find(self, unique_id: str, model: str | None, window: str | None) -> schemas.Clustered:
        """A record's result in a window, or in the newest published window that has it.

        Raises:
            BadParameterError: the window cannot exist.
            NotThereError: the window has no answer, or nothing published has the id.
        """
        view = self._windows.view()
        if window is None:
            newest = next(iter(self._results.of_id(unique_id, view, model, 1)), None)
        else:
            named = self._named(view, window, model)
            if not named:
                few = "no" if view.answers[window].state == "empty" else "too few"
                raise NotThereError(f"The window {window} had {few} records: it has no results.")
            newest = self._results.of_id_in(unique_id, named[0])
        if newest is None:
            where = f" of the window {window}" if window else f" of {model}" if model else ""
            raise NotThereError(f"No published result{where} has the id {unique_id!r}.")
        return newest

    def history(
        self, unique_id: str, model: str | None, bounds: tuple[str, str], place: Place, limit: int
    ) -> list[schemas.Clustered]:
        """A record's results in at most ``limit`` published windows, newest first, from a place on.

        Args:
            bounds: keys of windows, [first, end).

        Raises:
            VersionGoneError: what the windows showed at that version is no longer kept.
            NotThereError: nothing published has the id.
        """
        before = min(bounds[1], str(place.position[0])) if place.position else bounds[1]
        view = self._windows.view(place.version)
        with self._kept(view):
            found = self._results.of_id(unique_id, view, model, limit, before)
            known = found or place.position or self._results.of_id(unique_id, view, None, 1)
        if not known:
            raise NotThereError(f"No published result has the id {unique_id!r}.")
        return [result for result in found if result.window >= bounds[0]]

    @contextmanager
    def _kept(self, view: WindowsView) -> Iterator[None]:
        """What cannot be read of an earlier version is no longer kept."""
        try:
            yield
        except (UnavailableError, DeltaError, PolarsError, OSError) as error:
            if view.version == self.version():
                raise
            raise VersionGoneError(f"windows, version {view.version}: {error}") from error

    def _chosen(self, model: str | None, window: str | None) -> list[Answer]:
        view = self._windows.view()
        if window is not None:
            return self._named(view, window, model)
        return [answer for answer in view.newest.values() if model in (None, answer.model)]

    def walked(self, view: WindowsView, chosen: Chosen, after: After | None) -> Iterator[Answer]:
        """The chosen windows, newest first, from that of a record on; raises as :meth:`page` does."""
        first, end = bounds(self._grid, chosen.first, chosen.end)
        answers = view.published
        if chosen.window is not None:
            answers = self._named(view, chosen.window, chosen.model)
        return (
            answer
            for answer in answers
            if chosen.model in (None, answer.model)
            and first <= answer.window < end
            and (after is None or answer.window <= after.window)
        )

    def _named(self, view: WindowsView, window: str, model: str | None) -> list[Answer]:
        """The answer of a window asked for by name; none if it was empty or had too few records."""
        own = schemas.MODELS[named(self._grid, window).slot - 1]
        if model not in (None, own):
            raise BadParameterError("window", f"{model} has no window {window}: that one trains {own}.")
        answer = view.answers.get(window)
        if answer is None or answer.state is None:
            failed = f"; runs that failed: {answer.attempts}" if answer and answer.attempts else ""
            raise NotThereError(f"The window {window} has no published answer{failed}.")
        return [answer] if answer.published else []

    def _read_stats(self, answer: Answer) -> list[dict[str, Any]]:
        rows = (
            self._stats.rows(self._stats.snapshot(), answer, answer.stats_version).sort("cluster").collect()
        )
        names = {"model": answer.model, "window": answer.window, "modelVersion": answer.model_version}
        return [schemas.cluster_stats(names, row) for row in rows.iter_rows(named=True)]

    def _read_ids(self, answer: Answer, version: int) -> dict[int, dict[str, str | None]]:
        """Ids and names by cluster, as of a version of their table or later; none until they are matched."""
        return {
            row["cluster"]: {"clusterId": row["id"], "clusterName": row["name"]}
            for row in _reviewed(self._ids, answer)
        }

    def _read_drift(self, answer: Answer, version: int) -> list[schemas.Drift]:
        """As of a version of the table or later; empty until the window is reviewed."""
        return [
            schemas.Drift(
                model=answer.model,
                window=answer.window,
                model_version=answer.model_version,
                **{name: row[name] for name in _DRIFT},
            )
            for row in _reviewed(self._drift, answer)
        ]

    def _read_model(self, answer: Answer, version: int) -> schemas.Model:
        """As of a version of the reviews or later."""
        rows = self._models.rows(self._models.snapshot(), answer.model_row)  # alike: of several revisions
        row = rows.sort("revision").collect().row(-1, named=True)
        return schemas.Model(
            model=answer.model,
            window=answer.window,
            model_version=answer.model_version,
            k=row["k"],
            silhouette=row["silhouette"],
            inertia=row["inertia"],
            structure=next((review["structure"] for review in _reviewed(self._reviews, answer)), None),
            records=row["records"],
            trained_at=row["trained_at"],
            features={f["name"]: schemas.Feature(f["kind"], f["fill"]) for f in row["features"]},
        )


def _after(place: Place) -> After | None:
    if place.position is None:
        return None
    window, unique_id = place.position
    return After(str(window), str(unique_id))


def _reviewed(table: AnswerTable, answer: Answer) -> list[dict[str, Any]]:
    """What a table that follows the publication has of an answer; nothing until it is written."""
    files = table.snapshot().held.get((answer.window, answer.digest or ""), [])
    return only(files, answer).collect().to_dicts() if files else []
