"""The way back of dead letters: decoded again, landed once as records of their home windows."""

import time
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from resources import replay
from resources.batch import Batch, select
from resources.dead_letters import Choice, count_by_reason, dead_letters, newest
from resources.due import covered_intakes, due_windows
from resources.errors import SettingError, TransientError, WindowError
from resources.intake_rows import Intake
from resources.intakes import Intakes
from resources.lake import Lake
from resources.publication import publish
from resources.replay import Outcome, Replayer
from resources.reset import enter_reset, plan_reset
from resources.upkeep.attempts import remove_lost
from resources.upkeep.report import Report
from resources.upkeep.retention import apply_retention
from resources.windows import Window
from tests.resources.conftest import GRID, Feed, contract_with, ledger_row, record
from tests.resources.intake_checks import (
    CrashError,
    DyingLake,
    SilentLake,
    SlowLake,
    check_accounting,
    check_tiling,
    milliseconds,
    together,
)

ALL = Choice()
BACK = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=30)
HOME = GRID.home(BACK)


@pytest.fixture
def mended(tmp_path: Path, feed: Feed) -> Feed:
    """The feed's topic and lake under a contract that asks for no price."""
    changes: dict[str, Any] = {"fields": {"id": "string", "shop": "string"}, "features": ["shop"]}
    return Feed(feed.settings, contract_with(tmp_path, topic=feed.topic, statistics={}, **changes))


def send_unpriced(feed: Feed, ids: range, moment: datetime = BACK) -> None:
    """Send messages that break the contract until it asks for no price."""
    for number in ids:
        feed.send(record(number, price="n/a"), timestamp=milliseconds(moment))
    feed.flush()


def replayer(feed: Feed, lake: Lake | None = None, **changes: Any) -> Replayer:
    return Replayer(feed.settings.model_copy(update=changes), feed.contract, lake or feed.lake)


def intakes_of(feed: Feed) -> Intakes:
    return feed.taker().ledger.intakes()


def letters(feed: Feed, choice: Choice = ALL) -> pl.LazyFrame:
    return dead_letters(feed.lake, intakes_of(feed), choice)


def offsets(feed: Feed) -> list[int]:
    """Where the records that count are, and how often."""
    return feed.named("records")["kafka_offset"].sort().to_list()


def due(feed: Feed) -> list[Window]:
    intakes, now = intakes_of(feed), datetime.now(UTC)
    items = due_windows(intakes, covered_intakes(feed.lake), GRID, feed.lake.floor(), now)
    return [item.window for item in items if not item.takes_in]


def answer(feed: Feed) -> Batch:
    batch = select(feed.lake, feed.contract, GRID, HOME, intakes_of(feed))
    publish(feed.lake, GRID, batch, "published", (0, 0))
    return batch


def test_what_passes_lands_in_its_home_and_leaves_the_dead_letters(feed: Feed, mended: Feed) -> None:
    feed.send_records(range(2), timestamp=milliseconds(BACK))
    send_unpriced(feed, range(2, 5))
    feed.send(b"{", timestamp=milliseconds(BACK))
    feed.flush()
    before = feed.take()
    outcome = replayer(mended).replay(ALL)
    assert outcome == Outcome(landed=Counter({HOME.key: 3}), broken=Counter({"invalid-json": 1}))
    assert offsets(mended) == [0, 1, 2, 3, 4]
    assert count_by_reason(letters(mended)) == {"invalid-json": 1}
    assert intakes_of(mended).dead_letters(HOME) == 1
    landed = mended.named("records").filter(pl.col("intake") == 2).sort("kafka_offset")
    assert landed["record_id"].to_list() == ["id-2", "id-3", "id-4"]
    assert landed["event_time"].to_list() == [BACK] * 3
    check_accounting(mended)
    row = intakes_of(mended)[2]
    assert (row.kind, row.topic_id, row.caught_up) == ("replay", before.topic_id, False)


def test_a_replay_is_no_read_of_the_topic(feed: Feed, mended: Feed) -> None:
    send_unpriced(feed, range(3))
    first = feed.take()
    replayer(mended).replay(ALL)
    now = datetime.now(UTC)
    assert intakes_of(mended).ends() == {0: 3}
    assert intakes_of(mended).reach(now) == first.taken_at
    feed.send_records(["next"])
    assert (mended.take().spans[0].start, offsets(mended)) == (3, [0, 1, 2, 3])
    check_tiling(intakes_of(mended))


def test_a_clock_behind_in_a_replay_takes_nothing_back() -> None:
    hour = timedelta(hours=1)
    rows = [ledger_row(1), ledger_row(2, kind="replay", taken_at=ledger_row(1)["taken_at"][0] - hour)]
    intakes = Intakes(pl.concat(rows))
    assert intakes.reach(datetime.now(UTC)) == intakes[1].taken_at


