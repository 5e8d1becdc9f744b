"""`silt dead-letters list` and `replay`, on a real topic."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli import dead_letters
from resources.errors import SettingError, WindowError
from resources.settings import load_settings
from resources.windows import Grid
from tests.cli.conftest import MakeTopic, use_contract
from tests.resources.conftest import Feed
from tests.resources.intake_checks import milliseconds

MOMENT = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=30)
HOME = Grid(5).home(MOMENT).key
NEXT = Grid(5).home(MOMENT).step(1).key


@pytest.fixture
def feed(make_topic: MakeTopic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Feed:
    """A topic and a lake, as the settings in force name them."""
    monkeypatch.setenv("SILT_HOME", str(tmp_path / "home"))
    return Feed(load_settings(), make_topic().contract)


@pytest.fixture
def filled(feed: Feed) -> Feed:
    """Taken in: three messages in two windows whose price is no number, and two that are no JSON."""
    unpriced = [json.dumps({feed.contract.id: f"id-{n}", "Item_price": "n/a"}).encode() for n in range(3)]
    send(feed, unpriced[:2], MOMENT)
    send(feed, [*unpriced[2:], b'{"\x1b[31m'], MOMENT + timedelta(minutes=5))
    feed.take()
    send(feed, [b"last of all"], MOMENT)
    feed.take()
    return feed


def send(feed: Feed, values: Iterable[bytes], moment: datetime) -> None:
    for value in values:
        feed.send(value, timestamp=milliseconds(moment))
    feed.flush()


def mend(feed: Feed, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Put a contract in force that no value of a field but the id's can break."""
    fields = {feed.contract.id: "string", "channel_name": "string"}
    use_contract(
        monkeypatch, folder, topic=feed.topic, fields=fields, features=["channel_name"], statistics={}
    )


def said(*arguments: str) -> list[str]:
    result = CliRunner().invoke(dead_letters.command, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    return result.output.splitlines()


def test_the_list_shows_each_with_its_place_newest_first_and_counts_the_reasons(filled: Feed) -> None:
    header, *letters = [line.rstrip() for line in said("list")[:6]]
    assert " ".join(header.split()) == "window reason partition offset timestamp (UTC) detail value"
    assert [(line.split()[1], line.split()[3]) for line in letters] == [
        ("invalid-json", "4"),
        ("invalid-json", "3"),
        ("wrong-type", "2"),
        ("wrong-type", "1"),
        ("wrong-type", "0"),
    ]
    assert letters[0].split()[:6] == [HOME, "invalid-json", "0", "4", *f"{MOMENT:%Y-%m-%d %H:%M:%S}".split()]
    assert letters[0].endswith("last of all")
    assert "'Item_price' is 'n/a', which is no number" in letters[2]
    assert said("list")[6:] == ["5 dead letters", "  wrong-type: 3", "  invalid-json: 2"]


def test_what_a_value_holds_does_not_steer_the_terminal(filled: Feed) -> None:
    assert "\x1b" not in "".join(said("list"))
    assert '{"�[31m' in said("list")[2]


def test_the_list_is_limited_and_chosen(filled: Feed) -> None:
    assert said("list", "--limit", "1")[2:] == [
        "5 dead letters, the newest 1 are shown",
        "  wrong-type: 3",
        "  invalid-json: 2",
    ]
    assert said("list", "--window", NEXT, "--reason", "invalid-json")[2:] == [
        "1 dead letter",
        "  invalid-json: 1",
    ]
    assert said("list", "--reason", "missing-id") == ["0 dead letters"]


def test_a_replay_says_what_landed_and_what_is_still_broken(
    filled: Feed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mend(filled, monkeypatch, tmp_path)
    rest = [f"  {HOME}: 2", f"  {NEXT}: 1", "2 dead letters still broken", "  invalid-json: 2"]
    would = said("replay", "--dry-run")
    assert would == ["3 dead letters would be replayed as records into 2 windows", *rest]
    assert filled.rows("records") == 0
    assert said("replay") == ["3 dead letters replayed as records into 2 windows", *rest]
    assert filled.named("records")["record_id"].sort().to_list() == ["id-0", "id-1", "id-2"]
    assert said("list")[3:] == ["2 dead letters", "  invalid-json: 2"]
    assert said("replay")[0] == "0 dead letters replayed as records"


def test_a_replay_of_one_window_leaves_the_others(
    filled: Feed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mend(filled, monkeypatch, tmp_path)
    assert said("replay", "--window", NEXT, "--reason", "wrong-type") == [
        "1 dead letter replayed as records into 1 window",
        f"  {NEXT}: 1",
        "0 dead letters still broken",
    ]


def test_letters_of_windows_that_are_not_kept_are_named(
    feed: Feed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    floor = feed.lake.floor()
    unpriced = json.dumps({feed.contract.id: "id", "Item_price": "n/a"}).encode()
    send(feed, [unpriced], floor - timedelta(hours=1))
    feed.take()
    mend(feed, monkeypatch, tmp_path)
    assert said("replay") == [
        "0 dead letters replayed as records",
        f"1 dead letter not replayed: the lake does not keep windows before {floor:%Y-%m-%d} any more",
        "0 dead letters still broken",
    ]


@pytest.mark.parametrize("action", ["list", "replay"])
def test_an_unknown_window_or_reason_is_one_line(feed: Feed, action: str) -> None:
    for arguments, kind, line in (
        (("--window", "yesterday"), WindowError, "'yesterday' is no window"),
        (("--reason", "odd"), SettingError, "'odd' is no reason of dead letters: there are null-value, "),
    ):
        error = CliRunner().invoke(dead_letters.command, [action, *arguments]).exception
        assert isinstance(error, kind)
        assert line in str(error)
        assert "\n" not in str(error)
