"""What ``GET /metrics`` says of the lake: its windows, how far the topic is read, its models."""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextvars import copy_context
from datetime import datetime, timedelta
from functools import lru_cache
from typing import get_args

import polars as pl
from prometheus_client import Metric
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

from api.answers import Answers
from api.overview import Overview, View
from api.problems import UNREADABLE
from resources.contract import Reason
from resources.intakes import Intakes
from resources.lake import Lake
from resources.overdue import waiting
from resources.windows import KEY_FORMAT, Grid

_TABLES = ("ledger", "windows", "clustering_results", "cluster_stats", "models", "drift")
_LEVELS = {"none": 0, "moderate": 1, "major": 2}
_PERCENTILES = (50, 95, 100)
_KEPT = {
    "records": "Records that the answers of all kept windows are made from.",
    "late": "Records of kept windows that came after a first answer.",
    "duplicates": "Records of kept windows that another of the same id replaced.",
    "missing": "Offsets of kept windows that the broker's retention took unread.",
    "dead_letters": "Messages of kept windows that break the contract and were not replayed.",
}
_PATIENCE = 5.0
"""Seconds. Prometheus waits for ten."""
_LOG = logging.getLogger("silt.api")
_Samples = Iterable[tuple[tuple[str, ...], float]]


class LakeMetrics:
    """A collector of prometheus_client: every scrape says what the tables say now.

    Where the lake cannot be read, ``silt_lake_up`` is 0 and the other metrics of the lake are left out.
    """

    def __init__(
        self, lake: Lake, answers: Answers, overview: Overview, grid: Grid, clock: Callable[[], datetime]
    ) -> None:
        self._lake = lake
        self._answers = answers
        self._overview = overview
        self._grid = grid
        self._clock = clock
        self._landed = _Landed()
        self._lock = threading.Lock()
        self._reader = threading.Thread()
        self._found: list[Metric] = []
        self._of_windows = lru_cache(1)(_of_windows)
        self._moments = lru_cache(1)(_moments)

    def collect(self) -> Iterator[Metric]:
        """All metrics of the lake; none if reading them takes longer than Prometheus waits."""
        with self._lock:
            if not self._reader.is_alive():  # a store that is away may hold up one thread, not one a scrape
                self._reader = threading.Thread(
                    target=copy_context().run, args=(self._read,), name="metrics", daemon=True
                )
                self._reader.start()
            self._reader.join(_PATIENCE)
            found = [] if self._reader.is_alive() else self._found
        yield _one("silt_lake_up", "Whether the lake can be read: 1 or 0.", bool(found))
        yield from found

    def _read(self) -> None:
        self._found = []
        try:
            self._found = list(self._all(self._clock()))
        except UNREADABLE as error:
            _LOG.error("The lake cannot be read for /metrics: %s", error)

    def _all(self, now: datetime) -> Iterator[Metric]:
        self._lake.require(*_TABLES)
        view = self._overview.view()
        versions = (((name,), self._lake.table(name).version()) for name in _TABLES)
        yield _gauge("silt_lake_table_version", "Delta version of a table.", versions, ("table",))
        yield from self._of_windows(view, self._grid)
        yield from self._ages(view, now)
        yield from _of_topic(view.intakes)
        yield from self._landed.since_start(view.intakes)
        yield from self._of_models(now)

    def _ages(self, view: View, now: datetime) -> Iterator[Metric]:
        published, due = self._moments(view, self._grid)
        if published:
            what = "Since the close of the newest published window."
            yield _one("silt_newest_published_window_age_seconds", what, (now - published).total_seconds())
        what = "How long the window that is due for the longest has been due; 0 where none is."
        yield _one("silt_longest_due_seconds", what, (now - due).total_seconds() if due else 0.0)

    def _of_models(self, now: datetime) -> Iterator[Metric]:
        models = self._answers.models(None, None)
        label = ("model",)
        what = "Mean silhouette of a model's newest version, squared Euclidean."
        scored = (((m.model,), m.silhouette) for m in models if m.silhouette is not None)
        yield _gauge("silt_model_silhouette", what, scored, label)
        what = "Since a model's newest version was trained."
        ages = (((m.model,), (now - m.trained_at).total_seconds()) for m in models)
        yield _gauge("silt_model_age_seconds", what, ages, label)
        yield from self._of_drift()

    def _of_drift(self) -> Iterator[Metric]:
        moved: dict[tuple[str, ...], float] = {}
        level: dict[tuple[str, ...], float] = {}
        for row in self._answers.drift(None, None):
            against = (row.model, row.reference)
            if row.psi is not None:
                moved[against] = max(row.psi, moved.get(against, 0.0))
            if row.level in _LEVELS:
                level[against] = max(_LEVELS[row.level], level.get(against, 0))
        labels = ("model", "reference")
        what = "Population stability index of the feature that moved most."
        yield _gauge("silt_drift_psi", what, moved.items(), labels)
        what = "Drift of a model or of the feature that moved most: 0 none, 1 moderate, 2 major."
        yield _gauge("silt_drift_level", what, level.items(), labels)


