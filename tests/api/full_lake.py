"""A lake made by hand in which there is something of everything that the API shows."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl

from resources.tables import TABLES
from resources.windows import Window
from tests.api.lakes import FIRST, NOW, HandMadeLake, digest

IDS = ("7e9ae164-6a8b-4521-a2d4", "b07ec37e-11ae-4768-8ab2", "200814dd-27c7-4149-ba2b", "order/17 ä", "")
"""What a record's id may be, in the order of the record's prices; the last is never one."""
PRICES = (434.0, 120.5, 979.0, None)
DISTANCES = (0.04, 1.5, 5.49, 0.045)


class FullLake(HandMadeLake):
    """Three published windows of four records each, one of each other state, dead letters and intakes."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        for number in range(3):
            window = FIRST.step(number)
            self._land(number + 1, window)
            self._publish(window)
        self.write_row(FIRST.step(3), "too-few", records=1, model_version=None)
        self.write_row(FIRST.step(4), "empty", records=0, model_version=None)
        self.write_row(FIRST.step(5), None, attempts=2, error="The broker does not answer.")

    def _land(self, number: int, window: Window) -> None:
        letters = [_letter(number, window, place, *item) for place, item in enumerate(_LETTERS)]
        self.append("dead_letters", _frame("dead_letters", letters))
        counts = [{"window": window.key, "reason": letter["reason"], "count": 1} for letter in letters]
        self.take(number, window.start + timedelta(minutes=5, seconds=3), {window: 4}, refused=counts)

    def _publish(self, window: Window) -> None:
        head = {"date": window.date, "window": window.key, "slot": window.slot, "revision": 1}
        head["digest"] = digest(window, 1)
        self._replace("models", window, [{**head, **_model(window)}])
        results = [
            _result(head, window, *item)
            for item in zip(IDS[:-1], PRICES, (0, 1, 0, 0), DISTANCES, strict=True)
        ]
        stats = [_stats(head, 0, 3), _stats(head, 1, 1)]
        versions = {
            "results_version": self._replace("clustering_results", window, results),
            "stats_version": self._replace("cluster_stats", window, stats),
        }
        counts = {"records": 4, "late": 1, "duplicates": 0, "dead_letters": 2, "missing": 0, "covered": 3}
        published = {"published_at": window.start + timedelta(minutes=5, seconds=4), "seconds": 1.9}
        self.write_row(window, "published", 1, versions, first_source=window.key, **counts, **published)
        self.name_clusters(window, ["c1", "c2"])
        self.review(window, structure="yes", psi=0.3)
        self._replace("cluster_events", window, [_event(head, window, cluster) for cluster in (0, 1)])


_LETTERS = (
    ("invalid-json", b'{"Unique id": "x'),
    ("wrong-type", b'{"Unique id": "y", "Item_price": "much"}'),
)


def _frame(name: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=TABLES[name].schema)


def _letter(number: int, window: Window, place: int, reason: str, value: bytes) -> dict[str, Any]:
    return {
        "date": window.date,
        "window": window.key,
        "intake": number,
        "attempt": f"attempt-{number}",
        "kafka_partition": 0,
        "kafka_offset": number * 6 + 4 + place,
        "timestamp": window.start + timedelta(seconds=100 + place),
        "reason": reason,
        "detail": "It breaks the contract.",
        "key": b"\xff\x00" if place else None,
        "value": value,
        "headers": [{"key": "source", "value": b"test"}],
    }


def _model(window: Window) -> dict[str, Any]:
    """As trained on three records of the contract's features."""
    features = [
        {"name": "channel_name", "kind": "category", "labels": ["Inbound", "Outcall"], "scale": 1.5},
        {"name": "Item_price", "kind": "number", "labels": [], "fill": 434.5, "scale": 0.01},
        {"name": "CSAT Score", "kind": "number", "labels": [], "fill": 4.25, "scale": 0.8},
    ]
    return {
        "model": f"model_{window.slot}",
        "state": "trained",
        "contract_version": "c0ffee000000",
        "trainer": "coreset",
        "seed": 23,
        "k": 2,
        "first_source": window.key,
        "records": 4,
        "silhouette": 0.5868,
        "silhouettes": [0.6, 0.5],
        "inertia": 883.5,
        "sizes": [3, 1],
        "separation": 2.5,
        "converged": True,
        "iterations": 4,
        "starts": 30,
        "found": 12,
        "features": [{"fill": None, "one_hot": False, **feature} for feature in features],
        "left_out": [],
        "centres": [[0.0, 4.3, 4.0], [1.5, 1.2, 0.8]],
        "libraries": "pyspark 4.2.0",
        "trained_at": NOW,
    }


def _result(
    head: dict[str, Any], window: Window, record_id: str, price: float | None, cluster: int, distance: float
) -> dict[str, Any]:
    features = {"channel_name": "Inbound", "Item_price": price, "CSAT Score": 5.0 - 4 * cluster}
    return {
        **head,
        "model_version": f"model_{window.slot}/{window.key}/r1",
        "record_id": record_id,
        "event_time": window.start + timedelta(seconds=90),
        "cluster": cluster,
        "distance": distance,
        "features": json.dumps(features),
    }


def _stats(head: dict[str, Any], cluster: int, count: int) -> dict[str, Any]:
    return {
        **head,
        "cluster": cluster,
        "count": count,
        "share": count / 4,
        "averages": json.dumps({"avgCSAT": 5.0 - 4 * cluster, "avgPrice": 434.5}),
        "features": json.dumps({"Item_price": {"nulls": 1 - cluster, "mean": 434.5}}),
    }


def _event(head: dict[str, Any], window: Window, cluster: int) -> dict[str, Any]:
    first = window == FIRST
    return {
        **head,
        "previous": None if first else window.step(-1).key,
        "previous_revision": None if first else 1,
        "previous_digest": None if first else digest(window.step(-1), 1),
        "event": "appeared" if first else "survived",
        "before": [] if first else [cluster],
        "after": [cluster],
        "overlaps": [] if first else [0.9],
        "keeps_before": None if first else cluster,
        "keeps_after": None if first else cluster,
    }
