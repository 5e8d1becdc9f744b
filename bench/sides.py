"""The two sides of a comparison, as the bench sees them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import psutil

from resources.cluster_model import ClusterModel
from resources.windows import Window


@dataclass(frozen=True)
class Step:
    """A step towards an answer: begin and end, in seconds from the window's close; an end that is not known
    is None."""

    name: str
    begin: float
    end: float | None = None


@dataclass(frozen=True)
class Answer:
    """What a side says about a window that it answered.

    Attributes:
        steps: in their order.
        within: seconds of what a step consists of.
    """

    records: int
    model: ClusterModel
    steps: list[Step]
    within: dict[str, float]


class Side(Protocol):
    """A pipeline that answers windows of the topic.

    Attributes:
        committed: whether it reads what is committed alone.
    """

    name: str
    committed: bool

    def parts(self) -> Mapping[psutil.Process, str]:
        """Its living processes but the broker's, each with its part's name."""

    def expect(self, window: Window) -> None:
        """Told soon after the window's begin that it shall answer it."""

    def answered(self, window: Window) -> bool:
        """Whether the window's answer can be read."""

    def answer(self, window: Window) -> Answer:
        """What it says about a window that it answered."""
