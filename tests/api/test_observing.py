"""Every request has an id, a line in the log, and is counted; no line says what the client asked for."""

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.answers import Answers
from api.counters import REGISTRY
from resources.api_keys import add_key
from resources.logs import JsonFormatter, TextFormatter
from resources.settings import Settings
from tests.api.clients import Client, client_of
from tests.api.lakes import FIRST, HandMadeLake

RESULTS = "/api/clustering-results"


class Lines(logging.Handler):
    """What a log in JSON would hold."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(self.format(record)))


@pytest.fixture
def log() -> Iterator[Lines]:
    handler, logger = Lines(), logging.getLogger("silt")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel("INFO")
    yield handler
    logger.setLevel(level)
    logger.removeHandler(handler)


def test_id_of_a_request_comes_back_and_stands_in_its_log_line(client: Client, log: Lines) -> None:
    for path, status in (("/health/live", 200), ("/api/nothing", 404), ("/api/models", 503)):
        response = client.get(path, headers={"X-Request-ID": "job-7.1_a"})
        assert (response.status_code, response.headers["X-Request-ID"]) == (status, "job-7.1_a")
    assert {line["requestId"] for line in log.lines} == {"job-7.1_a"}


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, 'a"}{"b', "é"])
def test_id_that_is_no_sane_one_is_replaced(client: Client, given: str) -> None:
    first, second = (
        client.get("/health/live", headers=[(b"X-Request-ID", given.encode())]).headers["X-Request-ID"]
        for _ in range(2)
    )
    assert re.fullmatch("[0-9a-f]{32}", first)
    assert first != second


def test_line_of_a_request_says_how_it_went(lake: HandMadeLake, client: Client, log: Lines) -> None:
    lake.publish(FIRST, {"a": 0, "b": 1})

    body = client.get(RESULTS, params={"limit": 1}).content

    (line,) = log.lines
    assert line["message"].startswith(f"GET {RESULTS} 200 ")
    assert 0 < line["seconds"] < 10
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line["ts"])
    expected = {"level": "info", "logger": "silt.access", "method": "GET", "route": RESULTS, "status": 200}
    assert expected.items() <= line.items()
    assert (line["bytes"], line["whole"], line["client"]) == (len(body), True, "testclient")


def test_no_line_holds_ids_cursors_or_keys(lake: HandMadeLake, client: Client, log: Lines) -> None:
    lake.publish(FIRST, {"the-id": 0, "b": 1})
    cursor = client.get(RESULTS, params={"limit": 1}).links["next"]["url"].partition("cursor=")[2]
    assert cursor
    headers = {"Authorization": "Bearer the-key", "X-API-Key": "the-key"}
    for url in (f"{RESULTS}/the-id", f"{RESULTS}?uniqueId=the-id", f"{RESULTS}?cursor={cursor}", "/the-id"):
        client.get(url, headers=headers)

    assert [line["route"] for line in log.lines][1:] == [
        f"{RESULTS}/{{uniqueId}}", RESULTS, RESULTS, "unmatched",
    ]  # fmt: skip
    assert not [line for line in log.lines if any(secret in str(line) for secret in ("the-", cursor))]


def test_line_names_the_key_that_was_used_and_does_not_hold_it(tmp_path: Path, log: Lines) -> None:
    file = tmp_path / "keys.yaml"
    key = add_key(file, "dashboard", ["read"])
    with client_of(Settings(home=tmp_path, api_keys_file=str(file))) as client:
        assert client.get("/metrics", headers={"X-API-Key": key}).status_code == 200

    (line,) = (line for line in log.lines if line["logger"] == "silt.access")
    assert line["key"] == "dashboard"
    assert not [line for line in log.lines if key in str(line)]


def test_traceback_of_an_error_is_in_the_log_alone(
    lake: HandMadeLake, client: Client, log: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError("inside")

    monkeypatch.setattr(Answers, "drift", fail)

    response = client.get("/api/drift")

    error, access = log.lines
    assert (error["level"], access["status"]) == ("error", 500)
    assert "ZeroDivisionError: inside" in error["traceback"]
    assert error["requestId"] == access["requestId"] == response.headers["X-Request-ID"]
    assert "inside" not in response.text.replace("inside the API", "")


def test_requests_are_counted_by_route_method_and_status(client: Client) -> None:
    def count(method: str, route: str, status: int) -> float:
        labels = {"method": method, "route": route, "status": str(status)}
        return REGISTRY.get_sample_value("silt_api_requests_total", labels) or 0.0

    wanted = [("GET", "/health/live", 200), ("GET", "unmatched", 404), ("other", "unmatched", 405)]
    before = [count(*labels) for labels in wanted]

    for n in range(3):
        client.get("/health/live")
        client.get(f"/no/such/{n}")
        client.request("BREW", "/health/live")

    assert [count(*labels) - was for labels, was in zip(wanted, before, strict=True)] == [3, 3, 3]
    assert REGISTRY.get_sample_value("silt_api_requests_in_flight") == 0


def test_text_for_a_person_is_a_line_and_its_traceback() -> None:
    try:
        raise ValueError("why")
    except ValueError as error:
        info = (type(error), error, error.__traceback__)
    record = logging.LogRecord("silt.api", logging.ERROR, __file__, 1, "It %s", ("broke",), info)

    first, *_, last = TextFormatter().format(record).splitlines()

    assert first.endswith("ERROR silt.api: It broke")
    assert last == "ValueError: why"
    hostile = logging.LogRecord("silt.api", logging.INFO, __file__, 1, "a\nb \ud800", (), None)
    assert json.loads(JsonFormatter().format(hostile))["message"] == "a\nb \ud800"
    assert "\n" not in JsonFormatter().format(hostile)
