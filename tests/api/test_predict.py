"""`POST …/predict`: a record's cluster, from the stored model, decoded as a message would be."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from resources.cluster_model import ClusterModel
from resources.settings import Settings
from tests.api.clients import Client, client_of
from tests.api.lakes import FIRST, HandMadeLake, digest, version

NEWER = FIRST.step(3)
PINNED = FIRST.step(4)
URL = "/api/models/model_1/predict"
CHEAP = {"Unique id": "x", "channel_name": "Inbound", "Item_price": "90"}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> HandMadeLake:
    """Two windows of model_1, of which the newer one's centres have moved, and a pinned one of model_2."""
    lake = HandMadeLake(tmp_path_factory.mktemp("home") / "lake")
    lake.publish(FIRST, {"a": 0, "b": 1})
    lake.publish(NEWER, {"a": 0, "b": 1})
    lake.replace_answer_model(NEWER, {"centres": [[1.0, 9.0], [0.0, 2.0]]})
    lake.name_clusters(NEWER, ["c1", "c2"])
    lake.publish(FIRST.step(1), {"a": 0, "b": 1})
    pinned: dict[str, Any] = {
        "model_version": version(FIRST.step(1), 1),
        "model_digest": digest(FIRST.step(1), 1),
    }
    lake.publish(PINNED, {"a": 0, "b": 1}, **pinned)
    lake.write_row(FIRST.step(2), "too-few")
    return lake


@pytest.fixture(scope="module")
def client(lake: HandMadeLake) -> Iterator[Client]:
    with client_of(Settings(home=Path(lake.uri).parent)) as client:
        yield client


def predicted(client: Client, records: Any, url: str = URL) -> Any:
    answer = client.post(url, json=records)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(
    client: Client, content: str | bytes, status: int, url: str = URL, **headers: str
) -> dict[str, Any]:
    answer = client.post(url, content=content, headers={"Content-Type": "application/json", **headers})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    return found


def test_a_record_is_answered_with_its_cluster_and_how_near_the_second_best_is(client: Client) -> None:
    assert predicted(client, CHEAP) == {
        "uniqueId": "x",
        "model": "model_1",
        "modelVersion": version(NEWER, 1),
        "cluster": 1,
        "clusterId": f"{NEWER.key}/1",
        "clusterName": "c2",
        "distance": pytest.approx(1.1),
        "secondCluster": 0,
        "secondDistance": pytest.approx((1 + 8.1**2) ** 0.5),
        "margin": pytest.approx(1 - 1.1 / (1 + 8.1**2) ** 0.5),
        "imputed": [],
        "unknown": [],
    }


def test_a_chosen_version_assigns(client: Client) -> None:
    found = predicted(client, CHEAP, f"/api/models/model_1/versions/{FIRST.key}/predict")
    assert (found["modelVersion"], found["cluster"], found["clusterId"]) == (version(FIRST, 1), 0, None)
    assert found["distance"] == pytest.approx(0.1)


def test_the_newest_is_the_version_that_assigned_the_newest_window_also_if_it_is_pinned(
    client: Client,
) -> None:
    assert predicted(client, CHEAP, "/api/models/model_2/predict")["modelVersion"] == version(
        FIRST.step(1), 1
    )


def test_records_are_taken_as_messages_are(client: Client) -> None:
    variants = [
        CHEAP,
        {**CHEAP, "Item_price": 90},
        {**CHEAP, "Item_price": " 9e1", "Unique id": "", "more": [1]},
        {"channel_name": "Inbound", "Item_price": 90.0},
    ]
    found = predicted(client, variants)
    assert [(row["cluster"], row["distance"]) for row in found] == [(1, pytest.approx(1.1))] * 4
    assert [row["uniqueId"] for row in found] == ["x", "x", None, None]


