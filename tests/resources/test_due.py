"""What is due, and what is not: one table of situations, and random histories."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

import pytest

from resources.due import Due, covered_intakes, due_windows, first_sources, passed_without_record
from resources.intake_rows import Intake, Span
from resources.intakes import Intakes
from resources.lake import Lake
from resources.windows import Window
from tests.resources.conftest import FIRST, GRID, intake, span, window_row

W = [FIRST.step(count) for count in range(6)]
FLOOR = FIRST.start.replace(hour=0)
NOW = GRID.close(W[3]) + timedelta(minutes=1)
"""W[3] is the newest closed window, W[4] is open."""
SECOND = timedelta(seconds=1)


def at(window: Window, seconds: float = 1) -> datetime:
    """So long after a window's close."""
    return GRID.close(window) + timedelta(seconds=seconds)


class Case(NamedTuple):
    """A situation: intakes, what the published answers cover, and the due windows that follow."""

    intakes: Sequence[Intake]
    covered: Mapping[str, int]
    due: Sequence[Due]
    now: datetime = NOW
    floor: datetime = FLOOR


LANDED_ALL = intake(1, at(W[3]), {window.key: 5 for window in W[:4]})
CASES: dict[str, Case] = {
    "an empty ledger: the newest closed window takes in for all": Case([], {}, [Due(W[3], 0)]),
    "a ledger that never caught up: the newest closed window": Case(
        [intake(1, at(W[3]), {W[1].key: 5}, caught_up=False)], {}, [Due(W[3], 0)]
    ),
    "catching up: every landed window, oldest first": Case(
        [LANDED_ALL], {}, [Due(window, 1) for window in W[:4]]
    ),
    "what is covered is not due": Case(
        [LANDED_ALL], {W[0].key: 1, W[2].key: 1}, [Due(W[1], 1), Due(W[3], 1)]
    ),
    "all covered: nothing is due": Case([LANDED_ALL], {window.key: 1 for window in W[:4]}, []),
    "windows that the ledger passed without a record cost no run": Case([intake(1, at(W[3]))], {}, []),
    "a late record reopens its home window alone": Case(
        [LANDED_ALL, intake(2, at(W[3], 30), {W[1].key: 1})],
        {window.key: 1 for window in W[:4]},
        [Due(W[1], 2)],
    ),
    "a late record that the answer covers already is not due": Case(
        [LANDED_ALL, intake(2, at(W[3], 30), {W[1].key: 1})], {window.key: 2 for window in W[:4]}, []
    ),
    "a too late record makes nothing due": Case(
        [LANDED_ALL, intake(2, at(W[3], 30), {W[1].key: 0})], {window.key: 1 for window in W[:4]}, []
    ),
    "a dead letter makes nothing due": Case([intake(1, at(W[3]), refused={W[1].key: 4})], {}, []),
    "an unreached close: the oldest one that is not reached, once": Case(
        [intake(1, at(W[0]), {W[0].key: 5})], {W[0].key: 1}, [Due(W[1], 0)]
    ),
    "an unreached close and older due windows: oldest first": Case(
        [intake(1, at(W[1]), {W[0].key: 5, W[1].key: 5})], {}, [Due(W[0], 1), Due(W[1], 1), Due(W[2], 0)]
    ),
    "records of a window that was read before its close wait for it": Case(
        [intake(1, at(W[2], -60), {W[2].key: 5})], {}, [Due(W[2], 0)]
    ),
    "read a moment before the close is not read to the close": Case(
        [intake(1, at(W[3], -0.001), {W[3].key: 5})], {}, [Due(W[3], 0)]
    ),
    "read at the very close is": Case([intake(1, at(W[3], 0), {W[3].key: 5})], {}, [Due(W[3], 1)]),
    "the open window is not due": Case(
        [intake(1, at(W[3], 30), {W[3].key: 5, W[4].key: 5})], {W[3].key: 1}, []
    ),
    "a window in the future is not due": Case([intake(1, at(W[3]), {W[5].key: 5})], {}, []),
    "nothing before the floor is due": Case([LANDED_ALL], {}, [Due(W[2], 1), Due(W[3], 1)], floor=W[2].start),
    "a ledger that ends before the floor goes on at the floor": Case(
        [intake(1, at(W[0]), {W[0].key: 5})], {}, [Due(W[2], 0)], floor=W[2].start
    ),
    "a chunk that did not catch up reaches nothing": Case(
        [intake(1, at(W[1]), {W[1].key: 2}), intake(2, at(W[3]), {W[2].key: 5}, caught_up=False)],
        {},
        [Due(W[1], 1), Due(W[2], 0)],
    ),
    "an intake whose clock lies ahead of ours reaches no close": Case(
        [intake(1, at(W[2]), {W[2].key: 5}), intake(2, at(W[5]), {W[3].key: 5, W[4].key: 5})],
        {},
        [Due(W[2], 1), Due(W[3], 0)],
    ),
    "a window closes with its grace": Case(
        [intake(1, at(W[2]), {W[3].key: 5})], {}, [], now=GRID.close(W[3]) - SECOND / 1000
    ),
    "and not before": Case([intake(1, at(W[2]), {W[3].key: 5})], {}, [Due(W[3], 0)], now=GRID.close(W[3])),
}


