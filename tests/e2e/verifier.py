"""Compares a topic with a lake from outside. It shares no code with resources/: plain clients, plain JSON."""

import json
import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl
from confluent_kafka import Consumer, TopicPartition

Place = tuple[int, int]
"""Kafka partition, offset."""

NUMBERS = ("Item_price", "connected_handling_time", "CSAT Score")
ID = "Unique id"


@dataclass(frozen=True)
class Sent:
    """A message as a plain consumer reads it: timestamp in milliseconds, and bytes."""

    timestamp: int
    value: bytes


@dataclass(frozen=True)
class Tables:
    """The lake's tables that the comparison needs."""

    ledger: pl.DataFrame
    records: pl.DataFrame
    dead_letters: pl.DataFrame
    windows: pl.DataFrame
    results: pl.DataFrame


def read_topic(servers: str, topic: str) -> dict[Place, Sent]:
    """Every message of a topic, from its beginning to its end."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "verifier",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )
    partitions = sorted(consumer.list_topics(topic, timeout=30).topics[topic].partitions)
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    sent: dict[Place, Sent] = {}
    ended = 0
    while ended < len(partitions):
        message = consumer.poll(30)
        assert message is not None, "the broker does not answer"
        if message.error():
            ended += 1
            continue
        place = (message.partition() or 0, message.offset() or 0)
        sent[place] = Sent(message.timestamp()[1], message.value() or b"")
    consumer.close()
    return sent


def read_tables(lake: str) -> Tables:
    """The tables of a lake in a local folder."""
    names = ("ledger", "records", "dead_letters", "windows", "clustering_results")
    return Tables(*(pl.read_delta(f"{lake}/{name}") for name in names))


def check(sent: Mapping[Place, Sent], tables: Tables, minutes: int, too_far_ahead: int = 3600) -> int:
    """Compare; an AssertionError says what is wrong.

    Returns:
        The number of published windows that were compared.
    """
    named = tables.ledger["attempt"].to_list()
    records = tables.records.filter(pl.col("attempt").is_in(named))
    dead = tables.dead_letters.filter(pl.col("attempt").is_in(named))
    _check_tiling(tables.ledger, sent)
    _check_each_once(sent, records, dead)
    _check_spans(tables.ledger, records, dead)
    _check_counts(tables.ledger, records, dead)
    clocks = dict(tables.ledger.select("number", "taken_at").iter_rows())
    _check_judgement(
        sent, records, dead, {n: clock.timestamp() + too_far_ahead for n, clock in clocks.items()}
    )
    _check_homes(sent, records, minutes)
    return _check_results(tables, records)


def _check_tiling(ledger: pl.DataFrame, sent: Mapping[Place, Sent]) -> None:
    ordered = ledger.sort("number")
    assert ordered["number"].to_list() == list(range(1, ledger.height + 1)), "numbers of intakes"
    reached: defaultdict[int, int] = defaultdict(int)
    for spans in ordered["spans"]:
        for span in spans:
            assert span["start"] == reached[span["partition"]], "spans do not touch"
            reached[span["partition"]] = span["end"]
    for partition, offset in sent:
        assert offset < reached[partition], "the ledger does not reach the topic's end"


def _places(frame: pl.DataFrame) -> list[Place]:
    return list(frame.select("kafka_partition", "kafka_offset").iter_rows())


def _check_each_once(sent: Mapping[Place, Sent], records: pl.DataFrame, dead: pl.DataFrame) -> None:
    landed = Counter([*_places(records), *_places(dead)])
    assert set(landed) == set(sent), "messages are missing, or made up"
    assert not landed or max(landed.values()) == 1, "a message landed twice"


def _check_counts(ledger: pl.DataFrame, records: pl.DataFrame, dead: pl.DataFrame) -> None:
    for number, landed, refused in ledger.select("number", "landed", "refused").iter_rows():
        counted = Counter({item["window"]: item["records"] + item["too_late"] for item in landed})
        mine = records.filter(pl.col("intake") == number)
        assert counted == Counter(mine["window"]), "records of an intake"
        too_late = sum(item["too_late"] for item in landed)
        assert too_late == mine["too_late"].sum(), "too late records of an intake"
        reasons = Counter({(item["window"], item["reason"]): item["count"] for item in refused})
        letters = dead.filter(pl.col("intake") == number).select("window", "reason")
        assert reasons == Counter(letters.iter_rows()), "dead letters of an intake"


def _check_spans(ledger: pl.DataFrame, records: pl.DataFrame, dead: pl.DataFrame) -> None:
    attempts = dict(ledger.select("number", "attempt").iter_rows())
    spans = {
        (number, span["partition"]): range(span["start"], span["end"])
        for number, found in ledger.select("number", "spans").iter_rows()
        for span in found
    }
    for frame in (records, dead):
        columns = frame.select("intake", "attempt", "kafka_partition", "kafka_offset")
        for intake, attempt, partition, offset in columns.iter_rows():
            assert attempts[intake] == attempt, "a row's intake is not its attempt's"
            assert offset in spans.get((intake, partition), range(0)), "a row outside its intake's span"


def _check_judgement(
    sent: Mapping[Place, Sent], records: pl.DataFrame, dead: pl.DataFrame, limits: Mapping[int, float]
) -> None:
    for *place, intake in records.select("kafka_partition", "kafka_offset", "intake").iter_rows():
        assert is_good(sent[place[0], place[1]], limits[intake]), "a bad message is a record"
    for *place, intake in dead.select("kafka_partition", "kafka_offset", "intake").iter_rows():
        assert not is_good(sent[place[0], place[1]], limits[intake]), "a good message is a dead letter"
    for partition, offset, value in dead.select("kafka_partition", "kafka_offset", "value").iter_rows():
        assert value == sent[partition, offset].value, "a dead letter's bytes"


def is_good(message: Sent, latest: float) -> bool:
    """Whether a message is a customer-support record, no later than ``latest`` (seconds since the epoch)."""
    try:
        content = json.loads(message.value)
    except ValueError:
        return False
    if not isinstance(content, dict) or not isinstance(content.get(ID), str) or not content[ID]:
        return False
    return message.timestamp / 1000 <= latest and all(
        _is_number(value) if name in NUMBERS else isinstance(value, str)
        for name, value in content.items()
        if value not in (None, "")
    )


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return False
    try:
        return math.isfinite(float(value))
    except ValueError:
        return False


def _check_homes(sent: Mapping[Place, Sent], records: pl.DataFrame, minutes: int) -> None:
    columns = records.select("kafka_partition", "kafka_offset", "window", "record_id")
    for partition, offset, window, identity in columns.iter_rows():
        message = sent[partition, offset]
        start = message.timestamp // (60_000 * minutes) * 60 * minutes
        assert window == datetime.fromtimestamp(start, UTC).strftime("%Y-%m-%dT%H%MZ"), "a record's home"
        assert identity == json.loads(message.value)[ID], "a record's id"


def _check_results(tables: Tables, records: pl.DataFrame) -> int:
    published = tables.windows.filter(pl.col("state") == "published")
    for window, digest, covered in published.select("window", "digest", "covered").iter_rows():
        home = records.filter((pl.col("window") == window) & ~pl.col("too_late"))
        assert (home["intake"].max() or 0) <= covered, "a published window does not cover its records"
        mine = (pl.col("window") == window) & (pl.col("digest") == digest)
        results = tables.results.filter(mine)["record_id"]
        assert results.n_unique() == len(results), "a record has two results in one window"
        assert set(results) == set(home["record_id"]), "a window's results are not its records"
    return published.height
