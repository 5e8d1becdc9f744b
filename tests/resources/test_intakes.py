"""What follows from the ledger's intakes: how far the topic is read, what landed for which window."""

from dataclasses import replace
from datetime import timedelta

import polars as pl

from resources.intakes import Intakes
from resources.tables import TABLES
from tests.resources.conftest import FIRST, NOW, intake, span

MINUTE = timedelta(minutes=1)
NEXT = FIRST.step(1)
LATER = NOW + timedelta(days=1)
CHUNKS = [
    intake(1, NOW, {FIRST.key: 5}, caught_up=False, spans={0: span(0, 5), 1: span(0, 2, 1)}),
    intake(2, NOW + MINUTE, {FIRST.key: 1, NEXT.key: 0}, spans={0: span(5, 6), 1: span(2, 2, 1)}),
    intake(3, NOW + 2 * MINUTE, {NEXT.key: 2}, caught_up=False, spans={0: span(6, 8), 1: span(2, 2, 1)}),
]
ALL = Intakes.of(CHUNKS)


def test_no_intakes_reach_nothing() -> None:
    none = Intakes()
    assert none.reach(LATER) is None
    assert not none.reaches(NOW, LATER)
    assert none.first_to_reach(NOW, LATER) is None
    assert (none.last, none.ends(), none.latest_per_window(), none.missing(FIRST)) == (0, {}, {}, 0)


def test_intakes_are_given_back_as_they_were() -> None:
    assert list(ALL) == CHUNKS
    assert ALL[2] == CHUNKS[1]
    assert Intakes.of(CHUNKS[1:])[3] == CHUNKS[2]


def test_the_reach_is_the_clock_of_the_last_intake_that_caught_up() -> None:
    assert ALL.reach(LATER) == NOW + MINUTE
    assert ALL.reaches(NOW + MINUTE, LATER)
    assert not ALL.reaches(NOW + MINUTE + timedelta(microseconds=1), LATER)
    assert Intakes.of(CHUNKS[:1]).reach(LATER) is None


def test_a_clock_in_the_future_reaches_nothing_until_it_is_now() -> None:
    ahead = Intakes.of([intake(1, NOW), intake(2, NOW + 60 * MINUTE)])
    assert ahead.reach(NOW + MINUTE) == NOW
    assert not ahead.reaches(NOW + MINUTE, NOW + MINUTE)
    assert ahead.first_to_reach(NOW + MINUTE, NOW + MINUTE) is None
    assert ahead.reach(NOW + 60 * MINUTE) == NOW + 60 * MINUTE


def test_a_clock_that_was_set_back_makes_earlier_intakes_reach_no_further_than_it() -> None:
    rows = [intake(1, NOW), intake(2, NOW + 60 * MINUTE), intake(3, NOW + MINUTE, caught_up=False)]
    assert Intakes.of(rows).reach(LATER) == NOW + MINUTE
    assert Intakes.of(rows).first_to_reach(NOW + 2 * MINUTE, LATER) is None


def test_the_first_to_reach_an_instant_read_to_the_end_after_it() -> None:
    more = Intakes.of([*CHUNKS, intake(4, NOW + 3 * MINUTE)])
    assert more.first_to_reach(NOW - MINUTE, LATER) == 2
    assert more.first_to_reach(NOW + MINUTE, LATER) == 2
    assert more.first_to_reach(NOW + 2 * MINUTE, LATER) == 4
    assert more.first_to_reach(NOW + 4 * MINUTE, LATER) is None


def test_ends_are_where_the_next_intake_starts() -> None:
    assert ALL.ends() == {0: 8, 1: 2}
    grown = [*CHUNKS, intake(4, NOW, spans={0: span(8, 9), 1: span(2, 3, 1), 2: span(0, 4, 2)})]
    assert Intakes.of(grown).ends() == {0: 9, 1: 3, 2: 4}


