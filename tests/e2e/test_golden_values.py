"""The three seed batches give the known models, whenever they come and however they are partitioned."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import polars as pl
import pytest

from resources.windows import Window
from tests.conftest import cycle_before, send_seed
from tests.stacks import Stack, until

RECORDS = {1: 421, 2: 560, 3: 570}
SIZES = {1: [325, 96], 2: [439, 121], 3: [446, 124]}
SILHOUETTES = {1: 0.5868, 2: 0.5950, 3: 0.5950}
INERTIA = {1: 883.5494, 2: 1178.8494, 3: 1198.4544}
"""The best known, of two clusters."""


def test_batches_sent_before_the_stack_starts(stack: Stack, first_cycle: list[Window], seed: Path) -> None:
    check_cycle(stack, first_cycle, seed)


def test_batches_that_come_after_later_windows_were_published(
    stack: Stack, first_cycle: list[Window], seed: Path
) -> None:
    stack.wait_published([window.key for window in first_cycle])
    cycle = cycle_before(4)
    send_seed(stack, cycle)
    check_cycle(stack, cycle, seed)


@pytest.fixture
def one_partition(tmp_path: Path) -> Iterator[Stack]:
    stack = Stack(tmp_path / "home", {"SILT_TOPIC_PARTITIONS": "1"})
    try:
        yield stack
    finally:
        stack.stop()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_same_on_a_topic_of_one_partition(one_partition: Stack, seed: Path) -> None:
    first, second = cycle_before(2), cycle_before(4)
    one_partition.start("broker")
    send_seed(one_partition, first)
    one_partition.stop()
    one_partition.start("up", "--no-sample")
    check_cycle(one_partition, first, seed)
    send_seed(one_partition, second)
    check_cycle(one_partition, second, seed)


def check_cycle(stack: Stack, cycle: list[Window], seed: Path) -> None:
    until(lambda: all(stack.window_row(each.key).get("records") == RECORDS[each.slot] for each in cycle))
    keys = [window.key for window in cycle]
    walked = [row for row in stack.walk("/api/clustering-results?limit=1000") if row["window"] in keys]
    assert len(walked) == sum(RECORDS.values())
    assert max(Counter((row["window"], row["uniqueId"]) for row in walked).values()) == 1
    ids: set[str] = set()
    for window in cycle:
        records = pl.read_csv(seed / f"batch_{window.slot}.csv", infer_schema_length=None)
        ids |= set(records["Unique id"])
        check_model(stack, window)
        check_statistics(stack, window, records)
        check_predictions(stack, window, records)
    assert len(ids) == 570
    check_ids(stack, cycle[2], ids)  # the third batch holds the ids of all


def check_model(stack: Stack, window: Window) -> None:
    (model,) = stack.get(f"/api/models?window={window.key}")
    assert model["model"] == f"model_{window.slot}"
    assert model["silhouette"] == pytest.approx(SILHOUETTES[window.slot], abs=0.0001)
    assert model["inertia"] <= 1.0001 * INERTIA[window.slot]


def check_statistics(stack: Stack, window: Window, records: pl.DataFrame) -> None:
    """Counts and averages over HTTP, against those of the CSV file under the lake's assignments."""
    assignments = (
        stack.lake.read_window("clustering_results", window).select("record_id", "cluster").collect()
    )
    joined = records.join(assignments, left_on="Unique id", right_on="record_id", how="inner", validate="1:1")
    expected = {
        row["cluster"]: row
        for row in joined.group_by("cluster")
        .agg(pl.len().alias("count"), pl.col("CSAT Score").mean(), pl.col("Item_price").mean())
        .iter_rows(named=True)
    }
    answer = stack.get(f"/api/cluster-stats?window={window.key}")
    assert [cluster["count"] for cluster in answer] == SIZES[window.slot]
    assert {cluster["cluster"]: cluster["count"] for cluster in answer} == {
        number: row["count"] for number, row in expected.items()
    }
    for cluster in answer:
        assert cluster["avgCSAT"] == pytest.approx(expected[cluster["cluster"]]["CSAT Score"])
        assert cluster["avgPrice"] == pytest.approx(expected[cluster["cluster"]]["Item_price"])


def check_predictions(stack: Stack, window: Window, records: pl.DataFrame) -> None:
    """What the API predicts for the records of a window is what Spark assigned there, to the last bit."""
    model = f"/api/models/model_{window.slot}/versions/{window.key}"
    predicted = stack.post(f"{model}/predict", records.to_dicts())
    rows = stack.lake.read_window("clustering_results", window).collect()
    stored = dict(zip(rows["record_id"], rows.select("cluster", "distance").iter_rows(), strict=True))
    assert {row["uniqueId"]: (row["cluster"], row["distance"]) for row in predicted} == stored
    history = stack.get(f"/api/clustering-results/{quote(rows['record_id'][0], safe='')}/history")
    (past,) = (row for row in history if row["window"] == window.key)
    (same,) = (row for row in predicted if row["uniqueId"] == rows["record_id"][0])
    assert {name: past[name] for name in ("secondCluster", "secondDistance", "margin")} == {
        name: same[name] for name in ("secondCluster", "secondDistance", "margin")
    }


def check_ids(stack: Stack, window: Window, ids: set[str]) -> None:
    rows = stack.lake.read_window("clustering_results", window).collect()
    clusters = dict(zip(rows["record_id"], rows["cluster"], strict=True))
    assert set(clusters) == ids
    for identity in ids:
        answer = stack.get(f"/api/clustering-results/{quote(identity, safe='')}?window={window.key}")
        assert answer["cluster"] == clusters[identity]
        assert json.dumps(answer["features"]) != "{}"
