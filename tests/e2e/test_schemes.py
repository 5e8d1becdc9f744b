"""Schemes and pins on a stack of their own, with windows of a minute: late, again, pinned, and live."""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import polars as pl
import pytest

from platform_assets.run import PARTITION_TAG
from resources.cluster_model import ClusterModel
from resources.windows import SLOTS, Window
from tests.e2e.dagster_ui import DagsterUI
from tests.e2e.test_windows_in_dagster import answer, flat, land, made_up
from tests.stacks import Stack, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
RECORDS = 120
ASSETS = ["kafka_batch", *(f"model_{slot}" for slot in SLOTS), "clustering_results", "cluster_stats"]
SCHEMES = [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in ("cumulative", "sliding:3")]


@pytest.fixture(scope="module", params=SCHEMES)
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    changes = {"SILT_SCHEME": str(request.param), "SILT_WINDOW_MINUTES": "1"}
    stack = Stack(tmp_path_factory.mktemp("scheme") / "home", changes)
    stack.start("up", "--no-sample")
    with stack.running("simulate", "--rate", "5", "--late", "0"):
        yield stack
    stack.stop()


@pytest.fixture(scope="module")
def ui(stack: Stack) -> DagsterUI:
    return DagsterUI(stack.settings)


@pytest.fixture(scope="module")
def lived(stack: Stack) -> list[Window]:
    """A cycle of half an hour ago and the window after it; records came before them too."""
    first = stack.settings.grid.home(datetime.now(UTC)).step(-30)
    first = first.step(1 - first.slot)
    windows = [first.step(count) for count in range(-2, len(SLOTS) + 1)]
    land(stack, {window: made_up(stack, window, RECORDS) for window in windows})
    stack.wait_published([window.key for window in windows], seconds=120)
    assert {stack.window_row(window.key)["revision"] for window in windows} == {1}
    return windows[2:]


@pytest.fixture(scope="module")
def late_before(stack: Stack, lived: list[Window]) -> list[int]:
    """Whether an intake reached their closes before they landed depends on how quickly the stack began."""
    return [stack.window_row(window.key)["late"] for window in lived]


@pytest.fixture(scope="module")
def reopened(stack: Stack, lived: list[Window], late_before: list[int]) -> list[Window]:
    """The windows that a late record of the first one makes due."""
    row = made_up(stack, lived[0], 1)
    land(stack, {lived[0]: row})
    stack.wait_published([window.key for window in lived[:3]], revision=2)
    return lived[:3]


def model(stack: Stack, window: Window) -> dict[str, Any]:
    rows = stack.lake.read_window("models", window).filter(digest=stack.window_row(window.key)["digest"])
    (row,) = rows.collect().drop("trained_at", "seconds").to_dicts()
    return row


def test_a_model_sees_the_windows_of_its_scheme(stack: Stack, lived: list[Window]) -> None:
    for window in lived:
        seen = {"cumulative": window.slot, "sliding:3": 3}[stack.settings.scheme]
        assert check_seen(stack, window) == [RECORDS] * seen


def check_seen(stack: Stack, window: Window) -> list[int]:
    """The records of the windows that the scheme names, all of which the window's model has seen."""
    sources = stack.settings.model_scheme.sources(window, stack.lake.floor())
    trained, row = model(stack, window), stack.window_row(window.key)
    seen = [stack.window_row(source.key)["records"] for source in sources]
    assert (trained["first_source"], trained["records"]) == (sources[0].key, sum(seen))
    assert sum(trained["sizes"]) == sum(seen)
    results = stack.walk(f"/api/clustering-results?limit=1000&window={window.key}")
    assert len(results) == row["records"] == seen[-1]
    return seen


def _ran(ui: DagsterUI, window: Window, times: int) -> bool:
    return [run.status for run in ui.runs(silt__window=window.key)] == ["SUCCESS"] * times


def test_a_late_record_of_the_first_slot_reopens_those_that_see_it(
    stack: Stack, ui: DagsterUI, lived: list[Window], late_before: list[int], reopened: list[Window]
) -> None:
    late = [stack.window_row(window.key)["late"] for window in lived]
    assert late == [late_before[0] + 1, *late_before[1:]]
    for window in reopened:
        until(partial(_ran, ui, window, 2))
        assert model(stack, window)["revision"] == 2
    assert stack.window_row(lived[3].key)["revision"] == 1
    assert len(ui.runs(silt__window=lived[3].key)) == 1


def test_a_backfill_gives_the_models_of_the_live_run(
    stack: Stack, ui: DagsterUI, lived: list[Window], reopened: list[Window]
) -> None:
    models = [model(stack, window) for window in lived]
    answers = [answer(stack, window) for window in lived]
    published = [stack.window_row(window.key)["published_at"] for window in lived]
    keys = [window.key for window in lived]
    runs = ui.backfill(ASSETS, *keys)
    assert {run.status for run in runs} == {"SUCCESS"}
    assert {run.tags[PARTITION_TAG] for run in runs} == set(keys)
    for window, before, was, at in zip(lived, models, answers, published, strict=True):
        assert stack.window_row(window.key)["published_at"] > at
        assert model(stack, window) == before  # centres to the bit
        assert flat(answer(stack, window)) == pytest.approx(flat(was))


def test_a_pinned_version_assigns_until_it_is_unpinned(
    stack: Stack, ui: DagsterUI, lived: list[Window], reopened: list[Window]
) -> None:
    first, last = lived[0], lived[3]
    version = f"model_1/{first.key}/r2"
    stack.silt("models", "pin", version)
    assert version in stack.silt("models", "list", "--model", "model_1")
    assert ui.finished(ui.materialize(assets_of(last), last.key)).status == "SUCCESS"
    row = stack.window_row(last.key)
    assert (row["revision"], row["model_version"]) == (2, version)
    shown = answer(stack, last)
    assert {each["modelVersion"] for each in (*shown["results"], *shown["statistics"])} == {version}
    assert stack.get(f"/api/models?window={last.key}")[0]["modelVersion"] == version
    check_assigned(stack, first, shown["results"])
    assert model(stack, last)["revision"] == 2  # the window's own is trained all the same
    assert "would move" in stack.silt("models", "diff", version, f"model_1/{last.key}/r2")
    assert ui.finished(ui.materialize(assets_of(first), first.key)).status == "SUCCESS"
    assert stack.window_row(first.key)["revision"] == 2  # there it is the window's own
    assert stack.window_row(lived[1].key)["revision"] == 2
    stack.silt("models", "unpin", "model_1")
    assert ui.finished(ui.materialize(assets_of(last), last.key)).status == "SUCCESS"
    assert stack.window_row(last.key)["model_version"] == f"model_1/{last.key}/r3"


def test_a_live_window_sees_the_windows_of_its_scheme(stack: Stack) -> None:
    window = stack.settings.grid.home(datetime.now(UTC)).step(1)
    stack.wait_published([window.key], seconds=180)
    assert min(check_seen(stack, window)) > 100
    assert stack.window_row(window.key)["revision"] == 1


def assets_of(window: Window) -> list[str]:
    return ["kafka_batch", f"model_{window.slot}", "clustering_results", "cluster_stats"]


def check_assigned(stack: Stack, trained: Window, results: list[dict[str, Any]]) -> None:
    """The stored model of a window, without Spark, gives these clusters."""
    clusters, _ = ClusterModel.from_row(model(stack, trained)).assign([each["features"] for each in results])
    assert [each["cluster"] for each in results] == clusters.tolist()
    assert pl.Series(clusters).n_unique() > 1
