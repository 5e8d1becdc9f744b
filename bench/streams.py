"""A generated stream of windows with scripted events: clusters drift, split, merge, are born and die."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Happened = tuple[str, frozenset[int], frozenset[int]]
"""An event's name, and the true clusters before and after."""

WINDOWS = 60
RECORDS = 1_000
DIMENSIONS = 3
APART = 6.0
"""Least distance between two clusters' centres, in their standard deviations."""
MEETING = 8.0
"""Two clusters merge from no farther away than this."""
PART = (0.35, 0.45)
"""Share of the smaller part of a split, or contributor to a merger, so that the larger is plain."""
EVENT_EVERY = 4
LEAST, MOST = 3, 8
_DRIFT = 0.15
_BOX = 12.0


@dataclass(frozen=True)
class Component:
    """A true cluster: a Gaussian with unit deviations."""

    id: int
    centre: Floats
    weight: float


@dataclass(frozen=True)
class Scene:
    """A window: its records, the true cluster of each, and what happened since the window before."""

    points: Floats
    truth: NDArray[np.int64]
    clusters: int
    happened: Happened | None


@dataclass
class Script:
    """Draws one stream, the same for the same seed."""

    seed: int
    components: list[Component] = field(default_factory=list)
    born: int = 0
    count: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.draw = np.random.default_rng(self.seed)
        for _ in range(5):
            self._birth()

    def scenes(self) -> Iterator[Scene]:
        """All windows of the stream."""
        for number in range(WINDOWS):
            happened = self._event() if number and number % EVENT_EVERY == 0 else None
            if happened is None and number:
                self._drift()
            weights = np.array([one.weight for one in self.components])
            at = self.draw.choice(len(weights), RECORDS, p=weights / weights.sum())
            centres = np.array([one.centre for one in self.components])
            points = centres[at] + self.draw.normal(size=(RECORDS, DIMENSIONS))
            ids = np.array([one.id for one in self.components])
            yield Scene(points, ids[at], len(weights), happened)

    def _event(self) -> Happened:
        """One of those that happened least often so far, if the scene lets it happen."""
        few, many = len(self.components) <= LEAST, len(self.components) >= MOST
        steps = [*([] if few else [self._merge, self._death]), *([] if many else [self._split, self._birth])]
        while True:
            for step in sorted(steps, key=lambda step: (self.count[step.__name__], self.draw.random())):
                if happened := step():
                    self.count[step.__name__] += 1
                    return happened

    def _birth(self) -> Happened | None:
        centre = self.draw.uniform(-_BOX, _BOX, DIMENSIONS)
        if not self._free(centre, self.components):
            return self._birth()
        new = self._new(centre, self.draw.uniform(0.5, 1.5))
        self.components.append(new)
        return "appeared", frozenset(), frozenset({new.id})

    def _death(self) -> Happened | None:
        gone = self.components.pop(self.draw.integers(len(self.components)))
        return "disappeared", frozenset({gone.id}), frozenset()

    def _split(self) -> Happened | None:
        """The larger part keeps the id; the mean stays where it was."""
        whole = self.components[self.draw.integers(len(self.components))]
        others = [one for one in self.components if one is not whole]
        arm = self.draw.normal(size=DIMENSIONS)
        arm *= APART / np.linalg.norm(arm)
        share = self.draw.uniform(*PART)
        rest = replace(whole, centre=whole.centre + share * arm, weight=whole.weight * (1 - share))
        part = self._new(whole.centre - (1 - share) * arm, whole.weight * share)
        if not (self._free(rest.centre, others) and self._free(part.centre, others)):
            return None
        self.components = [*others, rest, part]
        return "split", frozenset({whole.id}), frozenset({rest.id, part.id})

    def _merge(self) -> Happened | None:
        """The id of the larger one lives on; they meet at their common mean, none being nearer to them."""
        pairs = [pair for pair in combinations(self.components, 2) if self._may_meet(*pair)]
        if not pairs:
            return None
        one, two = sorted(pairs[self.draw.integers(len(pairs))], key=lambda each: -each.weight)
        merged = Component(one.id, _mean(one, two), one.weight + two.weight)
        self.components = [each for each in self.components if each not in (one, two)] + [merged]
        return "merged", frozenset({one.id, two.id}), frozenset({one.id})

    def _may_meet(self, one: Component, two: Component) -> bool:
        others = [each for each in self.components if each.id not in (one.id, two.id)]
        mean, share = _mean(one, two), two.weight / (one.weight + two.weight)
        near = all(
            np.linalg.norm(each.centre - pole.centre) > np.linalg.norm(mean - pole.centre)
            for each in others
            for pole in (one, two)
        )
        near = near and bool(np.linalg.norm(one.centre - two.centre) <= MEETING)
        return near and PART[0] <= min(share, 1 - share) <= PART[1] and self._free(mean, others)

    def _drift(self) -> None:
        """Each takes a small step, if that brings it not too near to another."""
        for place, one in enumerate(self.components):
            others = self.components[:place] + self.components[place + 1 :]
            centre = one.centre + self.draw.normal(scale=_DRIFT, size=DIMENSIONS)
            if self._free(centre, others):
                self.components[place] = replace(one, centre=centre)

    def _new(self, centre: Floats, weight: float) -> Component:
        self.born += 1
        return Component(self.born, centre, weight)

    def _free(self, centre: Floats, others: list[Component]) -> bool:
        return all(np.linalg.norm(centre - other.centre) >= APART for other in others)


def _mean(one: Component, two: Component) -> Floats:
    return (one.weight * one.centre + two.weight * two.centre) / (one.weight + two.weight)
