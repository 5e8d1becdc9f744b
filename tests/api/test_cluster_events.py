"""`GET /api/cluster-events`: what became of clusters from one published window to the next."""

from collections.abc import Iterator
from typing import Any

import pytest

from resources.settings import Settings
from tests.api.clients import Client, client_of, problem
from tests.api.lakes import FIRST, HandMadeLake, version

W = [FIRST.step(count) for count in range(4)]
BORN: list[dict[str, Any]] = [
    {"event": "appeared", "before": [], "after": [n], "overlaps": []} for n in (0, 1)
]
SPLIT: dict[str, Any] = {"event": "split", "before": [0], "after": [0, 1], "overlaps": [0.7, 0.3]}
GONE: dict[str, Any] = {"event": "disappeared", "before": [1], "after": [], "overlaps": []}
ALL = [(W[1].key, "disappeared"), (W[1].key, "split"), (W[0].key, "appeared"), (W[0].key, "appeared")]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Four windows: two that are matched, one that is about to be matched anew, and one that is not yet."""
    home = tmp_path_factory.mktemp("home")
    lake = HandMadeLake(home / "lake")
    for window in W:
        lake.publish(window, {"a": 0, "b": 1})
    lake.match(W[0], BORN)
    lake.name_clusters(W[0], ["c1", "c2"])
    lake.match(W[1], [SPLIT, GONE], W[0])
    lake.name_clusters(W[1], ["c1", "c3"])
    lake.match(W[2], [SPLIT], W[1])
    lake.publish(W[2], {"a": 0, "late": 1}, revision=2)
    with client_of(Settings(home=home)) as client:
        yield client


def events(client: Client, query: str = "") -> list[tuple[str, str]]:
    found, url = [], f"/api/cluster-events{query}"
    while url:
        answer = client.get(url)
        assert answer.status_code == 200, answer.text
        found += [(row["window"], row["event"]) for row in answer.json()]
        url = answer.links.get("next", {}).get("url", "")
    return found


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 100])
def test_a_walk_gives_each_event_between_answers_that_are_shown_once(client: Client, limit: int) -> None:
    assert events(client, f"?limit={limit}") == ALL


def test_an_event_names_clusters_before_and_after_and_their_ids(client: Client) -> None:
    split = client.get(f"/api/cluster-events?window={W[1].key}").json()[1]
    assert split == {
        "window": W[1].key,
        "model": "model_2",
        "modelVersion": version(W[1], 1),
        "previousWindow": W[0].key,
        "event": "split",
        "before": [0],
        "beforeIds": [f"{W[0].key}/0"],
        "after": [0, 1],
        "afterIds": [f"{W[1].key}/0", f"{W[1].key}/1"],
        "overlaps": [0.7, 0.3],
    }


def test_events_are_chosen(client: Client) -> None:
    assert events(client, "?model=model_1") == ALL[2:]
    assert events(client, "?cluster=1") == [ALL[1], ALL[2]]
    assert events(client, f"?from={W[1].key}") == ALL[:2]
    assert events(client, f"?window={W[3].key}") == []
    problem(client, f"/api/cluster-events?window={W[3].step(1).key}", 404)
