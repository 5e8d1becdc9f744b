"""The producer: sends all the while, outlives the broker, and writes down what the broker acknowledged."""

import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import confluent_kafka

from tests.faults.messages import MINUTE, Message, Messages
from tests.faults.topic import Place

_PROPERTIES = {
    "acks": "all",
    "enable.idempotence": True,
    "message.timeout.ms": 900_000,
    "linger.ms": 5,
    "compression.type": "lz4",
    "reconnect.backoff.max.ms": 500,
}
_SILENT = logging.getLogger("faults.producer")  # it would say ten times a second that the broker is away
_SILENT.addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Acknowledged:
    """A message that the broker has, as it said: its id ("" where it has none) and event time, ms."""

    identity: str
    timestamp: int
    kind: str


class Producer(threading.Thread):
    """Sends to one topic at a rate, after ``first`` at once.

    Attributes:
        acknowledged: what the broker said it has, by partition and offset.
        refused: what it did not take, by reason.
    """

    def __init__(
        self, servers: str, topic: str, partitions: int, messages: Messages, first: list[Message], rate: float
    ) -> None:
        super().__init__(name="producer", daemon=True)
        self.acknowledged: dict[Place, Acknowledged] = {}
        self.refused: Counter[str] = Counter()
        self._client = confluent_kafka.Producer({"bootstrap.servers": servers, **_PROPERTIES}, logger=_SILENT)
        self._topic = topic
        self._partitions = partitions
        self._messages = messages
        self._first = first
        self._rate = rate
        self._random = random.Random(1)
        self._ended = threading.Event()

    def run(self) -> None:
        """Send until :meth:`finish`; after the broker was away, what was due meanwhile follows at once."""
        for message in self._first:
            self._send(message)
        begun, sent = time.monotonic(), 0
        while not self._ended.is_set():
            while sent < (time.monotonic() - begun) * self._rate and not self._ended.is_set():
                self._send(self._messages.next(now()))
                sent += 1
            self._client.poll(0.02)

    def finish(self, seconds: float) -> None:
        """Send no more, and wait for the last answers."""
        self._ended.set()
        self.join(seconds)
        left = self._client.flush(seconds)
        assert not self.is_alive(), "the producer does not end"
        assert left == 0, f"{left} messages without an answer"

    def into(self, windows: set[int]) -> int:
        """How many messages the broker has acknowledged for these windows, by their starts, ms."""
        seen = list(self.acknowledged.values())
        return sum(item.timestamp // MINUTE * MINUTE in windows for item in seen)

    def _send(self, message: Message) -> None:
        answer: Callable[..., None] = partial(self._answered, message)
        while True:
            try:
                self._client.produce(
                    self._topic, message.value, message.identity or None,
                    self._random.randrange(self._partitions),
                    on_delivery=answer, timestamp=message.timestamp,
                )  # fmt: skip
            except BufferError:
                self._client.poll(0.1)
            else:
                return

    def _answered(
        self,
        message: Message,
        error: confluent_kafka.KafkaError | None,
        sent: confluent_kafka.Message | None,
    ) -> None:
        if error is not None or sent is None:
            self.refused[str(error)] += 1
            return
        place = (sent.partition() or 0, sent.offset() or 0)
        self.acknowledged[place] = Acknowledged(message.identity, message.timestamp, message.kind)


def now() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000
