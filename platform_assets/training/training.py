"""What a trainer gives: the model, how good it is, and how it came about."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from platform_assets.training.choice import Candidate
from platform_assets.training.quality import Quality
from resources.cluster_model import ClusterModel


@dataclass(frozen=True)
class Training:
    """A trained model.

    Attributes:
        candidates: the numbers of clusters that were chosen from; none where the contract fixes it.
        converged: whether training ended because nothing moved any more.
        iterations: Lloyd's, of the best start, and those over all records.
        starts: independent ones.
        found: how many of them reached the best inertia.
        sample: points that the driver fitted; None where Spark fitted all.
        seconds: of each step; the names are those of ``resources.tables.SECONDS``.
    """

    model: ClusterModel
    quality: Quality
    candidates: tuple[Candidate, ...]
    converged: bool
    iterations: int
    starts: int
    found: int
    sample: int | None
    seconds: dict[str, float]

    def row(self) -> dict[str, Any]:
        """The columns of the table ``models`` that say it."""
        own = {name: value for name, value in vars(self).items() if name not in ("model", "quality")}
        own["candidates"] = [vars(candidate) for candidate in self.candidates]
        return {**self.model.row(), "k": len(self.model.centres), **vars(self.quality), **own}


@dataclass
class Stopwatch:
    """The seconds of each step."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Count the block's time as a step's."""
        start = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start
