"""A window that is published again: readers see the old answer until its row in ``windows`` changes."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resources.settings import Settings
from tests.api.clients import Client, client_of
from tests.api.lakes import FIRST, HandMadeLake, digest

OLD = {"a": 0, "b": 1, "gone": 1}
NEW = {"a": 1, "b": 0, "late": 0}
GONE = {"results_version": 999, "stats_version": 999}
"""Versions that no table has, as if the log no longer reached back to them."""


def _shown(client: Client) -> dict[str, Any]:
    """All that the API says of the window, as clients ask for it."""
    rows = client.get("/api/clustering-results").json()
    asked = [client.get(f"/api/clustering-results/{name}").json() for name in ("a", "gone", "late")]
    named = client.get(f"/api/clustering-results/a?window={FIRST.key}").json()
    stats = client.get("/api/cluster-stats").json()
    models = client.get(f"/api/models?window={FIRST.key}").json()
    return {
        "walk": {row["uniqueId"]: row["cluster"] for row in rows},
        "revisions": {
            row["modelVersion"][-2:]
            for row in [*rows, *asked, named, *stats, *models]
            if "modelVersion" in row
        },
        "inside": {row["features"]["revision"] for row in [*rows, named]},
        "found": [answer.get("cluster", answer.get("status")) for answer in asked],
        "counts": [cluster["count"] for cluster in stats],
    }


def _answer(clusters: dict[str, int], revision: int) -> dict[str, Any]:
    return {
        "walk": clusters,
        "revisions": {f"r{revision}"},
        "inside": {revision},
        "found": [clusters.get(name, 404) for name in ("a", "gone", "late")],
        "counts": [list(clusters.values()).count(number) for number in (0, 1)],
    }


def test_old_answer_stands_until_the_windows_row_names_the_new_one(
    lake: HandMadeLake, client: Client
) -> None:
    lake.publish(FIRST, OLD)
    assert _shown(client) == _answer(OLD, 1)

    versions = lake.replace_answer(FIRST, NEW, revision=2)
    held = lake.read("clustering_results", ["digest"])["digest"].unique().to_list()
    assert held == [digest(FIRST, 2)], "the old rows are gone from the newest version"
    assert _shown(client) == _answer(OLD, 1)

    lake.write_row(FIRST, "published", 2, versions)
    assert _shown(client) == _answer(NEW, 2)


def test_api_started_in_the_gap_shows_the_old_answer(lake: HandMadeLake, client: Client) -> None:
    lake.publish(FIRST, OLD)
    lake.replace_answer(FIRST, NEW, revision=2)

    assert _shown(client) == _answer(OLD, 1)


def test_gap_in_a_day_whose_windows_share_a_file(lake: HandMadeLake, client: Client) -> None:
    lake.publish(FIRST.step(-1), {"other": 0, "another": 1})
    versions = lake.replace_answer(FIRST, OLD)
    table = lake.table("clustering_results")
    table.optimize.z_order(["record_id"])
    lake.write_row(FIRST, "published", 1, versions | {"results_version": table.version()})

    lake.replace_answer(FIRST, NEW, revision=2)

    answer = client.get("/api/clustering-results/gone").json()
    assert (answer["cluster"], answer["modelVersion"][-2:]) == (1, "r1")
    assert client.get("/api/clustering-results/other").json()["cluster"] == 0
    assert client.get("/api/clustering-results/late").status_code == 404


def test_window_that_loses_its_answer_shows_the_old_one_until_its_row_says_so(
    lake: HandMadeLake, client: Client
) -> None:
    lake.publish(FIRST, OLD)
    for table in ("clustering_results", "cluster_stats"):
        lake.replace_window(table, FIRST, lake.read(table).clear())
    assert _shown(client) == _answer(OLD, 1)

    lake.write_row(FIRST, "too-few", 2)
    assert client.get("/api/clustering-results").json() == []
    assert client.get("/api/cluster-stats").json() == []
    assert client.get("/api/clustering-results/a").status_code == 404


def test_look_up_in_the_gap_takes_the_newest_window_of_the_model(lake: HandMadeLake, client: Client) -> None:
    lake.publish(FIRST, OLD)
    lake.publish(FIRST.step(1), OLD)
    lake.replace_answer(FIRST.step(1), NEW, revision=2)

    def version(choice: str) -> str:
        found: str = client.get(f"/api/clustering-results/a{choice}").json()["modelVersion"]
        return found

    assert version("") == "model_2/2026-11-24T0505Z/r1"
    assert version("?model=model_1") == "model_1/2026-11-24T0500Z/r1"


def test_old_answer_stands_though_its_version_has_left_the_log(lake: HandMadeLake, client: Client) -> None:
    lake.replace_answer(FIRST, OLD)
    lake.write_row(FIRST, "published", 1, GONE)
    assert _shown(client) == _answer(OLD, 1)

    lake.replace_answer(FIRST, NEW, revision=2)

    assert _shown(client) == _answer(OLD, 1)


def test_window_that_cannot_be_read_does_not_hide_newer_ones(lake: HandMadeLake, tmp_path: Path) -> None:
    lake.replace_answer(FIRST, OLD)
    lake.write_row(FIRST, "published", 1, GONE)
    lake.replace_answer(FIRST, NEW, revision=2)
    lake.publish(FIRST.step(1), {"newer": 0, "b": 1})

    with client_of(Settings(home=tmp_path)) as client:  # it has never seen what was replaced
        assert client.get("/api/clustering-results/newer").json()["cluster"] == 0
        assert client.get("/api/clustering-results?limit=1").json()[0]["uniqueId"] == "b"
        assert client.get("/api/clustering-results/gone").status_code == 503


def test_same_digest_again_changes_nothing(lake: HandMadeLake, client: Client) -> None:
    lake.publish(FIRST, OLD)
    before = _shown(client)
    lake.replace_answer(FIRST, OLD)
    assert _shown(client) == before


@pytest.mark.parametrize(
    "look",
    [
        lambda client: [r["modelVersion"] for r in client.get("/api/clustering-results").json()],
        lambda client: [r["modelVersion"] for r in client.get("/api/cluster-stats").json()],
        lambda client: [client.get("/api/clustering-results/a").json()["modelVersion"]],
    ],
    ids=["walk", "statistics", "look-up"],
)
def test_reader_beside_a_writer_sees_one_whole_revision_at_a_time(
    lake: HandMadeLake, client: Client, look: Callable[[Client], list[str]]
) -> None:
    lake.publish(FIRST, OLD)
    size = len(look(client))
    done = threading.Event()

    def write() -> None:
        for revision in range(2, 12):
            lake.publish(FIRST, NEW, revision)
        done.set()

    seen = []
    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        answer = look(client)
        assert len(answer) == size and len(set(answer)) == 1, answer
        seen += answer[:1]
    writer.join()

    revisions = [int(version.rpartition("/r")[2]) for version in seen]
    assert revisions == sorted(revisions)
    assert len(set(revisions)) > 2, "the reader saw revisions come"
