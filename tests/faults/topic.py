"""A topic as a plain consumer reads it, and what must come of it: judged by plain JSON, no code of Silt's."""

import json
import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import Consumer, TopicPartition

Place = tuple[int, int]
"""Kafka partition, offset."""

NUMBERS = ("Item_price", "connected_handling_time", "CSAT Score")
FEATURES = ("channel_name", "Sub-category", "Product_category", *NUMBERS)
ID = "Unique id"
MINUTE = 60_000
TOO_FAR_AHEAD = 3_600
TOO_LATE = 24 * 3_600


@dataclass(frozen=True)
class Sent:
    """A message as a plain consumer reads it: timestamp in milliseconds, and bytes."""

    timestamp: int
    value: bytes


Batches = dict[str, dict[str, Place]]
"""Per window and record id, the place of the record that counts."""


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


def home(message: Sent) -> str:
    """The key of the window that a message belongs to."""
    start = message.timestamp // MINUTE * MINUTE // 1000
    return datetime.fromtimestamp(start, UTC).strftime("%Y-%m-%dT%H%MZ")


def batches(sent: Mapping[Place, Sent], now: float) -> tuple[Batches, Counter[str]]:
    """What each window's answer has to be made from, out of the topic alone, as judged at ``now`` (seconds).

    Returns:
        The batches, and per window the number of records that another one with the same id replaces.
    """
    counting: defaultdict[str, dict[str, Place]] = defaultdict(dict)
    duplicates: Counter[str] = Counter()
    for place, message in sent.items():
        if not is_good(message, now + TOO_FAR_AHEAD) or message.timestamp / 1000 < now - TOO_LATE:
            continue
        identity, mine = json.loads(message.value)[ID], counting[home(message)]
        other = mine.setdefault(identity, place)
        if other != place:
            duplicates[home(message)] += 1
            mine[identity] = max(other, place, key=lambda each: (sent[each].timestamp, *each))
    return dict(counting), duplicates


def typed(message: Sent) -> dict[str, Any]:
    """The fields of a record that have a value."""
    content = {name: value for name, value in json.loads(message.value).items() if value not in (None, "")}
    return {name: float(value) if name in NUMBERS else value for name, value in content.items()}


def features(message: Sent) -> dict[str, Any]:
    """What the clusters are made from."""
    values = typed(message)
    return {name: values.get(name) for name in FEATURES}
