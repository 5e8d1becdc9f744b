"""The five-minute grid, the three slot partitions, and the mappings between them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import dagster as dg
from dagster._core.definitions.partitions.mapping import UpstreamPartitionsResult
from dagster._core.definitions.partitions.subset import PartitionsSubset

from platform_assets.grid_times import count_times
from resources.scheme import Scheme
from resources.windows import KEY_FORMAT, SLOTS, Grid, Window

MAPPING = dg.TimeWindowPartitionMapping()
"""A window depends on the same window upstream. An identity mapping would ask for keys that slots lack."""


@dataclass(frozen=True)
class Partitions:
    """The partitions of all assets: ``grid`` of every window, ``slots`` of every third one.

    All start at the lake's floor, and end with the window that is open now (``end_offset=1``).
    """

    windows: Grid
    grid: dg.TimeWindowPartitionsDefinition
    slots: dict[int, dg.TimeWindowPartitionsDefinition]


def make_partitions(floor: datetime, minutes: int) -> Partitions:
    """The partitions for windows of ``minutes``, from ``floor`` (a UTC midnight) on."""
    count_times()
    return Partitions(
        windows=Grid(minutes),
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


def source_mapping(scheme: Scheme, slot: int, partitions: Partitions) -> dg.PartitionMapping:
    """The mapping from ``model_<slot>`` to ``kafka_batch``: the windows that the model sees."""
    return SourceMapping.of(scheme, slot, partitions) if scheme.before(slot) else MAPPING


class SourceMapping(dg.TimeWindowPartitionMapping):
    """A slot's window depends on the windows that its model sees.

    Dagster counts offsets in a slot's own windows, three of the grid, so no offset says it. This mapping is
    the code location's, which runs the assets. Dagster's webserver and daemon know Dagster's mappings alone:
    to them a model depends on the batch of its own window. So a backfill runs the windows that were chosen
    and no others; and no batch has to be there before a model that sees its records.
    """

    scheme: Scheme
    windows: Grid
    floor: datetime
    nearest: dg.TimeWindowPartitionMapping

    @classmethod
    def of(cls, scheme: Scheme, slot: int, partitions: Partitions) -> "SourceMapping":
        """The mapping of a slot under a scheme."""
        mapping = cls()
        mapping.scheme, mapping.windows, mapping.floor = scheme, partitions.windows, partitions.grid.start
        mapping.nearest = dg.TimeWindowPartitionMapping(start_offset=-scheme.before(slot) // len(SLOTS))
        return mapping

    def get_upstream_mapped_partitions_result_for_partitions(
        self, downstream_partitions_subset: Any, *definitions_and_now: Any, **named: Any
    ) -> UpstreamPartitionsResult:
        """The windows that the models of these windows see."""
        nearest = self.nearest.get_upstream_mapped_partitions_result_for_partitions(
            downstream_partitions_subset, *definitions_and_now, **named
        )
        seen = {
            source.key
            for window in self._windows(downstream_partitions_subset)
            for source in self.scheme.sources(window, self.floor)
        }
        return UpstreamPartitionsResult(
            partitions_subset=_only(nearest.partitions_subset, seen),
            required_but_nonexistent_subset=nearest.required_but_nonexistent_subset,
        )

    def get_downstream_partitions_for_partitions(
        self, upstream_partitions_subset: PartitionsSubset, *definitions_and_now: Any, **named: Any
    ) -> PartitionsSubset:
        """The windows whose models see these windows."""
        nearest = self.nearest.get_downstream_partitions_for_partitions(
            upstream_partitions_subset, *definitions_and_now, **named
        )
        seeing = {
            window.key
            for source in self._windows(upstream_partitions_subset)
            for window in self.scheme.seen_by(source)
        }
        return _only(nearest, seeing)

    def _windows(self, subset: PartitionsSubset) -> list[Window]:
        return [self.windows.window(key) for key in subset.get_partition_keys()]


SourceMapping.__name__ = MAPPING.__class__.__name__  # as which Dagster sends it to its other processes


def _only(nearest: PartitionsSubset, keys: set[str]) -> PartitionsSubset:
    kept = [key for key in nearest.get_partition_keys() if key in keys]
    return nearest.empty_subset().with_partition_keys(kept)
