"""Compares a topic with a lake from outside. It shares no code with resources/: plain clients, plain JSON."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

import polars as pl

from tests.faults.answers import check_answers
from tests.faults.tables import Tables
from tests.faults.topic import ID, TOO_FAR_AHEAD, TOO_LATE, Place, Sent, home, is_good


def check(sent: Mapping[Place, Sent], tables: Tables) -> int:
    """Compare; an AssertionError says what is wrong.

    Returns:
        The number of windows that have an answer, all of which were compared.
    """
    named = tables.ledger["attempt"].to_list()
    records = tables.records.filter(pl.col("attempt").is_in(named))
    refused = tables.dead_letters.filter(pl.col("attempt").is_in(named))
    origins = _origins(tables.ledger, records, refused)
    dead = _apart_from(refused, origins)
    _check_tiling(tables.ledger, sent)
    _check_each_once(sent, records, dead)
    _check_spans(tables.ledger, _apart_from(records, origins), refused)
    _check_counts(tables.ledger, records, refused)
    _check_judgement(sent, records, dead, _clocks(tables.ledger), origins)
    _check_homes(sent, records)
    return check_answers(sent, tables, records)


def check_acknowledged(sent: Mapping[Place, Sent], acknowledged: Mapping[Place, str]) -> None:
    """Whether the topic has what the broker said it has, by id ("" where a message has none)."""
    for place, identity in acknowledged.items():
        assert place in sent, f"the broker lost {place}"
        assert identity.encode() in sent[place].value, f"another message stands at {place}"


def _clocks(ledger: pl.DataFrame) -> dict[int, float]:
    """Per intake, the clock that it judged by, in seconds since the epoch."""
    return {number: at.timestamp() for number, at in ledger.select("number", "taken_at").iter_rows()}


def _check_tiling(ledger: pl.DataFrame, sent: Mapping[Place, Sent]) -> None:
    ordered = ledger.sort("number")
    assert ordered["number"].to_list() == list(range(1, ledger.height + 1)), "numbers of intakes"
    reached: defaultdict[int, int] = defaultdict(int)
    for spans in ordered.filter(pl.col("kind") == "topic")["spans"]:
        for span in spans:
            assert span["start"] == reached[span["partition"]], "spans do not touch"
            assert span["missing"] == 0, "an intake says that offsets are missing"
            reached[span["partition"]] = span["end"]
    for partition, offset in sent:
        assert offset < reached[partition], "the ledger does not reach the topic's end"


def _places(frame: pl.DataFrame) -> list[Place]:
    return list(frame.select("kafka_partition", "kafka_offset").iter_rows())


def _apart_from(frame: pl.DataFrame, places: Iterable[Place]) -> pl.DataFrame:
    known = set(places)
    return frame.filter(pl.Series([place not in known for place in _places(frame)], dtype=pl.Boolean))


def _origins(ledger: pl.DataFrame, records: pl.DataFrame, refused: pl.DataFrame) -> dict[Place, int]:
    """Of each message that a replay landed, the intake that refused it before."""
    letters = set(refused.select("intake", "kafka_partition", "kafka_offset").iter_rows())
    origins: dict[Place, int] = {}
    for number, kind, named in ledger.select("number", "kind", "replayed").iter_rows():
        places = {(item["partition"], item["offset"]): item["intake"] for item in named}
        assert len(places) == len(named), "a dead letter was replayed twice"
        assert not places.keys() & origins.keys(), "a dead letter was replayed twice"
        assert all((intake, *place) in letters for place, intake in places.items()), "no dead letter replayed"
        if kind == "replay":
            mine = _places(records.filter(pl.col("intake") == number))
            assert sorted(mine) == sorted(places), "records of a replay"
        origins |= places
    return origins


def _check_each_once(sent: Mapping[Place, Sent], records: pl.DataFrame, dead: pl.DataFrame) -> None:
    landed = Counter([*_places(records), *_places(dead)])
    assert set(landed) == set(sent), "messages are missing, or made up"
    assert not landed or max(landed.values()) == 1, "a message landed twice"


def _check_counts(ledger: pl.DataFrame, records: pl.DataFrame, dead: pl.DataFrame) -> None:
    columns = ledger.select("number", "landed", "refused")
    by_record, by_letter = (dict(list(frame.group_by("intake"))) for frame in (records, dead))
    for number, landed, refused in columns.iter_rows():
        counted = Counter({item["window"]: item["records"] + item["too_late"] for item in landed})
        mine = by_record.get((number,), records.clear())
        assert counted == Counter(mine["window"]), "records of an intake"
        too_late = sum(item["too_late"] for item in landed)
        assert too_late == mine["too_late"].sum(), "too late records of an intake"
        reasons = Counter({(item["window"], item["reason"]): item["count"] for item in refused})
        letters = by_letter.get((number,), dead.clear()).select("window", "reason")
        assert reasons == Counter(letters.iter_rows()), "dead letters of an intake"


def _check_spans(ledger: pl.DataFrame, records: pl.DataFrame, dead: pl.DataFrame) -> None:
    attempts = dict(ledger.select("number", "attempt").iter_rows())
    spans = {
        (number, span["partition"]): range(span["start"], span["end"])
        for number, found in ledger.select("number", "spans").iter_rows()
        for span in found
    }
    for frame in (records, dead):
        columns = frame.select("intake", "attempt", "kafka_partition", "kafka_offset")
        for intake, attempt, partition, offset in columns.iter_rows():
            assert attempts[intake] == attempt, "a row's intake is not its attempt's"
            assert offset in spans.get((intake, partition), range(0)), "a row outside its intake's span"


def _check_judgement(
    sent: Mapping[Place, Sent],
    records: pl.DataFrame,
    dead: pl.DataFrame,
    at: Mapping[int, float],
    origins: Mapping[Place, int],
) -> None:
    columns = records.select("kafka_partition", "kafka_offset", "intake", "too_late")
    for partition, offset, intake, too_late in columns.iter_rows():
        message = sent[partition, offset]
        assert is_good(message, at[intake] + TOO_FAR_AHEAD), "a bad message is a record"
        taken_at = at[origins.get((partition, offset), intake)]
        assert too_late == (message.timestamp / 1000 < taken_at - TOO_LATE), "what is too late"
    for *place, intake in dead.select("kafka_partition", "kafka_offset", "intake").iter_rows():
        assert not is_good(sent[place[0], place[1]], at[intake] + TOO_FAR_AHEAD), "a good message is refused"
    for partition, offset, value in dead.select("kafka_partition", "kafka_offset", "value").iter_rows():
        assert (value or b"") == sent[partition, offset].value, "a dead letter's bytes"


def _check_homes(sent: Mapping[Place, Sent], records: pl.DataFrame) -> None:
    columns = records.select("kafka_partition", "kafka_offset", "window", "record_id")
    for partition, offset, window, identity in columns.iter_rows():
        message = sent[partition, offset]
        assert window == home(message), "a record's home"
        assert identity == json.loads(message.value)[ID], "a record's id"
