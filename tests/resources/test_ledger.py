"""The ledger: what it says after many intakes, and what it refuses."""

from datetime import timedelta

import pytest
from deltalake import DeltaTable

from resources.errors import LakeError
from resources.lake import Lake
from resources.ledger import Ledger
from tests.resources.conftest import FIRST, NOW, ledger_row

MINUTE = timedelta(minutes=1)
NEXT = FIRST.step(1)


def enter(lake: Lake, *numbers: int) -> None:
    for number in numbers:
        assert lake.insert_once("ledger", "number", ledger_row(number))


def numbers(ledger: Ledger) -> list[int]:
    return [row.number for row in ledger.intakes()]


def test_an_empty_ledger_has_no_intakes(lake: Lake) -> None:
    assert list(Ledger(lake, 5, "id").intakes()) == []


def test_intakes_come_in_the_order_of_their_numbers(lake: Lake) -> None:
    enter(lake, 1, 2, 3)
    assert numbers(Ledger(lake, 5, "id")) == [1, 2, 3]


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
    assert numbers(ledger) == [1, 2, 3, 4]
    assert numbers(ledger) == [1, 2, 3, 4]


def test_compaction_of_the_ledger_changes_nothing(lake: Lake) -> None:
    ledger = Ledger(lake, 5, "id")
    enter(lake, 1, 2, 3)
    known = list(ledger.intakes())
    enter(lake, 4)
    DeltaTable(f"{lake.uri}/ledger").optimize.compact()  # what is new lies in one file with what is known
    assert list(ledger.intakes())[:3] == known
    assert numbers(ledger) == [1, 2, 3, 4]
    assert list(Ledger(Lake(lake.uri), 5, "id").intakes()) == list(ledger.intakes())


def test_what_was_read_stays_as_it_was_when_more_is_entered(lake: Lake) -> None:
    ledger = Ledger(lake, 5, "id")
    enter(lake, 1)
    before = ledger.intakes()
    enter(lake, 2)
    assert (ledger.intakes().last, before.last, len(before)) == (2, 1, 1)


def test_answers_that_grow_with_the_ledger_are_those_of_one_read_anew(lake: Lake) -> None:
    ledger = Ledger(lake, 5, "id")
    for number in range(1, 9):
        window = FIRST.step(number % 3)
        row = ledger_row(
            number,
            taken_at=NOW + number * MINUTE,
            landed=[{"window": window.key, "records": number % 2, "too_late": 1}],
            refused=[{"window": window.key, "reason": "null-value", "count": 2}],
        )
        assert lake.insert_once("ledger", "number", row)
        known, anew = ledger.intakes(), Ledger(Lake(lake.uri), 5, "id").intakes()
        assert known.latest_per_window() == anew.latest_per_window()
        assert known.attempts_with(window, number) == anew.attempts_with(window, number)
        assert known.dead_letters(window) == anew.dead_letters(window) > 0
        assert known.reach(NOW + 60 * MINUTE) == anew.reach(NOW + 60 * MINUTE)
    assert known.latest_per_window() == {FIRST.key: 3, FIRST.step(1).key: 7, FIRST.step(2).key: 5}


def test_the_oldest_intakes_may_be_gone_by_retention(lake: Lake) -> None:
    ledger = Ledger(lake, 5, "id")
    enter(lake, 1, 2, 3, 4)
    assert numbers(ledger) == [1, 2, 3, 4]
    DeltaTable(f"{lake.uri}/ledger").delete("number < 3")
    enter(lake, 5)
    assert numbers(ledger) == [1, 2, 3, 4, 5]
    fresh = Ledger(Lake(lake.uri), 5, "id").intakes()
    assert [row.number for row in fresh] == [3, 4, 5]
    assert (fresh.first, fresh.last, fresh[4].attempt) == (3, 5, "attempt-4")


def test_a_number_that_retention_removed_is_never_given_again(lake: Lake) -> None:
    enter(lake, 1, 2, 3)
    DeltaTable(f"{lake.uri}/ledger").delete("number < 3")
    row = ledger_row(2, "slept for weeks").row(0, named=True)
    assert Ledger(lake, 5, "id").enter(row) is None
    assert numbers(Ledger(lake, 5, "id")) == [3]


def test_a_missing_intake_is_an_error(lake: Lake) -> None:
    enter(lake, 2, 4)
    with pytest.raises(LakeError, match="lacks an intake: restore the table"):
        Ledger(lake, 5, "id").intakes()


def test_a_missing_intake_among_new_ones_is_an_error(lake: Lake) -> None:
    ledger = Ledger(lake, 5, "id")
    enter(lake, 1)
    assert numbers(ledger) == [1]
    enter(lake, 3)
    with pytest.raises(LakeError, match="lacks an intake: restore the table"):
        ledger.intakes()


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
