"""How lists go out: four formats, validators, HEAD and compression."""

import csv
import gzip
import io
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from resources.settings import Settings
from tests.api.clients import Client, client_of, problem
from tests.api.lakes import FIRST, HandMadeLake

LISTS = ("cluster-stats", "clustering-results", "models", "drift", "clustering-results?uniqueId=r1")
FORMATS = {
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
    "arrow": "application/vnd.apache.arrow.stream",
}
NESTED = ("features",)
STRANGE = ["a,b", 'q"uote', "new\nline", "r\rn", "\u65e5\u672c", "tab\t", "=1+1", "NA"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose lake has three windows, one of them with ids that are hard to write."""
    home = tmp_path_factory.mktemp("home")
    lake = HandMadeLake(home / "lake")
    for step in range(2):
        lake.publish(FIRST.step(step), {f"r{n}": n % 2 for n in range(40)})
    lake.publish(FIRST.step(2), dict.fromkeys([*STRANGE, "r1"], 1))
    lake.name_clusters(FIRST.step(2), ["c1", "c2"])
    lake.review(FIRST.step(2), structure="yes", psi=0.3)
    return home


@pytest.fixture(scope="module")
def client(home: Path) -> Iterator[Client]:
    with client_of(Settings(home=home)) as client:
        yield client


def read_back(format_: str, body: bytes) -> list[dict[str, Any]]:
    """The rows of a body, as its JSON would be."""
    if format_ == "json":
        rows: list[dict[str, Any]] = json.loads(body)
    elif format_ == "ndjson":
        rows = [json.loads(line) for line in body.decode().split("\n") if line]
    elif format_ == "csv":
        rows = pl.read_csv(body, try_parse_dates=False, infer_schema_length=None).to_dicts()
        assert len(list(csv.reader(io.StringIO(body.decode(), newline="")))) == len(rows) + 1
    else:
        rows = pl.read_ipc_stream(body).to_dicts()
    return [_plain(row, nested=format_ in ("csv", "arrow")) for row in rows]


def _plain(row: dict[str, Any], nested: bool) -> dict[str, Any]:
    if nested:
        row |= {name: json.loads(row[name]) for name in NESTED if name in row}
    for name in ("eventTime", "trainedAt"):
        if isinstance(row.get(name), str):
            row[name] = datetime.fromisoformat(row[name])
    return row


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("format_", FORMATS)
def test_every_format_has_the_rows_of_the_json(client: Client, path: str, format_: str) -> None:
    url = f"/api/{path}"
    expected = read_back("json", client.get(url).content)
    assert expected
    accepted = client.get(url, headers={"Accept": FORMATS[format_].partition(";")[0]})
    assert accepted.headers["content-type"] == FORMATS[format_]
    assert read_back(format_, accepted.content) == expected

    mark = "&" if "?" in url else "?"
    named = client.get(f"{url}{mark}format={format_}", headers={"Accept": "text/html"})
    assert named.content == accepted.content


def test_arrow_has_times_and_numbers(client: Client) -> None:
    frame = pl.read_ipc_stream(client.get("/api/clustering-results?format=arrow").content)
    assert frame.schema["eventTime"] == pl.Datetime("us", "UTC")
    assert frame.schema["cluster"] == pl.Int64
    assert frame.schema["distance"] == pl.Float64


@pytest.mark.parametrize("format_", ["csv", "arrow"])
@pytest.mark.parametrize("path", ["clustering-results?cluster=7", "drift?window=2026-11-24T0500Z"])
def test_an_empty_list_has_the_same_columns(client: Client, path: str, format_: str) -> None:
    def columns(url: str) -> list[str]:
        body = client.get(f"/api/{url}{'&' if '?' in url else '?'}format={format_}").content
        return (pl.read_csv(body) if format_ == "csv" else pl.read_ipc_stream(body)).columns

    assert client.get(f"/api/{path}").json() == []
    assert columns(path) == columns(path.partition("?")[0])


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("*/*", "json"),
        ("text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8", "json"),
        ("text/csv;q=0.5, application/x-ndjson", "ndjson"),
        ("text/*", "csv"),
        ("application/json;q=0.1, */*;q=0.2, text/csv;q=0.9", "csv"),
        ("application/json;q=0, */*", "ndjson"),
        ("application/*;q=0.2, application/vnd.apache.arrow.stream;q=0.3", "arrow"),
        ("TEXT/CSV", "csv"),
    ],
)
def test_the_format_that_is_liked_best_is_sent(client: Client, accept: str, expected: str) -> None:
    answer = client.get("/api/cluster-stats", headers={"Accept": accept})
    assert answer.headers["content-type"] == FORMATS[expected]
    assert "Accept" in answer.headers["vary"]


@pytest.mark.parametrize(
    "accept", ["text/html", "application/json;q=0", "image/*;q=1, text/csv;q=0", "a;q=x"]
)
def test_nothing_that_is_accepted_is_a_problem_that_names_what_there_is(client: Client, accept: str) -> None:
    answer = client.get("/api/models", headers={"Accept": accept})
    assert (answer.status_code, answer.json()["type"]) == (406, "urn:silt:problem:not-acceptable")
    assert "text/csv" in answer.json()["accepts"]
    assert problem(client, "/api/models?format=xml", 400)["parameter"] == "format"


@pytest.mark.parametrize("path", [*LISTS, "clustering-results/r1"])
def test_what_the_client_has_is_not_sent_again(client: Client, path: str) -> None:
    url = f"/api/{path}"
    first = client.get(url)
    tag = first.headers["etag"]
    assert tag.startswith('"')
    assert first.headers["cache-control"] == "private, no-cache"
    assert client.get(url).headers["etag"] == tag
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = client.get(url, headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag or known == "*"
    assert client.get(url, headers={"If-None-Match": '"other"'}).status_code == 200


def test_what_differs_has_another_tag(client: Client) -> None:
    urls = ("models", "models?format=csv", "models?model=model_1", "cluster-stats")
    answers = [client.get(f"/api/{url}", headers={"Accept-Encoding": ""}) for url in urls]
    answers.append(
        client.get("/api/models", headers={"Accept": "application/x-ndjson", "Accept-Encoding": ""})
    )
    assert len({answer.headers["etag"] for answer in answers}) == len(answers)


def test_a_missing_window_is_no_match_of_anything(client: Client) -> None:
    answer = client.get("/api/models?window=2026-11-24T0000Z", headers={"If-None-Match": "*"})
    assert answer.status_code == 404


def test_a_publication_changes_the_tag_and_a_review_that_of_models(tmp_path: Path) -> None:
    lake = HandMadeLake(tmp_path / "lake")
    lake.publish(FIRST, {"a": 0})
    with client_of(Settings(home=tmp_path)) as client:
        urls = ("/api/models", "/api/clustering-results", "/api/cluster-stats", "/api/clustering-results/a")
        before = {url: client.get(url).headers["etag"] for url in urls}

        def changed() -> set[str]:
            return {
                url
                for url in urls
                if client.get(url, headers={"If-None-Match": before[url]}).status_code == 200
            }

        assert changed() == set()
        lake.review(FIRST, structure="weak", psi=0.1)
        assert changed() == {"/api/models"}
        lake.publish(FIRST, {"a": 1}, revision=2)
        assert changed() == set(urls)


@pytest.mark.parametrize(
    "path", ["clustering-results", "clustering-results?format=csv", "clustering-results/r1", "models"]
)
@pytest.mark.parametrize("coding", ["gzip", ""])
def test_head_has_the_headers_of_get_and_no_body(client: Client, path: str, coding: str) -> None:
    headers = {"Accept-Encoding": coding}
    get, head = (client.request(m, f"/api/{path}", headers=headers) for m in ("GET", "HEAD"))
    volatile = {"x-request-id", "ratelimit"}
    assert head.content == b""
    assert {n: v for n, v in head.headers.items() if n not in volatile} == {
        n: v for n, v in get.headers.items() if n not in volatile
    }
    assert int(head.headers["content-length"]) > 0


def test_head_of_other_routes(client: Client) -> None:
    assert client.head("/health/live").status_code == 200
    assert client.head("/api/nothing").status_code == 404
    assert client.head("/api/clustering-results?limit=all").content == b""


def test_long_answers_are_compressed_for_who_takes_it(client: Client) -> None:
    url = "/api/clustering-results"
    plain = client.get(url, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    with client.stream("GET", url, headers={"Accept-Encoding": "br, gzip;q=0.5"}) as packed:
        raw = b"".join(packed.iter_raw())
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["etag"] == plain.headers["etag"][:-1] + '-gzip"'
    assert int(packed.headers["content-length"]) == len(raw) < len(plain.content) / 4
    assert gzip.decompress(raw) == plain.content
    assert "Accept-Encoding" in plain.headers["vary"]

    for coding, status in (("gzip", 304), ("identity", 200)):
        headers = {"Accept-Encoding": coding, "If-None-Match": packed.headers["etag"]}
        assert client.get(url, headers=headers).status_code == status


@pytest.mark.parametrize("coding", ["gzip;q=0", "gzip;q=0, *", "br", "*;q=0", ""])
def test_gzip_is_not_sent_to_who_does_not_take_it(client: Client, coding: str) -> None:
    answer = client.get("/api/clustering-results", headers={"Accept-Encoding": coding})
    assert "content-encoding" not in answer.headers


def test_short_answers_are_not_compressed(client: Client) -> None:
    answer = client.get("/api/clustering-results/r1", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in answer.headers
