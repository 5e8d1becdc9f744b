"""Bounded, exact reads of a topic: assigned partitions and offsets, no consumer group, nothing committed."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from typing import Any, NamedTuple, cast

import polars as pl
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
from resources.tables import TIME

ANSWER_SECONDS = 10.0
"""A broker that does not answer for so long counts as away."""
_AT_ONCE = 4_000
"""A read goes over its bytes by so many messages at most. What a lot of them costs besides counts little."""
_WAIT_SECONDS = 0.01
_LOG = logging.getLogger("silt.kafka")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_MILLISECOND = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)
_LAST_MILLISECOND = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)
_READER = {
    "fetch.wait.max.ms": 10,
    "queued.max.messages.kbytes": 16 * 1024,  # what a read leaves unread was fetched in vain
    "fetch.queue.backoff.ms": 10,  # so long after the queue was full is it looked at again
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
        return admin_client(self._settings)

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
            low = self._ask_offsets(partitions, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
            end = self._ask_offsets(partitions, OffsetSpec.latest())  # type: ignore[no-untyped-call]
            return TopicState(str(topic.topic_id), low(), end())
        except KafkaException as error:
            raise translated(error, self._settings, self.name) from None

    def _described(self) -> TopicDescription:
        described = self._admin.describe_topics(TopicCollection([self.name]), request_timeout=ANSWER_SECONDS)
        topic: TopicDescription = described[self.name].result()
        return topic

    def _ask_offsets(self, partitions: list[int], spec: OffsetSpec) -> Callable[[], dict[int, int]]:
        """Ask for an offset of each partition; the function that is returned waits for the answers."""
        asked = {TopicPartition(self.name, partition): spec for partition in partitions}
        answers = self._admin.list_offsets(
            asked, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=ANSWER_SECONDS
        )
        return lambda: {at.partition: future.result().offset for at, future in answers.items()}

    def read(self, starts: Mapping[int, int], ends: Mapping[int, int], max_bytes: int) -> "BoundedRead":
        """Read the offsets [start, end) of each partition; stop early once ``max_bytes`` were read."""
        return BoundedRead(self._settings, self.name, starts, ends, max_bytes)


class Lot(NamedTuple):
    """Some messages, in order within each Kafka partition, and where each lies."""

    messages: list[Message]
    partitions: list[int]
    offsets: list[int]


class BoundedRead:
    """An iterator over a topic's messages in [start, end) per partition, in lots, in order within each.

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

    def __iter__(self) -> Iterator[Lot]:
        left = self._left()
        if not left:
            return
        consumer = Consumer({**_READER, **client_properties(self._settings), **_EXACT}, logger=_LOG)
        try:
            consumer.assign([TopicPartition(self._topic, p, self.reached[p]) for p in sorted(left)])
            yield from self._lots(consumer)
        except KafkaException as error:
            raise translated(error, self._settings, self._topic) from None
        finally:
            consumer.close()

    def _left(self) -> dict[int, int]:
        """How many offsets are left of each partition that is not read to its end."""
        return {p: self._ends[p] - offset for p, offset in self.reached.items() if offset < self._ends[p]}

    def _lots(self, consumer: Consumer) -> Iterator[Lot]:
        read_bytes = 0
        last_progress = time.monotonic()
        while (left := self._left()) and read_bytes < self._max_bytes:
            wanted = min(_AT_ONCE, sum(left.values()))  # it would wait for more, in vain
            lot = self._lot(consumer.consume(num_messages=wanted, timeout=_WAIT_SECONDS))
            if lot.messages:
                read_bytes += sum(map(len, lot.messages))
                yield lot
            if self._left() != left:
                last_progress = time.monotonic()
            elif time.monotonic() - last_progress > ANSWER_SECONDS:
                raise TransientError(_away(self._settings))

    def _lot(self, polled: list[Message]) -> Lot:
        """Those of the messages that lie before the ends; how far all of them reach is noted."""
        lot = _lot_of([message for message in polled if message.error() is None])
        positions = {p: offset + 1 for p, offset in zip(lot.partitions, lot.offsets, strict=True)}
        if len(lot.messages) < len(polled):
            for partition, end in map(self._end, filter(Message.error, polled)):
                positions[partition] = max(end, positions.get(partition, end))
        if any(position > self._ends[p] for p, position in positions.items()):
            places = zip(*lot, strict=True)
            lot = _lot_of([message for message, p, offset in places if offset < self._ends[p]])
        for p, position in positions.items():
            self.reached[p] = max(self.reached[p], min(position, self._ends[p]))
        return lot

    def _end(self, message: Message) -> tuple[int, int]:
        """The partition whose end this message tells, and the end."""
        error = message.error()
        assert error is not None
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            raise TransientError(
                f"Topic {self._topic}, partition {message.partition()}: offsets that were there a moment "
                "ago are gone by the broker's retention. The next intake says how many."
            )
        partition, offset = message.partition(), message.offset()
        if error.code() != KafkaError._PARTITION_EOF or partition is None or offset is None:
            raise KafkaException(error)
        return partition, offset


def _lot_of(messages: list[Message]) -> Lot:
    partitions = cast("list[int]", list(map(Message.partition, messages)))
    offsets = cast("list[int]", list(map(Message.offset, messages)))
    return Lot(messages, partitions, offsets)


def event_times(messages: Sequence[Message]) -> pl.Series:
    """The messages' own timestamps as instants, in UTC; null where one has none that is usable."""
    stamps = [message.timestamp() for message in messages]
    kinds, milliseconds = zip(*stamps, strict=True) if stamps else ((), ())
    times = pl.Series("timestamp", milliseconds, dtype=pl.Int64)
    stamped = pl.Series(kinds, dtype=pl.Int32) != TIMESTAMP_NOT_AVAILABLE
    usable = stamped & times.is_between(_FIRST_MILLISECOND, _LAST_MILLISECOND)
    times = times if usable.all() else times.set(~usable, None)
    return (1000 * times).cast(TIME)


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


def admin_client(settings: Settings) -> AdminClient:
    """The client that asks the brokers. It is kept: librdkafka ends the process if one goes while its own
    thread has just handed over an answer.

    Raises:
        SettingError: as :func:`client_properties`.
    """
    return _admin_client(tuple(sorted(client_properties(settings).items())))


@lru_cache(4)
def _admin_client(properties: tuple[tuple[str, Any], ...]) -> AdminClient:
    return AdminClient(dict(properties), logger=_LOG)


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
