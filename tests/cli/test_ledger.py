"""`silt ledger reset`, and what `silt status` says of a topic that lost something."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli import ledger, status
from resources.errors import LogError
from resources.settings import load_settings
from resources.windows import Grid
from tests.cli.conftest import MakeTopic
from tests.resources.conftest import Feed

NOTHING = "goes on where the ledger ends: there is nothing to reset"


@pytest.fixture
def feed(make_topic: MakeTopic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Feed:
    """A topic and a lake, as the settings in force name them."""
    monkeypatch.setenv("SILT_HOME", str(tmp_path / "home"))
    return Feed(load_settings(), make_topic().contract)


def send(feed: Feed, ids: Iterable[int], moment: datetime) -> None:
    for number in ids:
        value = json.dumps({feed.contract.id: f"id-{number}"}).encode()
        feed.send(value, timestamp=round(moment.timestamp() * 1000))
    feed.flush()


def reset(*arguments: str, answer: str = "") -> Result:
    return CliRunner().invoke(ledger.command, ["reset", *arguments], input=answer)


def kinds(feed: Feed) -> list[str]:
    return feed.stored("ledger").sort("number")["kind"].to_list()


def test_a_topic_that_goes_on_is_not_reset(feed: Feed) -> None:
    for _ in range(2):  # with an empty ledger, and with one that fits
        refused = reset("--yes").exception
        assert isinstance(refused, LogError)
        assert str(refused) == f"Topic {feed.topic} {NOTHING}."
        feed.take()
    assert kinds(feed) == ["topic", "topic"]


def test_a_topic_created_again_is_reset_once_a_person_agrees(feed: Feed) -> None:
    send(feed, range(5), datetime.now(UTC))
    feed.take()
    feed.recreate()
    send(feed, range(2), datetime.now(UTC))
    asked = reset(answer="n\n")
    assert f"Topic {feed.topic} was deleted and created again" in asked.output
    assert "partition 0: the next intake would start at offset 0" in asked.output
    assert "Nothing was changed." in asked.output
    assert kinds(feed) == ["topic"]
    assert "What was landed stays." in reset(answer="y\n").output
    intake = feed.take()
    assert (intake.spans[0].start, intake.spans[0].end) == (0, 2)
    assert kinds(feed) == ["topic", "reset", "topic"]
    assert isinstance(reset("--yes").exception, LogError)


def test_status_names_a_topic_that_was_replaced_and_the_command_for_it(feed: Feed) -> None:
    send(feed, range(5), datetime.now(UTC))
    feed.take()
    feed.recreate()
    shown = CliRunner().invoke(status.command, []).output
    assert "was deleted and created again" in " ".join(shown.split())
    assert "`silt ledger reset`" in " ".join(shown.split())
    assert reset("--yes").exit_code == 0
    assert "silt ledger reset" not in CliRunner().invoke(status.command, []).output


def test_status_says_which_windows_miss_offsets(feed: Feed) -> None:
    before = datetime.now(UTC) - timedelta(minutes=30)
    after = before + timedelta(minutes=12)
    send(feed, range(3), before)
    feed.take()
    send(feed, range(3, 7), before)
    send(feed, [7], after)
    feed.delete_before(7)
    feed.take()
    shown = CliRunner().invoke(status.command, []).output
    assert f"topic {feed.topic}: 2 intakes, 4 offsets missing" in shown
    first, last = (Grid(5).home(moment).key for moment in (before, after))
    assert "partition 0: 4 offsets from 3 on were gone from the broker before they were read" in shown
    assert f"their windows lie from {first} to {last}" in shown
