"""Every error is a problem+json (RFC 9457) that says what is wrong and gives nothing away."""

import base64
import shutil
from pathlib import Path
from typing import Any

import pytest

from api.answers import Answers
from tests.api.clients import Client, problem
from tests.api.lakes import FIRST, HandMadeLake

ROUTES = ("cluster-stats", "clustering-results", "models")
RESULTS = "/api/clustering-results"


def _cursor(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


STRANGE_CURSORS = [
    "x",
    "",
    "%F0%9F",
    _cursor("[[null,null,null],[1,2]]"),
    _cursor('[[null,null,null],["yesterday","a"]]'),
    _cursor('[[null,null,null], ["2026-11-24T0500Z","a"]]'),
    _cursor('[[null,null,null],["2026-11-24T0500Z","a"]]') + "=",
]
WRONG = [
    (f"{RESULTS}?limit=0", "limit", "1 to 10000"),
    (f"{RESULTS}?limit=10001", "limit", "1 to 10000"),
    (f"{RESULTS}?limit=", "limit", "1 to 10000"),
    (f"{RESULTS}?limit=ten", "limit", "1 to 10000"),
    (f"{RESULTS}?cluster=-1", "cluster", "0 to 999"),
    (f"{RESULTS}?cluster=1.5", "cluster", "0 to 999"),
    *((f"{RESULTS}?cursor={cursor}", "cursor", "Link") for cursor in STRANGE_CURSORS),
    (f"{RESULTS}?uniqueId=a&cursor=x", "cursor", "Link"),
    (f"{RESULTS}?uniqueId=a&cluster=1", "cluster", "0 to 999"),
    (f"{RESULTS}/%FF", "path", "UTF-8"),
    (f"{RESULTS}/a?limit=5", "limit", "window, model"),
    *((f"/api/{route}?window=yesterday", "window", "2026-11-24T0505Z") for route in ROUTES),
    *((f"/api/{route}?window=2026-11-24T0501Z", "window", "2026-11-24T0505Z") for route in ROUTES),
    *((f"/api/{route}?window=2026-13-24T0500Z", "window", "2026-11-24T0505Z") for route in ROUTES),
    *((f"/api/{route}?window={FIRST.key}&model=model_2", "window", "2026") for route in ROUTES),
    *((f"/api/{route}?model=model_4", "model", "model_1, model_2 or model_3") for route in ROUTES),
    *((f"/api/{route}?model=model_1&model=model_2", "model", "model_1") for route in ROUTES),
    *((f"/api/{route}?modle=model_1", "modle", "model") for route in ROUTES),
    ("/health/ready?verbose=1", "verbose", "none"),
]


@pytest.mark.parametrize(("url", "parameter", "accepts"), WRONG, ids=[url for url, _, _ in WRONG])
def test_wrong_parameter_is_named_with_what_it_accepts(
    lake: HandMadeLake, client: Client, url: str, parameter: str, accepts: str
) -> None:
    lake.publish(FIRST, {"a": 0, "b": 1})

    answer = problem(client, url, 400)

    assert answer["type"] == "urn:silt:problem:invalid-parameter"
    assert answer["parameter"] == parameter
    assert accepts in answer["accepts"]
    assert answer["instance"] == url.partition("?")[0]


@pytest.mark.parametrize("other", ["model=model_1", "cluster=0", f"window={FIRST.key}"])
def test_cursor_of_a_walk_with_other_filters_is_refused(
    lake: HandMadeLake, client: Client, other: str
) -> None:
    lake.publish(FIRST, {"a": 0, "b": 1})
    link = client.get(f"{RESULTS}?limit=1").links["next"]["url"]
    assert client.get(link).status_code == 200

    assert problem(client, f"{link}&{other}", 400)["parameter"] == "cursor"


def test_window_that_is_not_there_is_not_found(lake: HandMadeLake, client: Client) -> None:
    for route in ROUTES:
        detail = problem(client, f"/api/{route}?window={FIRST.key}", 404)["detail"]
        assert FIRST.key in detail
    problem(client, f"{RESULTS}/a?window={FIRST.key}", 404)


def test_unknown_route_is_not_found(client: Client) -> None:
    assert problem(client, "/api/nothing", 404)["instance"] == "/api/nothing"
    problem(client, "/schema/page/templates.py", 404)


def test_other_method_is_told_which_are_allowed(client: Client) -> None:
    response = client.post("/api/models")

    assert response.status_code == 405
    assert response.headers["allow"] == "GET, HEAD, OPTIONS"
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["title"] == "Method Not Allowed"


@pytest.mark.parametrize("route", [*(f"/api/{route}" for route in ROUTES), f"{RESULTS}/a", "/health/ready"])
def test_lake_that_is_not_there_is_503_until_it_is(tmp_path: Path, client: Client, route: str) -> None:
    answer = problem(client, route, 503)
    assert answer["part"] == "lake"
    assert str(tmp_path) not in str(answer)
    assert client.get("/health/live").json() == {"status": "live"}

    HandMadeLake(tmp_path / "lake").publish(FIRST, {"a": 0, "b": 1})

    assert client.get(route).status_code == 200


def test_lake_whose_files_are_gone_is_503_and_gives_no_place_away(
    tmp_path: Path, lake: HandMadeLake, client: Client
) -> None:
    lake.publish(FIRST, {"a": 0, "b": 1})
    assert client.get("/api/cluster-stats").status_code == 200
    for folder in (tmp_path / "lake").glob("*/date=*"):
        shutil.rmtree(folder)

    for url in (RESULTS, f"{RESULTS}/a", "/api/models"):
        answer = problem(client, url, 503)
        assert str(tmp_path) not in str(answer)
        assert "parquet" not in str(answer)


def test_error_of_our_own_making_is_500_without_its_text(
    lake: HandMadeLake, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError("the secret of /etc/passwd")

    monkeypatch.setattr(Answers, "models", fail)

    answer = problem(client, "/api/models", 500)

    assert answer["type"] == "urn:silt:problem:internal"
    assert "secret" not in str(answer)
    assert "Traceback" not in str(answer)