def test_a_replay_makes_its_home_due_and_gives_revision_2(feed: Feed, mended: Feed) -> None:
    feed.send_records(["good"], timestamp=milliseconds(BACK))
    send_unpriced(feed, range(2))
    feed.take()
    first = answer(feed)
    assert (first.records, first.dead_letters, due(feed)) == (1, 2, [])
    replayer(mended).replay(ALL)
    assert due(mended) == [HOME]
    second = answer(mended)
    assert (second.revision, second.records, second.dead_letters, second.covered) == (2, 3, 0, 2)
    assert second.digest != first.digest
    assert due(mended) == []


def test_a_letter_is_replayed_once(feed: Feed, mended: Feed) -> None:
    send_unpriced(feed, range(3))
    feed.take()
    assert replayer(mended).replay(ALL).landed.total() == 3
    assert replayer(mended).replay(ALL) == Outcome()
    assert (offsets(mended), intakes_of(mended).last) == ([0, 1, 2], 2)


def test_where_nothing_passes_no_intake_is_entered(feed: Feed) -> None:
    send_unpriced(feed, range(3))
    feed.take()
    assert replayer(feed).replay(ALL) == Outcome(broken=Counter({"wrong-type": 3}))
    assert intakes_of(feed).last == 1


def test_a_dry_run_says_the_same_and_writes_nothing(feed: Feed, mended: Feed) -> None:
    send_unpriced(feed, range(3))
    feed.send(None)
    feed.flush()
    feed.take()
    said = replayer(mended).replay(ALL, dry_run=True)
    assert (said.landed.total(), said.broken) == (3, {"null-value": 1})
    assert (mended.rows("records"), intakes_of(mended).last) == (0, 1)
    assert replayer(mended).replay(ALL) == said


def test_one_window_or_one_reason_is_chosen(feed: Feed, mended: Feed) -> None:
    send_unpriced(feed, range(2))
    send_unpriced(feed, range(2, 5), BACK + timedelta(minutes=5))
    feed.send(b"{", timestamp=milliseconds(BACK))
    feed.flush()
    feed.take()
    of_home, broken = Choice.of(GRID, HOME.key, None), Choice.of(GRID, None, "invalid-json")
    assert count_by_reason(letters(feed, of_home)) == {"wrong-type": 2, "invalid-json": 1}
    assert replayer(mended).replay(broken).landed.total() == 0
    assert replayer(mended).replay(of_home).landed == {HOME.key: 2}
    assert count_by_reason(letters(mended)) == {"wrong-type": 3, "invalid-json": 1}


def test_an_unknown_window_or_reason_is_named() -> None:
    with pytest.raises(WindowError, match="'yesterday' is no window"):
        Choice.of(GRID, "yesterday", None)
    with pytest.raises(SettingError, match="'wrong' is no reason of dead letters: there are null-value, inv"):
        Choice.of(GRID, None, "wrong")


def test_the_newest_come_first_with_the_start_of_their_values(feed: Feed) -> None:
    for number in range(3):
        feed.send(f"bad {number}".encode(), timestamp=milliseconds(BACK))
        feed.flush()
        feed.take()
    shown = newest(letters(feed), 2, value_bytes=4)
    assert shown.select("intake", "kafka_offset", "value").rows() == [(3, 2, b"bad "), (2, 1, b"bad ")]


# ---- how it is judged ----


def test_a_letter_is_late_by_the_clock_of_the_intake_that_took_it_in(feed: Feed, mended: Feed) -> None:
    moment = datetime.now(UTC) - timedelta(hours=1) + timedelta(seconds=6)
    send_unpriced(feed, range(1), moment)
    send_unpriced(feed, range(1, 2), moment - timedelta(minutes=1))
    taken_at = feed.take(allowed_lateness_hours=1).taken_at
    time.sleep(max(0.0, (moment + timedelta(hours=1.0005) - datetime.now(UTC)).total_seconds()))
    outcome = replayer(mended, allowed_lateness_hours=1).replay(ALL)
    assert datetime.now(UTC) - timedelta(hours=1) > moment > taken_at - timedelta(hours=1)
    assert (outcome.landed.total(), outcome.too_late) == (2, 1)
    assert mended.named("records").sort("kafka_offset")["too_late"].to_list() == [False, True]


def test_a_letter_from_the_future_passes_once_the_future_has_come(feed: Feed) -> None:
    moment = datetime.now(UTC) + timedelta(seconds=3)
    feed.send_records(["early"], timestamp=milliseconds(moment))
    feed.take(max_future_seconds=0)
    assert count_by_reason(letters(feed)) == {"future-timestamp": 1}
    early = replayer(feed, max_future_seconds=0)
    assert early.replay(ALL).broken == {"future-timestamp": 1}
    time.sleep(max(0.0, (moment - datetime.now(UTC)).total_seconds()) + 0.01)
    assert early.replay(ALL).landed == {GRID.home(moment).key: 1}
    assert offsets(feed) == [0]


def test_a_letter_of_a_window_before_the_floor_stays(feed: Feed, mended: Feed) -> None:
    send_unpriced(feed, range(1), feed.lake.floor() - timedelta(minutes=1))
    feed.take()
    assert replayer(mended).replay(ALL) == Outcome(before_floor=1)
    assert count_by_reason(letters(mended)) == {"wrong-type": 1}


