"""A day of windows in each scheme: answered by the sensor as they are due, and backfilled by a person."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from platform_assets.run import PARTITION_TAG
from tests.e2e.dagster_ui import DagsterUI
from tests.e2e.test_schemes import ASSETS, model
from tests.e2e.test_windows_in_dagster import land, made_up
from tests.stacks import Stack

RECORDS = 30
SECONDS = 2400


@pytest.mark.slow
@pytest.mark.timeout(2 * SECONDS)
@pytest.mark.parametrize("scheme", ["disjoint", "cumulative", "sliding:3"])
def test_a_backfill_over_a_day_gives_the_models_that_the_sensor_gave(tmp_path: Path, scheme: str) -> None:
    changes = {"SILT_SCHEME": scheme, "SILT_WINDOW_MINUTES": "20", "SILT_ALLOWED_LATENESS_HOURS": "48"}
    stack = Stack(tmp_path / "home", changes)
    stack.start("up", "--no-sample")
    try:
        newest = stack.settings.grid.newest_closed(datetime.now(UTC)).step(-3)
        day = list(stack.settings.grid.between(newest.step(-71), newest))
        land(stack, {window: made_up(stack, window, RECORDS) for window in day})
        keys = [window.key for window in day]
        stack.wait_published(keys, seconds=SECONDS)
        answers = stack.lake.read("windows").filter(pl.col("window").is_in(keys)).sort("window")
        models = [model(stack, window) for window in day]
        assert {each["state"] for each in models} == {"trained"}
        assert max(each["records"] for each in models) == RECORDS * (1 if scheme == "disjoint" else 3)
        runs = DagsterUI(stack.settings).backfill(ASSETS, *keys, seconds=SECONDS)
        assert {run.status for run in runs} == {"SUCCESS"}
        assert {run.tags[PARTITION_TAG] for run in runs} == set(keys)
        again = stack.lake.read("windows").filter(pl.col("window").is_in(keys)).sort("window")
        unchanged = ("window", "revision", "digest", "records", "seen", "first_source", "model_version")
        assert again.select(unchanged).equals(answers.select(unchanged))
        assert (again["published_at"] > answers["published_at"]).all()
        assert [model(stack, window) for window in day] == models  # centres to the bit
    finally:
        stack.stop()
