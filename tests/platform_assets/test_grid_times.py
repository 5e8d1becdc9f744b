"""Times that are counted are those that Dagster finds by its search."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import pytest
from dagster._utils.schedules import cron_string_iterator, reverse_cron_string_iterator
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.grid_times import counted, minutes_of
from platform_assets.partitions import make_partitions
from resources.windows import SLOTS

GRIDS = [
    "*/1 * * * *",
    "*/5 * * * *",
    "*/20 * * * *",
    "0,15,30,45 * * * *",
    "50,5,20,35 * * * *",
    "0 * * * *",
]
MOMENTS = st.integers(1_500_000_000_000, 2_400_000_000_000).map(lambda n: n / 1000) | st.integers(
    5_000_000, 8_000_000
).map(lambda n: n * 300.0)


@pytest.mark.parametrize("search", [cron_string_iterator, reverse_cron_string_iterator])
@given(timestamp=MOMENTS, cron=st.sampled_from(GRIDS))
def test_minutes_past_each_hour(
    search: Callable[..., Iterator[datetime]], timestamp: float, cron: str
) -> None:
    assert minutes_of(cron)
    times = counted(search, ascending=search is cron_string_iterator)(timestamp, cron, "UTC")
    found, expected = list(islice(times, 30)), list(islice(search(timestamp, cron, "UTC"), 30))
    assert found == expected
    assert {moment.tzinfo for moment in found} == {moment.tzinfo for moment in expected} == {UTC}


@pytest.mark.parametrize(
    ("cron", "zone"), [("*/7 3 * * *", "UTC"), ("0 0 * * *", "UTC"), ("*/15 * * * *", "Europe/Berlin")]
)
def test_all_else_is_searched_for(cron: str, zone: str) -> None:
    assert zone != "UTC" or not minutes_of(cron)
    arguments: Any = (1_795_878_000.0, cron, zone)
    expected = list(islice(cron_string_iterator(*arguments), 5))
    assert list(islice(counted(cron_string_iterator)(*arguments), 5)) == expected


def test_the_grid_has_the_windows_that_it_had() -> None:
    partitions = make_partitions(datetime(2026, 11, 27, tzinfo=UTC), 5)
    now = datetime(2026, 11, 28, 2, 3, 4, tzinfo=UTC)
    keys = partitions.grid.get_partition_keys(now)
    assert (keys[0], keys[-1], len(keys)) == ("2026-11-27T0000Z", "2026-11-28T0200Z", 26 * 12 + 1)
    of_slots = sorted(key for slot in SLOTS for key in partitions.slots[slot].get_partition_keys(now))
    assert of_slots[: len(keys)] == keys
    assert partitions.slots[2].get_first_partition_key() == "2026-11-27T0005Z"
