"""What the API says of versions of models, and of records that it assigns with them."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from api.schemas import ClusterNumber, ModelKey, ModelVersion, WindowKey

Distance = Annotated[
    float | None, Meta(description="Euclidean, to the centre, in scaled units", examples=[1.42])
]
ClusterId = Annotated[
    str | None,
    Meta(description="the same over retraining; null until matched", examples=["2026-11-23T1810Z/0"]),
]
ClusterName = Annotated[str | None, Meta(description="a name for the id", examples=["c1"])]
SecondCluster = Annotated[int | None, Meta(description="the second-best cluster", examples=[0])]
Margin = Annotated[
    float | None,
    Meta(
        description="how much nearer the cluster is than the second-best one: 1 - distance / secondDistance; "
        "0 on the border between the two, 1 at the centre",
        examples=[0.57],
    ),
]


class VersionFeature(msgspec.Struct, rename="camel"):
    """How a version turns a field into a dimension, or several."""

    name: Annotated[str, Meta(description="the contract's", examples=["Item_price"])]
    kind: Annotated[Literal["category", "number"], Meta(examples=["number"])]
    labels: Annotated[
        list[str],
        Meta(
            description="of a category, the most frequent first: a label's place is its value; what is "
            "unknown or missing comes behind the last",
            examples=[[]],
        ),
    ]
    fill: Annotated[
        float | None, Meta(description="of a number: it stands in for a missing one", examples=[434.5])
    ]
    scale: Annotated[float, Meta(description="what the value is multiplied with", examples=[0.01])]
    one_hot: Annotated[bool, Meta(description="a dimension per label and one for all else", examples=[False])]


class VersionCluster(msgspec.Struct, rename="camel"):
    """A cluster of a version, as it was trained."""

    cluster: ClusterNumber
    size: Annotated[int, Meta(ge=0, description="records", examples=[96])]
    silhouette: Annotated[
        float | None, Meta(description="mean of its records; null: it is empty", examples=[0.61])
    ]
    centre: Annotated[
        list[float], Meta(description="in scaled units, a number a dimension", examples=[[4.2, 0.13]])
    ]
    means: Annotated[
        dict[str, float | None],
        Meta(
            description="of the features that are numbers, in the contract's units; null: it weighs nothing",
            examples=[{"Item_price": 420.0}],
        ),
    ]


class Candidate(msgspec.Struct, rename="camel"):
    """A number of clusters that was looked at."""

    k: Annotated[int, Meta(examples=[3])]
    inertia: float | None
    silhouette: float | None
    calinski_harabasz: float | None
    davies_bouldin: float | None
    stability: float | None


class Version(msgspec.Struct, rename="camel"):
    """A model as it was trained for a window: all that assigning a record takes."""

    model: ModelKey
    window: WindowKey
    model_version: ModelVersion
    revision: Annotated[int, Meta(ge=1, examples=[1])]
    contract_version: Annotated[str | None, Meta(examples=["3f9c2b1a7d40"])]
    trainer: Annotated[str | None, Meta(description="`coreset` or `mllib`", examples=["coreset"])]
    seed: Annotated[int | None, Meta(examples=[23])]
    libraries: Annotated[str | None, Meta(examples=["pyspark 4.2.0, scikit-learn 1.7.2"])]
    trained_at: Annotated[datetime, Meta(examples=["2026-11-24T05:10:03.120000Z"])]
    first_source: Annotated[
        str | None, Meta(description="the first window that it saw", examples=["2026-11-24T0505Z"])
    ]
    records: Annotated[int, Meta(description="that it was trained on", examples=[421])]
    k: Annotated[int, Meta(description="number of clusters", examples=[2])]
    silhouette: Annotated[float | None, Meta(description="squared Euclidean", examples=[0.5868])]
    inertia: Annotated[
        float | None, Meta(description="sum of squared distances, in scaled units", examples=[883.5])
    ]
    separation: Annotated[
        float | None, Meta(description="least distance of two centres, in scaled units", examples=[2.9])
    ]
    converged: Annotated[bool | None, Meta(examples=[True])]
    iterations: Annotated[int | None, Meta(examples=[7])]
    starts: Annotated[int | None, Meta(description="independent ones", examples=[10])]
    found: Annotated[int | None, Meta(description="starts that reached the best inertia", examples=[10])]
    sample: Annotated[
        int | None, Meta(description="points that the centres were fitted to; null: all", examples=[421])
    ]
    candidates: Annotated[
        list[Candidate], Meta(description="empty where the contract fixes the number of clusters")
    ]
    left_out: Annotated[
        list[str], Meta(description="features with too many nulls in these windows", examples=[[]])
    ]
    features: Annotated[list[VersionFeature], Meta(description="in the order of the dimensions")]
    clusters: list[VersionCluster]


class Prediction(msgspec.Struct, rename="camel"):
    """The cluster that a record would be in."""

    unique_id: Annotated[
        str | None, Meta(description="the record's id, if it has one", examples=["7e9ae164-6a8b-4521"])
    ]
    model: ModelKey
    model_version: ModelVersion
    cluster: ClusterNumber
    cluster_id: ClusterId
    cluster_name: ClusterName
    distance: Distance
    second_cluster: SecondCluster
    second_distance: Distance
    margin: Margin
    imputed: Annotated[
        list[str], Meta(description="numbers that were missing and filled", examples=[["Item_price"]])
    ]
    unknown: Annotated[
        list[str],
        Meta(description="categories that were missing, or have a label unseen in training", examples=[[]]),
    ]
