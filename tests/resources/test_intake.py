"""Intake: against a real broker and real Delta tables, whole, in pieces, together, and after crashes."""

import logging
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Producer

import resources.intake
from resources.errors import LakeError, LogError, TransientError
from resources.intake import Taker
from resources.intakes import Intake
from resources.lake import Lake
from tests.resources.conftest import GRID, Feed, MakeFeed, contract_with, ledger_row, record

Places = list[tuple[int, int]]


def milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def places(rows: pl.DataFrame) -> Places:
    return list(rows.select("kafka_partition", "kafka_offset").iter_rows())


def taken_in(feed: Feed) -> Places:
    """Where the rows that the ledger names come from, in order."""
    return sorted(places(feed.named("records")) + places(feed.named("dead_letters")))


def on_the_topic(feed: Feed) -> Places:
    return sorted((message.partition() or 0, message.offset() or 0) for message in feed.plain())


def check_tiling(intakes: Iterable[Intake], start: int = 0) -> None:
    """The spans of consecutive intakes touch, in each partition."""
    reached: dict[int, int] = {}
    for intake in intakes:
        for partition, span in intake.spans.items():
            assert span.start == reached.get(partition, start)
            assert span.end >= span.start
            reached[partition] = span.end


def check_accounting(feed: Feed) -> None:
    """Rows and ledger say what a plain consumer reads; counts agree with the rows, window by window."""
    assert taken_in(feed) == on_the_topic(feed)
    ledger = feed.stored("ledger")
    assert ledger["number"].sort().to_list() == list(range(1, ledger.height + 1))
    for table, column, names in (
        ("records", "landed", ("records", "too_late")),
        ("dead_letters", "refused", ("count",)),
    ):
        entries = [entry for row in ledger[column].to_list() for entry in row]
        counted = Counter[Any]()
        for entry in entries:
            counted[entry["window"]] += sum(entry[name] for name in names)
        assert counted == Counter(feed.named(table)["window"].to_list())


def together(*work: Callable[[], None]) -> None:
    """Run all at once, each in a thread of its own; what one raises is raised here."""
    errors: list[BaseException] = []

    def guarded(one: Callable[[], None]) -> None:
        try:
            one()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(one,)) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


class CrashError(Exception):
    """A process that ends here."""


class DyingLake(Lake):
    """A lake whose process dies after it has landed, before the ledger's row is entered."""

    def insert_once(self, name: str, key: str, frame: pl.DataFrame) -> bool:
        raise CrashError


class SilentLake(Lake):
    """A lake that enters the ledger's row, and whose answer is lost on the way."""

    def insert_once(self, name: str, key: str, frame: pl.DataFrame) -> bool:
        assert super().insert_once(name, key, frame)
        return False


class SlowLake(Lake):
    """A lake in which another taker always is quicker."""

    rival: Callable[[], object]

    def insert_once(self, name: str, key: str, frame: pl.DataFrame) -> bool:
        self.rival()
        return super().insert_once(name, key, frame)


# ---- tiling and accounting ----


def test_an_empty_topic_is_taken_in_and_reached(feed: Feed) -> None:
    before = datetime.now(UTC)
    intake = feed.take()
    assert intake.number == 1
    assert intake.caught_up
    assert before <= intake.taken_at <= datetime.now(UTC)
    assert [(span.start, span.end, span.missing) for span in intake.spans.values()] == [(0, 0, 0)]
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
        "id": "id-a", "shop": "north", "price": 1.5,
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


# ---- several takers ----


def test_takers_at_once_land_every_offset_once(make_feed: MakeFeed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources.intake, "CHUNK_BYTES", 200_000)
    feed = make_feed(partitions=2)
    for partition in (0, 1):
        feed.send_records(range(6_000), partition=partition)
    lost = []

    def work() -> None:
        taker = feed.taker()
        for _ in range(4):
            lost.append(taker.take() is None)
            feed.send_records(range(3))

    together(work, work, work)
    assert any(lost), "the takers never met: the test has shown nothing"
    assert feed.taker().take() is not None
    intakes = feed.taker().ledger.intakes()
    assert [intake.number for intake in intakes] == list(range(1, intakes.last + 1))
    check_tiling(intakes)
    check_accounting(feed)


def test_a_taker_that_loses_says_so_and_its_rows_stay_invisible(feed: Feed) -> None:
    feed.send_records(range(5))
    lake = SlowLake(feed.settings.lake)
    lake.rival = feed.take
    assert Taker(feed.settings, feed.contract, lake).take() is None
    assert feed.stored("records").height == 10
    check_accounting(feed)


