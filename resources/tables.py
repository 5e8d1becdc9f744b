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
        "topic_end": pl.Int64,  # the last stable offset as the intake saw it
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
        "fill": pl.Float64,  # of a number: mean or median, for a missing value
        "scale": pl.Float64,  # what an encoded value is multiplied with: 1 / deviation, or 0
        "one_hot": pl.Boolean,  # a category as a column per label and one for all else
    }
)
SECONDS = pl.Struct(
    {
        "profile": pl.Float64,  # counting what the encoders need
        "sample": pl.Float64,  # drawing the points that the driver fits
        "choose": pl.Float64,  # the number of clusters, where the contract gives a range
        "fit": pl.Float64,
        "refine": pl.Float64,  # Lloyd's steps over all records
        "score": pl.Float64,
    }
)
CANDIDATE = pl.Struct(
    {
        "k": pl.Int32,
        "inertia": pl.Float64,
        "silhouette": pl.Float64,
        "calinski_harabasz": pl.Float64,
        "davies_bouldin": pl.Float64,
        "stability": pl.Float64,
        "separations": pl.List(pl.Float64),  # Ashman's D at which clusters join, rising
    }
)
NUMBERS = pl.Struct({"feature": pl.String, "values": pl.List(pl.Float64)})
LABELS = pl.Struct({"feature": pl.String, "values": pl.List(pl.String)})


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
    # and every field of the contract, typed; of an erased record its id and fields are null
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
            "silhouette": pl.Float64,  # mean over all records, squared Euclidean
            "silhouettes": pl.List(pl.Float64),  # mean of each cluster; null of an empty one
            "inertia": pl.Float64,
            "sizes": pl.List(pl.Int64),
            "separation": pl.Float64,  # least Euclidean distance between two centres, in scaled units
            "converged": pl.Boolean,
            "iterations": pl.Int32,  # of the best start, and of Lloyd's over all records
            "starts": pl.Int32,  # independent ones
            "found": pl.Int32,  # so many starts reached the best inertia
            "sample": pl.Int64,  # points that the driver fitted; null where Spark fitted all
            "candidates": pl.List(CANDIDATE),  # numbers of clusters that were chosen from, by rising k
            "seconds": SECONDS,
            "features": pl.List(FEATURE),
            "left_out": pl.List(pl.String),  # features with too many nulls in this window
            "centres": pl.List(pl.List(pl.Float64)),  # k x columns of the features, in scaled units
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
    "cluster_events": Table(  # what became of the clusters since the published window before
        {
            **_ANSWER,
            "previous": pl.String,  # that window's key; null: there is none
            "previous_revision": pl.Int32,
            "previous_digest": pl.String,
            "event": pl.String,  # survived, split, merged, appeared or disappeared
            "before": pl.List(pl.Int32),  # clusters of the window before
            "after": pl.List(pl.Int32),  # clusters of this one
            "overlaps": pl.List(pl.Float64),  # share of each of `before` that is in each of `after`
            "keeps_before": pl.Int32,  # this cluster's id goes on
            "keeps_after": pl.Int32,  # as this one's; both null where none does
        }
    ),
    "cluster_ids": Table(  # derived from cluster_events, joined by window, digest and cluster when read
        {
            **_ANSWER,
            "cluster": pl.Int32,
            "id": pl.String,  # where it was born: window key and cluster, as in 2026-11-24T0505Z/0
            "name": pl.String,  # c1, c2, ... by order of birth
            "named": pl.Int32,  # how many names there were up to this window
        }
    ),
    "model_reviews": Table(  # whether there are clusters at all: tested after the publication
        {
            **_ANSWER,
            "structure": pl.String,  # yes, weak, none or unknown
            "box_p": pl.Float64,  # against points spread evenly over a box
            "gaussian_p": pl.Float64,  # against one Gaussian
            "dip_p": pl.List(pl.Struct({"feature": pl.String, "p": pl.Float64})),  # after Holm's correction
        }
    ),
    "drift": Table(
        {
            **_ANSWER,
            "reference": pl.String,  # previous (the published window before) or baseline (the pinned one)
            "reference_window": pl.String,
            "reference_digest": pl.String,
            "feature": pl.String,  # null: the model as a whole
            "psi": pl.Float64,
            "distance": pl.Float64,  # Kolmogorov-Smirnov of numbers, Cramér's V of categories
            "p": pl.Float64,  # of the two-sample test, after Holm's correction
            "inertia_ratio": pl.Float64,  # of the model
            "level": pl.String,  # none, moderate, major or unknown
        }
    ),
    # at most one row, which outlives the window that it was made from
    "baselines": Table(
        {
            "window": pl.String,
            "digest": pl.String,
            "pinned_at": TIME,
            "records": pl.Int64,
            "numbers": pl.List(NUMBERS),
            "labels": pl.List(LABELS),
            "features": pl.List(FEATURE),
            "centres": pl.List(pl.List(pl.Float64)),
        },
        partition_by=[],
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
