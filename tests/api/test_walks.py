"""Walks by signed cursors: as of one version, however often windows are published again meanwhile."""

import base64
import random
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.cursors import Cursors, Place
from api.problems import BadParameterError
from resources.settings import Settings
from tests.api.clients import Client, client_of, problem
from tests.api.lakes import FIRST, HandMadeLake

URL = "/api/clustering-results"
NAMES = [f"r{n}" for n in range(8)]


ROWS = [(FIRST.step(step).key, name) for step in (3, 2, 1, 0) for name in NAMES]
"""What is published at first, in the order of a walk."""


@pytest.fixture
def published(lake: HandMadeLake) -> list[tuple[str, str]]:
    """A lake of its own for a test that publishes more."""
    _publish(lake)
    return ROWS


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A client of an API whose lake does not change."""
    home = tmp_path_factory.mktemp("home")
    _publish(HandMadeLake(home / "lake"))
    with client_of(Settings(home=home)) as client:
        yield client


def _publish(lake: HandMadeLake) -> None:
    for step in range(4):
        lake.publish(FIRST.step(step), {name: n % 2 for n, name in enumerate(NAMES)})


def _again(lake: HandMadeLake, revision: int) -> None:
    """Publish windows again, with other records: the first of a walk, and one that it reaches last."""
    for step in (0, 3):
        lake.publish(FIRST.step(step), {f"r{n}": 0 for n in range(revision, revision + 9)}, revision)


def _next(client: Client, url: str) -> tuple[list[dict[str, Any]], str]:
    response = client.get(url)
    assert response.status_code == 200, response.text
    return response.json(), response.links.get("next", {}).get("url", "")


def _walk(client: Client, url: str) -> Iterator[dict[str, Any]]:
    while url:
        rows, url = _next(client, url)
        yield from rows


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Client, list[tuple[str, str]]]]:
    """A client of an API whose windows have different records, and their number; and what a walk gives."""
    home, chance = tmp_path_factory.mktemp("uneven"), random.Random(0)
    lake, rows = HandMadeLake(home / "lake"), list[tuple[str, str]]()
    for step, size in enumerate((5, 2, 7, 1, 4, 6)):
        names = sorted(f"{chance.random():.6f}" for _ in range(size))
        lake.publish(FIRST.step(step), dict.fromkeys(names, 0))
        rows[:0] = [(FIRST.step(step).key, name) for name in names]
    with client_of(Settings(home=home)) as client:
        yield client, rows


@pytest.mark.parametrize("limit", range(1, 26))
def test_walk_gives_each_row_once_whatever_the_sizes_of_pages_and_windows(
    uneven: tuple[Client, list[tuple[str, str]]], limit: int
) -> None:
    client, rows = uneven
    walked = [(row["window"], row["uniqueId"]) for row in _walk(client, f"{URL}?limit={limit}")]
    assert walked == rows


def test_walk_shows_what_was_published_when_it_began(
    published: list[tuple[str, str]], lake: HandMadeLake, client: Client
) -> None:
    rows, url = _next(client, f"{URL}?limit=12")
    for revision in (2, 3):
        _again(lake, revision)
        more, url = _next(client, url)
        rows += more
    assert not url

    assert [(row["window"], row["uniqueId"]) for row in rows] == published
    assert {row["modelVersion"][-2:] for row in rows} == {"r1"}
    assert {row["features"]["revision"] for row in rows} == {1}


def test_walk_goes_on_in_another_process_of_the_same_home(
    published: list[tuple[str, str]], lake: HandMadeLake, client: Client, tmp_path: Path
) -> None:
    rows, url = _next(client, f"{URL}?limit=5")
    _again(lake, 2)
    with client_of(Settings(home=tmp_path)) as other:
        rows += _walk(other, url)

    assert [(row["window"], row["uniqueId"]) for row in rows] == published
    assert {row["modelVersion"][-2:] for row in rows} == {"r1"}


@pytest.mark.parametrize("restarted", [False, True])
def test_walk_whose_files_are_gone_says_how_to_start_again(
    published: list[tuple[str, str]], lake: HandMadeLake, client: Client, tmp_path: Path, restarted: bool
) -> None:
    _, url = _next(client, f"{URL}?limit=5&model=model_1&format=json")
    old = set(lake.table("clustering_results").file_uris())
    _again(lake, 2)
    for file in old - set(lake.table("clustering_results").file_uris()):
        Path(file.removeprefix("file://")).unlink()

    if restarted:
        with client_of(Settings(home=tmp_path)) as other:
            answer = problem(other, url, 410)
    else:
        answer = problem(client, url, 410)
    assert answer["type"] == "urn:silt:problem:walk-expired"
    again = answer["detail"].rpartition(" ")[2]
    assert again == f"{URL}?model=model_1&limit=5&format=json"
    assert {row["modelVersion"][-2:] for row in _walk(client, again)} == {"r2"}


def test_walk_whose_version_has_left_the_log_has_expired(
    published: list[tuple[str, str]], lake: HandMadeLake, client: Client, tmp_path: Path
) -> None:
    _, url = _next(client, f"{URL}?limit=5")
    _again(lake, 2)
    table = lake.table("windows")
    table.create_checkpoint()
    for version in range(table.version()):
        (tmp_path / "lake" / "windows" / "_delta_log" / f"{version:020}.json").unlink()
    with client_of(Settings(home=tmp_path)) as other:
        assert problem(other, url, 410)["type"] == "urn:silt:problem:walk-expired"


def test_a_lake_that_cannot_be_read_has_not_expired(
    published: list[tuple[str, str]], lake: HandMadeLake, client: Client
) -> None:
    _, url = _next(client, f"{URL}?limit=5")
    for file in lake.table("clustering_results").file_uris():
        Path(file.removeprefix("file://")).unlink()
    problem(client, url, 503)


def _bent(cursor: str) -> Iterator[str]:
    raw = base64.urlsafe_b64decode(cursor + "==")
    for place in (0, 15, 16, len(raw) - 1):
        changed = bytes([*raw[:place], raw[place] ^ 1, *raw[place + 1 :]])
        yield base64.urlsafe_b64encode(changed).rstrip(b"=").decode()
    yield base64.urlsafe_b64encode(raw[16:]).rstrip(b"=").decode()
    yield from ("x", cursor[:-1], cursor + "A", "é", "a" * 4000)


def test_forged_cursors_are_refused(still: Client, tmp_path: Path) -> None:
    _, url = _next(still, f"{URL}?limit=5")
    cursor = url.rpartition("cursor=")[2]
    for forged in _bent(cursor):
        answer = still.get(URL, params={"limit": 5, "cursor": forged})
        assert (answer.status_code, answer.json()["parameter"]) == (400, "cursor"), forged
    foreign = Cursors(tmp_path / "another.key").encode(URL, {}, Place(1, [FIRST.key, "r1"]))
    assert still.get(URL, params={"cursor": foreign}).status_code == 400
    assert still.get(URL, params={"limit": 7, "cursor": cursor}).status_code == 200


def test_cursor_belongs_to_its_route_and_filters(still: Client) -> None:
    _, url = _next(still, f"{URL}?limit=5&cluster=1")
    assert "filters" in problem(still, url.replace("cluster=1", "cluster=0"), 400)["detail"]
    assert "filters" in problem(still, url.replace("cluster=1&", ""), 400)["detail"]


def test_cursor_of_another_route_is_refused(tmp_path: Path) -> None:
    cursors = Cursors(tmp_path / "key")
    text = cursors.encode("/a", {"x": 1, "y": None}, Place(3, ["w", 7]))
    assert cursors.decode(text, "/a", {"x": 1}) == Place(3, ["w", 7])
    with pytest.raises(BadParameterError):
        cursors.decode(text, "/b", {"x": 1})


def test_key_is_for_its_owner_alone_and_stays(tmp_path: Path) -> None:
    file = tmp_path / "home" / "cursor.key"
    text = Cursors(file).encode("/a", {}, Place(1))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.stat().st_size == 32
    assert [other.name for other in file.parent.iterdir()] == ["cursor.key"]
    assert Cursors(file).decode(text, "/a", {}).version == 1


@pytest.mark.parametrize(
    ("chosen", "steps"),
    [
        ("from=2026-11-24T0505Z", {1, 2, 3}),
        ("to=2026-11-24T0510Z", {0, 1}),
        ("from=2026-11-24T0505Z&to=2026-11-24T0515Z", {1, 2}),
        ("from=2026-11-24T0505Z&to=2026-11-24T0505Z", set()),
        ("from=2026-11-24T0505Z&model=model_1", {3}),
        ("window=2026-11-24T0500Z&from=2026-11-24T0505Z", set()),
    ],
)
def test_walk_keeps_to_its_span_of_windows(still: Client, chosen: str, steps: set[int]) -> None:
    windows = {FIRST.step(step).key for step in steps}
    rows = list(_walk(still, f"{URL}?limit=3&{chosen}"))
    assert [(row["window"], row["uniqueId"]) for row in rows] == [row for row in ROWS if row[0] in windows]


@pytest.mark.parametrize(
    ("chosen", "parameter"),
    [
        ("from=2026-11-24T0510Z&to=2026-11-24T0505Z", "from"),
        ("from=yesterday", "from"),
        ("to=2026-11-24T0501Z", "to"),
    ],
)
def test_impossible_spans_are_refused(still: Client, chosen: str, parameter: str) -> None:
    assert problem(still, f"{URL}?{chosen}", 400)["parameter"] == parameter
