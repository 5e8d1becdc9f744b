"""The five-minute grid, the three slot partitions, and the mapping between them."""

from dataclasses import dataclass
from datetime import datetime

import dagster as dg

from resources.windows import KEY_FORMAT, SLOTS

MAPPING = dg.TimeWindowPartitionMapping()
"""A window depends on the same window upstream. An identity mapping would ask for keys that slots lack."""


@dataclass(frozen=True)
class Partitions:
    """The partitions of all assets: ``grid`` of every window, ``slots`` of every third one.

    All start at the lake's floor, and end with the window that is open now (``end_offset=1``).
    """

    grid: dg.TimeWindowPartitionsDefinition
    slots: dict[int, dg.TimeWindowPartitionsDefinition]


def make_partitions(floor: datetime, minutes: int) -> Partitions:
    """The partitions for windows of ``minutes``, from ``floor`` (a UTC midnight) on."""
    return Partitions(
        grid=_definition(floor, minutes, []),
        slots={
            slot: _definition(floor, minutes, [_cron(minutes, other) for other in SLOTS if other != slot])
            for slot in SLOTS
        },
    )


def _definition(floor: datetime, minutes: int, exclusions: list[str]) -> dg.TimeWindowPartitionsDefinition:
    return dg.TimeWindowPartitionsDefinition(
        start=floor,
        fmt=KEY_FORMAT,
        timezone="UTC",
        cron_schedule=f"*/{minutes} * * * *",
        end_offset=1,
        exclusions=exclusions or None,
    )


def _cron(minutes: int, slot: int) -> str:
    starts = range((slot - 1) * minutes, 60, len(SLOTS) * minutes)
    return f"{','.join(map(str, starts))} * * * *"
