"""Accounting: what the intakes of a window read adds up, and whatever does not is named."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from resources.accounting import Account, account
from resources.dead_letters import Choice
from resources.intakes import Intakes
from resources.lake import Lake
from resources.ledger import Ledger
from resources.replay import Replayer
from resources.tables import TABLES
from resources.upkeep.days import compact_running
from resources.upkeep.report import Report
from resources.upkeep.retention import apply_retention
from tests.resources.conftest import (
    FIRST,
    GRID,
    Feed,
    MakeFeed,
    contract_with,
    landed_rows,
    ledger_row,
    record,
    span,
)
from tests.resources.intake_checks import milliseconds

BACK = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=30)
HOME = GRID.home(BACK)


def intakes(lake: Lake) -> Intakes:
    return Ledger(lake, 5, "id").intakes()


def test_records_dead_letters_and_markers_of_two_partitions_add_up(make_feed: MakeFeed) -> None:
    feed = make_feed(partitions=2)
    at = {"timestamp": milliseconds(BACK)}
    feed.send_records(range(6), partition=1, **at)
    writer = feed.transaction()
    writer.produce(feed.topic, record(6), partition=0, timestamp=milliseconds(BACK))
    writer.commit_transaction(30)
    feed.wait_stable(2)  # the record, and the marker
    feed.send(b"{", partition=1, **at)
    feed.send_records([7], partition=1, timestamp=milliseconds(BACK - timedelta(hours=30)))  # too late
    feed.send_records(
        [8], partition=1, timestamp=milliseconds(BACK - timedelta(minutes=10))
    )  # another window
    feed.take()
    feed.send_records([9], partition=1, **at)
    feed.take()
    feed.take()  # reads nothing: of no window
    found = account(feed.lake, intakes(feed.lake), HOME)
    assert found == Account(intakes=2, offsets=12, records=10, dead_letters=1, no_message=1, faults=[])


def test_what_was_replayed_adds_up(feed: Feed, tmp_path: Path) -> None:
    for number in range(3):
        feed.send(record(number, price="n/a"), timestamp=milliseconds(BACK))
    feed.flush()
    feed.take()
    without = {"fields": {"id": "string", "shop": "string"}, "features": ["shop"], "statistics": {}}
    mended = contract_with(tmp_path, topic=feed.topic, **without)
    assert Replayer(feed.settings, mended, feed.lake).replay(Choice()).landed
    found = account(feed.lake, intakes(feed.lake), HOME)
    assert found == Account(intakes=2, offsets=3, records=3, dead_letters=3, no_message=0, faults=[])


def test_an_account_is_the_same_however_much_of_it_was_known_and_looked_at_at_once(
    filled: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    known: dict[int, Account] = {}
    first = Intakes(intakes(filled).rows.head(1))
    assert account(filled, first, FIRST, known) == Account(1, 4, 3, 0, 1, [])
    whole = account(filled, intakes(filled), FIRST)
    assert account(filled, intakes(filled), FIRST, known) == whole
    assert account(filled, intakes(filled), FIRST, known) == whole
    monkeypatch.setattr("resources.accounting.AT_ONCE", 2)
    assert account(filled, intakes(filled), FIRST) == whole


def test_what_was_found_in_order_is_not_read_again_and_what_was_not_is(filled: Lake) -> None:
    known: dict[int, Account] = {}
    filled.commit("dead_letters", lambda found: found.delete())
    assert len(account(filled, intakes(filled), FIRST, known).faults) == 1
    filled.append("dead_letters", letter(7))
    filled.commit("records", lambda found: found.delete("intake = 1"))
    assert account(filled, intakes(filled), FIRST, known).faults == []


# ---- what does not add up ----


@pytest.fixture
def filled(lake: Lake) -> Lake:
    """A lake with two intakes of a window, three records each and a dead letter of the second."""
    for number in (1, 2):
        start = 4 * (number - 1)
        lake.append("records", landed_rows(FIRST, number, [(0, start + i) for i in range(3)]))
        row = ledger_row(
            number,
            spans=[vars(span(start, start + 4))],
            landed=[{"window": FIRST.key, "records": 3, "too_late": 0}],
            refused=[{"window": FIRST.key, "reason": "invalid-json", "count": 1}] * (number - 1),
        )
        assert lake.insert_once("ledger", "number", row)
    lake.append("dead_letters", letter(7))
    return lake


def letter(offset: int) -> pl.DataFrame:
    row = {
        "date": FIRST.date, "window": FIRST.key, "intake": 2, "attempt": "attempt-2", "kafka_partition": 0,
        "kafka_offset": offset, "reason": "invalid-json",
    }  # fmt: skip
    return pl.DataFrame([row], schema=dict(TABLES["dead_letters"].schema))


def faults(lake: Lake) -> list[str]:
    return account(lake, intakes(lake), FIRST).faults


def test_a_lake_in_order_has_no_fault_also_after_compaction(filled: Lake) -> None:
    expected = Account(intakes=2, offsets=8, records=6, dead_letters=1, no_message=1, faults=[])
    assert account(filled, intakes(filled), FIRST) == expected
    for _ in range(9):
        filled.append("records", landed_rows(FIRST.step(1), 9, [(0, 99)]))
    report = Report(filled)
    compact_running(filled, FIRST.date, report)
    assert report.changes["records"].rewritten
    assert account(filled, intakes(filled), FIRST) == expected


@pytest.mark.parametrize("table", ["records", "dead_letters"])
def test_a_row_that_is_gone_is_missed(filled: Lake, table: str) -> None:
    filled.commit(table, lambda found: found.delete("kafka_offset IN (4, 7)"))
    (fault,) = faults(filled)
    kind, counted = ("records", 3) if table == "records" else ("invalid-json", 1)
    assert fault == (
        f"intake 2, window {FIRST.key}, {kind}: the ledger counts {counted}, there are {counted - 1}"
    )


def test_an_offset_that_is_record_and_dead_letter_is_named(filled: Lake) -> None:
    filled.commit("dead_letters", lambda found: found.delete())
    filled.append("dead_letters", letter(5))
    assert faults(filled) == ["intake 2, partition 0, offset 5: is 2 rows"]


def test_a_row_outside_what_its_intake_read_is_named(filled: Lake) -> None:
    filled.commit("dead_letters", lambda found: found.delete())
    filled.append("dead_letters", letter(8))
    assert faults(filled) == ["intake 2, partition 0, offset 8: lies outside its span"]


def test_spans_that_do_not_touch_are_named(filled: Lake) -> None:
    landed = [{"window": FIRST.key, "records": 0, "too_late": 0}]
    row = ledger_row(3, spans=[vars(span(9, 10)), vars(span(0, 1, partition=1))], landed=landed)
    filled.insert_once("ledger", "number", row)
    refused = [{"window": FIRST.key, "reason": "invalid-json", "count": 1}]
    filled.insert_once("ledger", "number", ledger_row(4, spans=[vars(span(11, 12))], refused=refused))
    assert "intake 4, partition 0: starts at 11, the one before it ended at 10" in faults(filled)
    assert "intake 4, partition 1: starts at None, the one before it ended at 1" in faults(filled)


def test_rows_that_a_replay_did_not_name_are_named(filled: Lake) -> None:
    filled.append("records", landed_rows(FIRST, 3, [(0, 7), (0, 3)]))
    replayed = [
        {"intake": 2, "partition": 0, "offset": 7, "window": FIRST.key, "reason": "invalid-json"},
        {"intake": 2, "partition": 0, "offset": 6, "window": FIRST.key, "reason": "invalid-json"},
    ]
    landed = [{"window": FIRST.key, "records": 2, "too_late": 0}]
    filled.insert_once("ledger", "number", ledger_row(3, kind="replay", landed=landed, replayed=replayed))
    assert faults(filled) == ["intake 3, partition 0, offset 3: no dead letter that it replayed"]


def test_rows_that_the_ledger_does_not_name_are_nobodys(filled: Lake) -> None:
    lost = landed_rows(FIRST, 2, [(0, 4)]).with_columns(attempt=pl.lit("lost"))
    filled.append("records", lost)
    assert faults(filled) == []


def test_rows_that_retention_deleted_are_not_missed(filled: Lake) -> None:
    last = FIRST.step(2 * 288)
    filled.append("records", landed_rows(FIRST, 3, [(0, 8)]))
    filled.append("records", landed_rows(last, 3, [(0, 9)]))
    landed = [{"window": window.key, "records": 1, "too_late": 0} for window in (FIRST, last)]
    filled.insert_once("ledger", "number", ledger_row(3, spans=[vars(span(8, 10))], landed=landed))
    apply_retention(filled, last.date, Report(filled))
    found = account(filled, intakes(filled), last)
    assert (found.records, found.faults) == (1, [])


def test_a_window_that_no_intake_touched_is_empty(filled: Lake) -> None:
    assert account(filled, intakes(filled), FIRST.step(1)) == Account(0, 0, 0, 0, 0, [])
