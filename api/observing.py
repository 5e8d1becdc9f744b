"""The outermost layer of the API: it names every request, times and counts it, and logs a line of it."""

import itertools
import logging
import re
import secrets
import time
from functools import cache
from typing import Any

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send
from prometheus_client import Counter, Histogram

from api.counters import IN_FLIGHT, REQUESTS, SECONDS
from api.scopes import KEY
from resources.logs import REQUEST_ID

HEADER = "X-Request-ID"
_SANE = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"})
_UNMATCHED = "unmatched"
_GONE = 499
"""In place of a status: the client had gone before the answer began. nginx counts it so."""
_PROCESS = secrets.token_hex(8)
_NUMBERS = itertools.count()
_LOG = logging.getLogger("silt.access")
_LINE = logging.LogRecord(_LOG.name, logging.INFO, __file__, 0, "%s %s %d %.1f ms", None, None).__dict__


class Observing:
    """Wraps an ASGI application.

    A line names the route and not the path or the query: those hold record ids, cursors, and what else a
    client puts there.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            for handler in _LOG.handlers:  # the process may end right now
                handler.flush()
            return
        answer = _Answer(send)
        token = REQUEST_ID.set(answer.request_id_of(scope))
        begin = time.perf_counter()
        IN_FLIGHT.inc()
        try:
            await self._app(scope, receive, answer.send)
        except Exception:
            answer.status = answer.status if answer.begun else 500
            _LOG.exception("An answer broke off")
            raise
        finally:
            IN_FLIGHT.dec()
            _tell(scope, answer, time.perf_counter() - begin)
            REQUEST_ID.reset(token)


class _Answer:
    """What is known of an answer as it goes out."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = _GONE
        self.bytes = 0
        self.begun = False
        self.whole = False
        self._request_id = b""

    def request_id_of(self, scope: HTTPScope) -> str:
        """The client's own id for the request if it is a sane one, otherwise a new one."""
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        self._request_id = given if _SANE.fullmatch(given) else f"{_PROCESS}{next(_NUMBERS):016x}".encode()
        return self._request_id.decode()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun, self.status = True, message["status"]
            message["headers"] = [*message["headers"], (HEADER.lower().encode(), self._request_id)]
        elif message["type"] == "http.response.body":
            self.bytes += len(message.get("body", b""))
            self.whole = not message.get("more_body", False)
        await self._send(message)


@cache
def _meters(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    return REQUESTS.labels(method, route, status), SECONDS.labels(method, route)


def _tell(scope: HTTPScope, answer: _Answer, seconds: float) -> None:
    method = scope["method"] if scope["method"] in _METHODS else "other"
    route = scope.get("path_template") or _UNMATCHED
    counted, timed = _meters(method, route, answer.status)
    counted.inc()
    timed.observe(seconds)
    fields: dict[str, Any] = {
        "method": method,
        "route": route,
        "status": answer.status,
        "seconds": round(seconds, 6),
        "bytes": answer.bytes,
        "whole": answer.whole,
        "client": (scope.get("client") or ("",))[0],
    }
    if key := scope["state"].get(KEY):
        fields["key"] = key.name
    if _LOG.isEnabledFor(logging.INFO):
        _LOG.handle(_record((method, route, answer.status, seconds * 1000), fields))


def _record(args: tuple[Any, ...], fields: dict[str, Any]) -> logging.LogRecord:
    """A line of the log as ``_LOG.info`` makes it, but quicker: it does not look up its place in the code."""
    now = time.time()
    record = logging.LogRecord.__new__(logging.LogRecord)
    record.__dict__ = {**_LINE, "created": now, "msecs": now % 1 * 1000, "args": args, "fields": fields}
    return record
