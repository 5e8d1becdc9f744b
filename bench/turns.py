"""Windows of one topic, one after the other, each answered by one side while the other stands still."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import click

from bench.generate import Sending
from bench.processes import Usage, stopped, watched
from bench.quality import inertias
from bench.sides import Answer, Side
from resources.contract import Contract
from resources.settings import Settings
from resources.windows import Window

_STILL = timedelta(seconds=5)
"""So long before a measured window's end the other side is stopped, until the answer is there."""
_STILL_SECONDS = 15.0
"""No longer after a close, however long an answer takes: brokers and servers drop whom they do not hear."""
_POLL_SECONDS = 0.02
_PATIENCE_SECONDS = 900.0


@dataclass(frozen=True)
class Turn:
    """A window of so many records that one side answers; a warm-up is not measured."""

    side: Side
    records: int
    warm_up: bool = False


@dataclass(frozen=True)
class Measured:
    """A window that a side answered.

    Attributes:
        seconds: from its close to the answer.
        usage: from its begin to the answer.
        inertia: of the side's model.
        best: the best known inertia of the window's points, as this side encodes them.
    """

    turn: Turn
    window: Window
    seconds: float
    usage: Usage
    answer: Answer
    inertia: float
    best: float


def take(settings: Settings, contract: Contract, turns: Sequence[Turn], first: Window) -> Iterator[Measured]:
    """Have each turn taken in a window of its own, from the first on; yields each as soon as it is over.

    Raises:
        ClickException: a window had no answer in time, or not of all its records.
    """
    sides = list({turn.side.name: turn.side for turn in turns}.values())
    with ExitStack() as ending:

        def send(place: int) -> Sending:
            turn, window = turns[place], first.step(place)
            sending = Sending(settings, contract, window, turn.records, committed=turn.side.committed)
            return ending.enter_context(closing(sending))

        coming = send(0)
        for place, turn in enumerate(turns):
            sending, window = coming, first.step(place)
            if place + 1 < len(turns):
                coming = send(place + 1)
            others = [side for side in sides if side is not turn.side and not turn.warm_up]
            with closing(sending):
                seconds, usage = _answered(turn.side, others, sending, settings.grid.close(window))
            answer = turn.side.answer(window)
            if answer.records != turn.records:
                raise click.ClickException(
                    f"{turn.side.name} answered {window.key} with {answer.records} of {turn.records} records."
                )
            own, best = inertias(contract, window, turn.records, answer.model)
            yield Measured(turn, window, seconds, usage, answer, own, best)


def _answered(side: Side, others: Sequence[Side], sending: Sending, close: datetime) -> tuple[float, Usage]:
    """Seconds from the close to the answer, and what the side took from the window's begin."""
    window = sending.window
    _sleep(window.start)
    with watched(side.parts) as usage, ExitStack() as still:
        side.expect(window)
        _sleep(window.end - _STILL)
        for other in others:
            still.enter_context(stopped(other.parts))
        sending.wait()
        _sleep(close)
        while not side.answered(window):
            if _since(close) > _STILL_SECONDS:
                still.close()
            if _since(close) > _PATIENCE_SECONDS:
                raise click.ClickException(f"{side.name} had no answer for {window.key} in time.")
            time.sleep(_POLL_SECONDS)
        return _since(close), usage


def _since(moment: datetime) -> float:
    return (datetime.now(UTC) - moment).total_seconds()


def _sleep(moment: datetime) -> None:
    time.sleep(max(0.0, -_since(moment)))
