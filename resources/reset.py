"""The ledger's reset: how to go on with a topic that is not the one that the ledger has read."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from resources.errors import LogError, TransientError
from resources.intake_rows import Span
from resources.intakes import Intakes
from resources.kafka import TopicState
from resources.ledger import Ledger

_COMMAND = "`silt ledger reset` starts anew and keeps what was landed"


@dataclass(frozen=True)
class Reset:
    """Where the next intake starts after a reset.

    Attributes:
        why: what happened to the topic.
        topic_id: of the topic as it is now.
        spans: per Kafka partition an empty span at the offset to start at.
        unread: what is left unread, a line per Kafka partition.
    """

    why: str
    topic_id: str
    spans: list[Span]
    unread: list[str]


def check_topic(name: str, state: TopicState, intakes: Intakes) -> None:
    """Refuse a topic that is not the one that the ledger has read.

    Raises:
        LogError: it was deleted and created again, or ends before what was read.
        TransientError: the broker does not show all partitions.
    """
    reset = plan_reset(name, state, intakes)
    if reset:
        raise LogError(f"{reset.why}: {_COMMAND}; or restore the topic.")


def plan_reset(name: str, state: TopicState, intakes: Intakes) -> Reset | None:
    """How to start anew; None where the topic is the one that the ledger has read.

    A new topic is read from its earliest offsets. Of the same topic, the partitions that end before what was
    read start at their present ends; the others go on.
    """
    newest = intakes.newest_read
    if not newest:
        return None
    if newest.topic_id != state.id:
        why = (
            f"Topic {name} was deleted and created again (its id is {state.id}, the ledger has read "
            f"{newest.topic_id})"
        )
        spans = [_empty_span(p, low, state.end[p]) for p, low in state.low.items()]
        return Reset(why, state.id, spans, [])
    lost = [p for p, span in newest.spans.items() if _end(name, state, p) < span.end]
    if not lost:
        return None
    read_to = {p: span.end for p, span in newest.spans.items()}
    first = lost[0]
    why = (
        f"Topic {name}, partition {first} ends at offset {state.end[first]}, and the ledger has read to "
        f"{read_to[first]}: the broker lost messages"
    )
    spans = [
        _empty_span(p, min(end, state.end[p]), state.end[p], newest.spans[p]) for p, end in read_to.items()
    ]
    unread = [f"partition {p}: what was written below offset {state.end[p]} since the loss" for p in lost]
    return Reset(why, state.id, spans, unread)


def enter_reset(ledger: Ledger, reset: Reset) -> None:
    """Enter a reset into the ledger: the next intake starts where it says.

    Raises:
        TransientError: an intake was entered meanwhile.
    """
    row = {
        "number": ledger.intakes().last + 1,
        "attempt": str(uuid.uuid4()),
        "kind": "reset",
        "topic_id": reset.topic_id,
        "taken_at": datetime.now(UTC),
        "caught_up": False,
        "spans": [vars(span) for span in reset.spans],
        "landed": [],
        "refused": [],
        "replayed": [],
    }
    if not ledger.enter(row):
        raise TransientError("An intake was entered into the ledger at this very moment: try again.")


def _end(name: str, state: TopicState, partition: int) -> int:
    if partition not in state.end:
        raise TransientError(
            f"The broker does not show partition {partition} of topic {name}, which was read: try again."
        )
    return state.end[partition]


def _empty_span(partition: int, at: int, topic_end: int, known: Span | None = None) -> Span:
    mark, stamp = (known.watermark, known.last_timestamp) if known else (None, None)
    return Span(partition, at, at, 0, mark, stamp, None, None, topic_end)
