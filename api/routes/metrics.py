"""``GET /metrics``."""

from typing import Any

from litestar import Controller, MediaType, Request, Response, get
from litestar.di import NamedDependency
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from api.responses import problems


class MetricsController(Controller):
    """What Prometheus reads."""

    path = "/metrics"
    tags = ("health",)

    @get(
        summary="Metrics for Prometheus",
        description="Of the API's requests and its process, and of the lake: windows by state, the topic's "
        "lag and watermarks, models. A client that accepts `application/openmetrics-text` gets that.",
        operation_id="getMetrics",
        response_description="metrics in Prometheus' text format; `silt_lake_up 0` where the lake is away",
        responses=problems(400, 500),
        media_type=MediaType.TEXT,
        sync_to_thread=True,
    )
    def get_metrics(
        self, request: Request[Any, Any, Any], metrics: NamedDependency[CollectorRegistry]
    ) -> Response[str]:
        encode, media_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(metrics).decode(), media_type=media_type)
