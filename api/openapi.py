"""The OpenAPI document at ``/schema``, and its page, whose parts come from this process, not from a CDN."""

from importlib.resources import files
from typing import Any

import msgspec
from litestar import Response, Router, get
from litestar._openapi.schema_generation import SchemaCreator
from litestar._openapi.schema_generation.plugins.struct import StructSchemaPlugin
from litestar.datastructures import CacheControlHeader
from litestar.exceptions import NotFoundException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, SwaggerRenderPlugin, YamlRenderPlugin
from litestar.openapi.spec import (
    Components,
    Example,
    OpenAPIMediaType,
    OpenAPIType,
    Reference,
    RequestBody,
    Schema,
    Tag,
)
from litestar.params import FromPath
from litestar.plugins import OpenAPISchemaPlugin
from litestar.typing import FieldDefinition

from api.predictions import MOST_RECORDS
from api.schemas import ClusterStats
from api.scopes import OPEN, SCHEMES
from resources.contract import Contract, FieldType

VERSION = "1.0.0"
_PAGE_PARTS = {
    "swagger_bundle.js": "text/javascript",
    "swagger_preset.js": "text/javascript",
    "swagger_style.css": "text/css",
}
_RECORD_EXAMPLE = {
    "channel_name": "Inbound",
    "Sub-category": "Installation/demo",
    "Product_category": "Electronics",
    "Item_price": "434",
    "CSAT Score": 5,
}
_CLUSTER_STATS_EXAMPLE = {
    "model": "model_2",
    "window": "2026-11-24T0505Z",
    "modelVersion": "model_2/2026-11-24T0505Z/r1",
    "cluster": 1,
    "clusterId": "2026-11-23T1810Z/0",
    "clusterName": "c1",
    "count": 96,
    "share": 0.228,
    "avgCSAT": 4.25,
    "avgPrice": None,
    "features": {
        "channel_name": {"nulls": 0, "distinct": 2, "top": {"Inbound": 90, "Outcall": 6}},
        "Item_price": {"nulls": 12, "mean": 434.5, "std": 98.1, "min": 12.0, "max": 2999.0},
    },
}


class ContractNamesPlugin(OpenAPISchemaPlugin):
    """Documents what has the contract's names: JSON that the lake keeps as text, and the averages."""

    @staticmethod
    def is_plugin_supported_type(value: Any) -> bool:
        return value in {msgspec.Raw, ClusterStats}

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: SchemaCreator) -> Schema:
        if field_definition.annotation is msgspec.Raw:
            return Schema(type=OpenAPIType.OBJECT, additional_properties=True)
        schema = StructSchemaPlugin().to_openapi_schema(field_definition, schema_creator)
        schema.additional_properties = Schema(
            type=[OpenAPIType.NUMBER, OpenAPIType.NULL],
            description="an average of the contract, such as `avgCSAT`",
        )
        schema.examples = [_CLUSTER_STATS_EXAMPLE]
        return schema


def records_body(contract: Contract) -> RequestBody:
    """Records as a client sends them: the contract's fields, none of which must be there."""
    record = Schema(
        type=OpenAPIType.OBJECT,
        title="Record",
        description="a record in the contract's terms; what else it holds is passed over",
        properties={name: _field(kind) for name, kind in contract.fields.items()},
    )
    several = Schema(type=OpenAPIType.ARRAY, items=record, max_items=MOST_RECORDS)
    example = {name: _RECORD_EXAMPLE.get(name) for name in contract.features}
    examples: dict[str, Example | Reference] = {
        "one": Example(summary="one record", value=example),
        "several": Example(summary="several records", value=[example, example]),
    }
    return RequestBody(
        {"application/json": OpenAPIMediaType(Schema(one_of=[record, several]), examples=examples)},
        description=f"a record, or an array of at most {MOST_RECORDS}; as a message of the topic, but id "
        "and event time may be missing",
        required=True,
    )


def _field(kind: FieldType) -> Schema:
    text = Schema(type=[OpenAPIType.STRING, OpenAPIType.NULL])
    if kind == "string":
        return text
    numeric = Schema(type=OpenAPIType.STRING, pattern=r"^([+-]?[0-9]{1,15}(\.[0-9]{1,15})?)?$")
    number = Schema(type=[OpenAPIType.NUMBER, OpenAPIType.NULL])
    return Schema(one_of=[number, numeric], description="a number, or a numeric string")


class SchemaPage(SwaggerRenderPlugin):
    """Swagger UI, with its scripts and styles from the installed package ``offapi``."""

    def __init__(self) -> None:
        super().__init__(
            path="/",
            js_url="/schema/page/swagger_bundle.js",
            css_url="/schema/page/swagger_style.css",
            standalone_preset_js_url="/schema/page/swagger_preset.js",
            favicon='<link rel="icon" href="data:,">',
        )

    def receive_router(self, router: Router) -> None:
        router.register(get_page_part)


@get(
    "/page/{name:str}",
    include_in_schema=False,
    sync_to_thread=True,
    cache_control=CacheControlHeader(max_age=86_400),
)
def get_page_part(name: FromPath[str]) -> Response[bytes]:
    """A script or style of the page."""
    if name not in _PAGE_PARTS:
        raise NotFoundException
    return Response(files("offapi").joinpath(name).read_bytes(), media_type=_PAGE_PARTS[name])


def openapi_config(contract: Contract, closed: bool) -> OpenAPIConfig:
    """What the OpenAPI document says beside the routes; ``closed``: how keys are sent as well."""
    return OpenAPIConfig(
        title="Silt",
        version=VERSION,
        description="Clusters of a Kafka topic's records, window by window. Three models take turns: the "
        "first window of each cycle of three trains `model_1`, the second `model_2`, the third `model_3`. "
        "Errors are `application/problem+json` (RFC 9457).",
        tags=[
            Tag("cluster-stats", "the clusters of windows"),
            Tag("clustering-results", "the cluster of every record"),
            Tag("models", "the trained models"),
            Tag("drift", "how far windows have moved"),
            Tag("cluster-events", "what became of clusters over time"),
            Tag("intakes", "the reads of the topic"),
            Tag("dead-letters", "messages that are no records"),
            Tag("windows", "what has become of windows"),
            Tag("health", "whether the API runs and can answer"),
        ],
        components=[
            Components(request_bodies={"Records": records_body(contract)}),
            *([SCHEMES] if closed else []),
        ],
        openapi_router=Router(path="/schema", route_handlers=[], include_in_schema=False, opt=OPEN),
        render_plugins=[SchemaPage(), JsonRenderPlugin(), YamlRenderPlugin()],
    )
