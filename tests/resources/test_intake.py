"""Intake: a real topic, whole and in pieces, into real Delta tables."""

import random
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME
from polars.testing import assert_frame_equal

import resources.intake
from tests.resources.conftest import GRID, Feed, MakeFeed, record
from tests.resources.intake_checks import check_accounting, check_tiling, milliseconds, taken_in

# ---- tiling and accounting ----


def test_an_empty_topic_is_taken_in_and_reached(feed: Feed) -> None:
    before = datetime.now(UTC)
    intake = feed.take()
    assert intake.number == 1
    assert intake.caught_up
    assert before <= intake.taken_at <= datetime.now(UTC)
    assert [(span.start, span.end, span.missing) for span in intake.spans.values()] == [(0, 0, 0)]
    assert [(span.topic_end, span.lag) for span in intake.spans.values()] == [(0, 0)]
    assert feed.rows("records", "dead_letters") == 0


def test_many_intakes_tile_the_topic_and_account_for_every_offset(make_feed: MakeFeed) -> None:
    feed = make_feed(partitions=3)
    draw = random.Random(7)
    taker = feed.taker()
    for step in range(6):
        for partition in range(3):
            feed.send_records(range(draw.randrange(0, 60)), partition=partition)
        feed.send(b"no json %d" % step, partition=draw.randrange(3))
        feed.flush()
        assert taker.take() is not None
    check_tiling(taker.ledger.intakes())
    check_accounting(feed)
    assert taker.ledger.intakes().ends() == feed.state().end


def test_what_landed_is_what_was_sent(feed: Feed) -> None:
    moment = datetime.now(UTC).replace(microsecond=250_000) - timedelta(minutes=20)
    feed.send_records(["a"], timestamp=milliseconds(moment))
    intake = feed.take()
    row = feed.named("records").row(0, named=True)
    home = GRID.home(moment)
    assert row == {
        "date": home.date, "window": home.key, "record_id": "id-a", "event_time": moment, "too_late": False,
        "intake": 1, "attempt": intake.attempt, "kafka_partition": 0, "kafka_offset": 0,
        "shop": "north", "price": 1.5,
    }  # fmt: skip
    assert intake.landed == {home.key: 1}


def test_every_record_lies_in_the_window_that_contains_its_event_time(feed: Feed) -> None:
    now = datetime.now(UTC)
    draw = random.Random(3)
    moments = [now - timedelta(seconds=draw.uniform(0, 7200)) for _ in range(200)]
    edge = GRID.home(now - timedelta(hours=1)).start
    for number, moment in enumerate([*moments, edge, edge - timedelta(milliseconds=1)]):
        feed.send(record(number), timestamp=milliseconds(moment))
    feed.flush()
    feed.take()
    sent = {message.offset(): message.timestamp()[1] for message in feed.plain()}
    for row in feed.named("records").iter_rows(named=True):
        window = GRID.window(row["window"])
        assert milliseconds(row["event_time"]) == sent[row["kafka_offset"]]
        assert window.start <= row["event_time"] < window.end
        assert row["date"] == window.date


def test_an_event_time_in_the_payload_decides_the_home(make_feed: MakeFeed) -> None:
    feed = make_feed(event_time={"field": "shop", "zone": "Asia/Kolkata"})
    moment = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3)
    local = (moment + timedelta(hours=5, minutes=30)).replace(tzinfo=None).isoformat()
    feed.send(record("a", shop=local))
    feed.flush()
    assert feed.take().landed == {GRID.home(moment).key: 1}
    assert feed.named("records")["event_time"].to_list() == [moment]


def test_the_watermark_is_the_latest_event_time_of_a_record_ever_read(feed: Feed) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    feed.send_records(["future"], timestamp=milliseconds(now + timedelta(days=1)))
    for minutes in (5, 1, 9):
        feed.send_records([minutes], timestamp=milliseconds(now - timedelta(minutes=minutes)))
    assert feed.take().spans[0].watermark == now - timedelta(minutes=1)
    feed.send_records(["older"], timestamp=milliseconds(now - timedelta(minutes=30)))
    assert feed.take().spans[0].watermark == now - timedelta(minutes=1)