def gap(first: Window, last: Window, missing: int = 3) -> dict[int, Span]:
    """Offsets that are missing from one window to another."""
    return {0: replace(span(0, 9, 0, missing), missing_from=first.start, missing_to=last.start)}


CASES |= {
    "offsets are missing: every closed window from the one before to the one after": Case(
        [intake(1, at(W[3]), spans=gap(W[1], W[4]))], {}, [Due(window, 1) for window in W[1:4]]
    ),
    "an answer that covers what is missing is not due": Case(
        [intake(1, at(W[3]), spans=gap(W[1], W[2]))], {W[1].key: 1}, [Due(W[2], 1)]
    ),
    "what is missing before the floor makes nothing due": Case(
        [intake(1, at(W[3]), spans=gap(W[0].step(-9000), W[2]))], {}, [Due(W[2], 1)], floor=W[2].start
    ),
    "a record that landed after what is missing counts": Case(
        [intake(1, at(W[3]), spans=gap(W[1], W[1])), intake(2, at(W[3]), {W[1].key: 1})],
        {W[1].key: 1},
        [Due(W[1], 2)],
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_due(case: Case) -> None:
    assert due_windows(Intakes.of(case.intakes), case.covered, GRID, case.floor, case.now) == list(case.due)


def reopened(late: Window, first_sources: Mapping[str, str], answered: Sequence[Window] = W[:4]) -> list[Due]:
    """What a late record makes due where these windows have an answer, from such first sources on."""
    intakes = Intakes.of([LANDED_ALL, intake(2, at(W[3], 30), {late.key: 1})])
    covered = {window.key: 1 for window in answered}
    return due_windows(intakes, covered, GRID, FLOOR, NOW, first_sources)


def test_a_late_record_reopens_the_windows_whose_models_saw_its_home() -> None:
    cumulative = {W[1].key: W[0].key, W[2].key: W[0].key}
    assert reopened(W[0], cumulative) == [Due(window, 2) for window in W[:3]]
    assert reopened(W[1], cumulative) == [Due(W[1], 2), Due(W[2], 2)]
    assert reopened(W[2], cumulative) == [Due(W[2], 2)]
    assert reopened(W[3], cumulative) == [Due(W[3], 2)]


def test_what_an_answer_was_made_from_counts_and_not_what_another_would_be() -> None:
    sliding = {W[2].key: W[1].key}  # the others were answered while the scheme was disjoint
    assert reopened(W[1], sliding) == [Due(W[1], 2), Due(W[2], 2)]
    assert reopened(W[0], sliding) == [Due(W[0], 2)]


def test_an_answer_that_covers_a_late_record_of_an_earlier_window_is_not_due() -> None:
    intakes = Intakes.of([LANDED_ALL, intake(2, at(W[3], 30), {W[0].key: 1})])
    covered = {window.key: 2 for window in W[:4]}
    assert due_windows(intakes, covered, GRID, FLOOR, NOW, {W[1].key: W[0].key}) == []


def test_a_window_without_records_is_not_reopened() -> None:
    intakes = Intakes.of([intake(1, at(W[3]), {W[0].key: 5}), intake(2, at(W[3], 30), {W[0].key: 1})])
    covered = {W[0].key: 1, W[1].key: 1}
    assert due_windows(intakes, covered, GRID, FLOOR, NOW, {W[1].key: W[0].key}) == [Due(W[0], 2)]


def test_first_sources_are_those_of_answers_that_saw_more_than_their_window(lake: Lake) -> None:
    lake.replace_window("windows", W[0], window_row(W[0], first_source=W[0].key))
    lake.replace_window("windows", W[1], window_row(W[1], first_source=W[0].key))
    lake.replace_window("windows", W[2], window_row(W[2], state=None, error="no Spark"))
    assert first_sources(lake) == {W[1].key: W[0].key}


def test_only_a_window_that_the_ledger_does_not_reach_takes_in() -> None:
    assert Due(FIRST, 0).takes_in
    assert not Due(FIRST, 3).takes_in


def test_windows_that_the_ledger_passed_without_a_record_are_empty() -> None:
    rows = Intakes.of([intake(1, at(W[3]), {W[0].key: 5})])
    assert passed_without_record(rows, {}, GRID, FLOOR, None, NOW) == W[1:4]
    assert passed_without_record(rows, {W[2].key: 1}, GRID, FLOOR, W[1], NOW) == [W[3]]


def test_a_window_with_missing_offsets_is_never_plainly_empty() -> None:
    rows = Intakes.of([intake(1, at(W[3]), {W[0].key: 5}, spans=gap(W[1], W[2]))])
    assert passed_without_record(rows, {}, GRID, FLOOR, None, NOW) == [W[3]]


def random_history(draw: random.Random) -> list[Intake]:
    """Intakes as time goes on, each with records for windows before or around its clock."""
    clock = FIRST.start
    history = []
    for number in range(1, draw.randrange(2, 12)):
        clock += timedelta(seconds=draw.uniform(1, 400))
        homes = [GRID.home(clock - timedelta(seconds=draw.uniform(-300, 1500))) for _ in range(3)]
        landed = {home.key: draw.choice([0, 1, 5]) for home in homes}
        history.append(intake(number, clock, landed, caught_up=draw.random() < 0.7))
    return history


@pytest.mark.parametrize("seed", range(40))
def test_working_off_what_is_due_ends_with_nothing_due_and_every_record_covered(seed: int) -> None:
    draw = random.Random(seed)
    history = random_history(draw)
    now = history[-1].taken_at + timedelta(seconds=draw.uniform(0, 900))
    covered: dict[str, int] = {}
    for _ in range(100):
        due = due_windows(Intakes.of(history), covered, GRID, FLOOR, now)
        assert due == sorted(due)
        assert len({item.window for item in due}) == len(due)
        if not due:
            break
        if due[0].takes_in or any(item.takes_in for item in due):
            history.append(intake(len(history) + 1, now))
        covered[due[0].window.key] = len(history)
    else:
        pytest.fail("something is due for ever")
    for row in history:
        for key, count in row.landed.items():
            if count and GRID.close(GRID.window(key)) <= now:
                assert covered[key] >= row.number


def test_covered_are_the_windows_that_have_an_answer(lake: Lake) -> None:
    lake.replace_window("windows", W[0], window_row(W[0], covered=3))
    lake.replace_window("windows", W[1], window_row(W[1], covered=7, state="too-few"))
    lake.replace_window("windows", W[2], window_row(W[2], covered=None, state=None, error="no Spark"))
    assert covered_intakes(lake) == {W[0].key: 3, W[1].key: 7}
