"""Every error of the API as ``application/problem+json`` (RFC 9457), mapped here and nowhere else."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, get_args

import msgspec
from deltalake.exceptions import DeltaError
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.types import ExceptionHandlersMap
from polars.exceptions import PolarsError

from api.counters import REFUSALS
from api.schemas import Problem
from resources.contract import Reason
from resources.errors import SiltError

MEDIA_TYPE = "application/problem+json"
TYPES = "urn:silt:problem:"
ACCEPTS = {
    "model": "model_1, model_2 or model_3",
    "reason": ", ".join(get_args(Reason)),
    "state": "open, due, published, empty, too-few, incomplete or failed",
    "window": "a window's start in UTC, like 2026-11-24T0505Z",
    "cluster": "a whole number from 0 to 999",
    "limit": "a whole number from 1 to 10000, or all",
    "cursor": "the cursor of a Link header, with the filters of the page that the header came with",
    "format": "json, ndjson, csv or arrow",
    "from": "a window's start in UTC, like 2026-11-24T0505Z: the first window",
    "to": "a window's start in UTC, like 2026-11-24T0505Z: the first window that is left out",
    "uniqueId": "the id of a record, in UTF-8",
}
_PARAMETERS = {
    "unique_id": "uniqueId",
    "format_": "format",
    "first": "from",
    "end": "to",
    "window_state": "state",
}
"""By their names in Python, where those differ."""
INTERNAL = "Something went wrong inside the API. Its log says what."
UNAVAILABLE = "The lake is not there yet or cannot be read. Try again; the API's log says what is wrong."
_FRAMEWORK = {
    400: ("bad-request", "Bad Request", "The request cannot be understood."),
    404: ("not-found", "Not Found", "There is no such route: /schema shows those there are."),
    405: ("method-not-allowed", "Method Not Allowed", "The route has other methods: `Allow` names them."),
    406: ("not-acceptable", "Not Acceptable", "The route has no answer in a format that is accepted."),
    413: ("too-large", "Content Too Large", "The body is larger than the route takes."),
    415: ("unsupported-media-type", "Unsupported Media Type", "The route takes JSON: `application/json`."),
    422: ("unprocessable-content", "Unprocessable Content", "The body is not what the route takes."),
    500: ("internal", "Internal Server Error", INTERNAL),
}
"""What the framework itself refuses: kind, title and detail by status."""
_INSTANCE = 2_000
"""Characters of a path that a problem repeats, at most."""
_LOG = logging.getLogger("silt.api")


class ProblemError(Exception):
    """An error that the API answers with. Its text is the problem's ``detail``."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR
    kind = "internal"
    title = "Internal Server Error"
    retry_after: int | None = None
    """Seconds after which to try again."""

    @property
    def more(self) -> dict[str, Any]:
        """Properties beyond those of RFC 9457."""
        return {}

    @property
    def headers(self) -> dict[str, str]:
        """Headers that the answer needs."""
        return {"Retry-After": str(self.retry_after)} if self.retry_after else {}


class BadParameterError(ProblemError):
    """A parameter that is not known, or has a value that it does not accept."""

    status = HTTPStatus.BAD_REQUEST
    kind = "invalid-parameter"
    title = "Invalid Parameter"

    def __init__(self, parameter: str, detail: str, accepts: str | None = None) -> None:
        super().__init__(detail)
        self.parameter = parameter
        self.accepts = accepts or ACCEPTS[parameter]

    @property
    def more(self) -> dict[str, str]:
        return {"parameter": self.parameter, "accepts": self.accepts}


class NotThereError(ProblemError):
    """A window or record that does not exist, or is not published."""

    status = HTTPStatus.NOT_FOUND
    kind = "not-found"
    title = "Not Found"


class NotAcceptableError(ProblemError):
    """None of the formats that the client accepts is one of ours."""

    status = HTTPStatus.NOT_ACCEPTABLE
    kind = "not-acceptable"
    title = "Not Acceptable"

    def __init__(self, accepts: str) -> None:
        super().__init__(f"This list can be had as {accepts}: name one in Accept, or ask with ?format=.")
        self.accepts = accepts

    @property
    def more(self) -> dict[str, str]:
        return {"accepts": self.accepts}


