"""Checks a lake's answers against the topic: batches, results, statistics, and what is published of them."""

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from tests.faults.tables import Tables
from tests.faults.topic import Place, Sent, batches, features, typed

_AVERAGES = {"avgCSAT": "CSAT Score", "avgPrice": "Item_price"}


def check_answers(sent: Mapping[Place, Sent], tables: Tables, records: pl.DataFrame) -> int:
    """Compare; the number of windows that have an answer.

    Args:
        records: those that the ledger names.
    """
    now = max(tables.ledger["taken_at"].to_list()).timestamp()
    expected, duplicates = batches(sent, now)
    answered = tables.windows.filter(pl.col("state").is_not_null())
    assert set(expected) <= set(answered["window"]), "a window with records has no answer"
    intakes = dict(
        records.filter(~pl.col("too_late")).group_by("window").agg(pl.col("intake").max()).iter_rows()
    )
    for row in answered.iter_rows(named=True):
        window = row["window"]
        assert intakes.get(window, 0) <= row["covered"], "an answer does not cover its window's records"
        batch = {identity: sent[place] for identity, place in expected.get(window, {}).items()}
        _check_batch(row, tables, len(batch), duplicates[window])
        if row["state"] == "published":
            _check_results(row, tables, batch)
        else:
            few = len({_point(message) for message in batch.values()}) < 2
            assert few, "a window with enough records is not published"
            assert not list(_of(row, tables.clustering_results)), "results of a window that has none"
    return answered.height


def _check_batch(row: Mapping[str, Any], tables: Tables, records: int, duplicates: int) -> None:
    found = tables.kafka_batch.filter(pl.col("window") == row["window"])
    assert found.height == 1, "a window has not one batch"
    (batch,) = found.iter_rows(named=True)
    assert (batch["digest"], batch["revision"]) == (row["digest"], row["revision"]), "batch and answer differ"
    for each in (batch, row):
        counts = (each["records"], each["duplicates"])
        assert counts == (records, duplicates), "a window's counts are not its records'"


def _of(row: Mapping[str, Any], frame: pl.DataFrame) -> Iterator[dict[str, Any]]:
    return frame.filter(pl.col("window") == row["window"]).iter_rows(named=True)


def _check_results(row: Mapping[str, Any], tables: Tables, batch: Mapping[str, Sent]) -> None:
    results, statistics = list(_of(row, tables.clustering_results)), list(_of(row, tables.cluster_stats))
    names = ("digest", "revision", "model_version")
    for each in (*results, *statistics):
        assert all(each[name] == row[name] for name in names), "a row of another answer"
    identities = [each["record_id"] for each in results]
    assert len(set(identities)) == len(identities), "a record has two results in one window"
    assert set(identities) == set(batch), "a window's results are not its records"
    for each in results:
        message = batch[each["record_id"]]
        assert round(each["event_time"].timestamp() * 1000) == message.timestamp, "another one of duplicates"
        assert json.loads(each["features"]) == features(message), "a result's features"
    assert Counter(each["cluster"] for each in results) == {
        each["cluster"]: each["count"] for each in statistics
    }, "statistics do not count the results"
    assert {each["digest"] for each in _of(row, tables.models)} >= {row["digest"]}, "an answer without model"
    for each in statistics:
        _check_averages(each, [batch[r["record_id"]] for r in results if r["cluster"] == each["cluster"]])


def _check_averages(row: Mapping[str, Any], messages: list[Sent]) -> None:
    said = json.loads(row["averages"])
    for name, field in _AVERAGES.items():
        values = [value for value in (typed(message).get(field) for message in messages) if value is not None]
        expected = sum(values) / len(values) if values else None
        same = said[name] == expected or math.isclose(said[name], expected or 0, rel_tol=1e-9)
        assert same, "an average is not its records'"


def _point(message: Sent) -> tuple[Any, ...]:
    return tuple(features(message).values())
