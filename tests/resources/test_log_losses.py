"""What the broker loses: offsets gone before they were read, topics deleted, created again, or cut."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from resources.batch import Batch, select
from resources.due import covered_intakes, due_windows
from resources.errors import LakeError, LogError, TransientError
from resources.ledger import Ledger
from resources.publication import publish
from resources.reset import Reset, enter_reset, plan_reset
from resources.windows import Window
from tests.resources.conftest import GRID, Feed, MakeFeed, ledger_row, span
from tests.resources.intake_checks import SlowLake, check_tiling, milliseconds, taken_in
from tests.stacks import Stack


def minute_ago(minutes: int) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=minutes)


def due(feed: Feed) -> list[Window]:
    """The windows that are due because of what landed, or is missing."""
    intakes, now = feed.taker().ledger.intakes(), datetime.now(UTC)
    items = due_windows(intakes, covered_intakes(feed.lake), GRID, feed.lake.floor(), now)
    return [item.window for item in items if not item.takes_in]


def publish_all(feed: Feed) -> list[Batch]:
    """Answer every due window, as its run does."""
    intakes = feed.taker().ledger.intakes()
    batches = [select(feed.lake, feed.contract, GRID, window, intakes) for window in due(feed)]
    for batch in batches:
        publish(feed.lake, GRID, batch, "published" if batch.records else "empty", (0, 0))
    return batches


def reset(feed: Feed) -> Reset:
    """Reset the ledger; what was planned."""
    ledger = feed.taker().ledger
    plan = plan_reset(feed.topic, feed.state(), ledger.intakes())
    assert plan
    enter_reset(ledger, plan)
    return plan


@pytest.fixture
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A broker that this test may stop."""
    alone = Stack(tmp_path_factory.mktemp("broker") / "home")
    try:
        alone.start("broker")
        yield alone
    finally:
        alone.stop()


def test_what_retention_took_is_counted_as_missing_and_logged(
    feed: Feed, caplog: pytest.LogCaptureFixture
) -> None:
    feed.send_records(range(10))
    feed.take()
    feed.send_records(range(10, 20))
    feed.delete_before(14)
    with caplog.at_level(logging.WARNING, logger="silt.intake"):
        span = feed.take().spans[0]
    assert (span.start, span.end, span.missing) == (10, 20, 4)
    assert f"Topic {feed.topic}, partition 0: offsets 10 to 13 were gone" in caplog.text
    assert taken_in(feed) == [(0, o) for o in [*range(10), *range(14, 20)]]
    check_tiling(feed.taker().ledger.intakes())


def test_what_was_gone_before_the_first_intake_is_not_missing(feed: Feed) -> None:
    feed.send_records(range(10))
    feed.delete_before(4)
    span = feed.take().spans[0]
    assert (span.start, span.end, span.missing) == (4, 10, 0)


def test_a_topic_whose_unread_messages_are_all_gone_is_caught_up(feed: Feed) -> None:
    feed.take()
    feed.send_records(range(5))
    feed.delete_before(5)
    intake = feed.take()
    assert (intake.spans[0].end, intake.spans[0].missing, intake.caught_up) == (5, 5, True)


def test_what_is_missing_lies_between_the_timestamps_around_it(feed: Feed) -> None:
    start = minute_ago(40)
    feed.send_records(range(3), timestamp=milliseconds(start))
    feed.take()
    feed.send_records(range(3, 9), timestamp=milliseconds(start + timedelta(minutes=8)))
    feed.send_records(["after"], timestamp=milliseconds(start + timedelta(minutes=20)))
    feed.delete_before(9)
    span = feed.take().spans[0]
    assert (span.missing, span.missing_from, span.missing_to) == (6, start, start + timedelta(minutes=20))
    assert span.last_timestamp == start + timedelta(minutes=20)
    touched = list(GRID.between(GRID.home(start), GRID.home(start + timedelta(minutes=20))))
    intakes = feed.taker().ledger.intakes()
    assert [intakes.missing(window) for window in touched] == [6] * len(touched)
    assert intakes.missing(touched[0].step(-1)) == intakes.missing(touched[-1].step(1)) == 0


