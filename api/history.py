"""A record over time: its cluster in every window that has its id, and how near the second-best one was."""

from typing import Any

import msgspec

from api.answers import Answers
from api.bulk import NO_IDENTITY, ids_of, rows_of
from api.cursors import Place, Position
from api.event_schemas import Past
from api.keys import bounds
from api.nearness import NOWHERE, Nearness, nearness
from api.published import Answer, WindowsView
from api.schemas import Clustered
from api.snapshots import AnswerTable, Pair
from resources.cluster_model import ClusterModel
from resources.lake import Lake
from resources.windows import Grid


class Histories:
    """The histories of records. Safe to share among threads."""

    def __init__(self, lake: Lake, grid: Grid, answers: Answers) -> None:
        self._grid = grid
        self._answers = answers
        self._models = AnswerTable(lake, "models")
        self._ids = AnswerTable(lake, "cluster_ids")

    def state(self) -> int:
        """Changes with anything that is shown beside the windows."""
        return self._ids.snapshot().version

    def page(
        self,
        unique_id: str,
        model: str | None,
        between: tuple[str | None, str | None],
        place: Place,
        limit: int,
    ) -> tuple[list[Past], Position | None]:
        """At most ``limit`` windows that have an id, newest first, from a place on.

        Args:
            between: windows, [first, end).

        Raises:
            BadParameterError: a window cannot exist.
            VersionGoneError, NotThereError: as of :meth:`Answers.history`.
        """
        view = self._answers.view(place.version)
        found = self._answers.history(unique_id, model, bounds(self._grid, *between), place, limit + 1)
        shown = self._shown(view, found[:limit])
        return shown, [shown[-1].window] if len(found) > limit else None

    def _shown(self, view: WindowsView, results: list[Clustered]) -> list[Past]:
        answers = [view.answers[result.window] for result in results]
        models, ids = self._models_of(answers), ids_of(self._ids, answers)
        return [
            Past(
                window=result.window,
                model=result.model,
                model_version=result.model_version,
                revision=answer.revision or 1,
                cluster=result.cluster,
                distance=result.distance,
                event_time=result.event_time,
                **_second(models.get(_pair(answer.model_row)), result),
                **ids.get(_pair(answer), {}).get(result.cluster, NO_IDENTITY),
            )
            for answer, result in zip(answers, results, strict=True)
        ]

    def _models_of(self, answers: list[Answer]) -> dict[Pair, ClusterModel]:
        """The models that assigned; of several revisions that are alike any."""
        rows = rows_of(self._models, [answer.model_row for answer in answers]).to_dicts()
        return {(row["window"], row["digest"]): ClusterModel.from_row(row) for row in rows}


def _pair(answer: Answer) -> Pair:
    return answer.window, answer.digest or ""


def _second(model: ClusterModel | None, result: Clustered) -> dict[str, Any]:
    """The second-best cluster, worked out anew: the lake keeps the best alone."""
    near: Nearness = NOWHERE
    if model:
        (near,) = nearness(model, [msgspec.json.decode(result.features, type=dict[str, Any])])
    return {
        "second_cluster": near.second_cluster,
        "second_distance": near.second_distance,
        "margin": near.margin,
    }