def test_a_topic_that_stamps_on_arrival_counts_by_its_own_stamp(make_feed: MakeFeed) -> None:
    feed = make_feed(config={"message.timestamp.type": "LogAppendTime"})
    feed.send_records(["a"], timestamp=milliseconds(datetime.now(UTC) - timedelta(days=9)))
    feed.take()
    kind, stamp = feed.plain()[0].timestamp()
    assert kind == TIMESTAMP_LOG_APPEND_TIME
    row = feed.named("records").row(0, named=True)
    assert milliseconds(row["event_time"]) == stamp
    assert not row["too_late"]


# ---- chunks ----


def test_only_the_last_chunk_is_caught_up(make_feed: MakeFeed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources.intake, "CHUNK_BYTES", 200_000)
    feed = make_feed(partitions=2)
    for partition in (0, 1):
        feed.send_records(range(12_000), partition=partition)
    taken = feed.taker().take_to(datetime.now(UTC))
    assert len(taken) >= 3
    assert [intake.caught_up for intake in taken] == [False] * (len(taken) - 1) + [True]
    lags = [sum(12_000 - span.end for span in intake.spans.values()) for intake in taken]
    assert [sum(span.lag or 0 for span in intake.spans.values()) for intake in taken] == lags
    check_tiling(taken)
    check_accounting(feed)


def test_taking_to_an_instant_that_is_reached_takes_nothing(feed: Feed) -> None:
    taker = feed.taker()
    assert len(taker.take_to(datetime.now(UTC))) == 1
    assert taker.take_to(taker.ledger.intakes()[1].taken_at) == []
    assert feed.stored("ledger").height == 1


def test_only_what_is_there_is_taken_in_and_nothing_costs_no_intake(
    make_feed: MakeFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources.intake, "CHUNK_BYTES", 50_000)
    feed = make_feed(partitions=2)
    assert feed.taker().take_new() == []
    for partition in (0, 1):
        feed.send_records(range(2_500), partition=partition)
    taken = feed.taker().take_new()
    assert len(taken) >= 2
    assert [intake.caught_up for intake in taken] == [False] * (len(taken) - 1) + [True]
    assert feed.taker().take_new() == []
    check_accounting(feed)


# ---- what a run gets to see of its intakes ----


def test_a_taker_shows_the_rows_that_its_intakes_landed_as_the_lake_holds_them(
    make_feed: MakeFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources.intake, "CHUNK_BYTES", 50_000)
    feed = make_feed()
    seen: list[tuple[int, pl.DataFrame]] = []
    taker = feed.taker()
    taker.on_landed = lambda intake, rows: seen.append((intake.number, rows))
    assert taker.take() is not None
    assert [(number, rows.height) for number, rows in seen] == [(1, 0)]
    feed.send_records(range(5_000))
    taken = taker.take_new()
    assert len(taken) >= 2
    assert [number for number, _ in seen[1:]] == [intake.number for intake in taken]
    stored = feed.stored("records")
    for number, rows in seen:
        assert_frame_equal(rows, stored.filter(pl.col("intake") == number), check_column_order=False)


# ---- where the first intake starts ----


def test_the_first_intake_starts_at_the_earliest_offset(feed: Feed) -> None:
    feed.send_records(range(5))
    assert feed.take().spans[0].start == 0
    assert feed.named("records").height == 5


def test_starting_from_now_leaves_out_what_was_there_and_takes_in_what_comes(feed: Feed) -> None:
    feed.send_records(range(5))
    first = feed.take(start_from="now")
    assert (first.spans[0].start, first.spans[0].end, first.spans[0].missing) == (5, 5, 0)
    assert first.caught_up
    feed.send_records(range(5, 8))
    feed.take(start_from="now")
    assert taken_in(feed) == [(0, 5), (0, 6), (0, 7)]


def test_an_added_partition_is_read_from_its_first_offset(feed: Feed) -> None:
    feed.send_records(range(3))
    feed.take(start_from="now")
    feed.add_partitions(3)
    feed.send_records(range(4), partition=2)
    intake = feed.take(start_from="now")
    assert {p: (span.start, span.end) for p, span in intake.spans.items()} == {
        0: (3, 3),
        1: (0, 0),
        2: (0, 4),
    }
    assert taken_in(feed) == [(2, offset) for offset in range(4)]
