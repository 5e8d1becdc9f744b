"""Sending records to the contract's topic, and counting what became of them."""

import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import click
import msgspec
from confluent_kafka import KafkaError, KafkaException, Message

from resources.contract import Contract, EventTime, format_event_time
from resources.errors import SettingError, TransientError
from resources.kafka import Topic, producer
from resources.settings import Settings

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_POLL_SECONDS = 0.1
_END_SECONDS = 5.0
_SETTLE_SECONDS = 3.0
NO_ANSWER = "no answer from the broker before the end"


class Sender:
    """Sends messages to one topic.

    Attributes:
        sent: messages handed over so far.
        acknowledged: those that the broker has, as it said.
        away: a message waited for the broker longer than it may.
        refused: the number of those that it does not have, per reason.
    """

    def __init__(
        self, settings: Settings, topic: str, answer_seconds: float, stopped: Callable[[], bool]
    ) -> None:
        """``answer_seconds``: how long the broker may take to accept a message; 0 means for ever."""
        timeout = {"message.timeout.ms": int(answer_seconds * 1000)}
        self._producer = producer(settings, **(timeout | settings.kafka_properties))
        self._topic = topic
        self._stopped = stopped
        self.sent = 0
        self.acknowledged = 0
        self.away = False
        self.refused: Counter[str] = Counter()

    def send(self, value: bytes, key: bytes | None, timestamp_ms: int | None) -> None:
        """Hand a message over; ``timestamp_ms`` None means now. Waits while the queue is full."""
        options: dict[str, Any] = {} if timestamp_ms is None else {"timestamp": timestamp_ms}
        self.sent += 1
        while True:
            try:
                self._producer.produce(self._topic, value, key, on_delivery=self._delivered, **options)
            except BufferError:
                self._producer.poll(_POLL_SECONDS)
                if self._stopped():
                    self.refused[NO_ANSWER] += 1
                    return
            except KafkaException as error:
                self._delivered(error.args[0], None)
                return
            else:
                self._producer.poll(0)
                return

    def flush(self, seconds: float) -> None:
        """Wait for the answers to all that was sent, no longer than ``seconds``.

        Once the end is asked for, it waits five seconds at most.
        """
        deadline = time.monotonic() + seconds
        while self._producer.flush(_POLL_SECONDS) and time.monotonic() < deadline:
            if self._stopped():
                deadline = min(deadline, time.monotonic() + _END_SECONDS)

    def finish(self, seconds: float) -> None:
        """Flush for the last time: what has no answer by then counts as refused."""
        self.flush(seconds)
        unanswered = self.sent - self.acknowledged - self.refused.total()
        if unanswered:
            self.refused[NO_ANSWER] += unanswered

    @property
    def complete(self) -> bool:
        """Whether the broker has every message."""
        return self.acknowledged == self.sent

    def report(self) -> None:
        """Print the counts, one line, and one more per reason for a refusal."""
        click.echo(
            f"{self.sent} sent to {self._topic}: {self.acknowledged} acknowledged, "
            f"{self.refused.total()} refused"
        )
        for reason, count in self.refused.most_common():
            click.echo(f"  {count} refused: {reason}")

    def _delivered(self, error: KafkaError | None, message: Message | None) -> None:
        if error is None:
            self.acknowledged += 1
        else:
            self.refused[error.str()] += 1
            self.away = self.away or error.code() == KafkaError._MSG_TIMED_OUT


def check_topic(settings: Settings, name: str) -> None:
    """Check that the broker answers and has the topic.

    One that was created a moment ago may be unknown yet, or without a leader: so it is asked for again,
    for a few seconds.

    Raises:
        TransientError: the broker does not answer.
        SettingError: the topic is not there, or the broker refuses this client.
    """
    topic = Topic(settings, name)
    deadline = time.monotonic() + _SETTLE_SECONDS
    while True:
        try:
            topic.state()
        except (TransientError, SettingError):
            if time.monotonic() > deadline:
                raise
            time.sleep(_POLL_SECONDS)
        else:
            return


def stamped(
    contract: Contract, row: dict[str, Any], event_time: datetime
) -> tuple[dict[str, Any], int | None]:
    """A row at its event time: in the payload, or the message's timestamp, as the contract says."""
    spec = contract.event_time
    if not isinstance(spec, EventTime):
        return row, _milliseconds(event_time)
    written = format_event_time(spec, event_time)
    if contract.fields[spec.field] == "string" and not isinstance(written, str):
        written = repr(written)
    return {**row, spec.field: written}, None


def encoded(contract: Contract, row: dict[str, Any]) -> tuple[bytes, bytes | None]:
    """A row as a message: its JSON object, and its record id as the key (None where it has no id)."""
    identity = row.get(contract.id)
    key = None if identity is None or identity == "" else str(identity).encode()
    return msgspec.json.encode(row), key


def spread(at: datetime, over: timedelta, count: int) -> Callable[[int], datetime]:
    """Event times of ``count`` rows, evenly over [at, at + over), whole milliseconds, never falling.

    Raises:
        SettingError: the interval contains no whole millisecond.
    """
    first = _milliseconds(at)
    length = _milliseconds(at + over) - first
    if length < 1:
        raise SettingError("--over is shorter than a millisecond, the precision of event times.")
    return lambda row: _moment(first + row * length // count)


def _milliseconds(moment: datetime) -> int:
    """Milliseconds since the epoch, rounded up: never before ``moment``."""
    return -((_EPOCH - moment) // timedelta(milliseconds=1))


def _moment(milliseconds: int) -> datetime:
    """The instant so many milliseconds after the epoch."""
    return _EPOCH + timedelta(milliseconds=milliseconds)
