"""The asset checks, in a real Dagster on a real lake: what blocks, what warns, on every partition."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from platform_assets import verdicts
from platform_assets.run import FAILURE_TAG
from platform_assets.training.structure import Structure
from platform_assets.verdicts import RECORDS_PER_FEATURE, SILHOUETTE_FLOOR
from resources.baseline import pin
from resources.due import covered_intakes, due_windows
from resources.kafka import producer
from resources.settings import Settings
from tests.platform_assets.reviewed import Reviewed, evaluations
from tests.resources.conftest import create_topic, record

WARN, ERROR = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR


@pytest.fixture
def reviewed(tmp_path: Path) -> Iterator[Reviewed]:
    made = Reviewed(tmp_path)
    with made.instance:
        yield made


def materialized(result: dg.ExecuteInProcessResult) -> list[str]:
    return [
        event.asset_key.to_user_string()
        for event in result.get_asset_materialization_events()
        if event.asset_key
    ]


def window_row(reviewed: Reviewed, place: int = 0) -> dict[str, Any]:
    rows = reviewed.lake.read_window("windows", reviewed.windows[place]).collect().to_dicts()
    return rows[0] if rows else {}


# ---- after the publication ----


def test_every_window_has_its_checks_by_partition(reviewed: Reviewed) -> None:
    window = reviewed.windows[0]
    reviewed.publish(window, seed=1)
    found = evaluations(reviewed.run(window))
    assert {name: each.passed for name, each in found.items()} == {
        "cluster_stats:freshness": True,
        "model_review:drift": True,
        "model_review:structure": False,
    }
    assert {each.partition for each in found.values()} == {window.key}
    keys = {spec.key.to_user_string() for spec in specs(reviewed)}
    assert keys == {
        "kafka_batch:accounting", "kafka_batch:enough_records", "kafka_batch:nulls", "model_1:silhouette",
        "model_2:silhouette", "model_3:silhouette", "cluster_stats:freshness", "model_review:drift",
        "model_review:structure",
    }  # fmt: skip


def specs(reviewed: Reviewed) -> list[dg.AssetCheckSpec]:
    graph = reviewed.definitions.resolve_asset_graph()
    return [graph.get_check_spec(key) for key in graph.asset_check_keys]


def test_only_accounting_blocks(reviewed: Reviewed) -> None:
    assert [spec.name for spec in specs(reviewed) if spec.blocking] == ["accounting"]


def test_checks_can_be_run_again_alone(reviewed: Reviewed) -> None:
    window = reviewed.windows[0]
    reviewed.publish(window, seed=1)
    silhouette = f"model_{window.slot}"
    keys = {dg.AssetCheckKey(dg.AssetKey("kafka_batch"), name) for name in ("enough_records", "nulls")}
    keys.add(dg.AssetCheckKey(dg.AssetKey(silhouette), "silhouette"))
    found = evaluations(reviewed.run(window, (), keys))
    assert {name: (each.passed, each.partition) for name, each in found.items()} == {
        "kafka_batch:enough_records": (True, window.key),
        "kafka_batch:nulls": (True, window.key),
        f"{silhouette}:silhouette": (True, window.key),
    }


def test_drift_warns_and_the_window_is_published_and_its_run_succeeds(reviewed: Reviewed) -> None:
    reviewed.publish(reviewed.windows[0], seed=1)
    reviewed.land(reviewed.windows[1], seed=2, price=1)
    reviewed.cluster(reviewed.windows[1])
    result = reviewed.run(reviewed.windows[1])
    found = evaluations(result)["model_review:drift"]
    assert result.success
    assert (found.passed, found.severity) == (False, WARN)
    assert (
        found.description
        == f"Moved: price from {reviewed.windows[0].key}, the model from {reviewed.windows[0].key}."
    )
    assert window_row(reviewed, 1)["state"] == "published"


def test_a_review_that_fails_leaves_the_published_window_alone_and_is_seen(reviewed: Reviewed) -> None:
    window, later = reviewed.windows[:2]
    reviewed.publish(later, seed=2)
    pin(reviewed.lake, reviewed.contract, reviewed.taker.ledger.intakes(), later)
    for file in (Path(reviewed.settings.lake) / "baselines").glob("*.parquet"):
        file.unlink()
    reviewed.land(window, seed=1)
    reviewed.cluster(window)
    result = reviewed.run(window)
    assert not result.success
    assert materialized(result) == ["cluster_stats"]
    assert "No such file" in str(result.failure_data_for_node("model_review"))
    assert "cluster_stats:freshness" in evaluations(result)
    row = window_row(reviewed)
    assert (row["state"], row["attempts"], row["error"]) == ("published", 0, None)
    run = reviewed.instance.get_run_by_id(result.run_id)
    assert run
    assert FAILURE_TAG not in run.tags
    intakes, grid = reviewed.taker.ledger.intakes(), reviewed.settings.grid
    due = due_windows(intakes, covered_intakes(reviewed.lake), grid, reviewed.lake.floor(), datetime.now(UTC))
    assert window not in [item.window for item in due if not item.takes_in]


def test_the_review_of_a_window_without_clusters_says_so(reviewed: Reviewed) -> None:
    window = reviewed.windows[0]
    reviewed.land(window, seed=1, records=1)
    reviewed.cluster(window)
    result = reviewed.run(window)
    assert result.success
    assert evaluations(result)["model_review:drift"].description == "No window to compare with yet."
    (event,) = [each for each in result.get_asset_materialization_events() if each.step_key == "model_review"]
    assert event.materialization.metadata["state"].value == "no clusters"


# ---- before the model ----


@pytest.fixture
def fed(tmp_path: Path, broker: Settings) -> Iterator[Reviewed]:
    """A topic with records and a dead letter of the first window."""
    topic = f"test-{uuid.uuid4().hex}"
    create_topic(broker, topic, 1, {})
    servers = broker.kafka_properties["bootstrap.servers"]
    made = Reviewed(tmp_path, {"kafka": {"bootstrap_servers": servers}}, {"topic": topic})
    sender = producer(made.settings)
    at = round(made.windows[0].start.timestamp() * 1000)
    for number in range(20):
        sender.produce(topic, record(number, weight=number), timestamp=at)
    sender.produce(topic, b"{", timestamp=at)
    assert sender.flush(30) == 0
    with made.instance:
        yield made


def test_what_was_read_adds_up_before_a_model_is_made(fed: Reviewed) -> None:
    result = fed.run(fed.windows[0], ["kafka_batch"])
    found = evaluations(result)
    assert result.success
    accounting = found["kafka_batch:accounting"]
    assert (accounting.passed, accounting.severity, accounting.partition) == (True, ERROR, fed.windows[0].key)
    assert accounting.metadata["records"].value == 20
    assert accounting.metadata["dead_letters"].value == 1
    assert (found["kafka_batch:enough_records"].passed, found["kafka_batch:enough_records"].severity) == (
        False, WARN,
    )  # fmt: skip


def test_what_does_not_add_up_blocks_the_window_and_is_its_error(fed: Reviewed) -> None:
    window = fed.windows[0]
    assert fed.taker.take()
    fed.lake.commit("records", lambda table: table.delete("kafka_offset = 7"))
    result = fed.run(window, ["kafka_batch", f"model_{window.slot}", "clustering_results", "cluster_stats"])
    assert not result.success
    found = evaluations(result)["kafka_batch:accounting"]
    assert (found.passed, found.severity, found.blocking) == (False, ERROR, True)
    assert materialized(result) == []
    row = window_row(fed)
    assert "the ledger counts 20, there are 19" in row["error"]
    assert row["state"] is None
    run = fed.instance.get_run_by_id(result.run_id)
    assert run
    assert run.tags[FAILURE_TAG] == "permanent"


# ---- what each says ----


def test_a_window_wants_so_many_records_per_feature() -> None:
    assert not verdicts.enough_records(6 * RECORDS_PER_FEATURE - 1, 6).passed
    assert verdicts.enough_records(6 * RECORDS_PER_FEATURE, 6).passed
    assert verdicts.enough_records(0, 6).description == "The window is empty."


def test_features_with_too_many_nulls_are_named() -> None:
    found = verdicts.nulls({"a": 0.31, "b": 0.3}, 0.3)
    assert not found.passed
    assert "a 31.0%" in found.description
    assert " b " not in found.description
    assert verdicts.nulls({"a": 0.3}, 0.3).passed
    assert verdicts.nulls({}, 0.3).passed


def test_the_silhouette_has_a_floor() -> None:
    assert verdicts.silhouette(SILHOUETTE_FLOOR).passed
    assert not verdicts.silhouette(SILHOUETTE_FLOOR - 0.001).passed
    assert verdicts.silhouette(None).passed


@pytest.mark.parametrize(
    ("found", "passed"),
    [
        (Structure("yes", 0.01, 0.01, {"a": 0.2}), True),
        (Structure("weak", 0.01, 0.3, {"a": 0.2}), True),
        (Structure("none", 0.4, 0.3, {"a": 0.2}), False),
        (Structure("unknown", None, None, {}), True),
        (None, True),
    ],
)
def test_records_without_structure_are_named(found: Structure | None, passed: bool) -> None:
    assert verdicts.structure(found).passed is passed


def test_a_window_that_is_due_for_too_long_is_not_fresh() -> None:
    assert verdicts.freshness(None).passed
    found = verdicts.freshness(datetime(2026, 11, 24, 12, tzinfo=UTC))
    assert not found.passed
    assert "2026-11-24 12:00:00 UTC" in found.description
