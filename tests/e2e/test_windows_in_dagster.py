"""Windows as people see them in the Dagster UI: by the sensor, again, too few, empty, refused."""

import json
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import combinations
from typing import Any

import polars as pl
import pytest

from cli.sample import SampleStream, Shares
from platform_assets.run import PARTITION_TAG
from platform_assets.sensors import WINDOW_TAG, asset_names
from resources.kafka import producer
from resources.windows import Window
from tests.conftest import cycle_before
from tests.e2e.dagster_ui import DagsterUI, Run
from tests.stacks import Stack, until

RECORDS = 60
Row = dict[str, Any]


@pytest.fixture(scope="module")
def ui(stack: Stack) -> DagsterUI:
    return DagsterUI(stack.settings)


@pytest.fixture(scope="module")
def cycle() -> list[Window]:
    """Three windows with records; a late one comes for the second."""
    return cycle_before(7)


@pytest.fixture(scope="module")
def few() -> Window:
    """A window whose records are all alike."""
    return cycle_before(9)[0]


@pytest.fixture(scope="module")
def contested() -> Window:
    """A window that two runs make at once."""
    return cycle_before(11)[1]


@pytest.fixture(scope="module")
def sent(stack: Stack, cycle: list[Window], few: Window, contested: Window) -> dict[str, list[Row]]:
    """The rows sent per window, before any test of this module."""
    rows = {window.key: made_up(stack, window, RECORDS) for window in (*cycle, contested)}
    (alike,) = made_up(stack, few, 1)
    rows[few.key] = [alike | {"Unique id": f"alike {few.key} {i}"} for i in range(5)]
    land(stack, {window: rows[window.key] for window in (*cycle, few, contested)})
    return rows


def made_up(stack: Stack, window: Window, count: int) -> list[Row]:
    stream = SampleStream(
        stack.settings.grid, Shares(), allowed_lateness=timedelta(hours=24), max_future=timedelta(hours=1)
    )
    return [stream.clean(window.start).row for _ in range(count)]


def land(stack: Stack, rows: Mapping[Window, Sequence[Row]]) -> None:
    """Send rows into their windows, evenly spread, in one transaction: no intake takes half of them."""
    sender = producer(stack.settings, **{"transactional.id": uuid.uuid4().hex})
    sender.init_transactions(30)
    sender.begin_transaction()
    for window, its_rows in rows.items():
        step = (window.end - window.start) / len(its_rows)
        for number, row in enumerate(its_rows):
            at = round((window.start + number * step).timestamp() * 1000)
            sender.produce(stack.contract.topic, json.dumps(row), row["Unique id"], partition=0, timestamp=at)
    sender.commit_transaction(30)


def answer(stack: Stack, window: Window) -> dict[str, Any]:
    """All that stands of a window once published: over HTTP, and in the lake without times of its making."""
    key = window.key
    batch = stack.lake.read_window("kafka_batch", window).collect()
    model = stack.lake.read_window("models", window).filter(pl.col("digest") == batch["digest"].item())
    return {
        "statistics": [
            {name: value for name, value in each.items() if name not in ("clusterId", "clusterName")}
            for each in stack.get(f"/api/cluster-stats?window={key}")
        ],
        "results": stack.walk(f"/api/clustering-results?limit=1000&window={key}"),
        "batch": batch.drop("covered").to_dicts(),
        "model": model.drop("trained_at", "seconds").collect().to_dicts(),
    }


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """Nested dictionaries and lists as one, by path."""
    if not isinstance(value, dict | list):
        return {path: value}
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return {place: leaf for name, each in items for place, leaf in flat(each, f"{path}/{name}").items()}


def compared_with(stack: Stack, window: Window) -> set[str]:
    """The windows that a window's drift was computed against."""
    return set(stack.lake.read_window("drift", window).collect()["reference_window"])


def by_sensor(ui: DagsterUI, window: Window) -> list[Run]:
    return ui.runs(silt__window=window.key)


def test_the_sensor_publishes_a_closed_window(
    stack: Stack, ui: DagsterUI, sent: dict[str, list[Row]], cycle: list[Window]
) -> None:
    window = cycle[0]
    stack.wait_published([window.key])
    until(lambda: by_sensor(ui, window)[0].status == "SUCCESS")
    (run,) = by_sensor(ui, window)
    assert run.tags["dagster/sensor_name"] == "window_sensor"
    assert run.tags[PARTITION_TAG] == run.tags[WINDOW_TAG] == window.key
    ids = [row["uniqueId"] for row in stack.walk(f"/api/clustering-results?window={window.key}&limit=17")]
    assert sorted(ids) == sorted(row["Unique id"] for row in sent[window.key])
    clusters = stack.get(f"/api/cluster-stats?window={window.key}")
    assert sum(cluster["count"] for cluster in clusters) == RECORDS
    assert {cluster["modelVersion"] for cluster in clusters} == {f"model_1/{window.key}/r1"}


