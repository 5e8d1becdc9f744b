"""The query parameters of all routes: types for OpenAPI, and the refusal of what no route knows."""

from typing import Annotated, Any, Literal, get_args

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.openapi.spec import OpenAPIType, Schema
from litestar.params import PathParameter, QueryParameter

from api.formats import MEDIA_TYPES, Format
from api.intake_schemas import REASONS
from api.problems import BadParameterError
from api.schemas import MODELS, ModelName
from api.window_schemas import STATES, WindowState
from resources.contract import Reason

PAGE_ROWS = 10_000
"""Of a page, at most."""
_WINDOW_PATTERN = r"^\d{4}-\d\d-\d\dT\d{4}Z$"


def _described(kind: OpenAPIType, description: str, **more: Any) -> dict[str, Any]:
    """How OpenAPI shows an optional parameter: what may be left out is not thereby null."""
    return {"description": description, "schema_extra": {"type": kind, "one_of": None, **more}}


ModelParameter = Annotated[
    ModelName | None,
    QueryParameter(**_described(OpenAPIType.STRING, "one of the three models", enum=list(MODELS))),
]
WindowParameter = Annotated[
    str | None,
    QueryParameter(
        **_described(
            OpenAPIType.STRING,
            "a window, by the key that its start in UTC gives it, such as `2026-11-24T0505Z`",
            pattern=_WINDOW_PATTERN,
        )
    ),
]
WindowInPath = Annotated[str, PathParameter(description="the window's key, such as `2026-11-24T0505Z`")]
ReasonParameter = Annotated[
    Reason | None,
    QueryParameter(**_described(OpenAPIType.STRING, "why a message is a dead letter", enum=list(REASONS))),
]
ModelInPath = Annotated[ModelName, PathParameter(description="one of the three models")]
StateParameter = Annotated[
    WindowState | None,
    QueryParameter(
        name="state", **_described(OpenAPIType.STRING, "what has become of the window", enum=list(STATES))
    ),
]
ClusterParameter = Annotated[
    int | None,
    QueryParameter(
        ge=0, le=999, **_described(OpenAPIType.INTEGER, "a cluster's number in its model", minimum=0)
    ),
]
FromParameter = Annotated[
    str | None,
    QueryParameter(
        name="from",
        **_described(OpenAPIType.STRING, "the first window, by its key", pattern=_WINDOW_PATTERN),
    ),
]
ToParameter = Annotated[
    str | None,
    QueryParameter(
        name="to",
        **_described(
            OpenAPIType.STRING, "the window before which to end, by its key", pattern=_WINDOW_PATTERN
        ),
    ),
]
FormatParameter = Annotated[
    Format | None,
    QueryParameter(
        name="format",
        **_described(
            OpenAPIType.STRING, "the format of the list; it wins over `Accept`", enum=list(MEDIA_TYPES)
        ),
    ),
]
LimitParameter = Annotated[
    int | Literal["all"],
    QueryParameter(
        description="rows on a page, at most; `all` streams all that is left",
        schema_extra={
            "one_of": [
                Schema(type=OpenAPIType.INTEGER, minimum=1, maximum=PAGE_ROWS),
                Schema(type=OpenAPIType.STRING, const="all"),
            ],
        },
    ),
]
CursorParameter = Annotated[
    str | None,
    QueryParameter(
        **_described(OpenAPIType.STRING, "where the page starts: given by the Link header of the last one")
    ),
]
IdParameter = Annotated[
    str | None,
    QueryParameter(
        name="uniqueId", **_described(OpenAPIType.STRING, "a record's id, such as no path can carry")
    ),
]


def refuse_unknown_parameters(
    connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler
) -> None:
    """A guard: every query parameter must be one of the route's, and be given once.

    Raises:
        BadParameterError: one is not.
    """
    known = _types(handler)
    for name in connection.query_params:
        if name not in known:
            accepts = ", ".join(known) or "none"
            detail = f"This route has no parameter {name!r}. It has: {accepts}."
            raise BadParameterError(name, detail, accepts=accepts)
        if len(connection.query_params.getall(name)) > 1:
            raise BadParameterError(name, f"{name} is given more than once.")
        value = connection.query_params[name]
        if value.lower() == "null" and not known[name]:  # the framework would take it for None
            raise BadParameterError(name, f"{name} may be left out, but not null.")


def _types(handler: BaseRouteHandler) -> dict[str, bool]:
    """A route's query parameters, and whether any text is one's value."""
    parameters = handler.parsed_fn_signature.parameters.values()
    return {
        kwarg.name or field.name: str in (field.annotation, *get_args(field.annotation))
        for field in parameters
        if isinstance(kwarg := field.kwarg_definition, QueryParameter)
    }
