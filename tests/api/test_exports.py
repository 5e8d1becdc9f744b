"""``limit=all``: everything in one response, as of one version."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import api.lists
from resources.settings import Settings
from tests.api.clients import Client, client_of, problem
from tests.api.lakes import FIRST, HandMadeLake
from tests.api.test_lists import FORMATS, read_back

URL = "/api/clustering-results"


@pytest.fixture(scope="module", autouse=True)
def _in_many_parts() -> Iterator[None]:
    """Exports read seven rows at a time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api.lists, "_ROWS_AT_ONCE", 7)
        yield


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[HandMadeLake, Client]]:
    """Three windows, and the API over them."""
    home = tmp_path_factory.mktemp("home")
    lake = HandMadeLake(home / "lake")
    for step in range(3):
        lake.publish(FIRST.step(step), {f"r{n:02}": n % 2 for n in range(20)})
    with client_of(Settings(home=home)) as client:
        yield lake, client


@pytest.fixture(scope="module")
def client(full: tuple[HandMadeLake, Client]) -> Client:
    return full[1]


@pytest.fixture(scope="module")
def expected(client: Client) -> list[dict[str, Any]]:
    """The rows of a walk."""
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
def test_export_of_nothing(client: Client, format_: str) -> None:
    nothing = f"{URL}?cluster=7&format={format_}"
    page, whole = (client.get(f"{nothing}&limit={limit}").content for limit in (1, "all"))
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


def test_export_is_as_of_its_start(
    expected: list[dict[str, Any]], full: tuple[HandMadeLake, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, client = full
    frames = api.lists._frames
    published: list[int] = []

    def publishing(*args: Any) -> Any:
        for frame in frames(*args):
            yield frame
            if len(published) < 2:
                published.append(len(published) + 2)
                lake.publish(FIRST, {"other": 0}, published[-1])
                lake.publish(FIRST.step(2), {"other": 0}, published[-1])

    monkeypatch.setattr(api.lists, "_frames", publishing)
    assert read_back("json", client.get(f"{URL}?limit=all").content) == expected
    assert published == [2, 3]
    assert len(client.get(f"{URL}?limit=all").json()) == 22


def test_export_that_cannot_begin_is_a_problem(tmp_path: Path) -> None:
    lake = HandMadeLake(tmp_path / "lake")
    lake.publish(FIRST, {"a": 0})
    for file in lake.table("clustering_results").file_uris():
        Path(file.removeprefix("file://")).unlink()
    with client_of(Settings(home=tmp_path)) as client:
        for _ in range(3):  # and it gives its place back
            assert problem(client, f"{URL}?limit=all", 503)["type"] == "urn:silt:problem:unavailable"
