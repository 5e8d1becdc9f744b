"""How answers go out, and the problems that every route documents."""

from dataclasses import dataclass
from typing import Any

import msgspec
from litestar import MediaType, Response
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import (
    Example,
    OpenAPIHeader,
    OpenAPIMediaType,
    OpenAPIResponse,
    OpenAPIType,
    Operation,
    Schema,
)

from api.formats import MEDIA_TYPES, Format
from api.problems import (
    ACCEPTS,
    INTERNAL,
    MEDIA_TYPE,
    TYPES,
    UNAVAILABLE,
    NotAcceptableError,
    WalkExpiredError,
)
from api.refusals import NO_KEY
from api.schemas import Problem

_BY_KEY = (401, 403)
_EVERYWHERE = (414, 429)
_MEANINGS = {
    400: "A parameter is unknown, or its value is not accepted: `parameter` names it.",
    401: "There is no key, or it is wrong or was revoked.",
    403: "The key has not the scope that the route needs.",
    404: "The window has no published answer, or nothing published has the id.",
    406: "None of the media types in `Accept` can be had: `accepts` lists those that can.",
    409: "The version does not fit the present contract: choose another.",
    410: "What the walk reads has been replaced and is no longer kept: start again without `cursor`.",
    413: "The body is larger than the route takes, or holds too many records.",
    414: "The URL is longer than 16 KiB.",
    415: "The body is in a format that the route does not take.",
    422: "A record breaks the contract: `index`, `field` and `reason` say where and why.",
    429: "More requests, or more wrong keys, than a minute allows: `Retry-After` says when to ask again.",
    500: "Something went wrong inside the API.",
    503: "The lake is not there yet, or cannot be read: `part` names what fails. Or there was no time.",
}
_EXAMPLES: dict[int, dict[str, Any]] = {
    400: {
        "type": f"{TYPES}invalid-parameter",
        "title": "Invalid Parameter",
        "detail": f"model='model_4' is not accepted: it takes {ACCEPTS['model']}.",
        "parameter": "model",
        "accepts": ACCEPTS["model"],
    },
    401: {"type": f"{TYPES}unauthorized", "title": "Unauthorized", "detail": NO_KEY},
    403: {
        "type": f"{TYPES}insufficient-scope",
        "title": "Insufficient Scope",
        "detail": "The key has not the scope 'read'.",
    },
    404: {
        "type": f"{TYPES}not-found",
        "title": "Not Found",
        "detail": "The window 2026-11-24T0505Z has no published answer.",
    },
    406: {
        "type": f"{TYPES}not-acceptable",
        "title": "Not Acceptable",
        "detail": str(NotAcceptableError(", ".join(MEDIA_TYPES.values()))),
        "accepts": ", ".join(MEDIA_TYPES.values()),
    },
    409: {
        "type": f"{TYPES}cannot-assign",
        "title": "Cannot Assign",
        "detail": "model_2/2026-11-24T0505Z/r1 cannot assign records: its feature 'price' is no number field "
        "of the contract any more. Choose another version.",
    },
    410: {
        "type": f"{TYPES}walk-expired",
        "title": "Walk Expired",
        "detail": str(WalkExpiredError("/api/clustering-results?limit=100")),
    },
    413: {
        "type": f"{TYPES}too-large",
        "title": "Content Too Large",
        "detail": "The body is larger than the route takes.",
    },
    414: {
        "type": f"{TYPES}uri-too-long",
        "title": "URI Too Long",
        "detail": "The URL is longer than 16384 bytes.",
    },
    415: {
        "type": f"{TYPES}unsupported-media-type",
        "title": "Unsupported Media Type",
        "detail": "The route takes JSON: `application/json`.",
    },
    422: {
        "type": f"{TYPES}invalid-record",
        "title": "Invalid Record",
        "detail": "Record 3: 'Item_price' is 'abc', which is no number.",
        "index": 3,
        "field": "Item_price",
        "reason": "wrong-type",
    },
    429: {
        "type": f"{TYPES}too-many-requests",
        "title": "Too Many Requests",
        "detail": "More requests than a minute allows. Ask again in 3 s.",
    },
    500: {"type": f"{TYPES}internal", "title": "Internal Server Error", "detail": INTERNAL},
    503: {
        "type": f"{TYPES}unavailable",
        "title": "Service Unavailable",
        "detail": UNAVAILABLE,
        "part": "lake",
    },
}


def problems(*statuses: int, keys: bool = True) -> dict[int, ResponseSpec]:
    """The OpenAPI descriptions of a route's errors; ``keys``: whether it needs one where there are any."""
    every = {*statuses, *_EVERYWHERE, *(_BY_KEY if keys else ())}
    return {status: _described(status) for status in sorted(every)}


def _described(status: int) -> ResponseSpec:
    example = {**_EXAMPLES[status], "status": status, "instance": "/api/cluster-stats"}
    return ResponseSpec(
        Problem,
        media_type=MEDIA_TYPE,
        description=_MEANINGS[status],
        generate_examples=False,
        examples=[Example(value=example)],
    )


def as_json(answer: Any, headers: dict[str, str] | None = None) -> Response[Any]:
    """An object or an array as JSON, without an envelope."""
    return Response(msgspec.json.encode(answer), media_type=MediaType.JSON, headers=headers)


@dataclass
class ValidatedOperation(Operation):
    """Documents an answer with a validator."""

    def __post_init__(self) -> None:
        self._responses["304"] = OpenAPIResponse("`If-None-Match` names what the client has")
        self._add_header("ETag", "names this representation; send it as `If-None-Match`")
        self._add_header("Cache-Control", "keep it, but ask each time: a window may be published again")

    @property
    def _responses(self) -> dict[str, Any]:
        return self.responses or {}

    def _add_header(self, name: str, description: str) -> None:
        answer = self._responses["200"]
        header = OpenAPIHeader(description=description, schema=Schema(type=OpenAPIType.STRING))
        answer.headers = {**(answer.headers or {}), name: header}


class ListOperation(ValidatedOperation):
    """Documents a list, which can be had in several formats."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, description in _OTHER_FORMATS.items():
            schema = Schema(type=OpenAPIType.STRING, description=description)
            self._responses["200"].content[MEDIA_TYPES[name]] = OpenAPIMediaType(schema)


class PagesOperation(ListOperation):
    """Documents a list that goes out in pages."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._add_header("Link", 'the next page, as `<…>; rel="next"`; absent on the last page')


_OTHER_FORMATS: dict[Format, str] = {
    "ndjson": "the same objects, one a line",
    "csv": "the same rows under a line of names; what is nested is JSON text",
    "arrow": "the same rows as an Arrow IPC stream; what is nested is JSON text",
}
