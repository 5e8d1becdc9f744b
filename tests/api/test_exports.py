"""``limit=all``: everything in one response, as of one version."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

import api.lists
from tests.api.conftest import Client, problem
from tests.api.lakes import FIRST, HandMadeLake
from tests.api.test_lists import FORMATS, read_back

URL = "/api/clustering-results"


@pytest.fixture
def expected(lake: HandMadeLake, client: Client, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The rows of a walk through three windows; exports read them in many parts."""
    monkeypatch.setattr(api.lists, "_ROWS_AT_ONCE", 7)
    for step in range(3):
        lake.publish(FIRST.step(step), {f"r{n:02}": n % 2 for n in range(20)})
    rows: list[dict[str, Any]] = read_back("json", client.get(f"{URL}?limit=100").content)
    assert len(rows) == 60
    return rows


@pytest.mark.parametrize("format_", FORMATS)
def test_export_has_the_rows_of_the_walk(
    expected: list[dict[str, Any]], client: Client, format_: str
) -> None:
    answer = client.get(f"{URL}?limit=all&format={format_}")
    assert answer.headers["content-type"] == FORMATS[format_]
    assert "content-length" not in answer.headers
    assert read_back(format_, answer.content) == expected
    packed = client.get(f"{URL}?limit=all&format={format_}", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == answer.content


@pytest.mark.parametrize("format_", FORMATS)
def test_export_of_nothing(lake: HandMadeLake, client: Client, format_: str) -> None:
    page, whole = (client.get(f"{URL}?limit={limit}&format={format_}").content for limit in (1, "all"))
    assert whole == page
    if format_ in ("csv", "arrow"):
        frame = pl.read_csv(whole) if format_ == "csv" else pl.read_ipc_stream(whole)
        assert frame.columns[0] == "uniqueId"


def test_export_keeps_to_filters_and_cursors(expected: list[dict[str, Any]], client: Client) -> None:
    ones = client.get(f"{URL}?limit=all&cluster=1&model=model_2").json()
    assert [row["uniqueId"] for row in ones] == [f"r{n:02}" for n in range(1, 20, 2)]
    link = client.get(f"{URL}?limit=25").links["next"]["url"]
    rest = client.get(link.replace("limit=25", "limit=all"))
    assert read_back("json", rest.content) == expected[25:]


def test_export_is_as_of_its_start(
    expected: list[dict[str, Any]], lake: HandMadeLake, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = api.lists._frames
    published: list[int] = []

    def publishing(*args: Any) -> Any:
        for frame in frames(*args):
            yield frame
            revision = len(published) + 2
            for step in range(3):
                lake.publish(FIRST.step(step), {"other": 0}, revision)
            published.append(revision)

    monkeypatch.setattr(api.lists, "_frames", publishing)
    assert read_back("json", client.get(f"{URL}?limit=all").content) == expected
    assert len(published) == 9


def test_export_that_the_client_has_is_not_sent_again(expected: list[dict[str, Any]], client: Client) -> None:
    tag = client.get(f"{URL}?limit=all").headers["etag"]
    again = client.get(f"{URL}?limit=all", headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")


def test_third_export_at_once_is_told_to_wait(expected: list[dict[str, Any]], client: Client) -> None:
    lists = client.app.dependencies["lists"].dependency()
    running = [lists._exported(iter([b"a", b"b"])) for _ in range(2)]
    assert [next(parts) for parts in running] == [b"a", b"a"]
    answer = client.get(f"{URL}?limit=all")
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:silt:problem:busy")
    assert int(answer.headers["retry-after"]) > 0
    assert client.get(f"{URL}?limit=10").status_code == 200
    running.pop().close()
    assert len(client.get(f"{URL}?limit=all").json()) == 60
    assert len(client.get(f"{URL}?limit=all").json()) == 60


def test_export_that_cannot_begin_is_a_problem(lake: HandMadeLake, client: Client) -> None:
    lake.publish(FIRST, {"a": 0})
    for file in lake.table("clustering_results").file_uris():
        Path(file.removeprefix("file://")).unlink()
    for _ in range(3):  # and it gives its place back
        assert problem(client, f"{URL}?limit=all", 503)["type"] == "urn:silt:problem:unavailable"
