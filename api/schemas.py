"""What the API answers, as types: the OpenAPI document is made from them."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

ModelName = Literal["model_1", "model_2", "model_3"]
MODELS: tuple[ModelName, ...] = ("model_1", "model_2", "model_3")
"""By slot: the first window of a cycle trains the first."""

ModelKey = Annotated[ModelName, Meta(description="the model that the window trains", examples=["model_2"])]
WindowKey = Annotated[
    str, Meta(description="the window's key: its start in UTC", examples=["2026-11-24T0505Z"])
]
ModelVersion = Annotated[
    str,
    Meta(
        description="the version that assigned: model, the window that it was trained for, revision",
        examples=["model_2/2026-11-24T0505Z/r1"],
    ),
]
ClusterNumber = Annotated[int, Meta(ge=0, description="number of the cluster in its model", examples=[1])]


class Clustered(msgspec.Struct, rename="camel"):
    """The cluster of a record in a window."""

    unique_id: Annotated[str, Meta(description="the record's id", examples=["7e9ae164-6a8b-4521-a2d4"])]
    window: WindowKey
    model: ModelKey
    model_version: ModelVersion
    cluster: ClusterNumber
    distance: Annotated[
        float | None,
        Meta(description="Euclidean distance to the cluster's centre, in scaled units", examples=[1.42]),
    ]
    event_time: Annotated[
        datetime, Meta(description="when it happened, UTC", examples=["2026-11-24T05:07:31.250000Z"])
    ]
    features: Annotated[
        Raw,
        Meta(
            description="the record's values, under the contract's own names",
            examples=[{"channel_name": "Inbound", "Item_price": 434.0, "CSAT Score": 5.0}],
        ),
    ]


class ClusterStats(msgspec.Struct, rename="camel"):
    """A cluster of a window. Beside these properties it has the contract's averages, null where no record
    of the cluster has the field."""

    model: ModelKey
    window: WindowKey
    model_version: ModelVersion
    cluster: ClusterNumber
    cluster_id: Annotated[
        str | None,
        Meta(
            description="the same over retraining; null until the window is matched to the one before",
            examples=["2026-11-23T1810Z/0"],
        ),
    ]
    cluster_name: Annotated[str | None, Meta(description="a name for the id", examples=["c1"])]
    count: Annotated[int, Meta(ge=0, description="records in the cluster", examples=[96])]
    share: Annotated[float, Meta(ge=0, le=1, description="part of the window's records", examples=[0.228])]
    features: Annotated[
        Raw,
        Meta(
            description="details per feature, under the contract's names: `nulls` and, of numbers, `mean`, "
            "`std`, `min`, `max`; of categories, `distinct` and `top`, the most frequent values with counts",
            examples=[{"Item_price": {"nulls": 12, "mean": 434.5, "std": 98.1, "min": 12.0, "max": 2999.0}}],
        ),
    ]


class Feature(msgspec.Struct):
    """What a model looks at."""

    kind: Annotated[Literal["category", "number"], Meta(examples=["number"])]
    mean: Annotated[
        float | None,
        Meta(
            description="of a number: it stands in for missing values; the median where the contract scales "
            "robustly",
            examples=[434.5],
        ),
    ]


class Model(msgspec.Struct, rename="camel"):
    """A trained model."""

    model: ModelKey
    window: WindowKey
    model_version: ModelVersion
    k: Annotated[int, Meta(description="number of clusters", examples=[2])]
    silhouette: Annotated[float | None, Meta(description="squared Euclidean", examples=[0.5868])]
    inertia: Annotated[
        float | None,
        Meta(description="sum of squared distances to the centres, in scaled units", examples=[883.5]),
    ]
    structure: Annotated[
        Literal["yes", "weak", "none", "unknown"] | None,
        Meta(
            description="whether the window has clusters at all: `yes` if both nulls are rejected or a "
            "feature is multimodal, `weak` if one is; null until it is tested, right after the publication",
            examples=["yes"],
        ),
    ]
    records: Annotated[int, Meta(description="records that it was trained on", examples=[421])]
    trained_at: Annotated[datetime, Meta(examples=["2026-11-24T05:10:03.120000Z"])]
    features: Annotated[
        dict[str, Feature],
        Meta(
            description="by name, in the order of the model's dimensions",
            examples=[{"Item_price": {"kind": "number", "mean": 434.5}}],
        ),
    ]


class Drift(msgspec.Struct, rename="camel"):
    """How far a window lies from a reference: in a feature, or as the reference's model explains it."""

    model: ModelKey
    window: WindowKey
    model_version: ModelVersion
    reference: Annotated[
        Literal["previous", "baseline"],
        Meta(description="the published window before, or the one that is pinned", examples=["previous"]),
    ]
    reference_window: WindowKey
    feature: Annotated[
        str | None,
        Meta(description="the contract's name; null: the model as a whole", examples=["Item_price"]),
    ]
    psi: Annotated[float | None, Meta(description="population stability index", examples=[0.031])]
    distance: Annotated[
        float | None,
        Meta(
            description="between the two windows: Kolmogorov-Smirnov of numbers, Cramér's V of categories",
            examples=[0.042],
        ),
    ]
    p: Annotated[
        float | None, Meta(description="of the two-sample test, after Holm's correction", examples=[0.62])
    ]
    inertia_ratio: Annotated[
        float | None,
        Meta(
            description="of the model: the inertia of the reference's model on this window, over its own",
            examples=[1.012],
        ),
    ]
    level: Annotated[
        Literal["none", "moderate", "major", "unknown"],
        Meta(
            description="`moderate` from an index of 0.1 and `major` from 0.25, where p is at most 0.01; of "
            "the model from a ratio of 1.2 and of 1.5; `unknown` below 500 records",
            examples=["none"],
        ),
    ]


class Health(msgspec.Struct):
    """That the API is well."""

    status: Annotated[Literal["live", "ready"], Meta(examples=["ready"])]


class Problem(msgspec.Struct):
    """An error, as RFC 9457 describes it."""

    type: Annotated[str, Meta(description="a stable name of the kind of problem, a URI")]
    title: Annotated[str, Meta(description="the kind of problem in words")]
    status: Annotated[int, Meta(description="the HTTP status")]
    detail: Annotated[str, Meta(description="what is wrong with this request, and what to do")]
    instance: Annotated[str, Meta(description="the path that was asked for")]
    parameter: Annotated[str | UnsetType, Meta(description="the parameter that is wrong")] = UNSET
    accepts: Annotated[str | UnsetType, Meta(description="what this parameter accepts")] = UNSET
    part: Annotated[str | UnsetType, Meta(description="the part of Silt that fails")] = UNSET
    index: Annotated[int | UnsetType, Meta(description="the record that is wrong, from 0")] = UNSET
    field: Annotated[str | UnsetType, Meta(description="the contract's field that is wrong")] = UNSET
    reason: Annotated[
        str | UnsetType, Meta(description="why a message like this record would be a dead letter")
    ] = UNSET


def cluster_stats(names: dict[str, str], row: dict[str, Any]) -> dict[str, Any]:
    """A :class:`ClusterStats` as it goes out: the contract's averages are properties of their own.

    Args:
        names: ``model``, ``window`` and ``modelVersion``.
        row: of the table ``cluster_stats``.
    """
    return {
        **names,
        **{name: row[name] for name in ("cluster", "count", "share")},
        **msgspec.json.decode(row["averages"], type=dict[str, Raw]),
        "features": Raw(row["features"].encode()),
    }
