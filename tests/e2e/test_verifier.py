"""The verifier itself: a small topic and lake in memory are in order, and each planted bug is named."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from tests.e2e.verifier import Place, Sent, Tables, check, is_good

START = datetime(2026, 11, 24, 5, tzinfo=UTC)
WINDOWS = ("2026-11-24T0500Z", "2026-11-24T0501Z")
CLOCK = START + timedelta(minutes=5)
Change = Callable[[pl.DataFrame], pl.DataFrame]
BAD = Sent(1000 * int(START.timestamp()), b"{")


def good(identity: str, seconds: int) -> Sent:
    moment = START + timedelta(seconds=seconds)
    return Sent(1000 * int(moment.timestamp()), json.dumps({"Unique id": identity}).encode())


TOPIC: dict[Place, Sent] = {
    (0, 0): good("a", 0),
    (0, 1): good("b", 59),
    (0, 2): BAD,
    (1, 0): good("c", 60),
    (1, 1): good("a", 61),
    (1, 2): good("a", 62),
}
INTAKE_OF = {(0, 0): 1, (0, 1): 1, (0, 2): 2, (1, 0): 1, (1, 1): 2, (1, 2): 2}


def span(partition: int, start: int, end: int) -> dict[str, int]:
    return {"partition": partition, "start": start, "end": end}


def landed(**records: int) -> list[dict[str, Any]]:
    return [
        {"window": WINDOWS[int(name[1:])], "records": count, "too_late": 0} for name, count in records.items()
    ]


def tables() -> Tables:
    """What a right intake of the topic leaves, with the rows of an attempt that lost."""
    refused = [{"window": WINDOWS[0], "reason": "invalid-json", "count": 1}]
    ledger = [
        {"number": 1, "attempt": "one", "spans": [span(0, 0, 2), span(1, 0, 1)],
         "landed": landed(w0=2, w1=1), "refused": []},
        {"number": 2, "attempt": "two", "spans": [span(0, 2, 3), span(1, 1, 3)],
         "landed": landed(w1=2), "refused": refused},
    ]  # fmt: skip
    places = {
        place: {
            "window": WINDOWS[(message.timestamp // 1000 - int(START.timestamp())) // 60],
            "intake": INTAKE_OF[place], "attempt": ("one", "two")[INTAKE_OF[place] - 1],
            "kafka_partition": place[0], "kafka_offset": place[1],
        }
        for place, message in TOPIC.items()
    }  # fmt: skip
    records = [
        row | {"record_id": json.loads(TOPIC[place].value)["Unique id"], "too_late": False}
        for place, row in places.items()
        if TOPIC[place] is not BAD
    ]
    lost = records[-1] | {"attempt": "a lost one", "window": WINDOWS[0]}
    dead = places[0, 2] | {"reason": "invalid-json", "value": BAD.value}
    answers = [
        {"window": window, "digest": f"digest of {window}", "covered": 2, "state": "published"}
        for window in WINDOWS
    ]
    results = [
        {"window": window, "digest": f"digest of {window}", "record_id": identity}
        for window, identity in ((WINDOWS[0], "a"), (WINDOWS[0], "b"), (WINDOWS[1], "c"), (WINDOWS[1], "a"))
    ]
    stale = {"window": WINDOWS[1], "digest": "of an answer before", "record_id": "c"}
    return Tables(
        pl.DataFrame(ledger).with_columns(taken_at=CLOCK),
        pl.DataFrame([*records, lost]),
        pl.DataFrame([dead]),
        pl.DataFrame(answers),
        pl.DataFrame([*results, stale]),
    )


def test_a_lake_in_order_passes() -> None:
    assert check(TOPIC, tables(), minutes=1) == 2


def without(number: int) -> Change:
    return lambda frame: pl.concat([frame.head(number), frame.slice(number + 1)])


def twice(number: int) -> Change:
    return lambda frame: pl.concat([frame, frame.slice(number, 1)])


def with_value(column: str, number: int, value: Any) -> Change:
    def change(frame: pl.DataFrame) -> pl.DataFrame:
        values = frame[column].to_list()
        assert values[number] != value
        values[number] = value
        return frame.with_columns(pl.Series(column, values, dtype=frame.schema[column]))

    return change


@pytest.mark.parametrize(
    ("table", "plant", "said"),
    [
        ("records", without(0), "messages are missing"),
        ("records", twice(1), "landed twice"),
        ("records", with_value("kafka_offset", 4, 9), "messages are missing, or made up"),
        ("records", with_value("attempt", 0, "a lost one"), "messages are missing"),
        ("records", with_value("intake", 0, 2), "not its attempt's"),
        ("records", with_value("window", 0, WINDOWS[1]), "records of an intake"),
        ("records", with_value("record_id", 0, "z"), "a record's id"),
        ("records", with_value("too_late", 0, True), "too late records"),
        ("dead_letters", without(0), "messages are missing"),
        ("dead_letters", twice(0), "landed twice"),
        ("dead_letters", with_value("value", 0, b"}"), "a dead letter's bytes"),
        ("dead_letters", with_value("reason", 0, "wrong-type"), "dead letters of an intake"),
        ("ledger", without(0), "numbers of intakes"),
        ("ledger", without(1), "does not reach the topic's end"),
        ("ledger", twice(1), "numbers of intakes"),
        ("ledger", with_value("attempt", 0, "a lost one"), "messages are missing"),
        ("ledger", with_value("spans", 0, [span(0, 0, 1), span(1, 0, 1)]), "spans do not touch"),
        ("ledger", with_value("spans", 1, [span(0, 1, 3), span(1, 1, 3)]), "spans do not touch"),
        ("ledger", with_value("landed", 0, landed(w0=1, w1=2)), "records of an intake"),
        ("ledger", with_value("refused", 1, []), "dead letters of an intake"),
        ("windows", with_value("covered", 1, 1), "does not cover its records"),
        ("windows", with_value("digest", 1, "of an answer before"), "not its records"),
        ("results", without(0), "not its records"),
        ("results", twice(0), "two results"),
        ("results", with_value("window", 0, WINDOWS[1]), "not its records"),
    ],
)
def test_a_planted_bug_is_named(table: str, plant: Change, said: str) -> None:
    whole = tables()
    with pytest.raises(AssertionError, match=said):
        check(TOPIC, replace(whole, **{table: plant(getattr(whole, table))}), minutes=1)


def moved_with_its_count(whole: Tables) -> Tables:
    """A record in a window that is not its home, and a ledger that says the same."""
    return replace(
        whole,
        records=with_value("window", 0, WINDOWS[1])(whole.records),
        ledger=with_value("landed", 0, landed(w0=1, w1=2))(whole.ledger),
    )


def outside_its_span(whole: Tables) -> Tables:
    """Spans that touch, but not where the intakes' rows lie."""
    first = with_value("spans", 0, [span(0, 0, 1), span(1, 0, 1)])(whole.ledger)
    return replace(whole, ledger=with_value("spans", 1, [span(0, 1, 3), span(1, 1, 3)])(first))


