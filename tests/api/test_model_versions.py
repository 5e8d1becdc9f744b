"""`GET /api/models/{model}` and its versions: every window's model as data."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.settings import Settings
from tests.api.clients import Client, client_of, problem
from tests.api.lakes import FIRST, HandMadeLake, version

LATER = [FIRST.step(3 * count) for count in range(5)]
URL = "/api/models/model_1/versions"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Five windows of model_1, one of model_2 and one whose own model has too few records, and such a one
    of model_3."""
    home = tmp_path_factory.mktemp("home")
    lake = HandMadeLake(home / "lake")
    for window in [*LATER, FIRST.step(1)]:
        lake.publish(window, {"a": 0, "b": 1})
    lake.publish(LATER[1], {"a": 0}, revision=2)
    lake.publish(FIRST.step(4), {"a": 0})  # by a pinned model
    lake.replace_answer_model(FIRST.step(4), {"state": "too-few", "centres": None, "sizes": None})
    lake.replace_answer_model(FIRST.step(2), {"state": "too-few"})
    lake.write_row(FIRST.step(2), "too-few")
    with client_of(Settings(home=Path(home))) as client:
        yield client


def test_a_models_newest_is_what_the_list_of_models_says(client: Client) -> None:
    assert client.get("/api/models/model_1").json() == client.get("/api/models?model=model_1").json()[0]
    problem(client, "/api/models/model_3", 404)
    assert problem(client, "/api/models/model_4", 400)["parameter"] == "model"


def test_a_version_says_how_it_encodes_and_where_its_centres_are(client: Client) -> None:
    answer = client.get(f"{URL}/{LATER[1].key}").json()
    assert (answer["modelVersion"], answer["revision"], answer["k"]) == (version(LATER[1], 2), 2, 2)
    assert [(f["name"], f["labels"], f["fill"], f["scale"]) for f in answer["features"]] == [
        ("channel_name", ["Inbound"], None, 1.0),
        ("Item_price", [], 434.5, 0.01),
    ]
    first, second = answer["clusters"]
    assert (first["size"], first["centre"], first["means"]) == (2, [0.0, 1.0], {"Item_price": 100.0})
    assert (second["cluster"], second["means"]) == (1, {"Item_price": 500.0})


def test_versions_are_walked_newest_first(client: Client) -> None:
    keys, url = [], f"{URL}?limit=2"
    while url:
        answer = client.get(url)
        keys += [row["modelVersion"] for row in answer.json()]
        url = answer.links.get("next", {}).get("url", "")
    revisions = {LATER[1]: 2}
    assert keys == [version(window, revisions.get(window, 1)) for window in reversed(LATER)]


def test_versions_are_chosen_by_their_windows(client: Client) -> None:
    found = client.get(f"{URL}?from={LATER[1].key}&to={LATER[3].key}").json()
    assert [row["window"] for row in found] == [LATER[2].key, LATER[1].key]
    assert client.get("/api/models/model_3/versions").json() == []
    only = client.get("/api/models/model_2/versions").json()
    assert [row["window"] for row in only] == [FIRST.step(1).key]
    assert "Item_price" in client.get(f"{URL}?format=csv").text


def test_versions_that_are_not_there_are_problems(client: Client) -> None:
    assert "too few" in problem(client, f"/api/models/model_3/versions/{FIRST.step(2).key}", 404)["detail"]
    problem(client, f"{URL}/{FIRST.step(-3).key}", 404)
    assert problem(client, f"{URL}/{FIRST.step(1).key}", 400)["parameter"] == "window"
    problem(client, f"{URL}/yesterday", 400)
