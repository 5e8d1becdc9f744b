"""Landing: records, dead letters and lateness, under a contract that may change."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from confluent_kafka import KafkaError, Producer

from resources.batch import select
from resources.due import Due, due_windows
from resources.errors import LakeError
from resources.intakes import Intakes
from tests.resources.conftest import GRID, Feed, MakeFeed, contract_with, ledger_row, record
from tests.resources.intake_checks import check_accounting, landed_ids, milliseconds

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


def test_a_record_from_an_hour_ahead_waits_in_its_home_for_that_windows_close(feed: Feed) -> None:
    moment = datetime.now(UTC) + timedelta(minutes=50)
    home = GRID.home(moment)
    feed.send_records(["ahead"], timestamp=milliseconds(moment))
    feed.take()
    intakes, floor = feed.taker().ledger.intakes(), feed.lake.floor()
    assert [item.intake for item in due_windows(intakes, {}, GRID, floor, datetime.now(UTC))] in ([], [0])
    close = GRID.close(home)
    later = Intakes.of([*intakes, replace(intakes[1], number=2, landed={}, taken_at=close)])
    assert Due(home, 1) in due_windows(later, {}, GRID, floor, close)
    batch = select(feed.lake, feed.contract, GRID, home, intakes)
    assert (batch.records, batch.late) == (1, 0)


def test_a_clock_of_ours_that_was_ahead_keeps_no_intake_from_being_taken(feed: Feed) -> None:
    now = datetime.now(UTC)
    ahead = ledger_row(1, topic_id=feed.state().id, taken_at=now + timedelta(hours=2))
    assert feed.lake.insert_once("ledger", "number", ahead)
    feed.send_records(["a"])
    taken = feed.taker().take_to(now)
    assert [intake.number for intake in taken] == [2]
    assert feed.named("records")["record_id"].to_list() == ["id-a"]
    assert feed.taker().ledger.intakes().reach(now + timedelta(hours=3)) == taken[0].taken_at


def test_the_largest_record_that_the_broker_allows_lands_whole(make_feed: MakeFeed) -> None:
    feed = make_feed(config={"max.message.bytes": "2000000"})
    large = Producer({**feed.client, "message.max.bytes": 10_000_000})
    sizes: list[int] = []
    refused: list[int] = []

    def send(size: int) -> None:
        def told(error: KafkaError | None, message: object) -> None:
            (refused if error else sizes).append(size)

        large.produce(feed.topic, record(size, shop="x" * size), on_delivery=told)
        large.flush(20)

    size = 2_000_000
    while not sizes:
        send(size := size - 8)
    assert refused, "nothing was too large"
    feed.take()
    (landed,) = feed.named("records").iter_rows(named=True)
    assert len(landed["shop"]) == sizes[0]
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


def test_fields_with_names_that_silt_uses_itself_land_as_they_are(make_feed: MakeFeed) -> None:
    names = ["timestamp", "start", "window", "value", "event_time", "records"]
    feed = make_feed(
        fields={"id": "string", "shop": "string", "price": "number"} | dict.fromkeys(names, "string")
    )
    moment = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
    feed.send(record("a", **{name: f"its {name}" for name in names}), timestamp=milliseconds(moment))
    feed.flush()
    feed.take()
    row = feed.named("records").row(0, named=True)
    assert [row[feed.contract.columns[name]] for name in names] == [f"its {name}" for name in names]
    assert (row["window"], row["event_time"]) == (GRID.home(moment).key, moment)


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
        with_contract(feed, id="shop", features=["price"]).take()
