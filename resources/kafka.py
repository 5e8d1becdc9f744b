"""Bounded, exact reads of a topic: assigned partitions and offsets, no consumer group, nothing committed."""

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from confluent_kafka import (
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec
from confluent_kafka.admin._topic import TopicDescription

from resources.errors import SettingError, SiltError, TransientError
from resources.settings import KAFKA_PREFIX, Settings

ANSWER_SECONDS = 10.0
"""A broker that does not answer for so long counts as away."""
_AT_ONCE = 1_000
"""A read goes over its bytes by so many messages at most."""
_LOG = logging.getLogger("silt.kafka")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_READER = {
    "fetch.wait.max.ms": 10,
    "receive.message.max.bytes": 2**31 - 1,  # the broker alone says how large a record may be
    "group.id": "silt",  # librdkafka asks for a name; no group is ever joined
}
_EXACT = {  # no setting changes these: a read would not be exact any more
    "enable.auto.commit": False,
    "isolation.level": "read_committed",
    "auto.offset.reset": "error",
    "enable.partition.eof": True,
}


@dataclass(frozen=True)
class TopicState:
    """A topic at one moment.

    Attributes:
        id: the broker's UUID of the topic; another one means deleted and created again.
        low: per partition, the first offset that is still there.
        end: per partition, the last stable offset: all committed messages lie before it.
    """

    id: str
    low: Mapping[int, int]
    end: Mapping[int, int]


class Topic:
    """One topic, named by the contract, on the broker that the settings name."""

    def __init__(self, settings: Settings, name: str) -> None:
        self.name = name
        self._settings = settings

    @cached_property
    def _admin(self) -> AdminClient:
        return AdminClient(client_properties(self._settings), logger=_LOG)

    def id(self) -> str:
        """Ask the broker for the topic's id.

        Raises:
            TransientError, SettingError: as :meth:`state`.
        """
        try:
            return str(self._described().topic_id)
        except KafkaException as error:
            raise translated(error, self._settings, self.name) from None

    def state(self) -> TopicState:
        """Ask the broker for the topic's id and its offsets.

        Raises:
            TransientError: the broker does not answer.
            SettingError: the topic is not there, or the broker refuses this client.
        """
        try:
            topic = self._described()
            partitions = sorted(partition.id for partition in topic.partitions)
            return TopicState(
                id=str(topic.topic_id),
                low=self._offsets(partitions, OffsetSpec.earliest()),  # type: ignore[no-untyped-call]
                end=self._offsets(partitions, OffsetSpec.latest()),  # type: ignore[no-untyped-call]
            )
        except KafkaException as error:
            raise translated(error, self._settings, self.name) from None

    def _described(self) -> TopicDescription:
        described = self._admin.describe_topics(TopicCollection([self.name]), request_timeout=ANSWER_SECONDS)
        topic: TopicDescription = described[self.name].result()
        return topic

    def _offsets(self, partitions: list[int], spec: OffsetSpec) -> dict[int, int]:
        asked = {TopicPartition(self.name, partition): spec for partition in partitions}
        answers = self._admin.list_offsets(
            asked, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=ANSWER_SECONDS
        )
        return {at.partition: future.result().offset for at, future in answers.items()}

    def read(self, starts: Mapping[int, int], ends: Mapping[int, int], max_bytes: int) -> "BoundedRead":
        """Read the offsets [start, end) of each partition; stop early once ``max_bytes`` were read."""
        return BoundedRead(self._settings, self.name, starts, ends, max_bytes)


class BoundedRead:
    """An iterator over a topic's messages in [start, end) per partition, in order within each.

    Attributes:
        reached: per partition, the offset up to which everything was read: ``end``, or less where the
            byte limit stopped the read. True once the iteration is over.

    Raises (on iteration):
        TransientError: an offset is gone from the broker, by retention, since it was asked for; or no
            progress within the time a broker has to answer.
    """

    def __init__(
        self,
        settings: Settings,
        topic: str,
        starts: Mapping[int, int],
        ends: Mapping[int, int],
        max_bytes: int,
    ) -> None:
        self.reached = dict(starts)
        self._settings = settings
        self._topic = topic
        self._ends = ends
        self._max_bytes = max_bytes

    def __iter__(self) -> Iterator[Message]:
        left = {partition for partition, start in self.reached.items() if start < self._ends[partition]}
        if not left:
            return
        consumer = Consumer({**_READER, **client_properties(self._settings), **_EXACT}, logger=_LOG)
        try:
            consumer.assign([TopicPartition(self._topic, p, self.reached[p]) for p in sorted(left)])
            yield from self._messages(consumer, left)
        except KafkaException as error:
            raise translated(error, self._settings, self._topic) from None
        finally:
            consumer.close()

    def _messages(self, consumer: Consumer, left: set[int]) -> Iterator[Message]:
        read_bytes = 0
        last_progress = time.monotonic()
        while left and read_bytes < self._max_bytes:
            for message in consumer.consume(num_messages=_AT_ONCE, timeout=0.05):
                partition, offset = self._place(message)
                if partition not in left:
                    continue
                last_progress = time.monotonic()
                end = self._ends[partition]
                if message.error() is None and offset < end:
                    read_bytes += len(message)
                    yield message
                    offset += 1
                self.reached[partition] = max(self.reached[partition], min(offset, end))
                if self.reached[partition] == end:
                    left.discard(partition)
            if time.monotonic() - last_progress > ANSWER_SECONDS:
                raise TransientError(_away(self._settings))

    def _place(self, message: Message) -> tuple[int, int]:
        error = message.error()
        if error is not None and error.code() != KafkaError._PARTITION_EOF:
            if error.code() == KafkaError._AUTO_OFFSET_RESET:
                raise TransientError(
                    f"Topic {self._topic}, partition {message.partition()}: offsets that were there a moment "
                    "ago are gone by the broker's retention. The next intake says how many."
                )
            raise KafkaException(error)
        partition, offset = message.partition(), message.offset()
        if partition is None or offset is None:
            raise KafkaException(error)
        return partition, offset


def event_time(message: Message) -> datetime | None:
    """The message's own timestamp (milliseconds since the epoch, UTC), None where it has no usable one."""
    kind, milliseconds = message.timestamp()
    if kind == TIMESTAMP_NOT_AVAILABLE:
        return None
    try:
        return _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return None


def producer(settings: Settings, **properties: Any) -> Producer:
    """A producer with the settings' properties: idempotent, every broker's acknowledgement waited for."""
    try:
        return Producer(
            {"enable.idempotence": True, "compression.type": "lz4", "linger.ms": 20}
            | client_properties(settings)
            | properties,
            logger=_LOG,
        )
    except KafkaException as error:
        raise translated(error, settings, "") from None


def client_properties(settings: Settings) -> dict[str, Any]:
    """What every client takes: the settings' librdkafka properties.

    Raises:
        SettingError: librdkafka does not know one of them, or not its value.
    """
    properties: dict[str, Any] = {"client.id": "silt", **settings.kafka_properties}
    try:
        AdminClient(properties, logger=_LOG)
    except KafkaException as error:
        raise SettingError(
            f"A setting that starts with {KAFKA_PREFIX} is wrong: {_reason(error)}. Each names a librdkafka "
            f"property: {KAFKA_PREFIX}SASL_MECHANISM is sasl.mechanism."
        ) from None
    return properties


def translated(error: KafkaException, settings: Settings, topic: str) -> SiltError:
    """The error of ours that says what a Kafka error means for the person who meets it."""
    cause = error.args[0] if error.args else None
    code = cause.code() if isinstance(cause, KafkaError) else None
    servers = settings.kafka_properties["bootstrap.servers"]
    if code in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC):
        return SettingError(
            f"The broker at {servers} has no topic {topic!r}: create it, or name another in the contract "
            f"({settings.contract})."
        )
    if code in (KafkaError._AUTHENTICATION, KafkaError._SSL, KafkaError.TOPIC_AUTHORIZATION_FAILED):
        return SettingError(
            f"The broker at {servers} refuses this client ({_reason(error)}): check the settings that start "
            f"with {KAFKA_PREFIX}."
        )
    if code in (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT):
        return TransientError(_away(settings))
    return TransientError(f"The broker at {servers} answered with an error: {_reason(error)}.")


def _away(settings: Settings) -> str:
    servers = settings.kafka_properties["bootstrap.servers"]
    return (
        f"The broker at {servers} does not answer within {ANSWER_SECONDS:.0f} s: start it, or set "
        f"{KAFKA_PREFIX}BOOTSTRAP_SERVERS."
    )


def _reason(error: KafkaException) -> str:
    cause = error.args[0] if error.args else error
    return cause.str() if isinstance(cause, KafkaError) else str(cause)
