"""Answers from memory: never of an older lake, and for nobody but whom they are for."""

import threading
import time
from collections.abc import Iterator

import pytest

from resources.lake import Lake
from tests.api.clients import Client
from tests.api.lakes import FIRST, HandMadeLake

PATHS = ("cluster-stats", "clustering-results", "clustering-results/a", "models", "drift")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of the tables that the requests' own threads opened or brought up to date."""
    names: list[str] = []
    table = Lake.table

    def noted(lake: Lake, name: str, version: int | None = None) -> object:
        if threading.current_thread().name != "keeper":
            names.append(name)
        return table(lake, name, version)

    monkeypatch.setattr(Lake, "table", noted)
    yield names


@pytest.mark.parametrize("path", PATHS)
def test_second_answer_is_the_first_without_a_look_at_the_lake(
    lake: HandMadeLake, client: Client, path: str, opened: list[str]
) -> None:
    lake.publish(FIRST, {"a": 0, "b": 1})
    for _ in range(2):
        first = client.get(f"/api/{path}")
    opened.clear()
    again = client.get(f"/api/{path}")
    assert not opened
    assert again.content == first.content
    changing = ("x-request-id", "ratelimit")
    kept = [{k: v for k, v in r.headers.items() if k not in changing} for r in (first, again)]
    assert kept[0] == kept[1]


def test_what_follows_the_publication_is_shown_at_once(lake: HandMadeLake, client: Client) -> None:
    lake.publish(FIRST, {"a": 0, "b": 1})
    for _ in range(3):
        assert client.get("/api/cluster-stats").json()[0]["clusterName"] is None
        assert client.get("/api/models").json()[0]["structure"] is None
        assert client.get("/api/drift").json() == []
        assert client.get("/api/clustering-results/a/history").json()[0]["clusterName"] is None
    lake.name_clusters(FIRST, ["c1", "c2"])
    lake.review(FIRST, "yes", 0.3)
    assert client.get("/api/cluster-stats").json()[0]["clusterName"] == "c1"
    assert client.get("/api/models").json()[0]["structure"] == "yes"
    assert len(client.get("/api/drift").json()) == 2
    assert client.get("/api/clustering-results/a/history").json()[0]["clusterName"] == "c1"


def test_lake_that_is_gone_is_a_503_also_for_what_was_in_memory(lake: HandMadeLake, client: Client) -> None:
    lake.publish(FIRST, {"a": 0, "b": 1})
    for _ in range(3):
        assert client.get("/api/clustering-results/a").status_code == 200
    log = lake.folder("windows")
    assert log
    log.rename(log.with_name("gone"))
    time.sleep(0.005)  # the log is looked at every 2 ms
    assert client.get("/api/clustering-results/a").status_code == 503


def test_question_is_also_its_formats_and_its_host(lake: HandMadeLake, client: Client) -> None:
    lake.publish(FIRST, {"a": 0, "b": 1})
    for _ in range(3):
        assert client.get("/api/cluster-stats").headers["content-type"] == "application/json"
        csv = client.get("/api/cluster-stats", headers={"Accept": "text/csv"})
        assert csv.headers["content-type"].startswith("text/csv")
        for host in ("localhost", "127.0.0.1"):
            page = client.get("/api/clustering-results?limit=1", headers={"Host": host})
            assert page.links["next"]["url"].startswith(f"http://{host}/")
        tag = csv.headers["etag"]
        assert client.get(
            "/api/cluster-stats", headers={"Accept": "text/csv", "If-None-Match": tag}
        ).status_code == 304  # fmt: skip
