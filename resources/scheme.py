"""Schemes: which windows a model sees. Its own window always, and some before it."""

import re
from dataclasses import dataclass
from datetime import datetime

from resources.windows import SLOTS, Window

MOST_WINDOWS = 288
"""A day of five-minute windows: a late record has as many windows answered anew."""
_SLIDING = re.compile(r"sliding:([1-9][0-9]{0,2})")


@dataclass(frozen=True)
class Scheme:
    """``disjoint``: a model sees its own window; ``cumulative``: slots 1 to its own of its cycle;
    ``sliding:N``: the last N windows, its own included.

    Raises:
        ValueError: the name is no scheme's.
    """

    name: str = "disjoint"

    def __post_init__(self) -> None:
        if self.name not in ("disjoint", "cumulative") and not 2 <= self._length <= MOST_WINDOWS:
            raise ValueError(
                f"the schemes are disjoint, cumulative and sliding:N, with N from 2 to {MOST_WINDOWS}"
            )

    @property
    def _length(self) -> int:
        sliding = _SLIDING.fullmatch(self.name)
        return int(sliding[1]) if sliding else 1

    def before(self, slot: int) -> int:
        """How many windows before its own the model of a slot sees."""
        return slot - 1 if self.name == "cumulative" else self._length - 1

    def after(self, slot: int) -> int:
        """How many windows after a window of a slot have models that see it."""
        return len(SLOTS) - slot if self.name == "cumulative" else self._length - 1

    def sources(self, window: Window, floor: datetime) -> list[Window]:
        """The windows that a window's model sees, oldest first, its own last; none from before the floor."""
        seen = (window.step(-count) for count in range(self.before(window.slot), -1, -1))
        return [source for source in seen if source.start >= floor]

    def seen_by(self, window: Window) -> list[Window]:
        """The windows whose models see a window, oldest first, its own first."""
        return [window.step(count) for count in range(self.after(window.slot) + 1)]


DISJOINT = Scheme()
