"""`GET /api/windows`: what has become of each window, from the ledger and the table ``windows``."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from resources.settings import Settings
from tests.api.clients import Client, client_of, problem
from tests.api.lakes import GRID, HandMadeLake, version

NOW = datetime.now(UTC)
OPEN = GRID.home(NOW)
W = [OPEN.step(count) for count in range(-9, -2)]
PUBLISHED, INCOMPLETE, TOO_FEW, EMPTY, FAILED, DUE, RETRIED = W
SPAN = {"missing": 0, "watermark": NOW, "topic_end": 12, "start": 0}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a blank in its name."""
    return tmp_path_factory.mktemp("my home")


@pytest.fixture(scope="module")
def client(home: Path) -> Iterator[Client]:
    """A lake with a window in each state."""
    lake = HandMadeLake(home / "lake", NOW)
    letters = [{"window": PUBLISHED.key, "reason": "invalid-json", "count": 4}]
    again = [{"intake": 1, "partition": 0, "offset": 7, "window": PUBLISHED.key, "reason": "invalid-json"}]
    answered = (PUBLISHED, INCOMPLETE, TOO_FEW, FAILED, DUE, RETRIED)
    spans = [{**SPAN, "partition": 0, "end": 9}, {**SPAN, "partition": 1, "end": 12}]
    lake.take(1, NOW - timedelta(minutes=1), dict.fromkeys(answered, 3), refused=letters)
    lake.take(2, NOW - timedelta(minutes=1), {PUBLISHED: 1}, kind="replay", replayed=again)
    lake.take(3, NOW, {DUE: 2, RETRIED: 1, OPEN: 5}, spans=spans)
    counts: dict[str, Any] = {"records": 3, "late": 1, "duplicates": 1, "missing": 0}
    lake.publish(PUBLISHED, {"a": 0}, 2, covered=2, published_at=NOW, seconds=1.5, **counts)
    lake.publish(INCOMPLETE, {"a": 0}, covered=1, **counts | {"missing": 7})
    lake.write_row(TOO_FEW, "too-few", covered=1, **counts)
    error = f"The lake {home}/lake fails: no file:///x/y z. See /var/log/x; broker.local:9092 is away\n  at"
    lake.write_row(FAILED, None, attempts=2, error=error)
    lake.publish(DUE, {"a": 0}, covered=1)
    lake.publish(RETRIED, {"a": 0}, covered=1, attempts=1, error="no Spark")
    with client_of(Settings(home=home), NOW) as client:
        yield client


def listed(client: Client, query: str = "") -> dict[str, Any]:
    answer = client.get(f"/api/windows{query}")
    assert answer.status_code == 200, answer.text
    return {row["window"]: row for row in answer.json()}


def test_every_window_is_listed_newest_first_with_its_state(client: Client) -> None:
    states = {key: row["state"] for key, row in listed(client).items()}
    assert list(states) == sorted(states, reverse=True)
    assert states[OPEN.key] == "open"
    assert [states[window.key] for window in W] == [
        "published", "incomplete", "too-few", "empty", "failed", "due", "failed",
    ]  # fmt: skip


def test_a_windows_row_says_what_landed_and_what_was_answered(client: Client) -> None:
    answer = client.get(f"/api/windows/{PUBLISHED.key}").json()
    assert answer == listed(client)[PUBLISHED.key]
    assert answer == {
        "window": PUBLISHED.key,
        "model": f"model_{PUBLISHED.slot}",
        "state": "published",
        "revision": 2,
        "modelVersion": version(PUBLISHED, 2),
        "records": 3,
        "late": 1,
        "duplicates": 1,
        "missing": 0,
        "landed": 4,
        "tooLate": 0,
        "deadLetters": 3,
        "intakes": 2,
        "firstIntake": 1,
        "lastIntake": 2,
        "lag": 0,
        "publishedAt": NOW.isoformat().replace("+00:00", "Z"),
        "secondsToPublish": 1.5,
        "attempts": 0,
        "error": None,
    }


def test_an_empty_window_counts_nothing_and_an_unanswered_one_has_no_answers_counts(client: Client) -> None:
    rows = listed(client)
    assert (rows[EMPTY.key]["records"], rows[EMPTY.key]["landed"], rows[EMPTY.key]["intakes"]) == (0, 0, 0)
    assert (rows[OPEN.key]["records"], rows[OPEN.key]["landed"]) == (None, 5)


def test_the_lag_behind_the_topics_end_is_that_of_windows_not_read_to_their_close(client: Client) -> None:
    rows = listed(client)
    assert (rows[OPEN.key]["lag"], rows[DUE.key]["lag"]) == (3, 0)


def test_a_failed_windows_error_names_no_place(client: Client, home: Path) -> None:
    failed = listed(client)[FAILED.key]
    assert failed["attempts"] == 2
    assert failed["error"] == "The lake … fails: no … z. See …; … is away"


def test_states_and_models_choose_windows(client: Client) -> None:
    assert set(listed(client, "?state=failed")) == {FAILED.key, RETRIED.key}
    assert set(listed(client, f"?from={EMPTY.key}&to={FAILED.key}")) == {EMPTY.key}
    ours = {key for key, row in listed(client).items() if row["model"] == "model_2"}
    assert set(listed(client, "?model=model_2")) == ours
    assert len(ours) >= 3
    problem(client, "/api/windows?state=lost", 400)


def test_a_walk_gives_each_window_once_in_order(client: Client) -> None:
    keys, url = [], "/api/windows?limit=4"
    while url:
        answer = client.get(url)
        assert 0 < len(answer.json()) <= 4
        keys += [row["window"] for row in answer.json()]
        url = answer.links.get("next", {}).get("url", "")
    assert keys == list(listed(client))


def test_an_answer_is_confirmed_until_something_changes(tmp_path: Path) -> None:
    lake = HandMadeLake(tmp_path / "lake", NOW)
    lake.take(1, NOW, {PUBLISHED: 3})
    with client_of(Settings(home=tmp_path), NOW) as client:
        url = f"/api/windows/{PUBLISHED.key}"
        known = {"If-None-Match": client.get(url).headers["etag"]}
        assert client.get(url, headers=known).status_code == 304
        lake.take(2, NOW, {PUBLISHED: 1})
        assert client.get(url, headers=known).json()["landed"] == 4


def test_windows_that_are_none_or_not_known_are_problems(client: Client) -> None:
    assert problem(client, "/api/windows/2026-11-24T0503Z", 400)["parameter"] == "window"
    assert problem(client, "/api/windows/nonsense", 400)["parameter"] == "window"
    problem(client, f"/api/windows/{W[0].step(-1).key}", 404)
    problem(client, f"/api/windows/{OPEN.step(2).key}", 404)


def test_windows_are_seen_as_they_change(tmp_path: Path) -> None:
    lake = HandMadeLake(tmp_path / "lake", NOW)
    with client_of(Settings(home=tmp_path), NOW) as client:
        assert [row["state"] for row in client.get("/api/windows").json()][:1] == ["open"]
        lake.take(1, NOW, {PUBLISHED: 3})
        assert listed(client)[PUBLISHED.key]["state"] == "due"
        lake.publish(PUBLISHED, {"a": 0}, covered=1)
        assert listed(client)[PUBLISHED.key]["state"] == "published"
