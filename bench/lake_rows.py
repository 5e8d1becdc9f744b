"""Rows of a lake as many windows leave it: a day of each table at once, made up and in agreement."""

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import polars as pl

from resources.contract import Contract
from resources.settings import Settings
from resources.tables import TABLES
from resources.windows import Window

LABELS = ("Inbound", "Outcall", "Email")
SHARES = (0.7, 0.3)


@dataclass(frozen=True)
class Plan:
    """What each window holds: records, taken in by so many intakes, from a topic with so many partitions."""

    settings: Settings
    contract: Contract
    topic_id: str
    partitions: int
    records: int
    intakes: int

    def attempt(self, intake: int) -> str:
        return str(uuid.UUID(int=intake))

    def digest(self, window: Window) -> str:
        return hashlib.sha256(f"{self.topic_id}{window.key}".encode()).hexdigest()

    def head(self, window: Window) -> dict[str, object]:
        return {
            "date": window.date,
            "window": window.key,
            "slot": window.slot,
            "revision": 1,
            "digest": self.digest(window),
        }

    def version(self, window: Window) -> str:
        """The version that assigned a window's records."""
        return f"model_{window.slot}/{window.key}/r1"


def ledger(plan: Plan, windows: Sequence[tuple[int, Window]]) -> pl.DataFrame:
    """The intakes of windows, given with their places from 0; each intake lands a part of one window."""
    return _frame("ledger", [row for place, window in windows for row in _intakes(plan, place, window)])


