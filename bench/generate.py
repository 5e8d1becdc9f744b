"""Records for windows, fast: a small sample of customer-support records, drawn at random, with fresh ids.

One seed makes the sample, another each window's draws: what a window's records say is known without reading
the topic.
"""

import json
import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import click
import numpy as np
from confluent_kafka import Producer
from numpy.typing import NDArray

from cli.archetypes import ARCHETYPES, OFTEN_MISSING, record
from resources.contract import Contract
from resources.kafka import producer
from resources.settings import Settings
from resources.windows import Window

ID = "Unique id"
SAMPLE = 1_000
"""Records of the built-in sample."""
_SEED = 7
_REPORTED = datetime(2026, 11, 24, 5, 5, tzinfo=UTC)
_LOT = 10_000
_PAUSE_SECONDS = 0.05
_ANSWER_SECONDS = 60.0
_SENDING = {"linger.ms": 50, "batch.size": 1_000_000, "queue.buffering.max.messages": 1_000_000}
_WITHIN_TRANSACTION = {"transactional.id": "silt-bench", "transaction.timeout.ms": 600_000}
_TRANSACTION = timedelta(seconds=10)


def sample() -> list[dict[str, Any]]:
    """The sample: all twenty fields in each record, what is missing as null."""
    source = random.Random(_SEED)
    rows = []
    for archetype in source.choices(ARCHETYPES, [one.share for one in ARCHETYPES], k=SAMPLE):
        row = record(archetype, _REPORTED, source)
        missing = [name for name, share in OFTEN_MISSING.items() if source.random() < share]
        rows.append(row | dict.fromkeys(missing))
    return rows


def drawn(window: Window, count: int) -> NDArray[np.int64]:
    """Which of the sample's records a window's are, in the order of sending, shape (count,)."""
    return np.random.default_rng([_SEED, int(window.start.timestamp())]).integers(0, SAMPLE, count)


def fresh_ids(count: int) -> list[bytes]:
    """So many random ids, in a UUID's form of 36 characters."""
    text = os.urandom(16 * count).hex().encode()
    digits = (text[start : start + 32] for start in range(0, 32 * count, 32))
    return [b"-".join((d[:8], d[8:12], d[12:16], d[16:20], d[20:])) for d in digits]


class Messages:
    """The sample's messages but for what makes each a new one: JSON objects of about 640 bytes."""

    def __init__(self) -> None:
        self._heads = b'{"%b": "' % ID.encode()
        self._rests = [
            b'", ' + json.dumps({name: value for name, value in row.items() if name != ID})[1:].encode()
            for row in sample()
        ]

    def made(self, rows: list[int]) -> list[tuple[bytes, bytes]]:
        """Messages of rows of the sample, each with a fresh id: its key, and its value."""
        return [
            (identity, self._heads + identity + self._rests[row])
            for identity, row in zip(fresh_ids(len(rows)), rows, strict=True)
        ]


class Sending:
    """Sends a window's records from a thread, spread evenly over the window, or what is left of it.

    Each is sent at its event time or later; none is sent before the window begins.
    """

    def __init__(
        self, settings: Settings, contract: Contract, window: Window, count: int, *, committed: bool = True
    ) -> None:
        """``committed``: if not, they are sent within transactions that are aborted after ten seconds each,
        the last one at the end: who reads what is committed, as Silt does, passes over them."""
        self._topic, self.window, self._count, self._committed = contract.topic, window, count, committed
        self._cancelled, self._begun = threading.Event(), threading.Event()
        more = {} if committed else _WITHIN_TRANSACTION
        self._producer: Producer = producer(settings, **_SENDING, **more)
        self._thread = ThreadPoolExecutor(1)
        self._sent = self._thread.submit(self._send)

    def wait(self) -> None:
        """Wait until the broker has all records.

        Raises:
            ClickException: it did not take them.
        """
        self._sent.result()

    def close(self) -> None:
        """Send no more, if something is left, and abort the transaction."""
        self._cancelled.set()
        self._thread.shutdown()
        if self._begun.is_set():
            self._producer.abort_transaction(_ANSWER_SECONDS)
            self._begun.clear()

    def _send(self) -> None:
        if not self._committed:
            self._producer.init_transactions(_ANSWER_SECONDS)
            self._producer.begin_transaction()
            self._begun.set()
        until = self.window.start + _TRANSACTION
        messages, rows, times = Messages(), drawn(self.window, self._count), self._times()
        begin = max(self.window.start, datetime.now(UTC))
        sent = 0
        while sent < self._count and not self._cancelled.wait(_PAUSE_SECONDS):
            passed = max(0.0, (datetime.now(UTC) - begin) / (self.window.end - begin))
            due = min(int(self._count * passed), self._count, sent + _LOT)
            lot = messages.made(rows[sent:due].tolist())
            for (key, value), at in zip(lot, times[sent:due].tolist(), strict=True):
                self._producer.produce(self._topic, value, key, timestamp=at)
            self._producer.poll(0)
            sent = due
            if not self._committed and until < min(datetime.now(UTC), self.window.end):
                self._flush()
                self._producer.abort_transaction(_ANSWER_SECONDS)
                self._producer.begin_transaction()
                until += _TRANSACTION
        self._flush()

    def _flush(self) -> None:
        if self._producer.flush(_ANSWER_SECONDS):
            raise click.ClickException(f"The broker did not take all records of {self.window.key}.")

    def _times(self) -> NDArray[np.int64]:
        first, end = (int(moment.timestamp() * 1000) for moment in (self.window.start, self.window.end))
        return first + np.arange(self._count, dtype=np.int64) * (end - first) // self._count
