"""`GET /api/intakes` and `GET /api/dead-letters`: what was read from the topic, and what was no record."""

from base64 import b64decode
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from api import letters as letters_module
from resources.settings import Settings
from tests.api.clients import Client, client_of, problem
from tests.api.lakes import FIRST, NOW, HandMadeLake

NEXT = FIRST.step(1)
SPAN = {"partition": 0, "start": 3, "end": 9, "missing": 1, "topic_end": 12, "watermark": NOW}
NASTY = b"\x00\x1b[31m\xff\xe2\x80\xae" + "é".encode() * 300


def letter(
    offset: int, window: str | None = FIRST.key, reason: str = "wrong-type", **more: Any
) -> dict[str, Any]:
    return {"kafka_offset": offset, "window": window, "reason": reason, "value": b"{}", **more}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A client of the lake that :func:`fill` fills, for tests that change nothing."""
    home = tmp_path_factory.mktemp("home")
    fill(HandMadeLake(home / "lake"))
    with client_of(Settings(home=home)) as client:
        yield client


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[tuple[HandMadeLake, Client]]:
    """Such a lake of one's own."""
    lake = HandMadeLake(tmp_path / "lake")
    fill(lake)
    with client_of(Settings(home=tmp_path)) as client:
        yield lake, client


def fill(lake: HandMadeLake) -> None:
    """Four intakes with nine dead letters, one of which was replayed, and one of an attempt that lost."""
    headers = [{"key": "trace", "value": b"\x01"}, {"key": "none", "value": None}]
    first = [letter(n) for n in range(4)]
    second = [
        letter(4, NEXT.key, "invalid-json", value=NASTY, key=b"k", headers=headers, timestamp=NEXT.start),
        letter(5, None, "null-value", value=None),
    ]
    third = [letter(n, NEXT.key) for n in (6, 7, 8)]
    lake.take(1, NOW, {FIRST: 5}, refused=lake.refuse(1, first), spans=[SPAN])
    lake.take(2, NOW + timedelta(seconds=9), {NEXT: 2}, refused=lake.refuse(2, second), caught_up=False)
    again = {"intake": 1, "partition": 0, "offset": 2, "window": FIRST.key, "reason": "wrong-type"}
    lake.take(3, NOW, {FIRST: 1}, kind="replay", replayed=[again])
    lake.refuse(4, [letter(6, attempt="lost")])
    lake.take(4, NOW, {}, refused=lake.refuse(4, third))


def walked(client: Client, url: str) -> list[dict[str, Any]]:
    rows = []
    while url:
        answer = client.get(url)
        assert answer.status_code == 200, answer.text
        rows += answer.json()
        url = answer.links.get("next", {}).get("url", "")
    return rows


def offsets(client: Client, query: str = "") -> list[int]:
    return [row["offset"] for row in walked(client, f"/api/dead-letters{query}")]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8, 100])
def test_a_walk_gives_each_letter_that_is_still_dead_once(client: Client, limit: int) -> None:
    assert offsets(client, f"?limit={limit}") == [8, 7, 6, 5, 4, 3, 1, 0]


def test_dead_letters_are_chosen_by_window_and_reason(client: Client) -> None:
    assert offsets(client, f"?window={FIRST.key}") == [3, 1, 0]
    assert offsets(client, "?reason=null-value") == [5]
    assert offsets(client, f"?window={NEXT.key}&reason=wrong-type&limit=2") == [8, 7, 6]
    assert offsets(client, f"?from={NEXT.key}") == [8, 7, 6, 4]
    assert offsets(client, f"?to={NEXT.key}&limit=2") == [3, 1, 0]
    assert problem(client, "/api/dead-letters?reason=ugly", 400)["parameter"] == "reason"
    problem(client, "/api/dead-letters?window=now", 400)


def test_a_dead_letters_bytes_are_whole_and_its_preview_is_safe(client: Client) -> None:
    (found,) = walked(client, "/api/dead-letters?reason=invalid-json")
    assert b64decode(found.pop("valueBase64")) == NASTY
    preview = found.pop("preview")
    assert preview.startswith("\\x00\\x1b[31m\\xff\\u202eéé")
    assert preview.isprintable()
    assert len(preview) == 200
    assert found == {
        "window": NEXT.key,
        "reason": "invalid-json",
        "detail": "why",
        "timestamp": "2026-11-24T05:05:00Z",
        "partition": 0,
        "offset": 4,
        "intake": 2,
        "keyBase64": "aw==",
        "headers": [{"key": "trace", "valueBase64": "AQ=="}, {"key": "none", "valueBase64": None}],
    }
    (null,) = walked(client, "/api/dead-letters?reason=null-value")
    assert (null["valueBase64"], null["preview"], null["window"]) == (None, None, None)


def test_a_walk_shows_what_was_dead_when_it_began(filled: tuple[HandMadeLake, Client]) -> None:
    lake, client = filled
    start = client.get("/api/dead-letters?limit=6")
    again = {"intake": 1, "partition": 0, "offset": 1, "window": FIRST.key, "reason": "wrong-type"}
    lake.take(5, NOW, {FIRST: 1}, kind="replay", replayed=[again])
    assert [row["offset"] for row in walked(client, start.links["next"]["url"])] == [1, 0]
    assert offsets(client) == [8, 7, 6, 5, 4, 3, 0]


def test_a_page_of_long_letters_ends_early(
    filled: tuple[HandMadeLake, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, client = filled
    monkeypatch.setattr(letters_module, "_PAGE_BYTES", 3)
    assert len(client.get("/api/dead-letters").json()) == 2
    assert offsets(client) == [8, 7, 6, 5, 4, 3, 1, 0]


def test_intakes_are_listed_newest_first_with_what_they_landed(client: Client) -> None:
    rows = walked(client, "/api/intakes?limit=3")
    assert [row["number"] for row in rows] == [4, 3, 2, 1]
    assert [(row["kind"], row["caughtUp"], row["deadLetters"], row["replayed"]) for row in rows] == [
        ("topic", True, 3, 0),
        ("replay", True, 0, 1),
        ("topic", False, 2, 0),
        ("topic", True, 4, 0),
    ]
    assert (rows[3]["records"], rows[3]["tooLate"]) == (5, 0)
    assert rows[3]["landed"] == [{"window": FIRST.key, "records": 5, "tooLate": 0}]
    assert rows[3]["refused"] == [{"window": FIRST.key, "reason": "wrong-type", "count": 1}] * 4
    watermark = "2026-11-24T12:00:00Z"
    assert rows[3]["spans"] == [
        {"partition": 0, "start": 3, "end": 9, "missing": 1, "topicEnd": 12, "lag": 3, "watermark": watermark}
    ]


def test_intakes_are_chosen_by_the_window_they_landed_for(client: Client) -> None:
    assert [row["number"] for row in walked(client, f"/api/intakes?window={FIRST.key}&limit=1")] == [3, 1]
    problem(client, "/api/intakes?window=now", 400)


def test_a_walk_through_intakes_goes_on_while_more_are_entered(filled: tuple[HandMadeLake, Client]) -> None:
    lake, client = filled
    start = client.get("/api/intakes?limit=2")
    lake.take(5, NOW, {FIRST: 1})
    assert [row["number"] for row in walked(client, start.links["next"]["url"])] == [2, 1]


def test_nothing_read_yet_is_an_empty_list(lake: HandMadeLake, tmp_path: Path) -> None:
    with client_of(Settings(home=tmp_path)) as client:
        assert client.get("/api/intakes").json() == []
        assert client.get("/api/dead-letters").json() == []