def test_a_taker_that_loses_every_time_gives_up_for_now(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources.intake, "_TRIES", 2)
    lake = SlowLake(feed.settings.lake)

    def rival() -> None:
        """Takes a number, and reaches no close."""
        number = feed.stored("ledger").height + 1
        row = ledger_row(number, topic_id=feed.state().id, caught_up=False)
        assert feed.lake.insert_once("ledger", "number", row)

    lake.rival = rival
    with pytest.raises(TransientError, match="Other takers won 2 intakes in a row: try again"):
        Taker(feed.settings, feed.contract, lake).take_to(datetime.now(UTC))
    assert feed.stored("ledger").height == 2


def test_a_close_in_the_future_is_waited_for(feed: Feed) -> None:
    close = datetime.now(UTC) + timedelta(seconds=1)
    taken = feed.taker().take_to(close)
    assert [intake.number for intake in taken] == [1]
    assert taken[0].taken_at >= close


# ---- crashes ----


def test_rows_of_a_crashed_intake_stay_invisible_and_land_again_once(feed: Feed) -> None:
    feed.send_records(range(5))
    feed.send(b"no json")
    feed.flush()
    with pytest.raises(CrashError):
        Taker(feed.settings, feed.contract, DyingLake(feed.settings.lake)).take()
    assert feed.rows("records", "dead_letters") == 6, "the crash came before the landing"
    assert taken_in(feed) == []
    assert feed.take().number == 1
    assert feed.rows("records", "dead_letters") == 12
    check_accounting(feed)


def test_an_answer_that_is_lost_is_found_in_the_ledger(feed: Feed) -> None:
    feed.send_records(range(5))
    intake = Taker(feed.settings, feed.contract, SilentLake(feed.settings.lake)).take()
    assert intake is not None
    assert intake.number == 1
    assert feed.stored("records").height == 5
    check_accounting(feed)


# ---- transactions ----


def send_with(writer: Producer, feed: Feed, ids: Iterable[object]) -> None:
    for number in ids:
        writer.produce(feed.topic, record(number), partition=0)
    writer.flush(20)


def landed_ids(feed: Feed) -> list[str]:
    return feed.named("records").sort("kafka_offset")["record_id"].to_list()


def test_aborted_records_never_land_and_markers_keep_the_tiling(feed: Feed) -> None:
    writer = feed.transaction()
    send_with(writer, feed, ["a", "b"])
    writer.commit_transaction(20)
    feed.wait_stable(3)
    writer.begin_transaction()
    send_with(writer, feed, ["c", "d", "e"])
    writer.abort_transaction(20)
    feed.wait_stable(7)
    taker = feed.taker()
    assert taker.take() is not None
    feed.send_records(["f"])
    assert taker.take() is not None
    assert landed_ids(feed) == ["id-a", "id-b", "id-f"]
    spans = [(i.spans[0].start, i.spans[0].end, i.spans[0].missing) for i in taker.ledger.intakes()]
    assert spans == [(0, 7, 0), (7, 8, 0)]
    check_accounting(feed)


def test_an_open_transaction_bounds_the_intake_and_what_follows_waits(feed: Feed) -> None:
    feed.send_records(["before"])
    writer = feed.transaction()
    send_with(writer, feed, ["inside"])
    feed.send_records(["behind"])
    first = feed.take()
    assert (first.spans[0].end, first.caught_up) == (1, True)
    assert landed_ids(feed) == ["id-before"]
    writer.commit_transaction(20)
    feed.wait_stable(4)
    second = feed.take()
    assert (second.spans[0].start, second.spans[0].end) == (1, 4)
    assert landed_ids(feed) == ["id-before", "id-inside", "id-behind"]
    check_accounting(feed)


def test_a_topic_of_markers_alone_is_read_to_its_end(feed: Feed) -> None:
    writer = feed.transaction()
    send_with(writer, feed, ["a"])
    writer.abort_transaction(20)
    feed.wait_stable(2)
    intake = feed.take()
    assert (intake.spans[0].end, intake.caught_up) == (2, True)
    assert feed.rows("records", "dead_letters") == 0


# ---- what the broker loses ----


