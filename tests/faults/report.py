"""The report: which faults happened how often, and what came of it, as Markdown."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Report:
    """What one run of the harness did and found."""

    acknowledged: int = 0
    landed: int = 0
    windows: int = 0
    revisions: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    faults: Mapping[str, int] = field(default_factory=dict)
    reads: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Note how long a part took."""
        begun = time.monotonic()
        try:
            yield
        finally:
            self.seconds[what] = time.monotonic() - begun

    def markdown(self) -> str:
        """Two tables and a sentence."""
        return "\n".join(
            [
                *_table("fault", "times", self.faults),
                "",
                *_table("what the reader read", "times", dict(sorted(self.reads.items()))),
                "",
                f"{self.acknowledged:,} acknowledged messages, {self.landed:,} in the topic, each once in "
                f"the lake; {self.windows} windows, in {self.revisions} revisions, equal to a calm run's. "
                + ", ".join(f"{name} {seconds:.0f} s" for name, seconds in self.seconds.items())
                + ".",
            ]
        )


def _table(what: str, number: str, rows: Mapping[str, int]) -> list[str]:
    return [f"| {what} | {number} |", "| --- | ---: |", *(f"| {k} | {v:,} |" for k, v in rows.items())]
