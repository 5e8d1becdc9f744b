"""What the API counts of itself, for ``GET /metrics``."""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.registry import Collector

disable_created_metrics()  # type: ignore[no-untyped-call]  # a series beside each counter's, which nobody asks for
REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

REFUSALS = Counter(
    "silt_api_refusals", "Requests answered with a problem, by its kind.", ["kind"], registry=REGISTRY
)
REQUESTS = Counter(
    "silt_api_requests", "Requests answered.", ["method", "route", "status"], registry=REGISTRY
)
SECONDS = Histogram(
    "silt_api_request_seconds",
    "From a request's arrival to the end of its answer.",
    ["method", "route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    registry=REGISTRY,
)
IN_FLIGHT = Gauge("silt_api_requests_in_flight", "Requests that are being answered.", registry=REGISTRY)


def registry_of(collector: Collector) -> CollectorRegistry:
    """What an application shows: what this process counts, and another collector's metrics."""
    registry = CollectorRegistry()
    registry.register(REGISTRY)
    registry.register(collector)
    return registry