def test_what_retention_took_is_counted_as_missing_and_logged(
    feed: Feed, caplog: pytest.LogCaptureFixture
) -> None:
    feed.send_records(range(10))
    feed.take()
    feed.send_records(range(10, 20))
    feed.delete_before(14)
    with caplog.at_level(logging.WARNING, logger="silt.intake"):
        span = feed.take().spans[0]
    assert (span.start, span.end, span.missing) == (10, 20, 4)
    assert f"Topic {feed.topic}, partition 0: offsets 10 to 13 were gone" in caplog.text
    assert taken_in(feed) == [(0, o) for o in [*range(10), *range(14, 20)]]
    check_tiling(feed.taker().ledger.intakes())


def test_what_was_gone_before_the_first_intake_is_not_missing(feed: Feed) -> None:
    feed.send_records(range(10))
    feed.delete_before(4)
    span = feed.take().spans[0]
    assert (span.start, span.end, span.missing) == (4, 10, 0)


def test_a_topic_whose_unread_messages_are_all_gone_is_caught_up(feed: Feed) -> None:
    feed.take()
    feed.send_records(range(5))
    feed.delete_before(5)
    intake = feed.take()
    assert (intake.spans[0].end, intake.spans[0].missing, intake.caught_up) == (5, 5, True)


def test_a_topic_deleted_and_created_again_is_refused_by_name(feed: Feed) -> None:
    feed.send_records(range(5))
    feed.take()
    feed.recreate()
    feed.send_records(range(9))
    with pytest.raises(
        LogError, match=f"Topic {feed.topic} was deleted and created again .*`silt ledger reset` starts anew"
    ):
        feed.taker().take()
    assert feed.stored("ledger").height == 1
    assert feed.stored("records").height == 5


