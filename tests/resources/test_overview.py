"""Every window's state, side by side."""

from datetime import datetime, timedelta
from typing import Any

from resources.due import due_windows
from resources.intake_rows import Intake
from resources.intakes import Intakes
from resources.lake import Lake
from resources.overview import STATES, window_rows, window_states
from tests.resources.conftest import FIRST, GRID, intake, window_row

W = [FIRST.step(count) for count in range(6)]
FLOOR = FIRST.start.replace(hour=0)
NOW = GRID.close(W[4]) + timedelta(minutes=1)
"""W[5] is open."""


def states(
    intakes: list[Intake], rows: dict[str, dict[str, Any]], now: datetime = NOW, floor: datetime = FLOOR
) -> dict[str, str]:
    covered = {key: row["covered"] for key, row in rows.items() if row.get("state")}
    known = Intakes.of(intakes)
    due = due_windows(known, covered, GRID, floor, now)
    return window_states(known, rows, due, GRID, floor, now)


def answer(state: str | None = "published", covered: int = 1, **more: Any) -> dict[str, Any]:
    return {"state": state, "covered": covered, "error": None, **more}


def test_each_window_has_the_state_that_its_row_and_the_ledger_give_it() -> None:
    landed = {W[0].key: 9, W[1].key: 1, W[3].key: 5, W[4].key: 5, W[5].key: 5}
    rows = {
        W[0].key: answer(),
        W[1].key: answer("too-few"),
        W[3].key: answer(None, error="no Spark"),
    }
    found = states([intake(1, NOW, landed)], rows)
    assert found == {
        W[0].key: "published",
        W[1].key: "too-few",
        W[2].key: "empty",
        W[3].key: "failed",
        W[4].key: "due",
        W[5].key: "open",
    }
    assert set(found.values()) == set(STATES)


def test_windows_that_the_ledger_does_not_reach_are_due() -> None:
    found = states([intake(1, GRID.close(W[1]), {W[0].key: 5})], {W[0].key: answer()})
    assert list(found.values()) == ["published", "empty", "due", "due", "due", "open"]


def test_a_late_record_makes_a_published_window_due_again() -> None:
    intakes = [intake(1, NOW, {W[0].key: 9}), intake(2, NOW, {W[0].key: 1})]
    assert states(intakes, {W[0].key: answer(covered=1)})[W[0].key] == "due"
    assert states(intakes, {W[0].key: answer(covered=2)})[W[0].key] == "published"


def test_a_published_window_whose_next_run_failed_is_failed() -> None:
    intakes = [intake(1, NOW, {W[0].key: 9}), intake(2, NOW, {W[0].key: 1})]
    assert states(intakes, {W[0].key: answer(covered=1, error="no Spark")})[W[0].key] == "failed"


def test_nothing_before_the_floor_is_named() -> None:
    found = states([intake(1, NOW, {window.key: 5 for window in W[:5]})], {}, floor=W[3].start)
    assert list(found) == [window.key for window in W[3:]]


def test_too_late_records_do_not_stretch_the_list_into_the_past() -> None:
    ancient = GRID.home(FIRST.start - timedelta(hours=30))
    found = states([intake(1, NOW, {ancient.key: 0, W[3].key: 5})], {}, floor=FLOOR - timedelta(days=9))
    assert next(iter(found)) == W[3].key


def test_before_the_first_intake_the_newest_closed_window_is_due_and_the_next_is_open() -> None:
    assert states([], {}) == {W[4].key: "due", W[5].key: "open"}


def test_rows_are_found_by_window_key(lake: Lake) -> None:
    for number in (0, 1):
        lake.replace_window("windows", W[number], window_row(W[number], covered=number))
    rows = window_rows(lake)
    assert {key: row["covered"] for key, row in rows.items()} == {W[0].key: 0, W[1].key: 1}