def test_a_replay_reads_nothing_and_a_reset_starts_anew() -> None:
    replay = intake(4, NOW, {FIRST.key: 1}, caught_up=False, kind="replay")
    assert Intakes.of([*CHUNKS, replay]).ends() == {0: 8, 1: 2}
    reset = intake(5, NOW, caught_up=False, kind="reset", topic_id="other", spans={0: span(3, 3)})
    assert Intakes.of([*CHUNKS, replay, reset]).ends() == {0: 3}


def test_a_partition_is_caught_up_with_by_the_first_intake_that_read_all_of_it() -> None:
    spans = {0: span(8, 9), 1: span(2, 3, 1), 2: span(0, 4, 2)}
    grown = Intakes.of([*CHUNKS, intake(4, NOW + 9 * MINUTE, spans=spans)])
    assert grown.caught_up_with(1) == NOW + MINUTE
    assert grown.caught_up_with(2) == NOW + 9 * MINUTE
    assert Intakes.of(CHUNKS[:1]).caught_up_with(0) is None


def test_after_a_reset_nothing_is_known_of_the_other_topics_partitions() -> None:
    reset = intake(4, NOW + 3 * MINUTE, caught_up=False, kind="reset", spans={0: span(0, 0)})
    read = intake(5, NOW + 5 * MINUTE, spans={0: span(0, 1)})
    assert Intakes.of([*CHUNKS, reset]).caught_up_with(0) is None
    assert Intakes.of([*CHUNKS, reset, read]).caught_up_with(0) == NOW + 5 * MINUTE


def test_offsets_are_missing_in_every_window_that_the_gap_touches() -> None:
    last = FIRST.step(2)
    gap = replace(span(2, 9, 0, 4), missing_from=FIRST.end - MINUTE, missing_to=last.start)
    other = replace(span(0, 3, 1, 3), missing_from=last.start, missing_to=last.start + MINUTE)
    rows = Intakes.of([intake(1, NOW, spans={0: gap, 1: span(0, 0, 1)}), intake(2, NOW, spans={1: other})])
    missing = [rows.missing(FIRST.step(count)) for count in range(-1, 4)]
    assert missing == [0, 4, 4, 7, 0]
    assert [(g.intake, g.partition, g.start, g.missing) for g in rows.gaps] == [(1, 0, 2, 4), (2, 1, 0, 3)]


def test_each_reset_begins_another_life_and_a_replay_belongs_to_what_it_replays() -> None:
    rows = [
        intake(1, NOW, topic_id="a"),
        intake(2, NOW, topic_id="b", kind="reset"),
        intake(3, NOW, topic_id="b"),
        intake(4, NOW, topic_id="b", kind="replay"),
    ]
    place = {"partition": 0, "offset": 7, "window": FIRST.key, "reason": "wrong-type"}
    frame = Intakes.of(rows).rows.with_columns(
        replayed=pl.Series([[], [], [], [{"intake": 1, **place}]], dtype=TABLES["ledger"].schema["replayed"])
    )
    assert Intakes(frame).lives.rows() == [(1, "a", 0), (2, "b", 1), (3, "b", 1), (4, "a", 0)]


def test_only_selected_records_make_an_intake_a_windows_latest() -> None:
    assert ALL.latest_per_window() == {FIRST.key: 2, NEXT.key: 3}
    only_too_late = Intakes.of([*CHUNKS, intake(4, NOW, {FIRST.key: 0})])
    assert only_too_late.latest_per_window() == ALL.latest_per_window()


def test_the_attempts_of_a_window_are_those_that_landed_records_for_it() -> None:
    assert ALL.attempts_with(FIRST, 3) == ["attempt-1", "attempt-2"]
    assert ALL.attempts_with(FIRST, 1) == ["attempt-1"]
    assert ALL.attempts_with(NEXT, 3) == ["attempt-3"]
    assert Intakes.of(CHUNKS[1:]).attempts_with(FIRST, 3) == ["attempt-2"]


def test_the_latest_intakes_for_a_window_are_its_last_ones() -> None:
    assert ALL.latest_for(FIRST, 5) == CHUNKS[:2]
    assert ALL.latest_for(FIRST, 1) == CHUNKS[1:2]
    assert ALL.latest_for(NEXT.step(1), 5) == []