def _intakes(plan: Plan, place: int, window: Window) -> list[dict[str, Any]]:
    close = plan.settings.grid.close(window)
    bounds = [plan.records * count // plan.intakes for count in range(plan.intakes + 1)]
    rows = []
    for part in range(plan.intakes):
        first, last = (place * plan.records + bounds[part + count] for count in (0, 1))
        number = place * plan.intakes + part + 1
        spans = [
            {
                "partition": partition,
                "start": _offset(first, partition, plan.partitions),
                "end": _offset(last, partition, plan.partitions),
                "missing": 0,
                "watermark": window.end,
                "last_timestamp": window.end,
                "topic_end": _offset(last, partition, plan.partitions),
            }
            for partition in range(plan.partitions)
        ]
        rows.append(
            {
                "number": number,
                "attempt": plan.attempt(number),
                "kind": "topic",
                "topic_id": plan.topic_id,
                "window_minutes": plan.settings.window_minutes,
                "id_field": plan.contract.id,
                "taken_at": close - (plan.intakes - 1 - part) * timedelta(seconds=1),
                "caught_up": True,
                "spans": spans,
                "landed": [{"window": window.key, "records": last - first, "too_late": 0}],
                "refused": [],
                "replayed": [],
            }
        )
    return rows


def _offset(record: int, partition: int, partitions: int) -> int:
    """How many of the first ``record`` records lie in a partition: they go round."""
    return (record + partitions - 1 - partition) // partitions


def records(plan: Plan, windows: Sequence[tuple[int, Window]]) -> pl.DataFrame:
    """The landed records of windows, every field of the contract among them, by window and id."""
    step = timedelta(minutes=plan.settings.window_minutes) / plan.records
    bounds = [plan.records * count // plan.intakes for count in range(plan.intakes + 1)]
    rows = []
    for place, window in windows:
        for number in range(plan.records):
            record = place * plan.records + number
            part = next(count for count in range(plan.intakes) if number < bounds[count + 1])
            intake = place * plan.intakes + part + 1
            rows.append(
                {
                    "date": window.date,
                    "window": window.key,
                    "record_id": str(uuid.uuid5(uuid.NAMESPACE_OID, str(record))),
                    "event_time": window.start + number * step,
                    "too_late": False,
                    "intake": intake,
                    "attempt": plan.attempt(intake),
                    "kafka_partition": record % plan.partitions,
                    "kafka_offset": record // plan.partitions,
                }
            )
    frame = _frame("records", rows)
    return frame.with_columns(
        _value(kind, pl.int_range(pl.len())).alias(plan.contract.columns[name])
        for name, kind in plan.contract.fields.items()
        if name != plan.contract.id
    ).sort("window", "record_id")


def _value(kind: str, place: pl.Expr) -> pl.Expr:
    if kind == "number":
        return (place % 97).cast(pl.Float64)
    return pl.lit(pl.Series(LABELS)).gather(place % len(LABELS))


def results(plan: Plan, landed: pl.DataFrame, windows: Sequence[tuple[int, Window]]) -> pl.DataFrame:
    """A cluster for each of the windows' landed records, by window and id."""
    heads = pl.DataFrame(
        [plan.head(window) | {"model_version": plan.version(window)} for _, window in windows]
    )
    features = json.dumps(dict.fromkeys(plan.contract.features, LABELS[0]))
    rows = landed.select("window", "record_id", "event_time").join(heads, on="window")
    return _typed(
        "clustering_results",
        rows.with_columns(
            cluster=(pl.int_range(pl.len()) % 10 >= 10 * SHARES[0]).cast(pl.Int32),
            distance=(pl.int_range(pl.len()) % 1_000) / 1_000,
            features=pl.lit(features),
        ).sort("window", "record_id"),
    )


def answers(
    plan: Plan, windows: Sequence[tuple[int, Window]], versions: Mapping[str, int]
) -> dict[str, pl.DataFrame]:
    """The rows of the small tables, one frame a table."""
    rows: dict[str, list[dict[str, Any]]] = {
        name: [] for name in ("kafka_batch", "models", "cluster_stats", "windows")
    }
    for place, window in windows:
        head = plan.head(window)
        counts = _counts(plan, place, window)
        rows["kafka_batch"].append({**head, **counts})
        rows["models"].append({**head, **_model(plan, window)})
        rows["cluster_stats"] += [{**head, **_cluster(plan, window, number)} for number in range(len(SHARES))]
        rows["windows"].append({**head, **counts, **_publication(plan, window, versions)})
    return {name: _frame(name, items) for name, items in rows.items()}


def _counts(plan: Plan, place: int, window: Window) -> dict[str, object]:
    return {
        "covered": (place + 1) * plan.intakes,
        "contract_version": plan.contract.version,
        "records": plan.records,
        "late": 0,
        "duplicates": 0,
        "dead_letters": 0,
        "missing": 0,
        "first_source": window.key,
        "seen": plan.records,
    }


def _model(plan: Plan, window: Window) -> dict[str, object]:
    category = {"kind": "category", "labels": list(LABELS), "fill": None, "scale": 1.0}
    return {
        "model": f"model_{window.slot}",
        "state": "trained",
        "contract_version": plan.contract.version,
        "trainer": plan.contract.trainer,
        "seed": plan.contract.seed,
        "first_source": window.key,
        "k": len(SHARES),
        "records": plan.records,
        "silhouette": 0.5,
        "inertia": 100.0,
        "sizes": [int(plan.records * share) for share in SHARES],
        "features": [{"name": name, **category} for name in plan.contract.features],
        "left_out": [],
        "centres": [[float(number)] * len(plan.contract.features) for number in range(len(SHARES))],
        "libraries": "made up",
        "trained_at": window.end,
    }


def _cluster(plan: Plan, window: Window, number: int) -> dict[str, object]:
    averages = json.dumps(dict.fromkeys(plan.contract.statistics, 4.25))
    return {
        "model_version": plan.version(window),
        "cluster": number,
        "count": int(plan.records * SHARES[number]),
        "share": SHARES[number],
        "averages": averages,
        "features": "{}",
    }


def _publication(plan: Plan, window: Window, versions: Mapping[str, int]) -> dict[str, object]:
    close = plan.settings.grid.close(window)
    return {
        "state": "published",
        "model_version": plan.version(window),
        "model_digest": plan.digest(window),
        "results_version": versions["clustering_results"],
        "stats_version": versions["cluster_stats"],
        "published_at": close + timedelta(seconds=1),
        "seconds": 1.0,
        "attempts": 0,
    }


def _frame(name: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=dict(TABLES[name].schema))


def _typed(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select(pl.col(column).cast(kind) for column, kind in TABLES[name].schema.items())
