"""The bounds that a comparison is held against."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from bench.large import Large
from bench.report import MB, grouped, table
from bench.turns import Measured

SECONDS = {1_000: 0.8, 100_000: 1.2, 1_000_000: 3.0}
"""Records of a window to seconds from its close to Silt's answer, at most; medians."""
SHARE = {1_000: 0.4, 100_000: 0.3, 1_000_000: 0.2}
"""Of the rival's seconds."""
INERTIA = 1.001
CPU_SHARE = 0.5
TIMES = 12.0
"""Silt's seconds of the large window, in those of 1,000,000 records."""
RUN_MB = 2_000.0
IDLE_MB = 2_500.0
IDLE_CPU = 0.1
FIRST_ANSWER_SECONDS = 45.0


@dataclass(frozen=True)
class Point:
    """A figure and its bound."""

    name: str
    measured: float
    bound: float

    @property
    def kept(self) -> bool:
        return self.measured <= self.bound


def points(measured: Sequence[Measured], large: Large | None) -> list[Point]:
    """All that can be said of what was measured."""
    groups = grouped(measured)
    found: list[Point] = []
    for records in dict.fromkeys(records for records, _ in groups):
        found += _of_size(records, groups[records, "Silt"], groups.get((records, "Structured Streaming"), []))
    return found + (list(_of_large(large, groups.get((1_000_000, "Silt"), []))) if large else [])


def _of_size(records: int, silt: list[Measured], rival: list[Measured]) -> Iterator[Point]:
    seconds = median(one.seconds for one in silt)
    if records in SECONDS:
        yield Point(f"{records:,} records: close to answer, s", seconds, SECONDS[records])
    if rival and records in SHARE:
        theirs = median(one.seconds for one in rival)
        yield Point(f"{records:,} records: of Structured Streaming's", seconds / theirs, SHARE[records])
    inertia = max(one.inertia / one.best for one in silt)
    yield Point(f"{records:,} records: inertia, of the best known", inertia, INERTIA)
    if rival and records == max(SECONDS):
        ours, theirs = (median(one.usage.cpu_seconds for one in side) for side in (silt, rival))
        yield Point(f"{records:,} records: CPU seconds, of Structured Streaming's", ours / theirs, CPU_SHARE)


def _of_large(large: Large, million: list[Measured]) -> Iterator[Point]:
    name = f"{large.window.turn.records:,} records"
    if million:
        times = large.window.seconds / median(one.seconds for one in million)
        yield Point(f"{name}: close to answer, times that of 1,000,000", times, TIMES)
    yield Point(f"{name}: PSS of the run's process, MB", large.window.usage.largest["run"] / MB, RUN_MB)
    yield Point("idle: PSS of all, MB", large.idle.total / MB, IDLE_MB)
    yield Point("idle: CPU, of one core", large.idle.cpu_seconds / large.idle_seconds, IDLE_CPU)
    yield Point("first answer after `silt up`, s", large.first_answer, FIRST_ANSWER_SECONDS)


def verdict(found: Sequence[Point]) -> str:
    """The points as a table."""
    rows = [
        [point.name, f"{point.measured:.4g}", f"{point.bound:g}", "kept" if point.kept else "MISSED"]
        for point in found
    ]
    return table(["point", "measured", "at most", ""], rows)
