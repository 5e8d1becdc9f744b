"""What the API says of windows and intakes."""

from datetime import datetime
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta

from api.schemas import ModelKey, WindowKey

WindowState = Literal["open", "due", "published", "empty", "too-few", "incomplete", "failed"]
STATES: tuple[WindowState, ...] = get_args(WindowState)
_Answered = "null until there is an answer"
_Count = Annotated[int, Meta(ge=0)]


class Window(msgspec.Struct, rename="camel"):
    """A window: its state, what landed for it, and the answer that stands."""

    window: WindowKey
    model: ModelKey
    state: Annotated[
        WindowState,
        Meta(
            description="`open`: it has not closed; `due`: it waits for its run; `published`: it has an "
            "answer; `incomplete`: so it has, and messages were missing; `empty`: no record came; `too-few`: "
            "not enough for a model; `failed`: its last run failed, it is due again",
            examples=["published"],
        ),
    ]
    revision: Annotated[int | None, Meta(description=f"of the answer; {_Answered}", examples=[1])]
    model_version: Annotated[
        str | None,
        Meta(
            description="the version that assigned the records; null: none did",
            examples=["model_2/2026-11-24T0505Z/r1"],
        ),
    ]
    records: Annotated[
        int | None, Meta(description=f"in the answer, one per id; {_Answered}", examples=[421])
    ]
    late: Annotated[
        int | None, Meta(description="of the landed, those that came after the close", examples=[3])
    ]
    duplicates: Annotated[
        int | None, Meta(description="records that a later one with their id replaced", examples=[0])
    ]
    missing: Annotated[
        int | None,
        Meta(
            description="messages that the topic no longer had when they were read, and that may have been "
            "the window's",
            examples=[0],
        ),
    ]
    landed: Annotated[_Count, Meta(description="records that have landed for it so far", examples=[424])]
    too_late: Annotated[
        _Count, Meta(description="records that landed too late to be selected ever", examples=[0])
    ]
    dead_letters: Annotated[
        _Count, Meta(description="messages of its time that broke the contract and still do", examples=[2])
    ]
    intakes: Annotated[_Count, Meta(description="intakes that landed any of it", examples=[31])]
    first_intake: Annotated[int | None, Meta(description="number of the first of them", examples=[812])]
    last_intake: Annotated[int | None, Meta(description="number of the last of them", examples=[842])]
    lag: Annotated[
        int | None,
        Meta(
            description="messages of the topic that were not read yet when the newest intake began, and may "
            "be the window's; 0 once the topic is read to its close; null: not known",
            examples=[0],
        ),
    ]
    published_at: Annotated[
        datetime | None, Meta(description=_Answered, examples=["2026-11-24T05:10:03.420000Z"])
    ]
    seconds_to_publish: Annotated[
        float | None,
        Meta(description="from its close to the publication of the answer that stands", examples=[1.42]),
    ]
    attempts: Annotated[int, Meta(ge=0, description="runs that failed since the last answer", examples=[0])]
    error: Annotated[
        str | None,
        Meta(description="of the last failed run, without places", examples=["The broker does not answer."]),
    ]
