"""Bounded, exact reads of a real topic, and what each trouble with the broker says."""

import logging
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from confluent_kafka import Message, Producer

import resources.kafka
from resources.errors import SettingError, TransientError
from resources.kafka import Topic, event_times, producer
from resources.settings import Settings
from tests.resources.conftest import Feed, MakeFeed, record
from tests.resources.intake_checks import messages_of
from tests.stacks import free_ports

PLENTY = 2**40


def topic_of(feed: Feed) -> Topic:
    return Topic(feed.settings, feed.topic)


def places(messages: list[Message]) -> list[tuple[int | None, int | None]]:
    return [(message.partition(), message.offset()) for message in messages]


def elsewhere(tmp_path: Path, **kafka: str) -> Topic:
    """A topic on a broker that is not there, or with properties that are wrong."""
    servers = {"bootstrap_servers": f"127.0.0.1:{free_ports(1)[0]}"}
    return Topic(Settings(_env_file=None, home=tmp_path, kafka=servers | kafka), "orders")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that does not answer for two seconds counts as away."""
    monkeypatch.setattr(resources.kafka, "ANSWER_SECONDS", 2.0)


def test_a_new_topic_is_empty_in_every_partition(make_feed: MakeFeed) -> None:
    state = topic_of(make_feed(partitions=3)).state()
    assert state.low == state.end == {0: 0, 1: 0, 2: 0}


def test_a_read_yields_exactly_the_offsets_between_its_bounds(feed: Feed) -> None:
    feed.send_records(range(20))
    read = topic_of(feed).read({0: 5}, {0: 12}, PLENTY)
    assert places(messages_of(read)) == [(0, offset) for offset in range(5, 12)]
    assert read.reached == {0: 12}


def test_an_empty_read_asks_nobody(tmp_path: Path) -> None:
    read = elsewhere(tmp_path).read({0: 7, 1: 0}, {0: 7, 1: 0}, PLENTY)
    assert messages_of(read) == []
    assert read.reached == {0: 7, 1: 0}


def test_every_partition_is_read_to_its_own_end(make_feed: MakeFeed) -> None:
    feed = make_feed(partitions=3)
    for partition, count in enumerate((4, 0, 9)):
        feed.send_records(range(count), partition=partition)
    state = topic_of(feed).state()
    assert state.end == {0: 4, 1: 0, 2: 9}
    read = topic_of(feed).read(state.low, state.end, PLENTY)
    assert sorted(places(messages_of(read))) == sorted(places(feed.plain()))
    assert read.reached == state.end


def test_a_full_chunk_stops_the_read_and_says_how_far_it_came(make_feed: MakeFeed) -> None:
    feed = make_feed(partitions=2)
    for partition in (0, 1):
        feed.send_records(range(12_000), partition=partition)
    read = topic_of(feed).read({0: 0, 1: 0}, {0: 12_000, 1: 12_000}, max_bytes=1)
    seen = places(messages_of(read))
    assert 0 < len(seen) < 24_000
    assert sum(read.reached.values()) == len(seen)
    for partition, reached in read.reached.items():
        assert [o for p, o in seen if p == partition] == list(range(reached))


def test_a_message_of_no_use_of_a_timestamp_has_none() -> None:
    class Stamped:
        def __init__(self, kind: int, milliseconds: int) -> None:
            self.timestamp = lambda: (kind, milliseconds)

    stamped: Any = [Stamped(0, -1), Stamped(0, 5), Stamped(1, 2**62), Stamped(1, 1_250)]
    moment = datetime(1970, 1, 1, 0, 0, 1, 250_000, UTC)
    assert event_times(stamped).to_list() == [None, None, None, moment]
    assert event_times([]).dtype == pl.Datetime("us", "UTC")


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_every_compression_is_read(feed: Feed, codec: str) -> None:
    squeezed = Producer({**feed.client, "compression.type": codec, "linger.ms": 50})
    values = [record(number, shop="north" * 200) for number in range(50)]
    for value in values:
        squeezed.produce(feed.topic, value)
    squeezed.flush(20)
    read = topic_of(feed).read({0: 0}, {0: 50}, PLENTY)
    assert [message.value() for message in messages_of(read)] == values


def test_large_messages_are_read_whole(make_feed: MakeFeed) -> None:
    feed = make_feed(config={"max.message.bytes": "10000000"})
    large = Producer({**feed.client, "message.max.bytes": 10_000_000})
    values = [record(number, shop="x" * size) for number, size in enumerate((1_000_000, 10, 5_000_000))]
    for value in values:
        large.produce(feed.topic, value)
    large.flush(20)
    read = topic_of(feed).read({0: 0}, {0: 3}, PLENTY)
    assert [message.value() for message in messages_of(read)] == values


def test_offsets_that_retention_takes_during_the_read_are_an_error(feed: Feed) -> None:
    feed.send_records(range(10))
    feed.delete_before(6)
    with pytest.raises(TransientError, match=f"{feed.topic}, partition 0: offsets .* are gone"):
        list(topic_of(feed).read({0: 2}, {0: 10}, PLENTY))


def test_a_topic_that_is_not_there_is_named_with_what_to_do(broker: Settings) -> None:
    with pytest.raises(SettingError, match=r"has no topic 'nowhere': create it, or name another"):
        Topic(broker, "nowhere").state()


def test_a_broker_that_is_away_is_transient_and_known_within_fifteen_seconds(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(TransientError, match=r"does not answer within 10 s: start it, or set SILT_KAFKA__"):
        elsewhere(tmp_path).state()
    assert time.monotonic() - began < 15


@pytest.mark.usefixtures("impatient")
def test_a_broker_that_goes_away_during_a_read_is_transient(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(TransientError, match="does not answer"):
        list(elsewhere(tmp_path).read({0: 0}, {0: 5}, PLENTY))
    assert time.monotonic() - began < 8


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("no_such_property", "1", "no.such.property"),
        ("socket_timeout_ms", "soon", "socket.timeout.ms"),
        ("security_protocol", "carrier_pigeon", "security.protocol"),
    ],
)
def test_a_wrong_kafka_property_is_a_wrong_setting(tmp_path: Path, name: str, value: str, says: str) -> None:
    for use in (
        lambda: elsewhere(tmp_path, **{name: value}).state(),
        lambda: producer(Settings(_env_file=None, kafka={name: value})),
        lambda: list(elsewhere(tmp_path, **{name: value}).read({0: 0}, {0: 1}, PLENTY)),
    ):
        with pytest.raises(SettingError, match="starts with SILT_KAFKA__ is wrong") as caught:
            use()
        assert says in str(caught.value)
        assert "\n" not in str(caught.value)


def test_no_setting_makes_a_read_less_exact(feed: Feed) -> None:
    writer = feed.transaction()
    writer.produce(feed.topic, record("aborted"))
    writer.flush(20)
    writer.abort_transaction(20)
    feed.wait_stable(2)
    feed.send_records(["kept"])
    loose = {
        "isolation_level": "read_uncommitted",
        "enable_partition_eof": "false",
        "auto_offset_reset": "earliest",
        "enable_auto_commit": "true",
    }
    settings = feed.settings.model_copy(update={"kafka": {**feed.settings.kafka, **loose}})
    settings.__dict__.pop("kafka_properties", None)
    topic = Topic(settings, feed.topic)
    assert settings.kafka_properties["isolation.level"] == "read_uncommitted"
    read = topic.read({0: 0}, topic.state().end, PLENTY)
    assert [message.value() for message in messages_of(read)] == [record("kept")]
    assert read.reached == {0: 3}


def test_reading_joins_no_group_and_commits_nothing(feed: Feed) -> None:
    feed.send_records(range(3))
    assert len(messages_of(topic_of(feed).read({0: 0}, {0: 3}, PLENTY))) == 3
    groups = feed.admin.list_consumer_groups(request_timeout=10).result()
    assert "silt" not in {group.group_id for group in groups.valid}


def test_what_the_client_library_says_goes_through_our_log(
    feed: Feed, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG, logger="silt.kafka")
    settings = feed.settings.model_copy(update={"kafka": {**feed.settings.kafka, "debug": "consumer"}})
    settings.__dict__.pop("kafka_properties", None)
    feed.send_records(range(3))
    list(Topic(settings, feed.topic).read({0: 0}, {0: 3}, PLENTY))
    assert [entry for entry in caplog.records if entry.name == "silt.kafka"]
    assert "rdkafka" not in capfd.readouterr().err
