"""The copies of dead letters on the topic ``<topic>.dlq``: at least one of each; the lake is the truth."""

import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

import polars as pl
from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.cimpl import NewTopic
from deltalake import DeltaTable

from resources.delta import scan
from resources.errors import SiltError, TransientError
from resources.intakes import Intakes
from resources.kafka import admin_client, producer
from resources.lake import STORE_ERRORS, Lake
from resources.settings import Settings

SUFFIX = ".dlq"
PAUSE_SECONDS = 60.0
"""After a failure the next try waits so long: intakes go on meanwhile."""
_SECONDS = 5.0
"""No intake is held up for much longer: what is left is produced after the next one."""
_PRODUCED = "silt.produced"
_DETAIL = 1_000
_ANY_SIZE = {"message.max.bytes": 1_000_000_000}  # the broker alone says how large a message may be
_CREATED_WITH = {"max.message.bytes": str(64 * 1024 * 1024)}
_UNFIT = (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG, KafkaError.INVALID_RECORD)
"""The topic will never take this message: the others go on without it."""
_Letter = Mapping[str, Any]
"""A row of ``dead_letters``."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LOG = logging.getLogger("silt.dead_letters")


class DeadLetterTopic:
    """Produces what intakes refused, after the ledger's row. A failure is a warning, never an error.

    The lake keeps, as a property of ``dead_letters``, the last intake whose dead letters are all there: what
    a taker that was killed or could not produce left, the next intake of any taker produces.
    """

    def __init__(self, settings: Settings, topic: str, lake: Lake) -> None:
        self.name = f"{topic}{SUFFIX}"
        self._settings = settings
        self._topic = topic
        self._lake = lake
        self._producer: Producer | None = None
        self._known: int | None = None
        self._not_before = 0.0

    def begin_after(self, number: int) -> None:
        """With the first intake under the setting it begins: what older ones refused is not produced."""
        if self._known is None:
            try:
                self._known = self._advance(number) if self._read() is None else self._read()
            except (SiltError, *STORE_ERRORS) as error:
                self._warn(error)

    def produce(self, intakes: Intakes) -> None:
        """Produce what the intakes refused and nobody has produced yet, the oldest first."""
        started = time.monotonic()
        if started < self._not_before:
            return
        try:
            for row in self._pending(intakes).iter_rows(named=True):
                self._send(row["number"], self._letters(row))
                self._known = self._advance(row["number"])
                if time.monotonic() - started > _SECONDS:
                    return
        except (KafkaException, SiltError, *STORE_ERRORS) as error:
            self._warn(error)

    def _pending(self, intakes: Intakes) -> pl.DataFrame:
        if self._known is None:  # the lake could not be told where this begins
            return intakes.rows.clear()
        refused = intakes.rows.select("number", "attempt", "refused").filter(
            pl.col("number") > self._known, pl.col("refused").list.len() > 0
        )
        if not refused.is_empty():
            self._known = self._read() or self._known  # another taker may have produced it
        return refused.filter(pl.col("number") > self._known)

    def _letters(self, intake: Mapping[str, Any]) -> pl.DataFrame:
        mine = (pl.col("intake") == intake["number"]) & (pl.col("attempt") == intake["attempt"])
        rows = scan(self._lake.table("dead_letters")).filter(mine)
        return rows.sort("kafka_partition", "kafka_offset").collect()

    def _send(self, number: int, letters: pl.DataFrame) -> None:
        """Send all; those that the topic refuses once more, alone: a batch is refused as a whole.

        Raises:
            KafkaException, TransientError: it does not have all that it can take.
        """
        self._producer = self._producer or self._open()
        unfit = self._deliver(self._producer, list(letters.iter_rows(named=True)))
        if unfit:
            alone = producer(self._settings, **_ANY_SIZE, **{"batch.num.messages": 1})
            unfit = self._deliver(alone, unfit)
        if unfit:
            _LOG.warning(
                "Topic %s cannot take %d dead letters of intake %d, too large for it or without a key; "
                "the lake keeps them.", self.name, len(unfit), number,
            )  # fmt: skip

    def _deliver(self, client: Producer, letters: list[_Letter]) -> list[_Letter]:
        """Send letters, wait for the broker's answer to each; those that the topic refuses are given back."""
        answers = _Answers()
        for letter in letters:
            handed_over = time.monotonic()
            while not self._hand_over(client, letter, answers):
                if time.monotonic() - handed_over > _SECONDS:
                    raise _no_answer()
        answers.wait(client, len(letters))
        return answers.unfit

    def _hand_over(self, client: Producer, letter: _Letter, answers: "_Answers") -> bool:
        """Whether the producer took it; it waits a little if its queue is full."""
        headers, answer = self._headers(letter), partial(answers.add, letter)
        try:
            client.produce(self.name, letter["value"], letter["key"], headers=headers, on_delivery=answer)
        except BufferError:
            client.poll(0.1)
            return False
        client.poll(0)
        return True

    def _headers(self, letter: _Letter) -> list[tuple[str, str | bytes | None]]:
        stamp = letter["timestamp"]
        own = {
            "reason": letter["reason"],
            "detail": letter["detail"][:_DETAIL],
            "topic": self._topic,
            "partition": letter["kafka_partition"],
            "offset": letter["kafka_offset"],
            "timestamp": "" if stamp is None else round((stamp - _EPOCH).total_seconds() * 1000),
            "intake": letter["intake"],
        }
        headers = [(header["key"], header["value"]) for header in letter["headers"]]
        return [*headers, *((f"silt.{name}", str(value)) for name, value in own.items())]

    def _open(self) -> Producer:
        """A producer; the topic is created if it is not there.

        Raises:
            KafkaException: it is not there and cannot be created, or the broker is away.
        """
        admin = admin_client(self._settings)
        if self.name not in admin.list_topics(timeout=_SECONDS).topics:
            new = NewTopic(self.name, config=_CREATED_WITH)  # partitions and replicas: the broker's defaults
            try:
                admin.create_topics([new], request_timeout=_SECONDS)[self.name].result()
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise
        self._producer = producer(self._settings, **_ANY_SIZE)
        return self._producer

    def _read(self) -> int | None:
        found = self._lake.table("dead_letters").metadata().configuration.get(_PRODUCED)
        return None if found is None else int(found)

    def _advance(self, number: int) -> int:
        """Keep in the lake that all is produced up to an intake; it never moves back."""

        def move(table: DeltaTable) -> None:
            found = table.metadata().configuration.get(_PRODUCED)
            if found is None or int(found) < number:
                table.alter.set_table_properties({_PRODUCED: str(number)}, raise_if_not_exists=False)

        self._lake.commit("dead_letters", move)
        return number

    def _warn(self, error: Exception) -> None:
        """What is still in the producer's queue goes with it: it will be produced anew."""
        self._producer = None
        self._not_before = time.monotonic() + PAUSE_SECONDS
        _LOG.warning(
            "Dead letters after intake %d are not on the topic %s yet: %s. The lake keeps them; the next try "
            "is in %.0f s. Create the topic if it is missing, and let Silt write to it.",
            self._known or 0, self.name, error, PAUSE_SECONDS,
        )  # fmt: skip


class _Answers:
    """The broker's answers to what was sent."""

    def __init__(self) -> None:
        self.unfit: list[_Letter] = []
        self._count = 0
        self._failure: KafkaError | None = None

    def add(self, letter: _Letter, error: KafkaError | None, message: Message) -> None:
        self._count += 1
        if error is not None and error.code() in _UNFIT:
            self.unfit.append(letter)
        elif error is not None:
            self._failure = error

    def wait(self, client: Producer, sent: int) -> None:
        """Wait for all answers, as long as some come."""
        count, since = self._count, time.monotonic()
        while self._count < sent and not self._failure:
            client.flush(0.1)
            if self._count > count:
                count, since = self._count, time.monotonic()
            elif time.monotonic() - since > _SECONDS:
                raise _no_answer()
        if self._failure:
            raise KafkaException(self._failure)


def _no_answer() -> TransientError:
    return TransientError(f"the broker does not answer within {_SECONDS:.0f} s")
