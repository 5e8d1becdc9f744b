"""The verifier itself: a small topic and lake in memory are in order, and each planted bug is named."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from tests.faults.comparison import compare
from tests.faults.lakes import (
    BAD,
    CLOCKS,
    START,
    TOPIC,
    WINDOWS,
    Change,
    changed,
    good,
    landed,
    span,
    tables,
    twice,
    with_value,
    without,
)
from tests.faults.snapshots import check_clusters, check_order, check_pages, check_past, check_tables
from tests.faults.tables import Tables
from tests.faults.topic import Sent, home, is_good
from tests.faults.verifier import check, check_acknowledged


def test_a_lake_in_order_passes() -> None:
    assert check(TOPIC, tables()) == 2
    assert compare(tables(), tables()) == 2
    check_acknowledged(TOPIC, {(0, 0): "a", (0, 2): "", (1, 2): "a"})


@pytest.mark.parametrize(
    ("table", "plant", "said"),
    [
        ("records", without(0), "messages are missing"),
        ("records", twice(1), "landed twice"),
        ("records", with_value("kafka_offset", 4, 9), "messages are missing, or made up"),
        ("records", with_value("attempt", 0, "a lost one"), "messages are missing"),
        ("records", with_value("intake", 0, 2), "not its attempt's"),
        ("records", with_value("window", 0, WINDOWS[1]), "records of an intake"),
        ("records", with_value("record_id", 0, "z"), "a record's id"),
        ("records", with_value("too_late", 0, True), "too late records"),
        ("dead_letters", without(0), "messages are missing"),
        ("dead_letters", twice(0), "landed twice"),
        ("dead_letters", with_value("value", 0, b"}"), "a dead letter's bytes"),
        ("dead_letters", with_value("reason", 0, "wrong-type"), "dead letters of an intake"),
        ("ledger", without(0), "numbers of intakes"),
        ("ledger", without(1), "does not reach the topic's end"),
        ("ledger", twice(1), "numbers of intakes"),
        ("ledger", with_value("attempt", 0, "a lost one"), "messages are missing"),
        ("ledger", with_value("spans", 0, [span(0, 0, 1), span(1, 0, 1)]), "spans do not touch"),
        ("ledger", with_value("spans", 1, [span(0, 1, 4), span(1, 1, 3)]), "spans do not touch"),
        ("ledger", with_value("spans", 1, [span(0, 2, 4) | {"missing": 1}, span(1, 1, 3)]), "missing"),
        ("ledger", with_value("landed", 0, landed(1, 2)), "records of an intake"),
        ("ledger", with_value("refused", 1, []), "dead letters of an intake"),
        ("kafka_batch", with_value("digest", 0, "another"), "batch and answer differ"),
        ("kafka_batch", with_value("records", 0, 3), "counts are not its records'"),
        ("kafka_batch", twice(0), "has not one batch"),
        ("windows", without(0), "a window with records has no answer"),
        ("windows", with_value("state", 0, None), "a window with records has no answer"),
        ("windows", with_value("state", 0, "empty"), "enough records is not published"),
        ("windows", with_value("covered", 1, 1), "does not cover"),
        ("windows", with_value("digest", 1, "of an answer before"), "batch and answer differ"),
        ("windows", with_value("duplicates", 1, 0), "counts are not its records'"),
        ("models", with_value("digest", 0, "another"), "an answer without model"),
        ("clustering_results", without(0), "not its records"),
        ("clustering_results", twice(0), "two results"),
        ("clustering_results", with_value("window", 0, WINDOWS[1]), "not its records"),
        ("clustering_results", with_value("revision", 0, 9), "a row of another answer"),
        ("clustering_results", with_value("digest", 0, "another"), "a row of another answer"),
        ("clustering_results", with_value("model_version", 0, "another"), "a row of another answer"),
        ("clustering_results", with_value("event_time", 2, CLOCKS[0]), "another one of duplicates"),
        ("clustering_results", with_value("features", 2, "{}"), "a result's features"),
        ("clustering_results", with_value("cluster", 2, 1), "statistics do not count"),
        ("cluster_stats", without(0), "statistics do not count"),
        ("cluster_stats", with_value("averages", 0, '{"avgCSAT": 3.0, "avgPrice": null}'), "an average"),
        ("cluster_stats", with_value("digest", 0, "another"), "a row of another answer"),
    ],
)
def test_a_planted_bug_is_named(table: str, plant: Change, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check(TOPIC, changed(tables(), **{table: plant}))


def moved_with_its_count(whole: Tables) -> Tables:
    """A record in a window that is not its home, and a ledger that says the same."""
    moved = with_value("window", 0, WINDOWS[1])
    return changed(whole, records=moved, ledger=with_value("landed", 0, landed(1, 2)))


def outside_its_span(whole: Tables) -> Tables:
    """Spans that touch, but not where the intakes' rows lie."""
    first = with_value("spans", 0, [span(0, 0, 1), span(1, 0, 1)])
    second = with_value("spans", 1, [span(0, 1, 4), span(1, 1, 3)])
    return changed(changed(whole, ledger=first), ledger=second)