# ---- several at once, and crashes ----


def test_replays_and_takers_at_once_land_each_letter_once(feed: Feed, mended: Feed) -> None:
    send_unpriced(feed, range(50))
    feed.take()
    feed.send_records(range(50, 60))
    outcomes: list[Outcome] = []
    taken: list[Intake] = []
    work = [lambda: outcomes.append(replayer(mended).replay(ALL))] * 3
    together(*work, lambda: taken.extend(mended.taker().take_new()))
    assert sum(outcome.landed.total() for outcome in outcomes) == 50
    assert offsets(mended) == list(range(60))
    check_accounting(mended)


def test_a_slower_replay_takes_what_the_quicker_one_left(feed: Feed, mended: Feed) -> None:
    send_unpriced(feed, range(2))
    send_unpriced(feed, range(2, 5), BACK + timedelta(minutes=5))
    feed.take()
    slow, quicker = SlowLake(feed.settings.lake), replayer(mended)
    slow.rival = lambda: quicker.replay(Choice(HOME))
    assert replayer(mended, slow).replay(ALL).landed == {HOME.step(1).key: 3}
    assert offsets(mended) == [0, 1, 2, 3, 4]
    check_accounting(mended)


def test_a_replay_gives_up_where_others_always_are_first(feed: Feed, mended: Feed) -> None:
    send_unpriced(feed, range(2))
    feed.take()
    slow = SlowLake(feed.settings.lake)
    slow.rival = mended.take
    with pytest.raises(TransientError, match="first 10 times in a row"):
        replayer(mended, slow).replay(ALL)
    assert (offsets(mended), count_by_reason(letters(mended))) == ([], {"wrong-type": 2})


def test_a_crash_after_landing_leaves_the_letters_dead_until_the_next_replay(
    feed: Feed, mended: Feed
) -> None:
    send_unpriced(feed, range(3))
    feed.take()
    with pytest.raises(CrashError):
        replayer(mended, DyingLake(feed.settings.lake)).replay(ALL)
    assert (mended.rows("records"), offsets(mended)) == (3, [])
    assert count_by_reason(letters(mended)) == {"wrong-type": 3}
    assert replayer(mended).replay(ALL).landed.total() == 3
    remove_lost(mended.lake, Report(mended.lake))
    assert (mended.rows("records"), offsets(mended)) == (3, [0, 1, 2])


def test_a_replay_whose_answer_was_lost_on_the_way_has_won(feed: Feed, mended: Feed) -> None:
    send_unpriced(feed, range(3))
    feed.take()
    assert replayer(mended, SilentLake(feed.settings.lake)).replay(ALL).landed.total() == 3
    assert (offsets(mended), intakes_of(mended).last) == ([0, 1, 2], 2)


def test_many_letters_are_replayed_in_chunks(
    feed: Feed, mended: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_unpriced(feed, range(10))
    feed.take()
    monkeypatch.setattr(replay, "CHUNK_BYTES", 4 * 4096)
    assert replayer(mended).replay(ALL).landed.total() == 10
    assert [sum(intake.landed.values()) for intake in intakes_of(mended)] == [0, 3, 4, 3]
    check_accounting(mended)


# ---- what becomes of the lake ----


def test_letters_of_a_topic_that_is_gone_are_replayed_apart_from_the_new_ones(
    feed: Feed, mended: Feed
) -> None:
    send_unpriced(feed, range(2))
    old = feed.take().topic_id
    feed.recreate()
    plan = plan_reset(feed.topic, feed.state(), intakes_of(feed))
    assert plan
    enter_reset(feed.taker().ledger, plan)
    send_unpriced(feed, range(7, 8))
    new = feed.take().topic_id
    assert replayer(mended).replay(ALL).landed == {HOME.key: 3}
    replays = [intake for intake in intakes_of(mended) if intake.kind == "replay"]
    assert [(intake.topic_id, intake.landed) for intake in replays] == [
        (old, {HOME.key: 2}),
        (new, {HOME.key: 1}),
    ]
    assert offsets(mended) == [0, 0, 1]
    assert mended.named("records")["record_id"].sort().to_list() == ["id-0", "id-1", "id-7"]
    assert (count_by_reason(letters(mended)), answer(mended).records) == ({}, 3)


def test_retention_keeps_the_intakes_that_a_kept_replay_names(lake: Lake) -> None:
    landed = [{"window": "2026-11-24T0500Z", "records": 1, "too_late": 0}]
    named = [{"intake": 2, "partition": 0, "offset": 1, "window": None, "reason": "wrong-type"}]
    before = datetime(2026, 11, 10, tzinfo=UTC)
    rows = [
        ledger_row(1, taken_at=before),
        ledger_row(2, taken_at=before),
        ledger_row(3, taken_at=before),
        ledger_row(4, kind="replay", landed=landed, replayed=named),
    ]
    for row in rows:
        lake.insert_once("ledger", "number", row)
    apply_retention(lake, date(2026, 11, 23), Report(lake))
    assert lake.read("ledger")["number"].sort().to_list() == [2, 3, 4]