class WalkExpiredError(ProblemError):
    """A walk from page to page whose data have been replaced, and are no longer kept."""

    status = HTTPStatus.GONE
    kind = "walk-expired"
    title = "Walk Expired"

    def __init__(self, start: str) -> None:
        super().__init__(
            f"What this walk reads has been replaced and is no longer kept: start again at {start}"
        )


class BusyError(ProblemError):
    """As many exports run as may at once."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    kind = "busy"
    title = "Busy"
    retry_after = 30


class VersionGoneError(Exception):
    """A version of a table, or what it held, is no longer kept. The text is for the log."""


class UnavailableError(Exception):
    """The lake does not hold what its own rows say. The text is for the log: it may name places."""


UNREADABLE = (UnavailableError, VersionGoneError, SiltError, DeltaError, PolarsError, OSError)
"""What reading a lake raises that is away, torn or of other settings."""


def asked_path(request: Request[Any, Any, Any]) -> str:
    """The path as the client wrote it, percent-encoded and unchanged by the framework's routing."""
    return str(request.scope["raw_path"].partition(b"?")[0], "latin-1")


def on_problem(request: Request[Any, Any, Any], error: ProblemError) -> Response[bytes]:
    """Answer with one of our own errors."""
    return _respond(
        request,
        error.status,
        str(error),
        kind=error.kind,
        title=error.title,
        headers=error.headers,
        more=error.more,
    )


def on_unreadable_lake(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer 503; where the lake is and what is wrong with it goes into the log alone."""
    _LOG.error("The lake cannot be read: %s", error, exc_info=not isinstance(error, SiltError))
    return _respond(
        request, 503, UNAVAILABLE, kind="unavailable", title="Service Unavailable", more={"part": "lake"}
    )


def on_invalid_parameter(request: Request[Any, Any, Any], error: ValidationException) -> Response[bytes]:
    """Name the first parameter whose value has the wrong type or lies outside its bounds."""
    first = error.extra[0] if isinstance(error.extra, list) and error.extra else {}
    name = str(first.get("key"))
    name = _PARAMETERS.get(name, name)
    if name not in ACCEPTS:
        return on_http_error(request, error)
    given = request.query_params.get(name) or request.path_params.get(name, "")
    detail = f"{name}={given!r} is not accepted: it takes {ACCEPTS[name]}."
    return on_problem(request, BadParameterError(name, detail))


def on_http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Answer what the framework refuses: an unknown route, a wrong method, a body that is too large."""
    status = error.status_code if error.status_code in _FRAMEWORK else 400 if error.status_code < 500 else 500
    kind, title, detail = _FRAMEWORK[status]
    headers = dict(error.headers or {})
    if "GET" in (allowed := headers.get("allow", "")):
        headers["allow"] = ", ".join(sorted({"HEAD", *allowed.split(", ")}))  # which the framework leaves out
    return _respond(request, status, detail, kind=kind, title=title, headers=headers)


def on_unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer 500 and say nothing about the inside."""
    _LOG.error("An unexpected error", exc_info=error)
    return _respond(request, 500, INTERNAL, kind=ProblemError.kind, title=ProblemError.title)


HANDLERS: ExceptionHandlersMap = {
    ProblemError: on_problem,
    ValidationException: on_invalid_parameter,
    HTTPException: on_http_error,
    **dict.fromkeys(UNREADABLE, on_unreadable_lake),
    Exception: on_unexpected,
}


def _respond(
    request: Request[Any, Any, Any],
    status: int,
    detail: str,
    *,
    kind: str,
    title: str,
    headers: Mapping[str, str] | None = None,
    more: Mapping[str, Any] | None = None,
) -> Response[bytes]:
    REFUSALS.labels(kind).inc()
    problem = Problem(
        f"{TYPES}{kind}", title, int(status), detail, asked_path(request)[:_INSTANCE], **(more or {})
    )
    return Response(
        msgspec.json.encode(problem),
        status_code=int(status),
        media_type=MEDIA_TYPE,
        headers=dict(headers or {}),
    )
