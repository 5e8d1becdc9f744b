"""`GET /api/clustering-results/{uniqueId}/history`: a record in every window that has its id."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from resources.settings import Settings
from tests.api.clients import Client, client_of, problem
from tests.api.lakes import FIRST, HandMadeLake, digest, version

W = [FIRST.step(count) for count in range(7)]
SECOND = (1 + 3.345**2) ** 0.5
"""From the point of a record without a price to the farther centre of the hand-made model."""
STRANGE = ["x/history", "a/b", "history", "/", "a//b/", "50%", "é?#"]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Seven windows with the id a, of which the fourth was published twice, and one by another's model."""
    home = tmp_path_factory.mktemp("home")
    lake = HandMadeLake(home / "lake")
    for window in W[:6]:
        lake.publish(window, {"a": 1, window.key: 0})
    lake.publish(W[3], {"a": 0, "x": 1, "a/b": 1}, revision=2)
    pinned: dict[str, Any] = {"model_version": version(W[0], 1), "model_digest": digest(W[0], 1)}
    lake.publish(W[6], {"a": 1} | dict.fromkeys(STRANGE, 1), **pinned)
    lake.name_clusters(W[5], ["c1", "c2"])
    lake.write_row(W[6].step(1), "too-few")
    with client_of(Settings(home=home)) as client:
        yield client


def history(client: Client, name: str, query: str = "") -> list[dict[str, Any]]:
    answer = client.get(f"/api/clustering-results/{name}/history{query}")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


def test_history_names_every_window_that_has_the_id_newest_first(client: Client) -> None:
    found = history(client, "a")
    assert [row["window"] for row in found] == [window.key for window in reversed(W)]
    assert {row["window"]: row["cluster"] for row in found}[W[3].key] == 0
    assert [row["window"] for row in history(client, W[2].key)] == [W[2].key]


def test_a_window_of_the_history_says_how_near_the_second_best_cluster_was(client: Client) -> None:
    newest, named, *_ = history(client, "a")
    assert named == {
        "window": W[5].key,
        "model": "model_3",
        "modelVersion": version(W[5], 1),
        "revision": 1,
        "cluster": 1,
        "clusterId": f"{W[5].key}/1",
        "clusterName": "c2",
        "distance": 1.5,
        "secondCluster": 0,
        "secondDistance": pytest.approx(SECOND),
        "margin": pytest.approx(1 - 0.655 / SECOND),
        "eventTime": "2026-11-24T05:26:30Z",
    }
    assert (newest["modelVersion"], newest["secondCluster"]) == (version(W[0], 1), 0)
    assert [row["revision"] for row in history(client, "a")] == [1, 1, 1, 2, 1, 1, 1]


def test_history_is_walked_and_chosen_by_model_and_window(client: Client) -> None:
    keys, url = [], "/api/clustering-results/a/history?limit=2"
    while url:
        answer = client.get(url)
        keys += [row["window"] for row in answer.json()]
        url = answer.links.get("next", {}).get("url", "")
    assert keys == [window.key for window in reversed(W)]
    assert [row["window"] for row in history(client, "a", "?model=model_2")] == [W[4].key, W[1].key]
    between = f"?from={W[1].key}&to={W[4].key}"
    assert [row["window"] for row in history(client, "a", between)] == [W[n].key for n in (3, 2, 1)]
    assert history(client, W[2].key, "?model=model_1") == []


def test_an_id_that_nothing_has_is_not_found(client: Client) -> None:
    assert "nope" in problem(client, "/api/clustering-results/nope/history", 404)["detail"]
    problem(client, "/api/clustering-results/a/history?from=yesterday", 400)


@pytest.mark.parametrize("name", STRANGE)
def test_ids_of_slashes_have_a_result_and_a_history(client: Client, name: str) -> None:
    encoded = quote(name, safe="")
    assert client.get(f"/api/clustering-results/{encoded}").json()["uniqueId"] == name
    assert history(client, encoded)[0]["window"] == W[6].key
    assert client.get("/api/clustering-results", params={"uniqueId": name}).json()[0]["uniqueId"] == name


def test_slashes_of_an_id_need_no_encoding_unless_it_ends_as_a_history_does(client: Client) -> None:
    assert client.get("/api/clustering-results/a/b").json()["uniqueId"] == "a/b"
    newest = client.get("/api/clustering-results/a/b/history?limit=1")
    following = client.get(newest.links["next"]["url"])
    assert [answer.json()[0]["window"] for answer in (newest, following)] == [W[6].key, W[3].key]
    assert [row["window"] for row in history(client, "x")] == [W[3].key]
    assert [row["window"] for row in history(client, "x/history")] == [W[6].key]


def test_a_walk_expires_once_what_it_began_with_is_gone(tmp_path: Path) -> None:
    lake = HandMadeLake(tmp_path / "lake")
    lake.replace_answer(W[0], {"a": 0})
    lake.write_row(W[0], "published", 1, {"results_version": 999, "stats_version": 999})
    lake.publish(W[1], {"a": 1})
    with client_of(Settings(home=tmp_path)) as client:
        rest = client.get("/api/clustering-results/a/history?limit=1").links["next"]["url"]
    lake.publish(W[0], {"a": 1, "late": 0}, revision=2)
    with client_of(Settings(home=tmp_path)) as client:
        assert problem(client, rest, 410)["type"] == "urn:silt:problem:walk-expired"
        assert [row["revision"] for row in history(client, "a")] == [1, 2]


def test_an_id_in_a_window_of_too_few_records_is_told_so(client: Client) -> None:
    detail = problem(client, f"/api/clustering-results/a?window={W[6].step(1).key}", 404)["detail"]
    assert "too few" in detail
