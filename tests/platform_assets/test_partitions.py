"""The grid holds every window, each slot its own third, and a window depends on itself alone."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.partitions.context import partition_loading_context
from dagster._serdes import deserialize_value, serialize_value

from platform_assets.definitions import defs
from platform_assets.partitions import MAPPING, Partitions, make_partitions, source_mapping
from resources.scheme import DISJOINT, Scheme
from resources.windows import SLOTS, Grid, Window

FLOOR = datetime(2026, 11, 22, tzinfo=UTC)
NOW = datetime(2026, 11, 24, 5, 7, 12, tzinfo=UTC)
LENGTHS = (1, 2, 4, 5, 10, 20)


@pytest.fixture(params=LENGTHS)
def minutes(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def partitions(minutes: int) -> Partitions:
    return make_partitions(FLOOR, minutes)


def windows(minutes: int, now: datetime = NOW) -> list[Window]:
    """From the floor to the open one, by the arithmetic of resources.windows."""
    grid = Grid(minutes)
    return list(grid.between(grid.home(FLOOR), grid.home(now)))


def keys(definition: dg.TimeWindowPartitionsDefinition, now: datetime = NOW) -> list[str]:
    return list(definition.get_partition_keys(current_time=now))


def mapped(
    wanted: Iterable[str],
    downstream: dg.TimeWindowPartitionsDefinition,
    upstream: dg.TimeWindowPartitionsDefinition,
    mapping: dg.PartitionMapping = MAPPING,
) -> list[str]:
    """The upstream keys that downstream keys depend on."""
    with partition_loading_context(effective_dt=NOW):
        result = mapping.get_upstream_mapped_partitions_result_for_partitions(
            downstream.subset_with_partition_keys(wanted), downstream, upstream
        )
        return sorted(result.partitions_subset.get_partition_keys())


def test_the_grid_holds_every_window_to_the_open_one(partitions: Partitions, minutes: int) -> None:
    assert keys(partitions.grid) == [window.key for window in windows(minutes)]


def test_a_slot_holds_its_third_of_the_windows(partitions: Partitions, minutes: int) -> None:
    for slot, definition in partitions.slots.items():
        begun = [key for key in keys(definition) if key <= Grid(minutes).home(NOW).key]
        assert begun == [window.key for window in windows(minutes) if window.slot == slot]


@pytest.mark.parametrize("ahead", range(3))
def test_a_slot_ends_with_its_open_window_or_its_next(
    partitions: Partitions, minutes: int, ahead: int
) -> None:
    now = NOW + ahead * timedelta(minutes=minutes)
    open_window = Grid(minutes).home(now)
    for slot, definition in partitions.slots.items():
        last = keys(definition, now)[-1]
        assert last in {open_window.step(steps).key for steps in range(3)}
        assert Grid(minutes).window(last).slot == slot
        assert (last == open_window.key) is (slot == open_window.slot)


def test_windows_and_partitions_have_the_same_bounds(partitions: Partitions, minutes: int) -> None:
    for definition in (partitions.grid, *partitions.slots.values()):
        key = keys(definition, NOW)[0]
        window = Grid(minutes).window(key)
        bounds = definition.time_window_for_partition_key(key)
        assert bounds.start == window.start
    first = partitions.grid.time_window_for_partition_key(windows(minutes)[0].key)
    assert first.end == windows(minutes)[0].end


def test_a_model_depends_on_the_batch_of_its_window_alone(partitions: Partitions, minutes: int) -> None:
    for window in windows(minutes)[:3]:
        slot = partitions.slots[window.slot]
        assert mapped([window.key], slot, partitions.grid) == [window.key]


def test_results_depend_on_the_model_of_their_window_alone(partitions: Partitions, minutes: int) -> None:
    for window in windows(minutes)[:6]:
        for slot in SLOTS:
            expected = [window.key] if slot == window.slot else []
            assert mapped([window.key], partitions.grid, partitions.slots[slot]) == expected


def test_the_floor_is_the_first_window_of_slot_one() -> None:
    for minutes in LENGTHS:
        assert keys(make_partitions(FLOOR, minutes).slots[1])[0] == f"{FLOOR:%Y-%m-%d}T0000Z"


# ---- schemes ----


@pytest.fixture(params=["cumulative", "sliding:2", "sliding:3", "sliding:7"])
def scheme(request: pytest.FixtureRequest) -> Scheme:
    return Scheme(str(request.param))


@pytest.mark.parametrize("slot", SLOTS)
def test_a_model_depends_on_the_batches_that_it_sees(
    partitions: Partitions, scheme: Scheme, slot: int
) -> None:
    mapping, length = source_mapping(scheme, slot, partitions), partitions.windows.minutes
    mine = [window for window in windows(length) if window.slot == slot]
    for window in (*mine[:4], mine[len(mine) // 2], mine[-2]):
        expected = [source.key for source in scheme.sources(window, FLOOR)]
        assert mapped([window.key], partitions.slots[slot], partitions.grid, mapping) == expected
    both = {source.key for window in mine[3:9:5] for source in scheme.sources(window, FLOOR)}
    asked = [window.key for window in mine[3:9:5]]
    assert mapped(asked, partitions.slots[slot], partitions.grid, mapping) == sorted(both)


@pytest.mark.parametrize("slot", SLOTS)
def test_a_batch_is_depended_on_by_the_models_that_see_it(
    partitions: Partitions, scheme: Scheme, slot: int
) -> None:
    mapping, length = source_mapping(scheme, slot, partitions), partitions.windows.minutes
    known = windows(length)
    for source in (*known[:4], *known[40:44]):
        seeing = [window.key for window in known if source in scheme.sources(window, FLOOR)]
        with partition_loading_context(effective_dt=NOW):
            found = mapping.get_downstream_partitions_for_partitions(
                partitions.grid.subset_with_partition_keys([source.key]),
                partitions.grid,
                partitions.slots[slot],
            )
            assert sorted(found.get_partition_keys()) == [
                key for key in seeing if partitions.windows.window(key).slot == slot
            ]


def test_to_dagsters_other_processes_a_model_depends_on_the_batch_of_its_window(
    partitions: Partitions, scheme: Scheme
) -> None:
    for slot in SLOTS:
        sent = deserialize_value(serialize_value(source_mapping(scheme, slot, partitions)))  # type: ignore[arg-type]
        assert type(sent) is dg.TimeWindowPartitionMapping
        assert sent == MAPPING


def test_disjoint_models_depend_on_the_batch_of_their_window_alone(partitions: Partitions) -> None:
    assert all(source_mapping(DISJOINT, slot, partitions) is MAPPING for slot in SLOTS)


def test_the_asset_graph_knows_what_each_model_sees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: Scheme
) -> None:
    monkeypatch.setenv("SILT_HOME", str(tmp_path))
    monkeypatch.setenv("SILT_SCHEME", scheme.name)
    monkeypatch.setattr("platform_assets.definitions.fork_runs", lambda: None)  # this process goes on
    graph = defs().get_repository_def().asset_graph
    floor = graph.get(dg.AssetKey("kafka_batch")).partitions_def.start  # type: ignore[union-attr]
    day = list(Grid(5).between(Grid(5).home(floor), Grid(5).home(floor).step(287)))
    with partition_loading_context(effective_dt=datetime.now(UTC)):
        for window in (*day[:6], *day[-6:]):
            model = dg.AssetKey(f"model_{window.slot}")
            parents = graph.get_parents_partitions(model, window.key).parent_partitions
            batches = {("kafka_batch", source.key) for source in scheme.sources(window, floor)}
            assert {(each.asset_key.to_user_string(), each.partition_key) for each in parents} == batches
            results = graph.get_parents_partitions(dg.AssetKey("clustering_results"), window.key)
            assert {(each.asset_key, each.partition_key) for each in results.parent_partitions} == {
                (model, window.key)
            }
