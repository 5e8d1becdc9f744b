"""`GET /api/clustering-results`: walking through all results, and finding one record."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import polars as pl
import pytest

from tests.api.clients import Client, problem
from tests.api.lakes import FIRST, HandMadeLake

Rows = list[dict[str, Any]]
STRANGE_IDS = ["a/b", "/", "a//b/", "é?#%", "it's", "back\\'slash", "..", "x y+z", "\u65e5\u672c", "%2F"]


def _pages(client: Client, url: str) -> Iterator[Rows]:
    """All pages from this one on, by following the ``Link`` headers."""
    while url:
        response = client.get(url)
        assert response.status_code == 200, response.text
        yield response.json()
        url = response.links.get("next", {}).get("url", "")


def _ids(rows: Rows) -> list[tuple[str, str]]:
    return [(row["window"], row["uniqueId"]) for row in rows]


@pytest.fixture
def published(lake: HandMadeLake) -> list[tuple[str, str, int]]:
    """Four windows of 7 records each: (window, id, cluster) in the order that the API promises."""
    rows = []
    for step in range(4):
        clusters = {f"r{n}": n % 2 for n in range(step, step + 7)}
        lake.publish(FIRST.step(step), clusters)
        rows += [(FIRST.step(step).key, name, cluster) for name, cluster in clusters.items()]
    return sorted(rows, key=lambda row: (-int(row[0][11:15]), row[1]))


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 14, 27, 28, 29])
def test_walk_gives_every_row_once_and_in_order(
    published: list[tuple[str, str, int]], client: Client, limit: int
) -> None:
    pages = list(_pages(client, f"/api/clustering-results?limit={limit}"))

    assert _ids([row for page in pages for row in page]) == [row[:2] for row in published]
    assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)
    assert 0 < len(pages[-1]) <= limit


@pytest.mark.parametrize(
    ("chosen", "steps", "clusters"),
    [
        ("model=model_1", {0, 3}, {0, 1}),
        (f"window={FIRST.key}", {0}, {0, 1}),
        ("cluster=1", {0, 1, 2, 3}, {1}),
    ],
)
def test_walk_keeps_to_its_filter(
    published: list[tuple[str, str, int]], client: Client, chosen: str, steps: set[int], clusters: set[int]
) -> None:
    windows = {FIRST.step(step).key for step in steps}
    expected = [row[:2] for row in published if row[0] in windows and row[2] in clusters]
    assert 7 <= len(expected) < len(published)

    rows = [row for page in _pages(client, f"/api/clustering-results?limit=3&{chosen}") for row in page]

    assert _ids(rows) == expected


def test_cluster_that_no_window_has_is_an_empty_array(
    published: list[tuple[str, str, int]], client: Client
) -> None:
    assert client.get("/api/clustering-results?cluster=7").json() == []


def test_walk_goes_on_over_a_window_published_meanwhile(
    published: list[tuple[str, str, int]], lake: HandMadeLake, client: Client
) -> None:
    pages = _pages(client, "/api/clustering-results?limit=5")
    rows = next(pages)
    lake.publish(FIRST.step(4), {"new": 0, "newer": 1})
    rows += [row for page in pages for row in page]

    assert _ids(rows) == [row[:2] for row in published]


def test_walk_reads_days_whose_windows_share_a_file(
    published: list[tuple[str, str, int]], lake: HandMadeLake, client: Client
) -> None:
    table = lake.table("clustering_results")
    table.optimize.z_order(["record_id"])
    assert len(table.file_uris()) == 1

    rows = [row for page in _pages(client, "/api/clustering-results?limit=4") for row in page]

    assert _ids(rows) == [row[:2] for row in published]


def test_result_carries_the_records_values_under_the_contracts_names(
    published: list[tuple[str, str, int]], client: Client
) -> None:
    assert client.get("/api/clustering-results/r9").json() == {
        "uniqueId": "r9",
        "window": "2026-11-24T0515Z",
        "model": "model_1",
        "modelVersion": "model_1/2026-11-24T0515Z/r1",
        "cluster": 1,
        "distance": 1.5,
        "eventTime": "2026-11-24T05:16:30Z",
        "features": {"CSAT Score": 5.0, "channel_name": None, "revision": 1},
    }


def test_newest_window_that_has_the_id_answers(published: list[tuple[str, str, int]], client: Client) -> None:
    def window(url: str) -> str:
        found: str = client.get(f"/api/clustering-results/{url}").json()["window"]
        return found

    assert window("r6") == "2026-11-24T0515Z"
    assert window("r1") == "2026-11-24T0505Z"
    assert window("r6?window=2026-11-24T0500Z") == "2026-11-24T0500Z"
    assert window("r6?model=model_2") == "2026-11-24T0505Z"


def test_unknown_id_is_not_found(published: list[tuple[str, str, int]], client: Client) -> None:
    for url in ("/nope", "?uniqueId=nope", "/r9?window=2026-11-24T0500Z", "/r9?model=model_2"):
        detail = problem(client, f"/api/clustering-results{url}", 404)["detail"]
        assert "nope" in detail or "r9" in detail


@pytest.mark.parametrize("name", STRANGE_IDS)
def test_any_id_can_be_asked_for(lake: HandMadeLake, client: Client, name: str) -> None:
    lake.publish(FIRST, dict.fromkeys([*STRANGE_IDS, "z"], 0))

    (found,) = client.get("/api/clustering-results", params={"uniqueId": name}).json()
    assert (found["uniqueId"], found["window"]) == (name, FIRST.key)
    (found,) = client.get("/api/clustering-results", params={"uniqueId": name, "window": FIRST.key}).json()
    assert found["uniqueId"] == name


def test_ids_survive_a_quote_that_would_end_the_query(lake: HandMadeLake, client: Client) -> None:
    lake.publish(FIRST, {"a": 0, "b": 1})

    injected = quote("x' OR '1'='1", safe="")
    problem(client, f"/api/clustering-results/{injected}", 404)


def test_ids_longer_than_the_statistics_of_a_file_are_found_and_walked(
    lake: HandMadeLake, client: Client
) -> None:
    names = sorted(f"{'x' * 3_500}{n:03d}" for n in range(50))
    lake.publish(FIRST, dict.fromkeys(names, 0))

    rows = [row for page in _pages(client, "/api/clustering-results?limit=7") for row in page]

    assert [row["uniqueId"] for row in rows] == names
    assert client.get(f"/api/clustering-results/{names[30]}").json()["uniqueId"] == names[30]


def test_order_is_by_id_whatever_the_order_in_the_file(lake: HandMadeLake, client: Client) -> None:
    lake.publish(FIRST, dict.fromkeys(["m", "z", "a", "Z", "\u00e9"], 0))

    pages = list(_pages(client, "/api/clustering-results?limit=2"))

    assert [[row["uniqueId"] for row in page] for page in pages] == [["Z", "a"], ["m", "z"], ["\u00e9"]]


def test_page_in_the_middle_of_a_window_of_many_row_groups(lake: HandMadeLake, client: Client) -> None:
    names = [f"{n:06d}" for n in range(40_000)]
    lake.publish(FIRST, dict.fromkeys(names, 0))
    (file,) = lake.window_files("clustering_results", FIRST).files
    assert pl.scan_parquet(file).select(pl.len()).collect().item() == 40_000

    rows = [row for page in _pages(client, "/api/clustering-results?limit=9999") for row in page]

    assert [row["uniqueId"] for row in rows] == names
