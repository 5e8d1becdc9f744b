"""The report of a comparison, in Markdown."""

import os
import platform
import subprocess
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median

import psutil

from bench.turns import Measured
from local_stack.java import find_java

_LIBRARIES = ("pyspark", "dagster", "deltalake", "polars", "scikit-learn", "confluent-kafka")
MB = 1e6


def machine() -> str:
    """The machine, and the versions of what runs on it."""
    java = subprocess.run([find_java(), "-version"], capture_output=True, text=True, check=True).stderr
    _, java_version, _ = java.split('"', 2)
    words = [f"Python {platform.python_version()}", f"Java {java_version}"]
    words += [f"{name} {version(name)}" for name in _LIBRARIES]
    memory = psutil.virtual_memory().total / 2**30
    return f"{os.cpu_count()} cores ({_processor()}), {memory:.0f} GiB of memory. {', '.join(words)}."


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "unknown")


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table whose first column is text, and whose others are numbers."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Median, least and greatest."""
    return f"{median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def of(measured: Iterable[Measured], side: str, records: int) -> list[Measured]:
    """The measured windows of one side and size, without the warm-ups."""
    return [
        one
        for one in measured
        if (one.turn.side.name, one.turn.records, one.turn.warm_up) == (side, records, False)
    ]


def comparison(measured: Sequence[Measured]) -> str:
    """Per size and side: seconds to the answer, CPU, memory, inertia."""
    return table(
        [
            "records, side",
            "windows",
            "close to answer, s",
            "CPU, s",
            "CPU per million records, s",
            "peak PSS of all, MB",
            "inertia / best known",
        ],
        (
            [
                f"{records:,}, {side}",
                len(windows),
                spread([one.seconds for one in windows]),
                spread([one.usage.cpu_seconds for one in windows], 1),
                f"{median(one.usage.cpu_seconds for one in windows) / records * 1e6:.1f}",
                f"{max(one.usage.total for one in windows) / MB:.0f}",
                f"{max(one.inertia / one.best for one in windows):.5f}",
            ]
            for (records, side), windows in grouped(measured).items()
        ),
    )


def grouped(measured: Sequence[Measured]) -> dict[tuple[int, str], list[Measured]]:
    """The measured windows by size and side."""
    keys = dict.fromkeys((one.turn.records, one.turn.side.name) for one in measured)
    groups = {(records, side): of(measured, side, records) for records, side in keys}
    return {key: windows for key, windows in groups.items() if windows}


def parts(measured: Sequence[Measured]) -> str:
    """Per size, side and part: CPU and memory."""
    rows = []
    for (records, side), windows in grouped(measured).items():
        for name in dict.fromkeys(name for one in windows for name in one.usage.pss):
            cpu = median(one.usage.cpu[name] for one in windows)
            pss = max(one.usage.pss[name] for one in windows) / MB
            rows.append([f"{records:,}, {side}: {name}", f"{cpu:.2f}", f"{pss:.0f}"])
    return table(["records, side: part", "CPU, s", "peak PSS, MB"], rows)


def steps(measured: Sequence[Measured]) -> str:
    """Per size, side and step: when it begins and ends, and of what a step consists; medians."""
    rows = []
    for (records, side), windows in grouped(measured).items():
        answers = [one.answer for one in windows]
        for name in dict.fromkeys(step.name for answer in answers for step in answer.steps):
            same = [step for answer in answers for step in answer.steps if step.name == name]
            ends = [step.end for step in same if step.end is not None]
            begin, end = median(step.begin for step in same), f"{median(ends):.2f}" if ends else ""
            rows.append([f"{records:,}, {side}: {name}", f"{begin:.2f}", end, ""])
        for name in dict.fromkeys(name for answer in answers for name in answer.within):
            took = median(answer.within.get(name, 0.0) for answer in answers)
            rows.append([f"{records:,}, {side}: {name}", "", "", f"{took:.2f}"])
    return table(["records, side: step", "begins after the close, s", "ends, s", "takes, s"], rows)
