"""Schemes: which windows a model sees, and whose models see a window."""

from datetime import UTC, datetime

import pytest

from resources.scheme import Scheme
from resources.windows import Grid

GRID = Grid(5)
FLOOR = datetime(2026, 11, 24, tzinfo=UTC)
NAMES = ("disjoint", "cumulative", "sliding:2", "sliding:3", "sliding:40")


@pytest.mark.parametrize(
    ("name", "key", "sources"),
    [
        ("disjoint", "2026-11-24T0510Z", ["0510"]),
        ("cumulative", "2026-11-24T0500Z", ["0500"]),
        ("cumulative", "2026-11-24T0505Z", ["0500", "0505"]),
        ("cumulative", "2026-11-24T0510Z", ["0500", "0505", "0510"]),
        ("sliding:3", "2026-11-24T0500Z", ["0450", "0455", "0500"]),
        ("sliding:3", "2026-11-24T0505Z", ["0455", "0500", "0505"]),
        ("sliding:2", "2026-11-24T0000Z", ["0000"]),
        ("sliding:3", "2026-11-24T0005Z", ["0000", "0005"]),
    ],
)
def test_a_model_sees_its_own_window_and_those_before_it(name: str, key: str, sources: list[str]) -> None:
    found = Scheme(name).sources(GRID.window(key), FLOOR)
    assert [window.key for window in found] == [f"2026-11-24T{source}Z" for source in sources]


@pytest.mark.parametrize("name", NAMES)
def test_who_sees_a_window_is_who_has_it_among_its_sources(name: str) -> None:
    scheme = Scheme(name)
    windows = list(GRID.between(GRID.home(FLOOR), GRID.home(FLOOR).step(200)))
    for window in windows[:60]:
        seeing = [other for other in windows if window in scheme.sources(other, FLOOR)]
        assert scheme.seen_by(window) == seeing


@pytest.mark.parametrize("name", ["", "Cumulative", "sliding", "sliding:", "sliding:1", "sliding:289"])
def test_another_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="disjoint, cumulative and sliding:N, with N from 2 to 288"):
        Scheme(name)