def test_every_window_of_a_gap_is_due_until_its_answer_says_what_is_missing(feed: Feed) -> None:
    start = minute_ago(40)
    first, between, last = (GRID.home(start).step(count) for count in range(3))
    feed.send_records(["before"], timestamp=milliseconds(first.start))
    feed.take()
    publish_all(feed)
    assert due(feed) == []
    feed.send_records(["gone"], timestamp=milliseconds(between.start))
    feed.send_records(["after"], timestamp=milliseconds(last.start))
    feed.delete_before(2)
    feed.take()
    assert due(feed) == [first, between, last]
    batches = {batch.window: batch for batch in publish_all(feed)}
    counted = [(batches[window].records, batches[window].missing) for window in (first, between, last)]
    assert counted == [(1, 1), (0, 1), (1, 1)]
    assert batches[first].revision == 1
    assert due(feed) == []


def test_gaps_of_several_partitions_are_summed_where_they_meet(make_feed: MakeFeed) -> None:
    feed = make_feed(partitions=2)
    start = minute_ago(40)
    for partition in (0, 1):
        feed.send_records(range(2), partition=partition, timestamp=milliseconds(start))
    feed.take()
    later = start + timedelta(minutes=10)
    for partition, count in ((0, 3), (1, 5)):
        feed.send_records(range(count), partition=partition, timestamp=milliseconds(later))
        feed.send_records(["after"], partition=partition, timestamp=milliseconds(later))
        feed.delete_before(2 + count, partition)
    feed.take()
    intakes = feed.taker().ledger.intakes()
    assert intakes.missing(GRID.home(start)) == intakes.missing(GRID.home(later)) == 8
    assert [(gap.partition, gap.start, gap.missing) for gap in intakes.gaps] == [(0, 2, 3), (1, 2, 5)]


def test_a_gap_after_which_nothing_was_read_ends_with_the_intake(feed: Feed) -> None:
    start = minute_ago(12)
    feed.send_records(["before"], timestamp=milliseconds(start))
    feed.take()
    feed.send_records(range(4))
    feed.delete_before(5)
    intake = feed.take()
    assert (intake.spans[0].missing_from, intake.spans[0].missing_to) == (start, intake.taken_at)
    assert intake.spans[0].last_timestamp == start


def test_what_is_missing_of_a_partition_that_was_read_empty_came_after_that(feed: Feed) -> None:
    first = feed.take()
    feed.take()
    feed.send_records(range(4))
    feed.delete_before(4)
    assert feed.take().spans[0].missing_from == first.taken_at


def test_what_is_missing_of_a_partition_that_was_never_read_may_be_of_any_kept_window(feed: Feed) -> None:
    chunk = ledger_row(1, spans=[vars(span(0, 0))], caught_up=False, topic_id=feed.state().id)
    assert feed.lake.insert_once("ledger", "number", chunk)
    feed.send_records(range(4))
    feed.delete_before(4)
    assert feed.take().spans[0].missing_from == feed.lake.floor()


@pytest.mark.parametrize("stamp", [1, 250_000_000_000_000], ids=["1970", "year 9892"])
def test_timestamps_of_any_year_bound_no_gap_beyond_the_future_that_is_allowed(
    feed: Feed, stamp: int
) -> None:
    feed.send_records(["before"], timestamp=stamp)
    feed.take()
    feed.send_records(range(3))
    feed.send_records(["after"])
    feed.delete_before(4)
    intake = feed.take()
    gap = intake.spans[0]
    assert gap.missing_from and gap.missing_to
    assert gap.missing_from <= gap.missing_to <= intake.taken_at + timedelta(hours=1)
    assert len(due(feed)) <= (datetime.now(UTC) - feed.lake.floor()) / timedelta(minutes=5)


