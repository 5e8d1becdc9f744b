"""Several takers at once, and crashes between two steps."""

from datetime import UTC, datetime, timedelta

import pytest

import resources.intake
from resources.errors import TransientError
from resources.intake import Taker
from tests.resources.conftest import Feed, MakeFeed, ledger_row
from tests.resources.intake_checks import (
    CrashError,
    DyingLake,
    SilentLake,
    SlowLake,
    check_accounting,
    check_tiling,
    taken_in,
    together,
)

# ---- several takers ----


def test_takers_at_once_land_every_offset_once(make_feed: MakeFeed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources.intake, "CHUNK_BYTES", 200_000)
    feed = make_feed(partitions=2)
    for partition in (0, 1):
        feed.send_records(range(6_000), partition=partition)
    lost = []

    def work() -> None:
        taker = feed.taker()
        for _ in range(4):
            lost.append(taker.take() is None)
            feed.send_records(range(3))

    together(work, work, work)
    assert any(lost), "the takers never met: the test has shown nothing"
    assert feed.taker().take() is not None
    intakes = feed.taker().ledger.intakes()
    assert [intake.number for intake in intakes] == list(range(1, intakes.last + 1))
    check_tiling(intakes)
    check_accounting(feed)


def test_a_taker_that_loses_says_so_and_its_rows_stay_invisible(feed: Feed) -> None:
    feed.send_records(range(5))
    lake = SlowLake(feed.settings.lake)
    lake.rival = feed.take
    taker = Taker(feed.settings, feed.contract, lake)
    seen: list[int] = []
    taker.on_landed = lambda intake, rows: seen.append(intake.number)
    assert taker.take() is None
    assert seen == []
    assert feed.stored("records").height == 10
    check_accounting(feed)


def test_a_taker_that_loses_every_time_gives_up_for_now(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources.intake, "_TRIES", 2)
    lake = SlowLake(feed.settings.lake)

    def rival() -> None:
        """Takes a number, and reaches no close."""
        number = feed.stored("ledger").height + 1
        row = ledger_row(number, topic_id=feed.state().id, caught_up=False)
        assert feed.lake.insert_once("ledger", "number", row)

    lake.rival = rival
    with pytest.raises(TransientError, match="Other takers won 2 intakes in a row: try again"):
        Taker(feed.settings, feed.contract, lake).take_to(datetime.now(UTC))
    assert feed.stored("ledger").height == 2


def test_a_close_in_the_future_is_waited_for(feed: Feed) -> None:
    close = datetime.now(UTC) + timedelta(seconds=1)
    taken = feed.taker().take_to(close)
    assert [intake.number for intake in taken] == [1]
    assert taken[0].taken_at >= close


# ---- crashes ----


def test_rows_of_a_crashed_intake_stay_invisible_and_land_again_once(feed: Feed) -> None:
    feed.send_records(range(5))
    feed.send(b"no json")
    feed.flush()
    with pytest.raises(CrashError):
        Taker(feed.settings, feed.contract, DyingLake(feed.settings.lake)).take()
    assert feed.rows("records", "dead_letters") == 6, "the crash came before the landing"
    assert taken_in(feed) == []
    assert feed.take().number == 1
    assert feed.rows("records", "dead_letters") == 12
    check_accounting(feed)


def test_an_answer_that_is_lost_is_found_in_the_ledger(feed: Feed) -> None:
    feed.send_records(range(5))
    intake = Taker(feed.settings, feed.contract, SilentLake(feed.settings.lake)).take()
    assert intake is not None
    assert intake.number == 1
    assert feed.stored("records").height == 5
    check_accounting(feed)
