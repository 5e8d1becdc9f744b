"""The times of partitions, counted instead of searched for.

Dagster finds a partition's neighbours by a general cron search, through time zones and daylight saving,
several times a step: a third of the time between a small window's close and its answer. In UTC the times of
minutes past each hour are sums.
"""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache
from itertools import count
from typing import Any

from dagster._core.definitions.partitions.definition import time_window
from dagster._utils import schedules

_HOUR = 3600
_EVERY = re.compile(r"\*/(\d+) \* \* \* \*")
_LISTED = re.compile(r"(\d+(?:,\d+)*) \* \* \* \*")
Times = Callable[..., Iterator[datetime]]


def count_times() -> None:
    """Have Dagster count the times of minutes past each hour; it goes on to search for all others."""
    dagsters: Any = time_window
    if dagsters.cron_string_iterator is schedules.cron_string_iterator:
        dagsters.cron_string_iterator = _named(counted(schedules.cron_string_iterator), "start_timestamp")
        backwards = counted(schedules.reverse_cron_string_iterator, ascending=False)
        dagsters.reverse_cron_string_iterator = _named(backwards, "end_timestamp")


def _named(times: Times, timestamp: str) -> Times:
    """Dagster gives the arguments by place or by name."""

    def called(*placed: Any, **named: Any) -> Iterator[datetime]:
        by_name = [named[name] for name in (timestamp, "cron_string", "execution_timezone") if name in named]
        return times(*placed, *by_name)

    return called


def counted(search: Times, *, ascending: bool = True) -> Times:
    """What gives the times that Dagster's ``search`` gives: those from a timestamp on, or backwards."""

    def times(timestamp: float, cron: str, zone: str | None) -> Iterator[datetime]:
        minutes = minutes_of(cron) if zone == "UTC" else ()
        if not minutes:
            yield from search(timestamp, cron, zone)
            return
        step, in_hour = (1, minutes) if ascending else (-1, minutes[::-1])
        for hour in count(int(timestamp // _HOUR) * _HOUR, step * _HOUR):
            for minute in in_hour:
                moment = hour + 60 * minute
                if moment * step >= timestamp * step:
                    yield datetime.fromtimestamp(moment, UTC)

    return times


@cache
def minutes_of(cron: str) -> tuple[int, ...]:
    """The minutes past each hour that a cron expression names; none if it names anything else."""
    if every := _EVERY.fullmatch(cron):
        return tuple(range(0, 60, int(every[1])))
    listed = _LISTED.fullmatch(cron)
    return tuple(sorted(set(map(int, listed[1].split(","))))) if listed else ()
