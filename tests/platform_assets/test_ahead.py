"""An answer that was worked out ahead of the close is the answer that would be made after it."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable

from platform_assets import ahead, cluster_stats, clustering_results, models
from platform_assets.ahead import work_ahead
from platform_assets.spark_session import SparkConnectResource
from resources.windows import Window
from tests.platform_assets import test_outgrown
from tests.platform_assets.reviewed import RECORDS, Reviewed

NO_SPARK = SparkConnectResource(spark_config={})


class Attended(Reviewed):
    """A run that attends its window: it keeps what it lands."""

    def land(self, window: Window, seed: int, records: int = RECORDS, **shifts: float) -> None:
        super().land(window, seed, records, **shifts)
        intakes = self.taker.ledger.intakes()
        frame = self.lake.read_window("records", window).filter(intake=intakes.last).collect()
        self.platform.rows.land(intakes[intakes.last], frame)

    def ahead(self, window: Window) -> bool:
        return work_ahead(self.platform, NO_SPARK, window)


@pytest.fixture
def attended(tmp_path: Path) -> Attended:
    return Attended(tmp_path / "attended")


@pytest.fixture
def calm(tmp_path: Path) -> Reviewed:
    return Reviewed(tmp_path / "calm")


@pytest.fixture(autouse=True)
def folders(tmp_path: Path) -> None:
    for name in ("attended", "calm"):
        (tmp_path / name).mkdir()


def answered(reviewed: Reviewed, window: Window) -> dict[str, list[dict[str, Any]]]:
    """What the tables hold of a window once all was materialized; each folder has its own contract."""
    own = ("digest", "contract_version")
    return {
        name: [{column: value for column, value in row.items() if column not in own} for row in rows]
        for name, rows in test_outgrown.answered(reviewed, window).items()
    }


def files(reviewed: Reviewed) -> list[Path]:
    return sorted((reviewed.folder / "lake" / "clustering_results").rglob("*.parquet"))


def not_again(*_: Any) -> None:
    raise AssertionError("it is made a second time")


def test_what_was_made_ahead_is_committed_and_not_made_again(
    attended: Attended, calm: Reviewed, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = attended.windows[0]
    for run_before in (attended, calm):
        run_before.land(window, 1)
    attended.platform.rows.keep(window)
    for reviewed in (attended, calm):
        reviewed.land(window, 2)
    assert attended.ahead(window)
    written = files(attended)
    assert written
    assert attended.lake.window_files("clustering_results", window).files == []
    for name in ("kafka_batch", "models", "cluster_stats", "windows"):
        assert attended.lake.read_window(name, window).collect().is_empty()
    expected = answered(calm, window)
    monkeypatch.setattr(models, "_trained", not_again)
    monkeypatch.setattr(clustering_results, "_in_process", not_again)
    monkeypatch.setattr(cluster_stats, "cluster_statistics", not_again)
    assert answered(attended, window) == expected
    assert files(attended) == written


def test_a_record_that_comes_after_it_is_in_the_answer(attended: Attended, calm: Reviewed) -> None:
    window = attended.windows[0]
    attended.platform.rows.keep(window)
    for reviewed in (attended, calm):
        reviewed.land(window, 1)
    assert attended.ahead(window)
    for reviewed in (attended, calm):
        reviewed.land(window, 2, records=1)
    found = answered(attended, window)
    assert found == answered(calm, window)
    assert found["kafka_batch"][0]["records"] == RECORDS + 1


def test_a_record_that_is_erased_after_it_is_not_in_the_answer(attended: Attended, calm: Reviewed) -> None:
    window = attended.windows[0]
    attended.platform.rows.keep(window)
    for reviewed in (attended, calm):
        reviewed.land(window, 1)
    gone = attended.lake.read_window("records", window).collect()["record_id"][7]
    assert attended.ahead(window)

    def blank(table: DeltaTable) -> None:
        table.update({"record_id": "NULL"}, predicate=f"record_id = '{gone}'")

    for reviewed in (attended, calm):
        reviewed.lake.mark_erasure()
        reviewed.lake.commit("records", blank)
    found = answered(attended, window)
    assert found == answered(calm, window)
    assert gone not in {row["record_id"] for row in found["clustering_results"]}


def test_a_window_that_is_answered_anew_replaces_its_rows(attended: Attended, calm: Reviewed) -> None:
    window = attended.windows[0]
    for reviewed in (attended, calm):
        reviewed.land(window, 1)
    assert answered(attended, window) == answered(calm, window)
    attended.platform.rows.keep(window)
    for reviewed in (attended, calm):
        reviewed.land(window, 2, records=5)
    before = files(attended)
    assert attended.ahead(window)
    assert files(attended) == before, "rows that replace others are written when they do"
    assert answered(attended, window) == answered(calm, window)


@pytest.mark.parametrize("records", [0, 301])
def test_nothing_is_written_ahead_of_no_record_or_of_too_many(
    attended: Attended, monkeypatch: pytest.MonkeyPatch, records: int
) -> None:
    monkeypatch.setattr(ahead, "MOST", 300)
    window = attended.windows[0]
    attended.platform.rows.keep(window)
    if records:
        attended.land(window, 1, records)
    assert not attended.ahead(window)
    assert files(attended) == []


def test_training_on_too_many_is_begun_ahead_and_not_again(
    attended: Attended, calm: Reviewed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "MOST", 300)
    window = attended.windows[0]
    attended.platform.rows.keep(window)
    for reviewed in (attended, calm):
        reviewed.land(window, 1, 301)
    assert not attended.ahead(window)
    expected = answered(calm, window)
    monkeypatch.setattr(models, "_begun", not_again)
    assert answered(attended, window) == expected


def test_a_window_of_too_few_points_has_an_answer_without_clusters(attended: Attended) -> None:
    window = attended.windows[0]
    attended.platform.rows.keep(window)
    attended.land(window, 1, records=1)
    assert attended.ahead(window)
    found = answered(attended, window)
    assert (found["models"][0]["state"], found["clustering_results"]) == ("too-few", [])
    row = attended.lake.read_window("windows", window).select(pl.col("state")).collect()
    assert row.item() == "too-few"
