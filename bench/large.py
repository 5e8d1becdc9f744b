"""A stack of Silt alone, with windows of five minutes as shipped: at rest, and ten million records in one."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from bench.common import own_stack
from bench.processes import Usage, watched
from bench.report import MB, table
from bench.silt import Silt
from bench.turns import Measured, Turn, take

RECORDS = 10_000_000
_FIRST = 1_000
_SETTLE_SECONDS = 10.0
_IDLE_SECONDS = 300.0
"""As long as a window: the work of one that is empty is among it."""


@dataclass(frozen=True)
class Large:
    """What was measured.

    Attributes:
        first_answer, ready: seconds from ``silt up``.
        idle: what all parts took, the broker among them, for so many seconds.
        window: of the ten million records.
    """

    first_answer: float
    ready: float
    idle: Usage
    idle_seconds: float
    window: Measured


def measure() -> Large:
    """Start a stack, have it answer a small window, rest for five minutes, and answer a window of ten million
    records, which come in what is left of it."""
    with own_stack(SILT_WINDOW_MINUTES="5", SILT_TOPIC_PARTITIONS="1") as stack:
        silt, grid = Silt(stack), stack.settings.grid
        first = grid.home(datetime.now(UTC)).step(1)
        (_,) = take(stack.settings, stack.contract, [Turn(silt, _FIRST)], first)
        time.sleep(_SETTLE_SECONDS)
        begun = time.monotonic()
        with watched(silt.all_parts) as idle:
            time.sleep(_IDLE_SECONDS)
        rested = time.monotonic() - begun
        present = grid.home(datetime.now(UTC))
        (window,) = take(stack.settings, stack.contract, [Turn(silt, RECORDS)], present)
        return Large(silt.first_answer, silt.ready, idle, rested, window)


def report(large: Large) -> str:
    """The large window, the stack at rest, and its start, in Markdown."""
    rows = [
        [name, f"{large.idle.pss[name] / MB:.0f}", f"{100 * large.idle.cpu[name] / large.idle_seconds:.1f}"]
        for name in large.idle.pss
    ]
    cpu = 100 * large.idle.cpu_seconds / large.idle_seconds
    rest = table(
        ["part, at rest", "peak PSS, MB", "CPU, % of a core"],
        [*rows, ["all at once", f"{large.idle.total / MB:.0f}", f"{cpu:.1f}"]],
    )
    usage = large.window.usage
    run, all_parts = (f"{size / MB:.0f} MB" for size in (usage.largest["run"], usage.total))
    return (
        f"{RECORDS:,} records in one window of five minutes: {large.window.seconds:.1f} s from its close to\n"
        f"the answer, {usage.cpu_seconds:.0f} s of CPU. The run's process had {run} at most, all parts\n"
        f"together {all_parts} (PSS).\n\n"
        f"From `silt up` to the API's first answer about clusters {large.first_answer:.1f} s, to ready\n"
        f"{large.ready:.1f} s.\n\n{rest}"
    )
