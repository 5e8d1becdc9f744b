"""What the API says of intakes and of dead letters."""

from datetime import datetime
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta

from api.schemas import WindowKey
from resources.contract import Reason

REASONS: tuple[Reason, ...] = get_args(Reason)
_Count = Annotated[int, Meta(ge=0)]
_Offset = Annotated[int, Meta(ge=0, examples=[4711])]
_Partition = Annotated[int, Meta(ge=0, description="Kafka's", examples=[0])]
_Reason = Annotated[Reason, Meta(description="why it is no record", examples=["wrong-type"])]
_Base64 = Annotated[str | None, Meta(description="base64; null: there is none", examples=["eyJhIjo="])]


class Span(msgspec.Struct, rename="camel"):
    """The offsets [start, end) of a partition, as an intake read them."""

    partition: _Partition
    start: _Offset
    end: _Offset
    missing: Annotated[_Count, Meta(description="of them, gone from the topic before", examples=[0])]
    topic_end: Annotated[
        int | None, Meta(description="the last stable offset when the intake began", examples=[4711])
    ]
    lag: Annotated[int | None, Meta(description="offsets that were left to read", examples=[0])]
    watermark: Annotated[
        datetime | None, Meta(description="latest event time so far", examples=["2026-11-24T05:07:31Z"])
    ]


class Landed(msgspec.Struct, rename="camel"):
    """What an intake landed for a window."""

    window: WindowKey
    records: _Count
    too_late: _Count


class Refused(msgspec.Struct, rename="camel"):
    """The dead letters that an intake found in a window's time; null: in no time."""

    window: str | None
    reason: _Reason
    count: _Count


class Intake(msgspec.Struct, rename="camel"):
    """A numbered, bounded read of the topic."""

    number: Annotated[int, Meta(ge=1, examples=[812])]
    kind: Annotated[
        Literal["topic", "replay", "reset"],
        Meta(
            description="`topic`: a read; `replay`: dead letters that became records; `reset`: the topic was "
            "replaced",
            examples=["topic"],
        ),
    ]
    taken_at: Annotated[datetime, Meta(description="its clock", examples=["2026-11-24T05:07:41.500000Z"])]
    caught_up: Annotated[bool, Meta(description="whether it read to the topic's end", examples=[True])]
    records: Annotated[_Count, Meta(description="that landed", examples=[57])]
    too_late: Annotated[_Count, Meta(description="that landed too late to be selected", examples=[0])]
    dead_letters: Annotated[_Count, Meta(examples=[2])]
    replayed: Annotated[_Count, Meta(description="dead letters that it landed as records", examples=[0])]
    landed: Annotated[list[Landed], Meta(description="by window")]
    refused: Annotated[list[Refused], Meta(description="by window and reason")]
    spans: Annotated[list[Span], Meta(description="by partition")]


class Header(msgspec.Struct, rename="camel"):
    """A message's header."""

    key: str
    value_base64: _Base64


class DeadLetter(msgspec.Struct, rename="camel"):
    """A message that broke the contract, whole."""

    window: Annotated[
        str | None,
        Meta(description="of the message's own timestamp; null: it has none", examples=["2026-11-24T0505Z"]),
    ]
    reason: _Reason
    detail: Annotated[
        str | None,
        Meta(description="null: it was erased", examples=["'Item_price' is 'abc', which is no number"]),
    ]
    timestamp: Annotated[
        datetime | None, Meta(description="the message's own", examples=["2026-11-24T05:07:31Z"])
    ]
    partition: _Partition
    offset: _Offset
    intake: Annotated[int, Meta(description="that landed it", examples=[812])]
    preview: Annotated[
        str | None,
        Meta(
            description="the value's first 200 characters as text; what does not print is escaped",
            examples=['{"Item_price": "abc"}'],
        ),
    ]
    key_base64: _Base64
    value_base64: _Base64
    headers: list[Header]
