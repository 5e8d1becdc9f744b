"""Every answer says which version of a model assigned it, also where that is a pinned one."""

from tests.api.clients import Client
from tests.api.lakes import FIRST, HandMadeLake, digest, version

PINNED = version(FIRST, 1)
LATER = FIRST.step(3)


def publish_pinned(lake: HandMadeLake) -> None:
    """Publish a window whose records the model of another one assigned."""
    lake.publish(LATER, {"a": 0, "b": 1}, model_version=PINNED, model_digest=digest(FIRST, 1))


def asked(client: Client, window: str) -> dict[str, object]:
    """What each route says of a window's version."""
    routes = ("cluster-stats", "clustering-results", "models")
    found = {route: client.get(f"/api/{route}?window={window}").json()[0] for route in routes}
    found["one record"] = client.get(f"/api/clustering-results/a?window={window}").json()
    return {route: (row["window"], row["modelVersion"]) for route, row in found.items()}


def test_all_routes_name_the_pinned_version_that_assigned(lake: HandMadeLake, client: Client) -> None:
    lake.publish(FIRST, {"a": 0, "b": 1})
    publish_pinned(lake)
    assert set(asked(client, LATER.key).values()) == {(LATER.key, PINNED)}
    assert set(asked(client, FIRST.key).values()) == {(FIRST.key, PINNED)}


def test_the_model_that_is_shown_is_the_one_that_assigned(lake: HandMadeLake, client: Client) -> None:
    lake.publish(FIRST, {"a": 0, "b": 1})
    publish_pinned(lake)
    old = lake.read("models").filter(digest=digest(FIRST, 1)).with_columns(k=7, inertia=1.5)
    lake.replace_window("models", FIRST, old, digest(FIRST, 1), 1)
    (shown,) = client.get("/api/models").json()
    assert (shown["window"], shown["k"], shown["inertia"]) == (LATER.key, 7, 1.5)


def test_a_version_stands_while_a_later_revision_of_its_window_is_shown(
    lake: HandMadeLake, client: Client
) -> None:
    lake.publish(FIRST, {"a": 0, "b": 1})
    publish_pinned(lake)
    lake.publish(FIRST, {"a": 0, "b": 1, "late": 1}, revision=2)
    assert set(asked(client, LATER.key).values()) == {(LATER.key, PINNED)}
    assert set(asked(client, FIRST.key).values()) == {(FIRST.key, version(FIRST, 2))}
