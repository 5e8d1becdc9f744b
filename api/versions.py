"""Versions of models: as they were trained, and as they assign records."""

from functools import lru_cache
from typing import Any

from api.answers import Answers
from api.bulk import ids_of, rows_of
from api.cursors import Place, Position
from api.keys import bounds, named
from api.model_schemas import Candidate, Prediction, Version, VersionCluster, VersionFeature
from api.predictions import decoded, predictions
from api.problems import BadParameterError, NotThereError
from api.published import Answer
from api.record_problems import CannotAssignError
from api.schemas import MODELS
from api.snapshots import AnswerTable
from resources import versions
from resources.cluster_model import ClusterModel
from resources.contract import Contract
from resources.errors import VersionError
from resources.lake import Lake
from resources.versions import Stored
from resources.windows import Grid

_REMEMBERED = 16
_ALIKE = (
    "contract_version", "trainer", "seed", "libraries", "trained_at", "first_source", "records", "k",
    "silhouette", "inertia", "separation", "converged", "iterations", "starts", "found", "sample",
)  # fmt: skip


class Versions:
    """The versions that the lake keeps. Safe to share among threads."""

    def __init__(self, lake: Lake, grid: Grid, contract: Contract, answers: Answers) -> None:
        self._lake = lake
        self._grid = grid
        self._contract = contract
        self._answers = answers
        self._models = AnswerTable(lake, "models")
        self._ids = AnswerTable(lake, "cluster_ids")
        self._read = lru_cache(_REMEMBERED)(self._read_current)

    def one(self, model: str, window: str) -> Version:
        """The version of a model that was trained for a window.

        Raises:
            BadParameterError: the window cannot exist, or trains another model.
            NotThereError: it has no version.
        """
        return _shown(self._stored(model, window))

    def page(
        self, model: str, first: str | None, end: str | None, place: Place, limit: int
    ) -> tuple[list[Version], Position | None]:
        """At most ``limit`` versions of the published windows of a model, newest first, from a place on.

        Raises:
            BadParameterError: a window cannot exist.
            VersionGoneError: what the windows showed at that version is no longer kept.
        """
        least, most = bounds(self._grid, first, end)
        if place.position:
            most = min(most, str(place.position[0]))
        published = self._answers.view(place.version).published
        mine = [a for a in published if a.model == model and least <= a.window < most]
        shown = mine[:limit]
        trained = rows_of(self._models, shown).filter(state="trained").sort("revision")
        rows = {row["window"]: row for row in trained.iter_rows(named=True)}
        found = [_shown(self._of_row(rows[a.window])) for a in shown if a.window in rows]
        return found, [shown[-1].window] if len(mine) > limit else None

    def predict(self, model: str, window: str | None, body: bytes) -> Prediction | list[Prediction]:
        """The clusters of the records in a request's body: of one, or of each in an array.

        Args:
            window: chooses the version; None: the one that assigned the model's newest published window.

        Raises:
            NotJsonError, TooManyRecordsError, InvalidRecordError: the body is none that can be assigned.
            CannotAssignError: the version does not fit the present contract.
            BadParameterError, NotThereError: as :meth:`one`; or nothing is published.
        """
        records, many = decoded(self._contract, body)
        view = self._answers.view()
        answer = view.newest.get(model) if window is None else view.answers.get(window)
        stored = self._stored(model, window) if window else self._current(model, answer)
        name = str(stored.version)
        by_its_clusters = [answer] if answer and answer.model_version == name else []
        (identities,) = ids_of(self._ids, by_its_clusters).values() or ({},)
        names = {"model": stored.version.model, "model_version": name}
        found = predictions(self._contract, self._assigning(stored), names, identities, records)
        return found if many else found[0]

    def _assigning(self, stored: Stored) -> ClusterModel:
        try:
            return versions.check_assigns(stored, self._contract)
        except VersionError as error:
            raise CannotAssignError(f"{error}") from None

    def _current(self, model: str, answer: Answer | None) -> Stored:
        if answer is None:
            raise NotThereError(f"Nothing of {model} is published yet.")
        return self._read(answer.model_version, answer.model_digest)

    def _read_current(self, version: str, digest: str) -> Stored:
        return versions.read_version(self._lake, versions.Version.parse(version, self._grid), digest)

    def _stored(self, model: str, window: str) -> Stored:
        chosen = named(self._grid, window)
        if model != f"model_{chosen.slot}":
            detail = f"{model} has no window {window}: that one trains model_{chosen.slot}."
            raise BadParameterError("window", detail)
        found = versions.window_versions(self._lake, chosen)
        if not found:
            raise NotThereError(f"{model} has no version of the window {window}.")
        if found[0].row["state"] != "trained":
            raise NotThereError(f"The window {window} had too few records for a model.")
        return found[0]

    def _of_row(self, row: dict[str, Any]) -> Stored:
        return Stored(versions.Version(self._grid.window(row["window"]), row["revision"]), row)


def _shown(stored: Stored) -> Version:
    row, version = stored.row, stored.version
    model = ClusterModel.from_row(row)
    silhouettes = row["silhouettes"] or [None] * len(model.centres)
    features = [
        VersionFeature(**vars(feature) | {"labels": list(feature.labels)}) for feature in model.features
    ]
    return Version(
        model=MODELS[version.window.slot - 1],
        window=version.window.key,
        model_version=str(version),
        revision=version.revision,
        **{name: row[name] for name in _ALIKE},
        candidates=[
            Candidate(**{name: each[name] for name in Candidate.__struct_fields__})
            for each in row["candidates"] or []
        ],
        left_out=row["left_out"] or [],
        features=features,
        clusters=[
            VersionCluster(cluster, size, silhouette, centre, _means(model, centre))
            for cluster, (size, silhouette, centre) in enumerate(
                zip(row["sizes"], silhouettes, model.centres.tolist(), strict=True)
            )
        ],
    )


def _means(model: ClusterModel, centre: list[float]) -> dict[str, float | None]:
    """A centre's coordinates that are numbers, in the contract's units."""
    found, at = {}, 0
    for feature in model.features:
        if feature.kind == "number":
            found[feature.name] = centre[at] / feature.scale if feature.scale else None
        at += feature.width
    return found
