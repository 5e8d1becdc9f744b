"""The ledger: what it says after many intakes, and what it refuses."""

from datetime import timedelta

import pytest
from deltalake import DeltaTable

from resources.errors import LakeError
from resources.lake import Lake
from resources.ledger import (
    Ledger,
    attempts_with,
    ends,
    first_to_reach,
    latest_per_window,
    reach,
    reaches,
)
from tests.resources.conftest import FIRST, NOW, intake, ledger_row, span

MINUTE = timedelta(minutes=1)
NEXT = FIRST.step(1)
CHUNKS = [
    intake(1, NOW, {FIRST.key: 5}, caught_up=False, spans={0: span(0, 5), 1: span(0, 2)}),
    intake(2, NOW + MINUTE, {FIRST.key: 1, NEXT.key: 0}, spans={0: span(5, 6), 1: span(2, 2)}),
    intake(3, NOW + 2 * MINUTE, {NEXT.key: 2}, caught_up=False, spans={0: span(6, 8), 1: span(2, 2)}),
]


def enter(lake: Lake, *numbers: int) -> None:
    for number in numbers:
        assert lake.insert_once("ledger", "number", ledger_row(number))


def test_an_empty_ledger_reaches_nothing(lake: Lake) -> None:
    assert Ledger(lake, 5, "id").intakes() == []
    assert reach([]) is None
    assert not reaches([], NOW)
    assert ends([]) == {}
    assert first_to_reach([], NOW) is None


def test_intakes_come_in_the_order_of_their_numbers(lake: Lake) -> None:
    enter(lake, 1, 2, 3)
    assert [row.number for row in Ledger(lake, 5, "id").intakes()] == [1, 2, 3]


def test_an_intake_is_read_back_as_it_was_entered(lake: Lake) -> None:
    gap = {"last_timestamp": NOW, "missing_from": NOW - MINUTE, "missing_to": NOW}
    no_gap = dict.fromkeys(gap)
    row = ledger_row(
        1,
        "mine",
        caught_up=False,
        spans=[
            {"partition": 0, "start": 1, "end": 9, "missing": 2, "watermark": NOW} | gap,
            {"partition": 1, "start": 0, "end": 0, "missing": 0, "watermark": None} | no_gap,
        ],
        landed=[
            {"window": FIRST.key, "records": 3, "too_late": 1},
            {"window": NEXT.key, "records": 0, "too_late": 2},
        ],
        refused=[
            {"window": FIRST.key, "reason": "null-value", "count": 2},
            {"window": FIRST.key, "reason": "wrong-type", "count": 3},
        ],
    )
    lake.insert_once("ledger", "number", row)
    (read,) = Ledger(lake, 5, "id").intakes()
    assert (read.number, read.attempt, read.topic_id, read.taken_at) == (1, "mine", "topic", NOW)
    assert not read.caught_up
    assert (read.spans[0].start, read.spans[0].end, read.spans[0].missing) == (1, 9, 2)
    assert (read.spans[0].watermark, read.spans[1].watermark) == (NOW, None)
    assert (read.spans[0].missing_from, read.spans[0].missing_to) == (NOW - MINUTE, NOW)
    assert read.landed == {FIRST.key: 3, NEXT.key: 0}
    assert read.refused == {FIRST.key: 5}


def test_a_reader_that_knows_a_part_sees_what_came_since(lake: Lake) -> None:
    ledger = Ledger(lake, 5, "id")
    enter(lake, 1, 2)
    assert len(ledger.intakes()) == 2
    enter(Lake(lake.uri), 3, 4)
    assert [row.number for row in ledger.intakes()] == [1, 2, 3, 4]
    assert [row.number for row in ledger.intakes()] == [1, 2, 3, 4]


def test_compaction_of_the_ledger_changes_nothing(lake: Lake) -> None:
    ledger = Ledger(lake, 5, "id")
    enter(lake, 1, 2, 3)
    known = ledger.intakes()
    enter(lake, 4)
    DeltaTable(f"{lake.uri}/ledger").optimize.compact()  # what is new lies in one file with what is known
    assert ledger.intakes()[:3] == known
    assert [row.number for row in ledger.intakes()] == [1, 2, 3, 4]
    assert Ledger(Lake(lake.uri), 5, "id").intakes() == ledger.intakes()


def test_what_a_caller_does_with_the_list_does_not_change_the_ledger(lake: Lake) -> None:
    ledger = Ledger(lake, 5, "id")
    enter(lake, 1)
    ledger.intakes().clear()
    assert len(ledger.intakes()) == 1


def test_a_missing_intake_is_an_error(lake: Lake) -> None:
    enter(lake, 1, 3)
    with pytest.raises(LakeError, match="lacks an intake: restore the table"):
        Ledger(lake, 5, "id").intakes()


@pytest.mark.parametrize(
    ("minutes", "field", "says"),
    [
        (10, "id", "window_minutes=5, the settings say 10: set SILT_WINDOW_MINUTES back"),
        (5, "uid", r"id_field='id', the settings say 'uid': set SILT_CONTRACT \(its id\) back"),
    ],
)
def test_a_setting_that_contradicts_the_lake_is_one_error_that_names_it(
    lake: Lake, minutes: int, field: str, says: str
) -> None:
    enter(lake, 1)
    for _ in range(2):  # and not only at the first reading
        with pytest.raises(LakeError, match=says):
            Ledger(lake, minutes, field).intakes()


def test_a_wrong_setting_is_refused_at_every_reading(lake: Lake) -> None:
    enter(lake, 1)
    ledger = Ledger(lake, 10, "id")
    for _ in range(2):
        with pytest.raises(LakeError, match="SILT_WINDOW_MINUTES"):
            ledger.intakes()


def test_the_reach_is_the_clock_of_the_last_intake_that_caught_up() -> None:
    assert reach(CHUNKS) == NOW + MINUTE
    assert reaches(CHUNKS, NOW + MINUTE)
    assert not reaches(CHUNKS, NOW + MINUTE + timedelta(microseconds=1))
    assert reach(CHUNKS[:1]) is None


def test_the_first_to_reach_an_instant_read_to_the_end_after_it() -> None:
    more = [*CHUNKS, intake(4, NOW + 3 * MINUTE)]
    assert first_to_reach(more, NOW - MINUTE) == 2
    assert first_to_reach(more, NOW + MINUTE) == 2
    assert first_to_reach(more, NOW + 2 * MINUTE) == 4
    assert first_to_reach(more, NOW + 4 * MINUTE) is None


def test_ends_are_where_the_next_intake_starts() -> None:
    assert ends(CHUNKS) == {0: 8, 1: 2}
    grown = [*CHUNKS, intake(4, NOW, spans={0: span(8, 9), 1: span(2, 3), 2: span(0, 4)})]
    assert ends(grown) == {0: 9, 1: 3, 2: 4}


def test_only_selected_records_make_an_intake_a_windows_latest() -> None:
    assert latest_per_window(CHUNKS) == {FIRST.key: 2, NEXT.key: 3}
    only_too_late = [*CHUNKS, intake(4, NOW, {FIRST.key: 0})]
    assert latest_per_window(only_too_late) == latest_per_window(CHUNKS)


def test_the_attempts_of_a_window_are_those_that_landed_records_for_it() -> None:
    assert attempts_with(CHUNKS, FIRST, 3) == ["attempt-1", "attempt-2"]
    assert attempts_with(CHUNKS, FIRST, 1) == ["attempt-1"]
    assert attempts_with(CHUNKS, NEXT, 3) == ["attempt-3"]
