"""The lake's tables: their columns, and which are partitioned by day."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl
from polars.datatypes import DataType, DataTypeClass

Schema = Mapping[str, DataType | DataTypeClass]

TIME = pl.Datetime("us", "UTC")
SPAN = pl.Struct(
    {
        "partition": pl.Int32,
        "start": pl.Int64,
        "end": pl.Int64,
        "missing": pl.Int64,  # offsets of [start, end) that retention took before they were read
        "watermark": TIME,  # the latest event time of a record so far
        "last_timestamp": TIME,  # the broker's, of the last message read so far
        "missing_from": TIME,  # the broker's timestamps around what is missing; null without a gap
        "missing_to": TIME,
    }
)
LANDED = pl.Struct({"window": pl.String, "records": pl.Int64, "too_late": pl.Int64})
REFUSED = pl.Struct({"window": pl.String, "reason": pl.String, "count": pl.Int64})
REPLAYED = pl.Struct(
    {
        "intake": pl.Int64,  # that landed the dead letter; window and reason as it counted them
        "partition": pl.Int32,
        "offset": pl.Int64,
        "window": pl.String,
        "reason": pl.String,
    }
)
FEATURE = pl.Struct(
    {
        "name": pl.String,
        "kind": pl.String,  # category or number
        "labels": pl.List(pl.String),  # of a category, by falling frequency, then by name
        "mean": pl.Float64,  # of a number: it fills nulls
        "scale": pl.Float64,  # what an encoded value is multiplied with: 1 / standard deviation, or 0
    }
)


@dataclass(frozen=True)
class Table:
    """One table: its columns, and the columns that it is partitioned by."""

    schema: Schema
    partition_by: list[str] = field(default_factory=lambda: ["date"])


_WINDOW: Schema = {"date": pl.Date, "window": pl.String}
_ANSWER: Schema = {**_WINDOW, "slot": pl.Int32, "revision": pl.Int32, "digest": pl.String}
_LANDING: Schema = {
    "intake": pl.Int64,
    "attempt": pl.String,
    "kafka_partition": pl.Int32,
    "kafka_offset": pl.Int64,
}
_COUNTS: Schema = {
    "covered": pl.Int64,  # the last intake that the selection looked at
    "contract_version": pl.String,
    "records": pl.Int64,
    "late": pl.Int64,
    "duplicates": pl.Int64,
    "dead_letters": pl.Int64,
    "missing": pl.Int64,  # offsets that retention took unread and that may have been the window's
    "first_source": pl.String,  # the first window that the model sees; the last is its own
    "seen": pl.Int64,  # records of all windows that the model sees
}

TABLES: dict[str, Table] = {
    "ledger": Table(
        {
            "number": pl.Int64,
            "attempt": pl.String,
            "kind": pl.String,  # topic, replay or reset
            "topic_id": pl.String,
            "window_minutes": pl.Int32,
            "id_field": pl.String,
            "taken_at": TIME,
            "caught_up": pl.Boolean,  # whether it read to the topic's end as of taken_at
            "spans": pl.List(SPAN),
            "landed": pl.List(LANDED),
            "refused": pl.List(REFUSED),
            "replayed": pl.List(REPLAYED),  # the dead letters that a replay landed as records
        },
        partition_by=[],
    ),
    # and every field of the contract, typed
    "records": Table(
        {**_WINDOW, "record_id": pl.String, "event_time": TIME, "too_late": pl.Boolean, **_LANDING}
    ),
    "dead_letters": Table(
        {
            **_WINDOW,  # the home of the message's timestamp
            **_LANDING,
            "timestamp": TIME,
            "reason": pl.String,
            "detail": pl.String,
            "key": pl.Binary,
            "value": pl.Binary,
            "headers": pl.List(pl.Struct({"key": pl.String, "value": pl.Binary})),
        }
    ),
    "kafka_batch": Table(
        {
            **_ANSWER,
            **_COUNTS,
            "pinned": pl.String,  # the version that assigns, if one is pinned
            "pinned_digest": pl.String,
        }
    ),
    "models": Table(
        {
            **_ANSWER,
            "model": pl.String,
            "state": pl.String,  # trained, too-few or empty
            "contract_version": pl.String,
            "trainer": pl.String,
            "seed": pl.Int64,
            "k": pl.Int32,
            "first_source": pl.String,  # the first window that it was trained on; the last is its own
            "records": pl.Int64,
            "silhouette": pl.Float64,  # squared Euclidean
            "inertia": pl.Float64,
            "sizes": pl.List(pl.Int64),
            "features": pl.List(FEATURE),
            "left_out": pl.List(pl.String),  # features with too many nulls in this window
            "centres": pl.List(pl.List(pl.Float64)),  # k x features, in scaled units
            "libraries": pl.String,
            "trained_at": TIME,
        }
    ),
    "clustering_results": Table(
        {
            **_ANSWER,
            "model_version": pl.String,  # that assigned it
            "record_id": pl.String,
            "event_time": TIME,
            "cluster": pl.Int32,
            "distance": pl.Float64,  # Euclidean, to its centre, in scaled units
            "features": pl.String,  # JSON object: the contract's names, the record's values
        }
    ),
    "cluster_stats": Table(
        {
            **_ANSWER,
            "model_version": pl.String,
            "cluster": pl.Int32,
            "count": pl.Int64,
            "share": pl.Float64,
            "averages": pl.String,  # JSON object: the contract's statistics
            "features": pl.String,  # JSON object: details per feature
        }
    ),
    "windows": Table(
        {
            **_ANSWER,
            "state": pl.String,  # published, empty or too-few; null: no answer yet
            **_COUNTS,
            "model_version": pl.String,  # that assigned the records; null: none did
            "model_digest": pl.String,  # of the selection that it was trained on
            "results_version": pl.Int64,  # Delta versions that hold this answer
            "stats_version": pl.Int64,
            "published_at": TIME,
            "seconds": pl.Float64,  # from close to publication
            "attempts": pl.Int32,  # failed runs since the last answer
            "error": pl.String,
        }
    ),
    "pins": Table(
        {
            "model": pl.String,
            "version": pl.String,  # null: unpinned
            "digest": pl.String,  # of the selection that it was trained on
            "pinned_at": TIME,
            "by": pl.String,
        },
        partition_by=[],
    ),
}
