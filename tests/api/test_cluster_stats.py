"""Which windows `GET /api/cluster-stats` and `GET /api/models` show."""

from tests.api.clients import Client, problem
from tests.api.lakes import FIRST, HandMadeLake, digest


def _versions(client: Client, url: str) -> list[str]:
    return [row["modelVersion"] for row in client.get(url).json()]


def test_newest_published_window_of_each_model_is_shown(lake: HandMadeLake, client: Client) -> None:
    for step in range(5):
        lake.publish(FIRST.step(step), {"a": 0, "b": 1})

    newest = [
        "model_1/2026-11-24T0515Z/r1",
        "model_2/2026-11-24T0520Z/r1",
        "model_3/2026-11-24T0510Z/r1",
    ]
    assert _versions(client, "/api/models") == newest
    assert _versions(client, "/api/cluster-stats") == [version for version in newest for _ in range(2)]


def test_cluster_carries_the_contracts_averages_beside_its_own_properties(
    lake: HandMadeLake, client: Client
) -> None:
    lake.publish(FIRST, {"a": 0, "b": 1, "c": 1, "d": 1})

    assert client.get("/api/cluster-stats").json()[1] == {
        "model": "model_1",
        "window": "2026-11-24T0500Z",
        "modelVersion": "model_1/2026-11-24T0500Z/r1",
        "cluster": 1,
        "clusterId": None,
        "clusterName": None,
        "count": 3,
        "share": 0.75,
        "avgCSAT": 4.25,
        "avgPrice": None,
        "features": {"Item_price": {"mean": 434.5}},
    }


def test_cluster_carries_the_id_that_its_window_and_answer_have_now(
    lake: HandMadeLake, client: Client
) -> None:
    def ids() -> list[tuple[str | None, str | None]]:
        return [(row["clusterId"], row["clusterName"]) for row in client.get("/api/cluster-stats").json()]

    lake.publish(FIRST, {"a": 0, "b": 1})
    assert ids() == [(None, None)] * 2, "not matched yet"
    lake.name_clusters(FIRST, ["c1", "c2"])
    assert ids() == [(f"{FIRST.key}/0", "c1"), (f"{FIRST.key}/1", "c2")]
    lake.name_clusters(FIRST, ["c2", "c1"])
    assert [name for _, name in ids()] == ["c2", "c1"], "matched again, the answer being the same"
    lake.publish(FIRST, {"a": 0, "b": 1}, revision=2)
    assert ids() == [(None, None)] * 2, "an id belongs to an answer"


def test_model_is_shown_with_its_quality_and_features(lake: HandMadeLake, client: Client) -> None:
    lake.publish(FIRST, {"a": 0, "b": 1})

    assert client.get("/api/models").json() == [
        {
            "model": "model_1",
            "window": "2026-11-24T0500Z",
            "modelVersion": "model_1/2026-11-24T0500Z/r1",
            "k": 2,
            "silhouette": 0.5868,
            "inertia": 883.5,
            "structure": None,
            "records": 3,
            "trainedAt": "2026-11-24T12:00:00Z",
            "features": {
                "channel_name": {"kind": "category", "mean": None},
                "Item_price": {"kind": "number", "mean": 434.5},
            },
        }
    ]


def test_what_follows_the_publication_is_shown_once_it_is_there_and_only_of_the_answer(
    lake: HandMadeLake, client: Client
) -> None:
    lake.publish(FIRST, {"a": 0, "b": 1})
    assert client.get("/api/drift").json() == []

    lake.review(FIRST, structure="weak", psi=0.3)
    assert client.get("/api/models").json()[0]["structure"] == "weak"
    moved = {
        "model": "model_1",
        "window": "2026-11-24T0500Z",
        "modelVersion": "model_1/2026-11-24T0500Z/r1",
        "reference": "previous",
        "referenceWindow": "2026-11-24T0455Z",
    }
    nothing = dict.fromkeys(("psi", "distance", "p"))
    assert client.get(f"/api/drift?window={FIRST.key}").json() == [
        {**moved, "feature": None, **nothing, "inertiaRatio": 1.01, "level": "none"},
        {**moved, "feature": "Item_price", "psi": 0.3, "distance": 0.2, "p": 0.001, "inertiaRatio": None,
         "level": "major"},
    ]  # fmt: skip

    lake.publish(FIRST, {"a": 0, "b": 1, "late": 1}, revision=2)
    assert client.get("/api/drift").json() == []
    assert client.get("/api/models").json()[0]["structure"] is None


