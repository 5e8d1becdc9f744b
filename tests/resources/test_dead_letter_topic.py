"""Copies of dead letters on ``<topic>.dlq``: after the ledger's row, at least once, never in the way."""

import logging
import random
from datetime import UTC, datetime, timedelta

import pytest
from confluent_kafka import Message
from confluent_kafka.admin import AdminClient

from resources.dead_letter_topic import DeadLetterTopic
from resources.intake import Taker
from resources.intakes import Intakes
from resources.kafka import Topic
from tests.resources.conftest import Feed, MakeFeed, create_topic
from tests.resources.intake_checks import CrashError, messages_of, milliseconds

ON = {"dead_letter_topic": True}
MOMENT = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=30)


@pytest.fixture
def feed(make_feed: MakeFeed) -> Feed:
    """A feed whose dead letters are copied."""
    return make_feed(settings=ON)


def copies(feed: Feed) -> list[Message]:
    """What stands on the topic of dead letters, in the order of what it says."""
    topic = Topic(feed.settings, f"{feed.topic}.dlq")
    state = topic.state()
    found = messages_of(topic.read(state.low, state.end, 2**30))
    return sorted(found, key=lambda message: (own(message)["intake"], int(own(message)["offset"])))


def headers_of(message: Message) -> list[tuple[str, str | bytes | None]]:
    found = message.headers()
    assert isinstance(found, list)
    return found


def own(message: Message) -> dict[str, str]:
    """The headers that Silt adds."""
    return {
        name.removeprefix("silt."): value.decode()
        for name, value in headers_of(message)
        if name.startswith("silt.") and isinstance(value, bytes)
    }


def send_bad(feed: Feed, *values: bytes | None) -> None:
    for value in values:
        feed.send(value, timestamp=milliseconds(MOMENT))
    feed.flush()


def topics(feed: Feed) -> set[str]:
    return set(AdminClient(dict(feed.settings.kafka_properties)).list_topics(timeout=10).topics)


def test_a_copy_has_key_value_and_headers_and_says_where_it_is_from(feed: Feed) -> None:
    feed.send_records(range(3))
    headers = [("trace", b"\x00\xff"), ("trace", None)]
    feed.send(b"\xff{", key=b"\x01key", headers=headers, timestamp=milliseconds(MOMENT))
    feed.send(None, key=b"gone")
    feed.flush()
    feed.take()
    bad, null = copies(feed)
    assert (bad.key(), bad.value(), null.key(), null.value()) == (b"\x01key", b"\xff{", b"gone", None)
    assert headers_of(bad)[:2] == headers
    said = own(bad)
    detail = feed.stored("dead_letters").sort("kafka_offset")["detail"][0]
    assert said == {
        "reason": "invalid-json",
        "detail": detail,
        "topic": feed.topic,
        "partition": "0",
        "offset": "3",
        "timestamp": str(milliseconds(MOMENT)),
        "intake": "1",
    }
    assert own(null)["reason"] == "null-value"


def test_without_the_setting_there_is_no_such_topic(make_feed: MakeFeed) -> None:
    feed = make_feed()
    send_bad(feed, b"{")
    feed.take()
    assert f"{feed.topic}.dlq" not in topics(feed)


def test_what_was_refused_before_the_setting_is_not_copied(feed: Feed) -> None:
    send_bad(feed, b"old")
    feed.take(dead_letter_topic=False)
    send_bad(feed, b"new")
    feed.take()
    assert [message.value() for message in copies(feed)] == [b"new"]


def test_each_intake_copies_its_own_and_no_others(feed: Feed) -> None:
    taker = feed.taker()
    for value in (b"one", b"two", b"three"):
        send_bad(feed, value)
        assert taker.take()
    feed.take()
    assert [message.value() for message in copies(feed)] == [b"one", b"two", b"three"]


class DyingTopic(DeadLetterTopic):
    """The process ends here: the ledger's row is entered, nothing is produced."""

    def produce(self, intakes: Intakes) -> None:
        raise CrashError


def dying(feed: Feed) -> Taker:
    taker = feed.taker()
    taker.dead_letter_topic = DyingTopic(feed.settings, feed.topic, feed.lake)
    return taker


def test_what_a_killed_taker_did_not_copy_the_next_intake_does(feed: Feed) -> None:
    send_bad(feed, b"first")
    with pytest.raises(CrashError):
        dying(feed).take()
    assert feed.taker().ledger.intakes().last == 1
    assert f"{feed.topic}.dlq" not in topics(feed)
    feed.take()
    assert [(message.value(), own(message)["intake"]) for message in copies(feed)] == [(b"first", "1")]


def test_an_attempt_that_lost_copies_nothing(feed: Feed) -> None:
    send_bad(feed, b"once")
    slow = feed.taker().begin()
    slow.land()
    feed.take()
    assert slow.enter() is None
    assert len(copies(feed)) == 1


def test_a_topic_that_cannot_be_created_is_one_warning_and_the_intake_goes_on(
    feed: Feed, caplog: pytest.LogCaptureFixture
) -> None:
    send_bad(feed, b"bad")
    taker = feed.taker()
    taker.dead_letter_topic = DeadLetterTopic(feed.settings, "x" * 249, feed.lake)
    with caplog.at_level(logging.WARNING, logger="silt"):
        assert taker.take()
        send_bad(feed, b"worse")
        assert taker.take()
    assert len(caplog.messages) == 1
    assert "are not on the topic xxx" in caplog.text
    assert "The lake keeps them" in caplog.text
    feed.take()
    assert [message.value() for message in copies(feed)] == [b"bad", b"worse"]


def test_a_letter_that_is_too_large_for_the_topic_does_not_hold_up_the_others(
    feed: Feed, caplog: pytest.LogCaptureFixture
) -> None:
    create_topic(feed.settings, f"{feed.topic}.dlq", 1, {"max.message.bytes": "2000"})
    send_bad(feed, random.Random(1).randbytes(5000), b"small")
    with caplog.at_level(logging.WARNING, logger="silt"):
        feed.take()
    assert "cannot take 1 dead letters of intake 1" in caplog.text
    send_bad(feed, b"next")
    feed.take()
    assert [message.value() for message in copies(feed)] == [b"small", b"next"]


def test_a_letter_as_large_as_records_may_be_is_copied(make_feed: MakeFeed) -> None:
    feed = make_feed(settings=ON, config={"max.message.bytes": str(20 * 1024 * 1024)})
    feed.producer = type(feed.producer)({**feed.client, "message.max.bytes": 20 * 1024 * 1024})
    value = bytes(range(256)) * 40_000
    send_bad(feed, value)
    feed.take()
    assert [message.value() for message in copies(feed)] == [value]