@pytest.mark.parametrize(
    ("plant", "said"),
    [(moved_with_its_count, "a record's home"), (outside_its_span, "outside its intake's span")],
)
def test_a_bug_that_two_tables_agree_on_is_named(plant: Callable[[Tables], Tables], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check(TOPIC, plant(tables()), minutes=1)


def test_a_bad_message_among_the_records_and_a_good_one_among_the_dead_letters_are_named() -> None:
    with pytest.raises(AssertionError, match="a bad message is a record"):
        check(TOPIC | {(0, 0): BAD}, tables(), minutes=1)
    with pytest.raises(AssertionError, match="a good message is a dead letter"):
        check(TOPIC | {(0, 2): good("d", 3)}, tables(), minutes=1)


@pytest.mark.parametrize(
    ("content", "verdict"),
    [
        ({"Unique id": "x"}, True),
        ({"Unique id": "x", "Item_price": None, "CSAT Score": "", "channel_name": None}, True),
        ({"Unique id": "x", "Item_price": "12.5", "CSAT Score": 4}, True),
        ({"Unique id": "x", "Item_price": "about forty"}, False),
        ({"Unique id": "x", "Item_price": True}, False),
        ({"Unique id": "x", "Item_price": "nan"}, False),
        ({"Unique id": "x", "channel_name": 7}, False),
        ({"Unique id": ""}, False),
        ({"Unique id": None}, False),
        ({}, False),
        (["Unique id"], False),
    ],
)
def test_the_judgement_of_a_message(content: object, verdict: bool) -> None:
    message = Sent(BAD.timestamp, json.dumps(content).encode())
    assert is_good(message, START.timestamp() + 1) is verdict
    assert not is_good(message, START.timestamp() - 1)