def test_model_and_window_choose(lake: HandMadeLake, client: Client) -> None:
    for step in range(6):
        lake.publish(FIRST.step(step), {"a": 0, "b": 1})

    assert _versions(client, "/api/models?model=model_2") == ["model_2/2026-11-24T0520Z/r1"]
    assert _versions(client, "/api/models?window=2026-11-24T0505Z") == ["model_2/2026-11-24T0505Z/r1"]
    both = "?model=model_2&window=2026-11-24T0505Z"
    assert _versions(client, f"/api/cluster-stats{both}") == ["model_2/2026-11-24T0505Z/r1"] * 2


def test_new_publication_is_seen_by_the_next_request(lake: HandMadeLake, client: Client) -> None:
    lake.publish(FIRST, {"a": 0, "b": 1})
    assert _versions(client, "/api/models") == ["model_1/2026-11-24T0500Z/r1"]

    lake.publish(FIRST.step(3), {"a": 0, "b": 1})
    lake.publish(FIRST, {"a": 0, "b": 1, "late": 1}, revision=2)

    assert _versions(client, "/api/models") == ["model_1/2026-11-24T0515Z/r1"]
    assert _versions(client, "/api/models?window=2026-11-24T0500Z") == ["model_1/2026-11-24T0500Z/r2"]


def test_empty_and_too_small_windows_answer_with_an_empty_array(lake: HandMadeLake, client: Client) -> None:
    lake.publish(FIRST, {"a": 0, "b": 1})
    lake.write_row(FIRST.step(3), "too-few")
    lake.write_row(FIRST.step(6), "empty")

    for route in ("cluster-stats", "models", "clustering-results"):
        for window in (FIRST.step(3), FIRST.step(6)):
            response = client.get(f"/api/{route}?window={window.key}")
            assert (response.status_code, response.json()) == (200, [])
    assert _versions(client, "/api/models") == ["model_1/2026-11-24T0500Z/r1"]


def test_lake_without_a_publication_answers_with_empty_arrays(lake: HandMadeLake, client: Client) -> None:
    for route in ("cluster-stats", "models", "clustering-results"):
        for choice in ("", "?model=model_2"):
            response = client.get(f"/api/{route}{choice}")
            assert (response.status_code, response.json()) == (200, [])


def test_window_without_a_row_in_windows_is_hidden(lake: HandMadeLake, client: Client) -> None:
    lake.replace_answer(FIRST, {"a": 0, "b": 1})

    assert client.get("/api/cluster-stats").json() == []
    assert client.get("/api/clustering-results").json() == []
    assert "no published answer" in problem(client, f"/api/models?window={FIRST.key}", 404)["detail"]
    problem(client, "/api/clustering-results/a", 404)


def test_window_whose_runs_failed_is_hidden_and_says_so(lake: HandMadeLake, client: Client) -> None:
    lake.write_row(FIRST, None, attempts=2, error="no space left on /var/lake")

    assert client.get("/api/models").json() == []
    detail = problem(client, f"/api/models?window={FIRST.key}", 404)["detail"]
    assert "failed: 2" in detail
    assert "/var/lake" not in detail


def test_window_before_the_floor_is_hidden(lake: HandMadeLake, client: Client) -> None:
    old = FIRST.step(-3 * 288)
    lake.publish(old, {"a": 0, "b": 1})
    assert old.date.isoformat() < lake.floor().date().isoformat()

    assert client.get("/api/models").json() == []
    assert client.get("/api/clustering-results").json() == []
    problem(client, f"/api/cluster-stats?window={old.key}", 404)
    problem(client, "/api/clustering-results/a", 404)


def test_rows_of_a_digest_that_the_window_does_not_name_are_never_shown(
    lake: HandMadeLake, client: Client
) -> None:
    lake.publish(FIRST, {"a": 0, "b": 1})
    lake.write_row(FIRST, "published", revision=2, versions={"results_version": 1, "stats_version": 1})
    assert digest(FIRST, 1) != digest(FIRST, 2)

    for url in ("cluster-stats", "models", "clustering-results"):
        assert problem(client, f"/api/{url}", 503)["part"] == "lake"