def skipped_offset(whole: Tables) -> Tables:
    """An intake that skipped an offset: no span, no row and no count of it."""
    spans = with_value("spans", 0, [span(0, 1, 2), span(1, 0, 1)])
    counts = with_value("landed", 0, landed(1, 1))
    return changed(changed(whole, ledger=spans), ledger=counts, records=without(0))


def landed_by_two_intakes(whole: Tables) -> Tables:
    """A message that two intakes landed, both counted."""
    again = with_value("intake", -1, 2)
    counts = with_value("landed", 1, landed(1, 2, 1))
    return changed(
        whole,
        records=lambda frame: with_value("attempt", -1, "two")(again(twice(0)(frame))),
        ledger=counts,
    )


def late_record_forgotten(whole: Tables) -> Tables:
    """A record that came late landed, but its window was not answered again."""
    row = whole.records.row(0, named=True) | {"kafka_partition": 1, "kafka_offset": 3, "record_id": "d"}
    third = whole.ledger.row(1, named=True) | {
        "number": 3, "attempt": "three", "spans": [span(0, 4, 4), span(1, 3, 4)],
        "landed": landed(1), "refused": [],
    }  # fmt: skip
    return changed(
        whole,
        records=lambda frame: frame.vstack(
            type(frame)([row | {"intake": 3, "attempt": "three"}], schema=frame.schema)
        ),
        ledger=lambda frame: frame.vstack(type(frame)([third], schema=frame.schema)),
    )


def overwritten_ledger_row(whole: Tables) -> Tables:
    """A taker that lost replaced the winner's row by its own, with the same spans and counts."""
    return changed(whole, ledger=with_value("attempt", 0, "a lost one"))


def published_before_results(whole: Tables) -> Tables:
    """The row in windows names an answer whose results are still those of the answer before."""
    new = with_value("digest", 0, "a new one")
    again = with_value("revision", 0, 2)
    return changed(changed(whole, windows=new, kafka_batch=new, models=new), windows=again, kafka_batch=again)


