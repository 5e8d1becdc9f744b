"""A small topic and the lake that a right run leaves of it, in memory, for planting bugs."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from tests.faults.tables import Tables
from tests.faults.topic import Place, Sent, features, home

START = datetime(2026, 11, 24, 5, tzinfo=UTC)
WINDOWS = ("2026-11-24T0500Z", "2026-11-24T0501Z")
CLOCKS = (START + timedelta(minutes=5), START + timedelta(minutes=6))
BAD = Sent(1000 * int(START.timestamp()), b"{")
Change = Callable[[pl.DataFrame], pl.DataFrame]


def good(identity: str, seconds: int, score: float = 1) -> Sent:
    """A record with an id, so many seconds after 05:00."""
    content = {"Unique id": identity, "CSAT Score": score, "channel_name": "Chat"}
    return Sent(1000 * (int(START.timestamp()) + seconds), json.dumps(content).encode())


TOPIC: dict[Place, Sent] = {
    (0, 0): good("a", 0),
    (0, 1): good("b", 59, 5),
    (0, 2): BAD,
    (0, 3): good("old", -25 * 3600),
    (1, 0): good("c", 60),
    (1, 1): good("a", 61, 2),
    (1, 2): good("a", 62, 4),
}
COUNTING = {WINDOWS[0]: {"a": (0, 0), "b": (0, 1)}, WINDOWS[1]: {"a": (1, 2), "c": (1, 0)}}
CLUSTERS = {"a": 0, "b": 1, "c": 1}
_ATTEMPTS = ("one", "two")
_INTAKE_OF = {(0, 0): 1, (0, 1): 1, (0, 2): 2, (0, 3): 2, (1, 0): 1, (1, 1): 2, (1, 2): 2}


def span(partition: int, start: int, end: int) -> dict[str, int]:
    """A span of a ledger row."""
    return {"partition": partition, "start": start, "end": end, "missing": 0}


def landed(first: int = 0, second: int = 0, too_late: int = 0) -> list[dict[str, Any]]:
    """The records that a ledger row counts, in the two windows, and the too late ones."""
    counts = [(WINDOWS[0], first, 0), (WINDOWS[1], second, 0), (home(TOPIC[0, 3]), 0, too_late)]
    names = ("window", "records", "too_late")
    return [dict(zip(names, count, strict=True)) for count in counts if any(count[1:])]


def ledger() -> pl.DataFrame:
    """Two intakes."""
    refused = [{"window": WINDOWS[0], "reason": "invalid-json", "count": 1}]
    rows: list[dict[str, Any]] = [
        {"spans": [span(0, 0, 2), span(1, 0, 1)], "landed": landed(2, 1), "refused": []},
        {"spans": [span(0, 2, 4), span(1, 1, 3)], "landed": landed(0, 2, 1), "refused": refused},
    ]
    names = zip((1, 2), _ATTEMPTS, CLOCKS, rows, strict=True)
    return pl.DataFrame(
        [
            {"number": n, "attempt": a, "kind": "topic", "taken_at": at, "replayed": []} | row
            for n, a, at, row in names
        ]
    )


def _landing(place: Place) -> dict[str, Any]:
    number = _INTAKE_OF[place]
    places = {"kafka_partition": place[0], "kafka_offset": place[1]}
    return {"window": home(TOPIC[place]), "intake": number, "attempt": _ATTEMPTS[number - 1]} | places


def tables() -> Tables:
    """What a right run leaves of the topic, with the rows of an attempt that lost, and of an old answer."""
    records = [
        _landing(place) | {"record_id": json.loads(sent.value)["Unique id"], "too_late": place == (0, 3)}
        for place, sent in TOPIC.items()
        if sent is not BAD
    ]
    lost = records[0] | {"attempt": "a lost one", "window": WINDOWS[1]}
    dead = _landing((0, 2)) | {"reason": "invalid-json", "value": BAD.value}
    return Tables(
        ledger=ledger(),
        records=pl.DataFrame([*records, lost]),
        dead_letters=pl.DataFrame([dead]),
        kafka_batch=pl.DataFrame([_batch(window) for window in WINDOWS]),
        models=pl.DataFrame([_answer(window) | _MODEL for window in WINDOWS]),
        clustering_results=pl.DataFrame([row for window in WINDOWS for row in _results(window)]),
        cluster_stats=pl.DataFrame([row for window in WINDOWS for row in _statistics(window)]),
        windows=pl.DataFrame([_batch(window) | _PUBLISHED for window in WINDOWS]),
    )


_VERSION = {"model_version": "model_1/window/r1"}
_PUBLISHED = {"state": "published"} | _VERSION
_MODEL = {
    "state": "trained", "k": 2, "seed": 1, "records": 2, "sizes": [1, 1], "left_out": ["x"],
    "silhouette": 1.0, "inertia": 0.5, "features": [{"name": "CSAT Score"}], "centres": [[1.0], [5.0]],
}  # fmt: skip


def _answer(window: str) -> dict[str, Any]:
    return {"window": window, "digest": f"digest of {window}", "revision": 1 + WINDOWS.index(window)}


def _batch(window: str) -> dict[str, Any]:
    counts = {"records": 2, "duplicates": WINDOWS.index(window), "covered": 2, "contract_version": "v"}
    return _answer(window) | counts


def _results(window: str) -> list[dict[str, Any]]:
    return [
        _answer(window)
        | _VERSION
        | {
            "record_id": identity,
            "event_time": datetime.fromtimestamp(TOPIC[place].timestamp / 1000, UTC),
            "cluster": CLUSTERS[identity],
            "distance": 0.5,
            "features": json.dumps(features(TOPIC[place])),
        }
        for identity, place in COUNTING[window].items()
    ]


def _statistics(window: str) -> list[dict[str, Any]]:
    scores = {CLUSTERS[i]: json.loads(TOPIC[p].value)["CSAT Score"] for i, p in COUNTING[window].items()}
    return [
        _answer(window)
        | _VERSION
        | {"cluster": cluster, "count": 1, "averages": json.dumps({"avgCSAT": score, "avgPrice": None})}
        for cluster, score in sorted(scores.items())
    ]


def changed(whole: Tables, **changes: Change) -> Tables:
    """The tables with some of them changed."""
    return replace(whole, **{name: change(getattr(whole, name)) for name, change in changes.items()})


def without(number: int) -> Change:
    """A row less."""
    return lambda frame: pl.concat([frame.head(number), frame.slice(number + 1)])


def twice(number: int) -> Change:
    """A row once more."""
    return lambda frame: pl.concat([frame, frame.slice(number, 1)])


def with_value(column: str, number: int, value: Any) -> Change:
    """Another value in a row."""

    def change(frame: pl.DataFrame) -> pl.DataFrame:
        values = frame[column].to_list()
        assert values[number] != value
        values[number] = value
        return frame.with_columns(pl.Series(column, values, dtype=frame.schema[column]))

    return change
