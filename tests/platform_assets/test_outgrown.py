"""A window that outgrows its run's memory gets the answer that it would get within it."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from resources.windows import Window
from tests.platform_assets.reviewed import Reviewed
from tests.stacks import Stack

ANSWER = ("kafka_batch", "model_1", "clustering_results", "cluster_stats")
_VARIES = ("trained_at", "seconds", "stats_version", "results_version")


def answered(reviewed: Reviewed, window: Window) -> dict[str, list[dict[str, Any]]]:
    """What the tables hold of a window once all of it was materialized."""
    assets = [name.replace("model_1", f"model_{window.slot}") for name in ANSWER]
    assert reviewed.run(window, assets).success
    tables = ("kafka_batch", "models", "clustering_results", "cluster_stats")
    found = {name: reviewed.lake.read_window(name, window).collect() for name in tables}
    found["clustering_results"] = found["clustering_results"].sort("record_id")
    found["cluster_stats"] = found["cluster_stats"].sort("cluster")
    return {name: rows.drop(_VARIES, strict=False).to_dicts() for name, rows in found.items()}


def statistics(rows: list[dict[str, Any]]) -> list[Any]:
    return [msgspec.json.decode(row[name]) for row in rows for name in ("averages", "features")]


def flat(value: Any) -> list[Any]:
    """The values of nested lists and dictionaries, one after the other."""
    if isinstance(value, dict):
        value = list(value.items())
    return [leaf for item in value for leaf in flat(item)] if isinstance(value, list | tuple) else [value]


def test_the_answer_is_the_same_on_both_sides_of_the_bound(tmp_path: Path, stack: Stack) -> None:
    within = Reviewed(tmp_path)
    window = within.windows[0]
    within.land(window, 1, records=12_000)
    within.land(window, 2, records=500)
    again = {"record_id": "concat('id-0-', cast(kafka_offset - 20000 as string))"}
    within.lake.commit("records", lambda table: table.update(again, predicate="intake = 2"))
    nulls = {"price": "NULL", "shop": "NULL"}
    within.lake.commit("records", lambda table: table.update(nulls, predicate="kafka_offset % 9 = 0"))
    outgrown = Reviewed(tmp_path, {"run_memory": "1m", "spark_remote": stack.settings.spark_url})
    assert not outgrown.platform.rows.fit(12_000)
    with within.instance, outgrown.instance:
        expected, found = answered(within, window), answered(outgrown, window)
    (batch,) = found["kafka_batch"]
    assert (batch["records"], batch["duplicates"], batch["revision"]) == (12_000, 500, 1)
    assert found["kafka_batch"] == expected["kafka_batch"]
    assert flat(found["models"]) == pytest.approx(flat(expected["models"]), rel=1e-9, abs=1e-9)
    assert [row["cluster"] for row in found["clustering_results"]] == [
        row["cluster"] for row in expected["clustering_results"]
    ]
    assert [row["count"] for row in found["cluster_stats"]] == [
        row["count"] for row in expected["cluster_stats"]
    ]
    both = [flat(statistics(rows["cluster_stats"])) for rows in (found, expected)]
    assert both[0] == pytest.approx(both[1], rel=1e-9)
