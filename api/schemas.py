"""What the API answers, as types: the OpenAPI document is made from them."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

ModelName = Literal["model_1", "model_2", "model_3"]
MODELS: tuple[ModelName, ...] = ("model_1", "model_2", "model_3")
"""By slot: the first window of a cycle trains the first."""

_Model = Annotated[ModelName, Meta(description="the model that the window trains", examples=["model_2"])]
_Window = Annotated[
    str, Meta(description="the window's key: its start in UTC", examples=["2026-11-24T0505Z"])
]
_ModelVersion = Annotated[
    str, Meta(description="model, window and revision", examples=["model_2/2026-11-24T0505Z/r1"])
]
_Cluster = Annotated[int, Meta(ge=0, description="number of the cluster in its model", examples=[1])]


class Clustered(msgspec.Struct, rename="camel"):
    """The cluster of a record in a window."""

    unique_id: Annotated[str, Meta(description="the record's id", examples=["7e9ae164-6a8b-4521-a2d4"])]
    window: _Window
    model: _Model
    model_version: _ModelVersion
    cluster: _Cluster
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

    model: _Model
    window: _Window
    model_version: _ModelVersion
    cluster: _Cluster
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
        float | None, Meta(description="of a number: it stands in for missing values", examples=[434.5])
    ]


class Model(msgspec.Struct, rename="camel"):
    """A trained model."""

    model: _Model
    window: _Window
    model_version: _ModelVersion
    k: Annotated[int, Meta(description="number of clusters", examples=[2])]
    silhouette: Annotated[float | None, Meta(description="squared Euclidean", examples=[0.5868])]
    inertia: Annotated[
        float | None,
        Meta(description="sum of squared distances to the centres, in scaled units", examples=[883.5]),
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