def test_a_topic_deleted_and_created_again_is_refused_by_name(feed: Feed) -> None:
    feed.send_records(range(5))
    feed.take()
    feed.recreate()
    feed.send_records(range(9))
    says = f"Topic {feed.topic} was deleted and created again .*`silt ledger reset` starts anew"
    with pytest.raises(LogError, match=says):
        feed.taker().take()
    assert feed.stored("ledger").height == 1
    assert feed.stored("records").height == 5


def test_a_topic_that_is_replaced_during_an_intake_is_not_taken_for_the_old_one(feed: Feed) -> None:
    feed.send_records(range(5))
    attempt = feed.taker().begin()
    feed.recreate()
    feed.send_records(range(5))
    with pytest.raises(TransientError, match=f"{feed.topic} was deleted and created again while it was read"):
        attempt.land()
    assert feed.rows("records", "ledger") == 0


def test_after_a_reset_the_new_topic_is_read_from_its_first_offset_and_the_old_records_stay(
    feed: Feed,
) -> None:
    moment = minute_ago(20)
    window = GRID.home(moment)
    feed.send_records(["a", "b"], timestamp=milliseconds(moment))
    feed.take()
    (before,) = publish_all(feed)
    feed.recreate()
    assert reset(feed).unread == []
    assert due(feed) == []
    feed.send_records(["b", "c", "d"], timestamp=milliseconds(moment))
    intake = feed.take()
    assert (intake.number, intake.spans[0].start, intake.spans[0].end) == (3, 0, 3)
    assert due(feed) == [window]
    (after,) = publish_all(feed)
    assert (before.records, after.records, after.duplicates) == (2, 4, 1)
    assert (before.revision, after.revision) == (1, 2)
    intakes = feed.taker().ledger.intakes()
    check_tiling(intakes)
    assert plan_reset(feed.topic, feed.state(), intakes) is None


def test_a_topic_that_the_broker_cut_is_refused_and_after_a_reset_goes_on_at_its_end(
    own_broker: Stack, make_feed: MakeFeed
) -> None:
    feed = make_feed(partitions=2, on=own_broker.settings)
    for partition in (0, 1):
        feed.send_records(range(5), partition=partition)
    feed.take()
    own_broker.stop()
    for file in (own_broker.home / "broker" / "data" / f"{feed.topic}-0").glob("0*"):
        file.unlink()
    own_broker.start("broker")
    feed.send_records(["x", "y"], partition=0)
    feed.send_records(["z"], partition=1)
    with pytest.raises(LogError, match="partition 0 ends at offset 2, and the ledger has read to 5: the bro"):
        feed.taker().take()
    assert reset(feed).unread == ["partition 0: what was written below offset 2 since the loss"]
    feed.send_records(["new"], partition=0)
    intake = feed.take()
    spans = {partition: (span.start, span.end) for partition, span in intake.spans.items()}
    assert spans == {0: (2, 3), 1: (5, 6)}
    landed = feed.named("records").filter(pl.col("intake") == intake.number)["record_id"]
    assert sorted(landed) == ["id-new", "id-z"]


def test_a_reset_that_meets_an_intake_is_asked_for_again(feed: Feed) -> None:
    feed.take()
    feed.recreate()
    taker = feed.taker()
    plan = plan_reset(feed.topic, feed.state(), taker.ledger.intakes())
    assert plan
    lake = SlowLake(feed.settings.lake)
    lake.rival = lambda: enter_reset(taker.ledger, plan)
    with pytest.raises(TransientError, match="at this very moment: try again"):
        enter_reset(Ledger(lake, 5, "id"), plan)


def test_another_window_length_on_the_same_lake_is_refused_before_anything_lands(feed: Feed) -> None:
    feed.send_records(range(5))
    feed.take()
    with pytest.raises(LakeError, match=r"window_minutes=5, the settings say 10: set SILT_WINDOW_MINUTES"):
        feed.taker(window_minutes=10).take()
    assert feed.stored("records").height == 5
