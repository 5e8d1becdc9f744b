"""Offsets that hold no message: transactions, their markers, what compaction removed."""

import time

from tests.resources.conftest import Feed, MakeFeed
from tests.resources.intake_checks import check_accounting, landed_ids, send_with
from tests.stacks import until as wait_until


def test_aborted_records_never_land_and_markers_keep_the_tiling(feed: Feed) -> None:
    writer = feed.transaction()
    send_with(writer, feed, ["a", "b"])
    writer.commit_transaction(20)
    feed.wait_stable(3)
    writer.begin_transaction()
    send_with(writer, feed, ["c", "d", "e"])
    writer.abort_transaction(20)
    feed.wait_stable(7)
    taker = feed.taker()
    assert taker.take() is not None
    feed.send_records(["f"])
    assert taker.take() is not None
    assert landed_ids(feed) == ["id-a", "id-b", "id-f"]
    spans = [(i.spans[0].start, i.spans[0].end, i.spans[0].missing) for i in taker.ledger.intakes()]
    assert spans == [(0, 7, 0), (7, 8, 0)]
    check_accounting(feed)


def test_an_open_transaction_bounds_the_intake_and_what_follows_waits(feed: Feed) -> None:
    feed.send_records(["before"])
    writer = feed.transaction()
    send_with(writer, feed, ["inside"])
    feed.send_records(["behind"])
    first = feed.take()
    assert (first.spans[0].end, first.caught_up) == (1, True)
    assert landed_ids(feed) == ["id-before"]
    writer.commit_transaction(20)
    feed.wait_stable(4)
    second = feed.take()
    assert (second.spans[0].start, second.spans[0].end) == (1, 4)
    assert landed_ids(feed) == ["id-before", "id-inside", "id-behind"]
    check_accounting(feed)


def test_a_topic_of_markers_alone_is_read_to_its_end(feed: Feed) -> None:
    writer = feed.transaction()
    send_with(writer, feed, ["a"])
    writer.abort_transaction(20)
    feed.wait_stable(2)
    intake = feed.take()
    assert (intake.spans[0].end, intake.caught_up) == (2, True)
    assert feed.rows("records", "dead_letters") == 0


def test_holes_of_compaction_are_no_messages_and_keep_the_tiling(make_feed: MakeFeed) -> None:
    feed = make_feed(
        config={
            "cleanup.policy": "compact",
            "segment.ms": "100",
            "min.cleanable.dirty.ratio": "0.0",
            "max.compaction.lag.ms": "1",
            "delete.retention.ms": "0",
        }
    )
    for number in range(30):
        feed.send_records([number], key=b"same")
        time.sleep(0.02)
    time.sleep(0.2)
    feed.send_records(["last"], key=b"other")  # the segment before it is closed, and can be cleaned
    wait_until(lambda: len(feed.plain()) < 31, 60)
    first = feed.take()
    feed.send_records(["more"], key=b"other")
    second = feed.take()
    assert (first.spans[0].start, first.spans[0].end, first.spans[0].missing) == (0, 31, 0)
    assert (second.spans[0].start, second.spans[0].end) == (31, 32)
    assert len(landed_ids(feed)) < 32
    assert landed_ids(feed)[-2:] == ["id-last", "id-more"]
    check_accounting(feed)
