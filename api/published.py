"""The table ``windows`` as the API holds it: what each window shows, and the newest of each model."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import polars as pl
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from polars.exceptions import PolarsError

from api.problems import VersionGoneError
from api.schemas import MODELS, ModelName
from resources.delta import add_actions
from resources.errors import LakeError
from resources.lake import Lake
from resources.windows import KEY_FORMAT

_SHOWN = (
    "window", "slot", "revision", "digest", "state", "attempts", "records",
    "model_version", "model_digest", "results_version", "stats_version",
)  # fmt: skip


_VIEWS = 8
"""So many versions are kept for walks that started at them; others are opened again."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a window's row in the table ``windows`` says."""

    window: str
    slot: int
    revision: int | None
    digest: str | None
    state: str | None
    attempts: int | None
    records: int | None
    model_version: str
    """The version that assigned the records, as in ``model_2/2026-11-24T0505Z/r1``; null unless published."""
    model_digest: str
    results_version: int | None
    stats_version: int | None

    @property
    def published(self) -> bool:
        """Whether the window has results, statistics and a model to show."""
        return self.state == "published"

    @property
    def model(self) -> ModelName:
        """The model that the window trains, ``model_1`` to ``model_3``."""
        return MODELS[self.slot - 1]

    @property
    def model_row(self) -> "Answer":
        """Where the version that assigned the records is in the table ``models``."""
        return replace(self, window=self.model_version.split("/")[1], digest=self.model_digest)


@dataclass(frozen=True, eq=False)
class WindowsView:
    """All windows from the floor on, as of one version of the table ``windows``."""

    version: int
    answers: Mapping[str, Answer]

    def shown(self, window: str, digest: str) -> Answer | None:
        """The published answer with this digest, if it is the one that the window shows."""
        answer = self.answers.get(window)
        return answer if answer and answer.published and answer.digest == digest else None

    @cached_property
    def published(self) -> list[Answer]:
        """The published windows, newest first."""
        shown = (answer for answer in self.answers.values() if answer.published)
        return sorted(shown, key=lambda answer: answer.window, reverse=True)

    @cached_property
    def newest(self) -> dict[str, Answer]:
        """The newest published window of each model that has one, in the models' order."""
        newest = {answer.model: answer for answer in reversed(self.published)}
        return dict(sorted(newest.items()))


class WindowsTable:
    """The table ``windows``, kept in memory; at a new version only the new files are read."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._lock = threading.Lock()
        self._files: dict[str, list[Answer]] = {}
        self._view: WindowsView | None = None
        self._views: dict[int, WindowsView] = {}

    def view(self, version: int | None = None) -> WindowsView:
        """The windows as they are now, or as they were at a version.

        Raises:
            VersionGoneError: the version is no longer kept.
        """
        table = self._lake.table("windows")
        with self._lock:
            if self._view is None or self._view.version != table.version():
                self._files = self._answers(table)
                self._view = self._seen(table.version(), self._files)
            if version in (None, self._view.version):
                return self._view
            return self._views.get(version) or self._reopened(version)

    def _reopened(self, version: int) -> WindowsView:
        try:
            return self._seen(version, self._answers(self._lake.table("windows", version)))
        except (LakeError, DeltaError, PolarsError, OSError) as error:
            raise VersionGoneError(f"windows, version {version}: {error}") from error

    def _answers(self, table: DeltaTable) -> dict[str, list[Answer]]:
        """What each file of a version holds; the files of the version before are known."""
        paths = _paths(table)
        known = {path: rows for path, rows in self._files.items() if path in paths}
        return known | _read_answers({path: paths[path] for path in sorted(paths.keys() - known.keys())})

    def _seen(self, version: int, files: Mapping[str, list[Answer]]) -> WindowsView:
        first = self._lake.floor().strftime(KEY_FORMAT)
        rows = (answer for answers in files.values() for answer in answers)
        view = WindowsView(version, {answer.window: answer for answer in rows if answer.window >= first})
        self._views[version] = view
        if len(self._views) > _VIEWS:
            del self._views[next(iter(self._views))]
        return view


def _paths(table: DeltaTable) -> dict[str, str]:
    """The files of a table version: path in the table to the address that a reader opens."""
    actions = add_actions(table)
    return {} if actions.is_empty() else dict(actions.select("path", "address").iter_rows())


def _read_answers(files: Mapping[str, str]) -> dict[str, list[Answer]]:
    if not files:
        return {}
    frame = pl.scan_parquet(list(files.values()), include_file_paths="file").select(*_SHOWN, "file").collect()
    names = {address.rpartition("/")[2]: path for path, address in files.items()}
    answers: dict[str, list[Answer]] = {path: [] for path in files}
    for *row, file in frame.iter_rows():
        answers[names[file.rpartition("/")[2]]].append(Answer(*row))
    return answers
