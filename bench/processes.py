"""What processes take: CPU seconds and memory of the parts of a pipeline, watched from outside."""

import contextlib
import signal
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil

Parts = Callable[[], Mapping[psutil.Process, str]]
"""The living processes of a pipeline, each with the name of its part."""
_LOOK_SECONDS = 0.25
_LOOKS_PER_WEIGHING = 2


@dataclass
class Usage:
    """What the parts of a pipeline took.

    Attributes:
        cpu: seconds, by part.
        pss: the most bytes at once, by part; what processes share counts once.
        largest: the most bytes (PSS) of one process at once, by part.
        total: the most bytes (PSS) of all parts at once.
    """

    cpu: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    pss: Counter[str] = field(default_factory=Counter)
    largest: Counter[str] = field(default_factory=Counter)
    total: int = 0

    @property
    def cpu_seconds(self) -> float:
        """Of all parts."""
        return sum(self.cpu.values())

    def weigh(self, parts: Mapping[psutil.Process, str]) -> None:
        """Look at the memory."""
        now: Counter[str] = Counter()
        for process, name in parts.items():
            with contextlib.suppress(psutil.Error):
                pss = process.memory_full_info().pss
                now[name] += pss
                self.largest[name] = max(self.largest[name], pss)
        self.pss |= now
        self.total = max(self.total, now.total())


@contextmanager
def watched(parts: Parts) -> Iterator[Usage]:
    """What a pipeline takes within the block, known at its end.

    A process that ends is counted up to the last look at it, a quarter of a second before at most.
    """
    usage, end = Usage(), threading.Event()
    spent: dict[psutil.Process, tuple[str, float]] = {}
    _look(parts(), spent)
    before = {process: seconds for process, (_, seconds) in spent.items()}

    def look() -> None:
        looks = 0
        while True:
            found = parts()
            _look(found, spent)
            if looks % _LOOKS_PER_WEIGHING == 0:
                usage.weigh(found)
            looks += 1
            if end.wait(_LOOK_SECONDS):
                return

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield usage
    finally:
        end.set()
        thread.join()
        for process, (name, seconds) in spent.items():
            usage.cpu[name] += seconds - before.get(process, 0.0)


@contextmanager
def stopped(parts: Parts) -> Iterator[None]:
    """A pipeline's processes do nothing within the block (SIGSTOP), and go on after it."""
    held = list(parts())
    try:
        _signal(held, signal.SIGSTOP)
        yield
    finally:
        _signal(held, signal.SIGCONT)


def _look(parts: Mapping[psutil.Process, str], spent: dict[psutil.Process, tuple[str, float]]) -> None:
    for process, name in parts.items():
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            spent[process] = (name, times.user + times.system)


def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(number)