def test_what_was_missing_or_unseen_is_named(client: Client) -> None:
    first, second, third = predicted(
        client, [{}, {"channel_name": "Fax", "Item_price": ""}, {"channel_name": None, "Item_price": "5"}]
    )
    assert [(row["imputed"], row["unknown"]) for row in (first, second, third)] == [
        (["Item_price"], ["channel_name"]),
        (["Item_price"], ["channel_name"]),
        ([], ["channel_name"]),
    ]
    assert first["distance"] == pytest.approx((1 + (4.345 - 2) ** 2) ** 0.5)


def test_all_records_are_assigned_as_the_stored_model_assigns_them(
    client: Client, lake: HandMadeLake
) -> None:
    records = [
        {"channel_name": name, "Item_price": price}
        for name in ("Inbound", "Outcall", None)
        for price in (None, *range(0, 1200, 7))
    ]
    row = lake.read("models").filter(window=NEWER.key).row(0, named=True)
    clusters, distances = ClusterModel.from_row(row).assign(records)
    found = predicted(client, records)
    assert [row["cluster"] for row in found] == clusters.tolist()
    assert [row["distance"] for row in found] == distances.tolist()
    assert {row["cluster"] for row in found} == {0, 1}


def test_numbers_beyond_all_bounds_have_no_distance(client: Client) -> None:
    found = predicted(client, {"Item_price": 1e308})
    assert (found["distance"], found["secondDistance"], found["margin"]) == (None, None, None)


def test_no_records_are_answered_with_none(client: Client) -> None:
    assert predicted(client, []) == []


@pytest.mark.parametrize(
    ("wrong", "field", "reason"),
    [
        ({"Item_price": "abc"}, "Item_price", "wrong-type"),
        ({"CSAT Score": [1]}, "CSAT Score", "wrong-type"),
        ({"channel_name": 5}, "channel_name", "wrong-type"),
        ("text", None, "wrong-type"),
        (None, None, "wrong-type"),
    ],
)
def test_a_record_that_breaks_the_contract_is_named(
    client: Client, wrong: Any, field: str | None, reason: str
) -> None:
    found = refused(client, json.dumps([CHEAP, wrong]), 422)
    assert found["type"] == "urn:silt:problem:invalid-record"
    assert (found["index"], found.get("field"), found["reason"]) == (1, field, reason)


def test_what_is_no_json_is_refused(client: Client) -> None:
    for body in (b"", b"{", b"[{}", b'{"channel_name": "\xff"}', b"[" * 100_000, b'"\\ud800"'):
        assert refused(client, body, 400)["type"] == "urn:silt:problem:invalid-json"
    refused(client, "a=b", 415, **{"Content-Type": "application/x-www-form-urlencoded"})


def test_more_than_ten_thousand_records_are_refused(client: Client) -> None:
    long = {**CHEAP, "Customer Remarks": "very good " * 50}
    assert len(predicted(client, [long] * 10_000)) == 10_000
    assert refused(client, json.dumps([{}] * 10_001), 413)["type"] == "urn:silt:problem:too-many-records"


def test_versions_that_are_not_there_are_problems(client: Client) -> None:
    refused(client, "{}", 404, "/api/models/model_3/predict")
    refused(client, "{}", 404, f"/api/models/model_1/versions/{FIRST.step(-3).key}/predict")
    refused(client, "{}", 400, f"/api/models/model_2/versions/{FIRST.key}/predict")
    assert refused(client, "{}", 400, "/api/models/model_9/predict")["parameter"] == "model"
    answer = client.get(URL)
    assert answer.status_code == 405


def test_a_version_of_another_contract_cannot_assign(lake: HandMadeLake, tmp_path: Path) -> None:
    contract = tmp_path / "contract.yaml"
    contract.write_text(
        "topic: t\nid: Unique id\nfields: {Unique id: string, channel_name: string}\n"
        "features: [channel_name]\n"
    )
    settings = Settings(home=Path(lake.uri).parent, contract=contract)
    with client_of(settings) as client:
        assert "Item_price" in refused(client, "{}", 409)["detail"]
