"""What became of clusters, from one published window to the next."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from api.answers import Answers, Chosen
from api.bulk import Identities, ids_of, rows_of
from api.cursors import Place, Position
from api.event_schemas import ClusterEvent
from api.published import Answer, WindowsView
from api.results import After
from api.snapshots import AnswerTable
from resources.lake import Lake

_AT_ONCE = 100
"""So many windows are read at a time."""


class Events:
    """The events of published windows, the newest window first. Safe to share among threads."""

    def __init__(self, lake: Lake, answers: Answers) -> None:
        self._answers = answers
        self._events = AnswerTable(lake, "cluster_events")
        self._ids = AnswerTable(lake, "cluster_ids")

    def state(self) -> tuple[int, int]:
        """Changes with anything that is shown beside the windows."""
        return self._events.snapshot().version, self._ids.snapshot().version

    def page(self, chosen: Chosen, place: Place, limit: int) -> tuple[list[ClusterEvent], Position | None]:
        """At most ``limit`` events from a place on.

        Those alone that lead from one answer that is shown to another: not what is about to be matched anew.

        Raises:
            BadParameterError, NotThereError, VersionGoneError: as of :meth:`Answers.page`.
        """
        view = self._answers.view(place.version)
        after = (str(place.position[0]), int(place.position[1])) if place.position else None
        walked = self._answers.walked(view, chosen, After(after[0], "") if after else None)
        events = (
            (answer.window, number, event)
            for answers in _batched(walked)
            for answer, of_answer in self._read(view, answers, chosen.cluster)
            for number, event in enumerate(of_answer)
            if after is None or answer.window != after[0] or number > after[1]
        )
        found = list(islice(events, limit + 1))
        last = found[limit - 1] if len(found) > limit else None
        return [event for *_, event in found[:limit]], list(last[:2]) if last else None

    def _read(
        self, view: WindowsView, answers: Sequence[Answer], cluster: int | None
    ) -> Iterator[tuple[Answer, list[ClusterEvent]]]:
        rows = [row for row in rows_of(self._events, answers).to_dicts() if _is_shown(view, row)]
        if cluster is not None:
            rows = [row for row in rows if cluster in row["after"]]
        before = [view.answers[row["previous"]] for row in rows if row["previous"]]
        ids = ids_of(self._ids, [*answers, *before])
        for answer in answers:
            mine = (row for row in rows if row["window"] == answer.window)
            ordered = sorted(mine, key=lambda row: (row["event"], row["after"], row["before"]))
            yield answer, [_shown(answer, row, ids) for row in ordered]


def _batched(answers: Iterable[Answer]) -> Iterator[list[Answer]]:
    walked = iter(answers)
    while batch := list(islice(walked, _AT_ONCE)):
        yield batch


def _is_shown(view: WindowsView, row: dict[str, Any]) -> bool:
    return row["previous"] is None or view.shown(row["previous"], row["previous_digest"]) is not None


def _shown(answer: Answer, row: dict[str, Any], ids: Identities) -> ClusterEvent:
    def known(window: str | None, digest: str | None, clusters: list[int]) -> list[str | None]:
        found = ids.get((window or "", digest or ""), {})
        return [found[cluster]["cluster_id"] if cluster in found else None for cluster in clusters]

    return ClusterEvent(
        window=answer.window,
        model=answer.model,
        model_version=answer.model_version,
        previous_window=row["previous"],
        event=row["event"],
        before=row["before"],
        before_ids=known(row["previous"], row["previous_digest"], row["before"]),
        after=row["after"],
        after_ids=known(row["window"], row["digest"], row["after"]),
        overlaps=row["overlaps"],
    )
