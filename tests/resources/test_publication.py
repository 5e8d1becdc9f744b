"""Publication: a window's row, and what a failed run leaves of it."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from resources.batch import Batch
from resources.due import covered_intakes
from resources.errors import LakeError
from resources.lake import Lake
from resources.publication import publish, record_failure
from resources.tables import TABLES
from resources.versions import Stored, Version
from resources.windows import Window
from tests.resources.conftest import FIRST, GRID


def batch(window: Window = FIRST, revision: int = 1, digest: str = "d1", covered: int = 4) -> Batch:
    return Batch(
        window,
        revision,
        digest,
        covered,
        "c0ffee",
        records=9,
        late=1,
        duplicates=2,
        dead_letters=3,
        missing=4,
        first_source=window.step(-1).key,
        seen=17,
    )


def row_of(lake: Lake, window: Window = FIRST) -> dict[str, Any]:
    (row,) = lake.read_window("windows", window).collect().to_dicts()
    return row


@pytest.mark.parametrize("state", ["published", "empty", "too-few"])
def test_a_published_window_says_what_its_answer_is_made_from(lake: Lake, state: str) -> None:
    before = datetime.now(UTC)
    assigned_by = Stored(Version(FIRST, 1), {"digest": "d1"})
    seconds = publish(lake, GRID, batch(), state, (11, 12), assigned_by)
    row = row_of(lake)
    assert before <= row["published_at"] <= datetime.now(UTC)
    assert row["seconds"] == seconds == (row["published_at"] - GRID.close(FIRST)).total_seconds()
    assert {name: value for name, value in row.items() if name not in ("published_at", "seconds")} == {
        "window": FIRST.key, "slot": 1, "revision": 1, "digest": "d1", "state": state, "covered": 4,
        "contract_version": "c0ffee", "records": 9, "late": 1, "duplicates": 2, "dead_letters": 3,
        "missing": 4, "first_source": FIRST.step(-1).key, "seen": 17,
        "model_version": f"model_1/{FIRST.key}/r1", "model_digest": "d1",
        "results_version": 11, "stats_version": 12, "attempts": 0, "error": None,
    }  # fmt: skip
    assert set(lake.read("windows").columns) == set(TABLES["windows"].schema)


def test_two_answers_from_different_records_never_share_a_revision(lake: Lake) -> None:
    publish(lake, GRID, batch(), "published", (1, 1))
    publish(lake, GRID, batch(revision=2, digest="d2", covered=7), "published", (2, 2))
    with pytest.raises(LakeError, match="Another run has answered window"):
        publish(lake, GRID, batch(revision=2, digest="d3", covered=8), "published", (3, 3))
    assert (row_of(lake)["digest"], row_of(lake)["covered"]) == ("d2", 7)
    publish(lake, GRID, batch(revision=3, digest="d3", covered=8), "published", (3, 3))
    assert row_of(lake)["revision"] == 3


def test_a_run_that_ends_late_takes_no_coverage_back(lake: Lake) -> None:
    publish(lake, GRID, batch(covered=7), "published", (2, 2))
    publish(lake, GRID, batch(covered=5), "published", (1, 1))
    assert row_of(lake)["covered"] == 7


def test_a_later_answer_replaces_the_row_of_its_window_alone(lake: Lake) -> None:
    publish(lake, GRID, batch(), "published", (1, 1))
    publish(lake, GRID, batch(FIRST.step(1)), "published", (2, 2))
    publish(lake, GRID, batch(revision=2, digest="d2", covered=7), "published", (3, 3))
    assert lake.read("windows").height == 2
    assert (row_of(lake)["revision"], row_of(lake)["covered"]) == (2, 7)
    assert row_of(lake, FIRST.step(1))["revision"] == 1


def test_a_failed_first_run_leaves_a_row_without_an_answer(lake: Lake) -> None:
    record_failure(lake, FIRST, "no Spark")
    row = row_of(lake)
    assert (row["state"], row["attempts"], row["error"], row["slot"]) == (None, 1, "no Spark", FIRST.slot)
    assert lake.read("windows")["date"].to_list() == [FIRST.date]
    assert covered_intakes(lake) == {}


def test_failures_are_counted_and_the_last_error_stands(lake: Lake) -> None:
    for number in range(1, 4):
        record_failure(lake, FIRST, f"error {number}")
    assert (row_of(lake)["attempts"], row_of(lake)["error"]) == (3, "error 3")
    assert lake.read("windows").height == 1


def test_a_failure_leaves_the_last_answer_standing(lake: Lake) -> None:
    publish(lake, GRID, batch(), "published", (11, 12))
    before = row_of(lake)
    record_failure(lake, FIRST, "no Spark")
    assert row_of(lake) == before | {"attempts": 1, "error": "no Spark"}
    assert covered_intakes(lake) == {FIRST.key: 4}


@pytest.mark.parametrize("answered_before", [True, False])
def test_a_failure_noted_while_another_run_publishes_keeps_the_new_answer(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, answered_before: bool
) -> None:
    if answered_before:
        publish(lake, GRID, batch(), "published", (1, 1))
    change_window = lake.change_window
    raced: list[float] = []

    def read_and_lose(
        name: str, window: Window, change: Callable[[list[dict[str, Any]]], pl.DataFrame]
    ) -> int:
        def changed(rows: list[dict[str, Any]]) -> pl.DataFrame:
            if not raced:
                raced.append(
                    publish(Lake(lake.uri), GRID, batch(revision=2, digest="d2"), "published", (2, 2))
                )
            return change(rows)

        return change_window(name, window, changed)

    monkeypatch.setattr(lake, "change_window", read_and_lose)
    record_failure(lake, FIRST, "no Spark")
    monkeypatch.undo()
    assert raced
    row = row_of(lake)
    assert (row["revision"], row["digest"], row["results_version"]) == (2, "d2", 2)
    assert (row["attempts"], row["error"]) == (1, "no Spark")


def test_an_answer_after_failures_clears_them(lake: Lake) -> None:
    record_failure(lake, FIRST, "no Spark")
    publish(lake, GRID, batch(), "published", (1, 1))
    assert (row_of(lake)["attempts"], row_of(lake)["error"], row_of(lake)["state"]) == (0, None, "published")