def test_materializations_say_what_a_person_wants_to_see(
    stack: Stack, ui: DagsterUI, sent: dict[str, list[Row]], cycle: list[Window]
) -> None:
    window = cycle[2]
    until(lambda: ui.materializations("model_review", window.key))  # it comes after the publication
    batch, model, results, statistics, review = (
        ui.materializations(name, window.key)[0] for name in asset_names(window)
    )
    row = stack.window_row(window.key)
    assert (batch["dagster/row_count"], batch["revision"], batch["digest"]) == (RECORDS, 1, row["digest"])
    assert (batch["duplicates"], batch["dead letters"], batch["missing offsets"]) == (0, 0, 0)
    assert "| intake | partition | from | to |" in batch["offsets"]
    (published,) = stack.get(f"/api/models?window={window.key}")
    assert model["state"] == "trained"
    assert model["silhouette"] == pytest.approx(published["silhouette"])
    assert sum(model["sizes"]) == sum(results["sizes"]) == results["dagster/row_count"] == RECORDS
    assert "| channel_name | category |" in model["features"]
    assert results["mean distance"] > 0
    assert statistics["state"] == "published"
    assert statistics["seconds from close to publication"] > 0
    assert "avgCSAT" in statistics["clusters"]
    assert "data:image/png;base64," in statistics["picture"]
    assert review["state"] == "reviewed"
    until(lambda: compared_with(stack, window) == {cycle[1].key})  # once that is published


def test_the_checks_of_a_window_are_shown(
    stack: Stack, ui: DagsterUI, sent: dict[str, list[Row]], cycle: list[Window]
) -> None:
    window = cycle[2]
    model = f"model_{window.slot}"
    until(lambda: ui.checks(model, "silhouette", window.key))
    (accounting,) = ui.checks("kafka_batch", "accounting", window.key)
    assert (accounting["success"], accounting["severity"]) == (True, "ERROR")
    (enough,) = ui.checks("kafka_batch", "enough_records", window.key)
    assert (enough["success"], enough["severity"]) == (False, "WARN")  # sixty records are few
    assert enough["description"] == "60 records, 6 features want 420."
    for asset, check in (("kafka_batch", "nulls"), ("cluster_stats", "freshness"), ("model_review", "drift")):
        (found,) = ui.checks(asset, check, window.key)
        assert found["success"], found
    assert len(ui.checks(model, "silhouette", window.key)) == 1
    assert stack.window_row(window.key)["error"] is None


def test_a_late_record_makes_just_its_home_due_again(
    stack: Stack, ui: DagsterUI, sent: dict[str, list[Row]], cycle: list[Window]
) -> None:
    before, home, after = cycle
    stack.wait_published([window.key for window in cycle])
    others = {window.key: (stack.window_row(window.key), answer(stack, window)) for window in (before, after)}
    (late,) = made_up(stack, home, 1)
    land(stack, {home: [late]})
    stack.wait_published([home.key], revision=2)
    found = stack.get(f"/api/clustering-results/{late['Unique id']}?window={home.key}")
    assert found["modelVersion"] == f"model_2/{home.key}/r2"
    results = stack.walk(f"/api/clustering-results?limit=1000&window={home.key}")
    expected = [row["Unique id"] for row in (*sent[home.key], late)]
    assert sorted(row["uniqueId"] for row in results) == sorted(expected)
    assert {row["modelVersion"] for row in results} == {f"model_2/{home.key}/r2"}
    assert stack.window_row(home.key)["late"] >= 1
    assert len(by_sensor(ui, home)) == 2
    assert others == {
        window.key: (stack.window_row(window.key), answer(stack, window)) for window in (before, after)
    }


@pytest.mark.parametrize("how", ["run", pytest.param("backfill", marks=pytest.mark.slow)])
def test_a_person_who_materializes_a_window_again_gets_the_same_answer(
    stack: Stack, ui: DagsterUI, sent: dict[str, list[Row]], cycle: list[Window], how: str
) -> None:
    window = cycle[0]
    stack.wait_published([window.key])
    published_at = stack.window_row(window.key)["published_at"]
    before = answer(stack, window)
    assets = asset_names(window)
    if how == "run":
        runs = [ui.finished(ui.materialize(assets, window.key))]
    else:
        runs = ui.backfill(assets, window.key)
    assert runs
    assert {run.status for run in runs} == {"SUCCESS"}
    assert {run.tags[PARTITION_TAG] for run in runs} == {window.key}
    assert stack.window_row(window.key)["published_at"] > published_at
    after = answer(stack, window)
    assert flat(after.pop("statistics")) == pytest.approx(flat(before.pop("statistics")))
    assert after == before
    assert before["model"][0]["revision"] == 1


