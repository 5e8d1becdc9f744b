"""What the API says of clusters over time."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from api.model_schemas import ClusterId, ClusterName, Distance, Margin, SecondCluster
from api.schemas import ClusterNumber, ModelKey, ModelVersion, WindowKey


class ClusterEvent(msgspec.Struct, rename="camel"):
    """What became of clusters since the published window before."""

    window: WindowKey
    model: ModelKey
    model_version: ModelVersion
    previous_window: Annotated[
        str | None,
        Meta(description="that window; null: this one is the first", examples=["2026-11-24T0500Z"]),
    ]
    event: Annotated[
        Literal["survived", "split", "merged", "appeared", "disappeared"], Meta(examples=["survived"])
    ]
    before: Annotated[list[int], Meta(description="clusters of the window before", examples=[[0]])]
    before_ids: Annotated[
        list[str | None], Meta(description="their ids, as far as known", examples=[["2026-11-23T1810Z/0"]])
    ]
    after: Annotated[list[int], Meta(description="clusters of this window", examples=[[1]])]
    after_ids: Annotated[
        list[str | None], Meta(description="their ids, as far as known", examples=[["2026-11-23T1810Z/0"]])
    ]
    overlaps: Annotated[
        list[float],
        Meta(
            description="the share of each of `before` that is in each of `after`: one of the two is single",
            examples=[[0.97]],
        ),
    ]


class Past(msgspec.Struct, rename="camel"):
    """A record's cluster in one of the windows that have its id."""

    window: WindowKey
    model: ModelKey
    model_version: ModelVersion
    revision: Annotated[int, Meta(ge=1, description="of the window's answer", examples=[1])]
    cluster: ClusterNumber
    cluster_id: ClusterId
    cluster_name: ClusterName
    distance: Distance
    second_cluster: SecondCluster
    second_distance: Distance
    margin: Margin
    event_time: Annotated[
        datetime, Meta(description="when it happened, UTC", examples=["2026-11-24T05:07:31.250000Z"])
    ]
