"""How answers go out, and the problems that every route documents."""

from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import MediaType, Request, Response
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example

from api.problems import ACCEPTS, INTERNAL, MEDIA_TYPE, TYPES, UNAVAILABLE
from api.schemas import Problem

_MEANINGS = {
    400: "A parameter is unknown, or its value is not accepted: `parameter` names it.",
    404: "The window has no published answer, or nothing published has the id.",
    500: "Something went wrong inside the API.",
    503: "The lake is not there yet, or cannot be read: `part` names what fails.",
}
_EXAMPLES = {
    400: {
        "type": f"{TYPES}invalid-parameter",
        "title": "Invalid Parameter",
        "detail": f"model='model_4' is not accepted: it takes {ACCEPTS['model']}.",
        "parameter": "model",
        "accepts": ACCEPTS["model"],
    },
    404: {
        "type": f"{TYPES}not-found",
        "title": "Not Found",
        "detail": "The window 2026-11-24T0505Z has no published answer.",
    },
    500: {"type": f"{TYPES}internal", "title": "Internal Server Error", "detail": INTERNAL},
    503: {
        "type": f"{TYPES}unavailable",
        "title": "Service Unavailable",
        "detail": UNAVAILABLE,
        "part": "lake",
    },
}


def problems(*statuses: int) -> dict[int, ResponseSpec]:
    """The OpenAPI descriptions of a route's errors."""
    return {status: _described(status) for status in statuses}


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


def next_link(request: Request[Any, Any, Any], parameters: dict[str, Any]) -> str:
    """The ``Link`` header's value for the same route with these parameters (None: left out)."""
    given = {name: value for name, value in parameters.items() if value is not None}
    return f'<{request.url.with_replacements(query=urlencode(given))}>; rel="next"'