def test_a_window_with_fewer_distinct_points_than_clusters_is_too_few(
    stack: Stack, ui: DagsterUI, sent: dict[str, list[Row]], few: Window
) -> None:
    stack.wait_published([few.key])
    row = stack.window_row(few.key)
    assert (row["state"], row["records"], row["revision"]) == ("too-few", 5, 1)
    assert ui.materializations("model_1", few.key)[0]["state"] == "too-few"
    assert ui.materializations("cluster_stats", few.key)[0]["state"] == "too-few"
    assert stack.get(f"/api/clustering-results?window={few.key}") == []
    assert stack.get(f"/api/cluster-stats?window={few.key}") == []


@pytest.mark.parametrize(
    ("asset", "place", "message"),
    [
        ("model_2", "another slot", "is slot 1 of its cycle: materialize model_1 for it"),
        ("model_1", "the future", "has not begun: it opens at"),
        ("kafka_batch", "before the floor", "from which day on the lake keeps windows"),
    ],
)
def test_a_window_that_cannot_be_made_fails_at_once_and_says_why(
    stack: Stack, ui: DagsterUI, cycle: list[Window], asset: str, place: str, message: str
) -> None:
    key = {
        "another slot": cycle[0].key,
        "the future": cycle_before(-1)[0].key,
        "before the floor": stack.settings.grid.home(stack.lake.floor()).step(-3).key,
    }[place]
    before = stack.window_row(cycle[0].key)
    run = ui.finished(ui.materialize([asset], key))
    assert run.status == "FAILURE"
    assert message in "\n".join(ui.failures(run.id))
    assert len(ui.failures(run.id)) == 1
    assert not [made for made in ui.materializations(asset, key) if made["run"] == run.id]
    assert stack.window_row(cycle[0].key) == before


def test_a_closed_window_without_records_costs_no_run_and_is_counted_as_empty(
    stack: Stack, ui: DagsterUI, sent: dict[str, list[Row]], cycle: list[Window]
) -> None:
    empty = cycle_before(1)[0]
    until(lambda: bool(ui.materializations("cluster_stats", empty.key)))
    for asset in asset_names(empty):
        (shown,) = ui.materializations(asset, empty.key)
        assert shown["state"] == "empty"
    assert by_sensor(ui, empty) == []
    assert ui.runs(dagster__partition=empty.key) == []
    stack.wait_published([window.key for window in cycle])
    assert f"{len(empty_windows(stack))} empty" in stack.silt("status")


def empty_windows(stack: Stack) -> set[Window]:
    """From the first window with a record to the last closed one, those without a record."""
    landed = stack.lake.read("records", ["window", "too_late"]).filter(~pl.col("too_late"))
    known = {stack.settings.grid.window(key) for key in landed["window"].unique()}
    ends = [intake["taken_at"] for intake in stack.lake.read("ledger").iter_rows(named=True)]
    newest = stack.settings.grid.newest_closed(max(ends))
    return set(stack.settings.grid.between(min(known), newest)) - known


def test_runs_of_a_window_at_once_end_with_one_whole_answer(
    stack: Stack, ui: DagsterUI, sent: dict[str, list[Row]], contested: Window
) -> None:
    stack.wait_published([contested.key])
    (more,) = made_up(stack, contested, 1)
    land(stack, {contested: [more]})
    assets = asset_names(contested)
    with ThreadPoolExecutor() as at_once:
        started = at_once.map(lambda _: ui.materialize(assets, contested.key), range(3))
    runs = [ui.finished(run_id) for run_id in started]
    assert any(overlap(*pair) for pair in combinations(runs, 2)), "no two runs ran at once"
    assert "SUCCESS" in {run.status for run in runs}  # one that had selected without the record gives way
    stack.wait_published([contested.key], revision=2)
    until(lambda: all(run.end for run in ui.runs(dagster__partition=contested.key)))
    row, whole = stack.window_row(contested.key), answer(stack, contested)
    assert (row["revision"], row["records"], row["state"]) == (2, RECORDS + 1, "published")
    expected = [each["Unique id"] for each in (*sent[contested.key], more)]
    assert sorted(each["uniqueId"] for each in whole["results"]) == sorted(expected)
    assert sum(cluster["count"] for cluster in whole["statistics"]) == RECORDS + 1
    assert [each["digest"] for each in (*whole["batch"], *whole["model"])] == [row["digest"]] * 2


def overlap(one: Run, other: Run) -> bool:
    assert one.start and one.end and other.start and other.end
    return max(one.start, other.start) < min(one.end, other.end)