@pytest.mark.parametrize(
    ("plant", "said"),
    [
        (moved_with_its_count, "a record's home"),
        (outside_its_span, "outside its intake's span"),
        (skipped_offset, "spans do not touch"),
        (landed_by_two_intakes, "landed twice"),
        (overwritten_ledger_row, "messages are missing"),
        (published_before_results, "a row of another answer"),
    ],
)
def test_a_bug_that_several_tables_agree_on_is_named(plant: Callable[[Tables], Tables], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check(TOPIC, plant(tables()))


def test_a_forgotten_late_record_is_named() -> None:
    late = TOPIC | {(1, 3): good("d", 30)}
    with pytest.raises(AssertionError, match="does not cover its window's records"):
        check(late, late_record_forgotten(tables()))


def test_a_late_record_that_its_answer_claims_to_cover_is_named() -> None:
    late = TOPIC | {(1, 3): good("d", 30)}
    covers = changed(late_record_forgotten(tables()), windows=with_value("covered", 0, 3))
    with pytest.raises(AssertionError, match="counts are not its records'"):
        check(late, covers)


def test_a_bad_message_among_the_records_and_a_good_one_among_the_dead_letters_are_named() -> None:
    with pytest.raises(AssertionError, match="a bad message is a record"):
        check(TOPIC | {(0, 0): BAD}, tables())
    with pytest.raises(AssertionError, match="a good message is refused"):
        check(TOPIC | {(0, 2): good("d", 3)}, tables())
    with pytest.raises(AssertionError, match="what is too late"):
        check(TOPIC | {(0, 3): good("old", -23 * 3600)}, tables())


OLDER = good("older", -25 * 3600)
LETTER = {"intake": 2, "partition": 0, "offset": 2}


def replayed(whole: Tables) -> Tables:
    """A third intake landed what the second had refused."""
    row = {
        "number": 3, "attempt": "three", "kind": "replay", "taken_at": START + timedelta(minutes=7),
        "spans": [], "landed": landed(too_late=1), "refused": [], "replayed": [LETTER],
    }  # fmt: skip
    record = {
        "window": home(OLDER), "intake": 3, "attempt": "three", "kafka_partition": 0, "kafka_offset": 2,
        "record_id": "older", "too_late": True,
    }  # fmt: skip
    return replace(
        whole,
        ledger=pl.DataFrame([*whole.ledger.to_dicts(), row]),
        records=pl.DataFrame([*whole.records.to_dicts(), record]),
    )


def test_a_dead_letter_that_a_replay_landed_counts_once() -> None:
    assert check(TOPIC | {(0, 2): OLDER}, replayed(tables())) == 2


@pytest.mark.parametrize(
    ("table", "plant", "said"),
    [
        ("records", without(7), "records of a replay"),
        ("records", twice(7), "records of a replay"),
        ("ledger", with_value("replayed", 2, []), "records of a replay"),
        ("ledger", with_value("replayed", 2, 2 * [LETTER]), "replayed twice"),
        ("ledger", with_value("replayed", 2, [LETTER | {"intake": 1}]), "no dead letter"),
        ("dead_letters", without(0), "no dead letter"),
    ],
)
def test_a_wrong_replay_is_named(table: str, plant: Change, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check(TOPIC | {(0, 2): OLDER}, changed(replayed(tables()), **{table: plant}))


def test_a_replay_that_judged_lateness_by_its_own_clock_is_named() -> None:
    recent = TOPIC | {(0, 2): good("older", 390 - 24 * 3600)}
    with pytest.raises(AssertionError, match="what is too late"):
        check(recent, replayed(tables()))


def test_what_the_broker_lost_or_changed_is_named() -> None:
    with pytest.raises(AssertionError, match="the broker lost"):
        check_acknowledged(TOPIC, {(0, 9): "a"})
    with pytest.raises(AssertionError, match="another message stands"):
        check_acknowledged(TOPIC, {(0, 0): "z"})


@pytest.mark.parametrize(
    ("table", "plant", "said"),
    [
        ("windows", without(0), "has no answer"),
        ("windows", with_value("digest", 0, "another"), "digest"),
        ("windows", with_value("state", 0, "too-few"), "state"),
        ("clustering_results", with_value("cluster", 0, 1), "cluster"),
        ("clustering_results", with_value("distance", 0, 0.500001), "distance"),
        ("clustering_results", without(0), "clustering_results of window"),
        ("cluster_stats", with_value("count", 0, 2), "count"),
        ("models", with_value("centres", 0, [[1.0], [5.1]]), "centres"),
        ("models", with_value("sizes", 0, [2, 0]), "sizes"),
    ],
)
def test_an_answer_that_is_not_the_calm_one_is_named(table: str, plant: Change, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        compare(changed(tables(), **{table: plant}), tables())


def seen(whole: Tables) -> tuple[dict[str, Any], Any, Any]:
    """What a reader reads of the first window."""
    row = whole.windows.row(0, named=True)
    results = whole.clustering_results.filter(window=row["window"])
    return row, results, whole.cluster_stats.filter(window=row["window"])


@pytest.mark.parametrize(
    ("table", "plant", "said"),
    [
        ("windows", with_value("digest", 0, "published before results"), "not of the row's answer"),
        ("windows", with_value("revision", 0, 2), "not of the row's answer"),
        ("clustering_results", without(0), "not as many"),
        ("clustering_results", lambda frame: twice(0)(without(1)(frame)), "two results"),
        ("clustering_results", with_value("digest", 0, "of an answer before"), "not of the row's answer"),
        ("cluster_stats", with_value("revision", 0, 7), "not of the row's answer"),
        ("cluster_stats", with_value("count", 0, 2), "do not count the results"),
        ("cluster_stats", lambda frame: frame.clear(), "not of the row's answer"),
    ],
)
def test_a_reader_names_an_answer_that_is_not_whole(table: str, plant: Change, said: str) -> None:
    check_tables(*seen(tables()))
    with pytest.raises(AssertionError, match=said):
        check_tables(*seen(changed(tables(), **{table: plant})))


def page(*rows: tuple[str, str, int]) -> list[dict[str, Any]]:
    return [{"modelVersion": version, "uniqueId": name, "cluster": group} for version, name, group in rows]


def test_a_reader_names_pages_that_mix_revisions() -> None:
    first, second = page(("r1", "a", 0), ("r1", "b", 1)), page(("r1", "c", 1))
    assert check_pages([first, second]) == {"r1"}
    assert check_pages([first, page(("r2", "c", 1))]) == {"r1", "r2"}
    with pytest.raises(AssertionError, match="mixes two revisions"):
        check_pages([page(("r1", "a", 0), ("r2", "b", 1))])
    with pytest.raises(AssertionError, match="on two pages"):
        check_pages([first, page(("r1", "a", 0))])


def test_a_reader_names_statistics_of_other_results() -> None:
    pages = [page(("r1", "a", 0), ("r1", "b", 1), ("r1", "c", 1))]
    counts = [{"modelVersion": "r1", "cluster": cluster, "count": cluster + 1} for cluster in (0, 1)]
    check_clusters(counts, pages)
    with pytest.raises(AssertionError, match="do not count the results"):
        check_clusters(counts[:1], pages)
    with pytest.raises(AssertionError, match="mix two revisions"):
        check_clusters([counts[0], counts[1] | {"modelVersion": "r2"}], pages)


def test_a_reader_names_a_ledger_row_that_was_overwritten_or_is_gone() -> None:
    before = {row["number"]: row for row in tables().ledger.to_dicts()}
    check_past({1: before[1]}, before)
    with pytest.raises(AssertionError, match="intake 1 was overwritten"):
        check_past(before, before | {1: before[1] | {"attempt": "another"}})
    with pytest.raises(AssertionError, match="intake 2 is gone"):
        check_past(before, {1: before[1]})


def test_a_reader_names_a_window_that_goes_back_or_has_two_answers_of_one_revision() -> None:
    row = {"window": WINDOWS[0], "revision": 2, "covered": 5, "digest": "d", "state": "published"}
    check_order(row, row | {"revision": 3, "covered": 6, "digest": "e"})
    for worse, said in (
        ({"revision": 1, "digest": "c"}, "revision fell"),
        ({"covered": 4}, "covered fell"),
        ({"digest": "e"}, "two answers"),
    ):
        with pytest.raises(AssertionError, match=said):
            check_order(row, row | worse)


@pytest.mark.parametrize(
    ("content", "verdict"),
    [
        ({"Unique id": "x"}, True),
        ({"Unique id": "x", "Item_price": None, "CSAT Score": "", "channel_name": None}, True),
        ({"Unique id": "x", "Item_price": "12.5", "CSAT Score": 4}, True),
        ({"Unique id": "x", "Item_price": "about forty"}, False),
        ({"Unique id": "x", "Item_price": True}, False),
        ({"Unique id": "x", "Item_price": "nan"}, False),
        ({"Unique id": "x", "channel_name": 7}, False),
        ({"Unique id": ""}, False),
        ({"Unique id": None}, False),
        ({}, False),
        (["Unique id"], False),
    ],
)
def test_the_judgement_of_a_message(content: object, verdict: bool) -> None:
    message = Sent(BAD.timestamp, json.dumps(content).encode())
    assert is_good(message, START.timestamp() + 1) is verdict
    assert not is_good(message, START.timestamp() - 1)