def test_a_topic_that_ends_before_what_was_read_is_refused(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed.send_records(range(5))
    feed.take()
    taker = feed.taker()
    state = feed.state()
    monkeypatch.setattr(taker.topic, "state", lambda: type(state)(state.id, state.low, {0: 3}))
    with pytest.raises(LogError, match="partition 0 ends at offset 3, and the ledger has read to 5"):
        taker.take()


def test_another_window_length_on_the_same_lake_is_refused_before_anything_lands(feed: Feed) -> None:
    feed.send_records(range(5))
    feed.take()
    with pytest.raises(LakeError, match=r"window_minutes=5, the settings say 10: set SILT_WINDOW_MINUTES"):
        feed.taker(window_minutes=10).take()
    assert feed.stored("records").height == 5


# ---- dead letters and lateness ----

REFUSED: list[tuple[bytes | None, str]] = [
    (None, "null-value"),
    (b"", "invalid-json"),
    (b"\x00\xff\xfe", "invalid-json"),
    (b'{"id": "a", "price": "cheap"}', "wrong-type"),
    (b"[1, 2]", "wrong-type"),
    (b'{"shop": "north"}', "missing-id"),
]


def test_dead_letters_keep_their_reason_key_value_and_headers_byte_for_byte(feed: Feed) -> None:
    headers: list[tuple[str, bytes | None]] = [("a", b"\x00\xff"), ("a", None), ("ü", b"")]
    for number, (value, _) in enumerate(REFUSED):
        feed.send(value, key=b"\xff\x00%d" % number, headers=headers)
    feed.send(b"no json")
    feed.send(b"no json", key=b"")
    feed.flush()
    feed.take()
    rows = feed.named("dead_letters").sort("kafka_offset")
    assert rows["reason"].to_list() == [reason for _, reason in REFUSED] + ["invalid-json"] * 2
    assert rows["value"].to_list()[: len(REFUSED)] == [value for value, _ in REFUSED]
    keys = [b"\xff\x00%d" % number for number in range(len(REFUSED))]
    assert rows["key"].to_list() == [*keys, None, b""]
    kept = [[(header["key"], header["value"]) for header in row] for row in rows["headers"].to_list()]
    assert kept == [headers] * len(REFUSED) + [[], []]
    assert all(rows["detail"].to_list())
    check_accounting(feed)


def test_a_dead_letter_stands_in_the_window_of_its_timestamp(feed: Feed) -> None:
    moment = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
    feed.send(b"no json", timestamp=milliseconds(moment))
    feed.flush()
    home = GRID.home(moment)
    assert feed.take().refused == {home.key: 1}
    row = feed.named("dead_letters").row(0, named=True)
    assert (row["window"], row["date"], row["timestamp"]) == (home.key, home.date, moment)


@pytest.mark.parametrize(
    ("shop", "reason"),
    [("soon", "invalid-event-time"), ("", "missing-event-time"), (None, "missing-event-time")],
)
def test_event_times_that_are_none_are_dead_letters(
    make_feed: MakeFeed, shop: str | None, reason: str
) -> None:
    feed = make_feed(event_time={"field": "shop"})
    feed.send(record("a", shop=shop))
    feed.flush()
    feed.take()
    assert feed.named("dead_letters")["reason"].to_list() == [reason]
    check_accounting(feed)


def test_only_what_lies_further_ahead_than_allowed_is_a_dead_letter(feed: Feed) -> None:
    now = datetime.now(UTC)
    ahead = {"near": 3500, "far": 3700, "years": 10 * 365 * 86400}
    for name, seconds in ahead.items():
        feed.send(record(name), timestamp=milliseconds(now + timedelta(seconds=seconds)))
    feed.flush()
    feed.take()
    assert landed_ids(feed) == ["id-near"]
    assert feed.named("dead_letters")["reason"].to_list() == ["future-timestamp"] * 2
    check_accounting(feed)


def test_timestamps_beyond_every_calendar_are_dead_letters(feed: Feed) -> None:
    for stamp in (2**62, 2**48):
        feed.send(record(stamp), timestamp=stamp)
    feed.send_records(["fine"])
    feed.take()
    assert landed_ids(feed) == ["id-fine"]
    assert feed.named("dead_letters").height == 2
    check_accounting(feed)


def test_too_late_is_decided_by_the_clock_of_the_intake(feed: Feed) -> None:
    now = datetime.now(UTC)
    stamps = {"fresh": 0.0, "day": 23.9, "older": 24.1, "ancient": 24 * 3650.0}
    for name, hours in stamps.items():
        feed.send(record(name), timestamp=milliseconds(now - timedelta(hours=hours)))
    feed.send(record("epoch"), timestamp=1)
    feed.flush()
    intake = feed.take()
    rows = {row["record_id"]: row for row in feed.named("records").iter_rows(named=True)}
    assert {name for name, row in rows.items() if row["too_late"]} == {"id-older", "id-ancient", "id-epoch"}
    assert set(intake.landed.values()) == {1, 0}
    for row in rows.values():
        assert row["too_late"] == (row["event_time"] < intake.taken_at - timedelta(hours=24))
        assert intake.landed[row["window"]] == (0 if row["too_late"] else 1)
    check_accounting(feed)


@pytest.mark.parametrize("year", [1, 999, 1969])
def test_a_record_of_a_distant_past_is_only_too_late(make_feed: MakeFeed, year: int) -> None:
    feed = make_feed(event_time={"field": "shop"})
    feed.send(record("a", shop=f"{year:04}-05-06T07:08:09Z"))
    feed.flush()
    feed.take()
    row = feed.named("records").row(0, named=True)
    assert row["too_late"]
    assert row["window"] == f"{year:04}-05-06T0705Z"
    assert row["event_time"] == datetime(year, 5, 6, 7, 8, 9, tzinfo=UTC)


# ---- contracts that change ----


def with_contract(feed: Feed, **changes: Any) -> Feed:
    """The same topic and lake under a changed contract."""
    return Feed(feed.settings, contract_with(feed.settings.contract.parent, topic=feed.topic, **changes))


def test_a_new_field_is_added_and_older_rows_have_none(feed: Feed) -> None:
    feed.send_records(["a"])
    feed.take()
    wider = with_contract(
        feed, fields={"id": "string", "shop": "string", "price": "number", "city name": "string"}
    )
    wider.send(record("b", **{"city name": "Łódź"}))
    wider.flush()
    wider.take()
    assert wider.named("records").sort("kafka_offset")["city_name"].to_list() == [None, "Łódź"]


@pytest.mark.parametrize(
    "fields",
    [
        {"id": "string", "shop": "string", "price": "string"},
        {"id": "string", "shop": "number", "price": "number"},
    ],
    ids=["number to string", "string to number"],
)
def test_a_field_that_changed_its_type_is_one_clear_error_and_lands_nothing(
    feed: Feed, fields: dict[str, str]
) -> None:
    feed.send_records(["a"])
    feed.take()
    other = with_contract(feed, fields=fields, statistics={})
    other.send(record("b", shop="7"))
    other.flush()
    with pytest.raises(LakeError, match="set the field's type back, rename the field, or choose another"):
        other.take()
    assert feed.rows("records", "ledger") == 2


def test_another_id_field_on_the_same_lake_is_refused(feed: Feed) -> None:
    feed.take()
    with pytest.raises(LakeError, match=r"id_field='id', the settings say 'shop': set SILT_CONTRACT"):
        with_contract(feed, id="shop").take()