class _Landed:
    """What intakes landed since the first scrape: counters of this process, which never fall.

    What the lake keeps falls at retention, and no counter may.
    """

    def __init__(self) -> None:
        self._seen: int | None = None
        self._records: Counter[str] = Counter()
        self._refused: Counter[str] = Counter(dict.fromkeys(get_args(Reason), 0))

    def since_start(self, intakes: Intakes) -> Iterator[Metric]:
        new = intakes.rows.filter(pl.col("number") > (intakes.last if self._seen is None else self._seen))
        self._seen = intakes.last
        for landed in new["landed"].explode().drop_nulls():
            self._records.update({name: landed[name] for name in ("records", "too_late")})
        for refused in new["refused"].explode().drop_nulls():
            self._refused[refused["reason"]] += refused["count"]
        yield _counter("silt_records_landed", "Records landed.", [((), self._records["records"])])
        what = "Records landed that were too late to be selected."
        yield _counter("silt_records_too_late", what, [((), self._records["too_late"])])
        refused = (((reason,), count) for reason, count in self._refused.items())
        yield _counter("silt_dead_letters", "Messages that broke the contract.", refused, ("reason",))


def _of_windows(view: View, grid: Grid) -> list[Metric]:
    """What stays as it is until the ledger or the table ``windows`` changes, or a window closes."""
    states = (((state,), count) for state, count in view.by_state.items())
    kept = [_one(f"silt_kept_{name}", what, float(view.windows[name].sum())) for name, what in _KEPT.items()]
    return [
        _gauge("silt_windows", "Windows by state.", states, ("state",)),
        _one("silt_window_length_seconds", "Length of a window.", grid.minutes * 60),
        *kept,
        *_publication(view, grid),
    ]


def _moments(view: View, grid: Grid) -> tuple[datetime | None, datetime | None]:
    """The close of the newest published window, and since when a window is due; None where there is none."""
    shown = view.windows.drop_nulls("model_version")["window"]
    published = grid.close(grid.window(shown[0])) if len(shown) else None
    return published, min((item.since for item in waiting(view.due, view.intakes, grid)), default=None)


def _publication(view: View, grid: Grid) -> list[Metric]:
    first = view.windows.filter(pl.col("revision") == 1, pl.col("seconds").is_not_null())
    if first.is_empty():
        return []
    before = grid.window(first["window"][0]).start - timedelta(days=1)
    day = first.filter(pl.col("window") > before.strftime(KEY_FORMAT))["seconds"]
    found = (((str(p),), day.quantile(p / 100, "nearest") or 0.0) for p in _PERCENTILES)
    name, what = "silt_publication_seconds", "From a window's close to its first answer"
    return [
        _one(f"{name}_newest", f"{what}: the newest window's.", first["seconds"][0]),
        _gauge(name, f"{what}: percentiles over the windows of a day.", found, ("percentile",)),
    ]


def _of_topic(intakes: Intakes) -> Iterator[Metric]:
    """How far the newest intake read, and what it saw."""
    read, label = intakes.newest_read, ("partition",)
    if read is None:
        return
    spans = {(str(partition),): span for partition, span in read.spans.items()}
    what = "When the newest intake looked at the topic."
    yield _one("silt_last_intake_timestamp_seconds", what, read.taken_at.timestamp())
    ends = ((key, span.end) for key, span in spans.items())
    yield _gauge("silt_topic_read_offset", "The offset that the next intake starts from.", ends, label)
    ends = ((key, span.topic_end) for key, span in spans.items() if span.topic_end is not None)
    yield _gauge("silt_topic_end_offset", "The partition's end as the newest intake saw it.", ends, label)
    lags = ((key, span.lag) for key, span in spans.items() if span.lag is not None)
    yield _gauge("silt_topic_lag", "Offsets that the newest intake left unread.", lags, label)
    marks = ((key, span.watermark.timestamp()) for key, span in spans.items() if span.watermark)
    what = "The latest event time read."
    yield _gauge("silt_topic_watermark_timestamp_seconds", what, marks, label)


def _one(name: str, what: str, value: float) -> Metric:
    return _gauge(name, what, [((), value)])


def _gauge(name: str, what: str, samples: _Samples, labels: tuple[str, ...] = ()) -> Metric:
    return _filled(GaugeMetricFamily(name, what, labels=labels), samples)


def _counter(name: str, what: str, samples: _Samples, labels: tuple[str, ...] = ()) -> Metric:
    return _filled(CounterMetricFamily(name, what, labels=labels), samples)


def _filled(family: GaugeMetricFamily | CounterMetricFamily, samples: _Samples) -> Metric:
    for values, value in samples:
        family.add_metric(values, value)
    return family
