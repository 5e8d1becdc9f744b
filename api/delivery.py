"""How bytes go out: HEAD is GET without the body, and what is long is compressed for who takes it."""

import zlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from anyio.to_thread import run_sync
from litestar import Request
from litestar.datastructures import Headers, MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPResponseStartEvent, Message, Receive, Scope, Send

GZIP_SUFFIX = "-gzip"
"""An ETag names a representation: the compressed one has this behind the other's."""
_LEAST_BYTES = 1024
_IN_A_THREAD = 32 * 1024
"""Longer bodies are not compressed where all requests wait for it."""
_LEVEL = 4
_GZIP = 31
_HEAD = "silt_head"
_CLOSE = "silt_close"


class Delivery:
    """Wraps an application; it sees GET for HEAD."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        method = scope["method"]
        if method == "HEAD":
            scope["state"][_HEAD] = True
            scope["method"] = "GET"
            send = _without_body(send)
        try:
            gzip = accepts_gzip(Headers.from_scope(scope).get("accept-encoding", ""))
            await self._app(scope, receive, _Coded(send, gzip))
        finally:
            scope["method"] = method
            if close := scope["state"].pop(_CLOSE, None):
                await run_sync(close)


def close_afterwards(request: Request[Any, Any, Any], close: Callable[[], None]) -> None:
    """Call something in a thread when the answer is out, or broken off."""
    request.scope["state"][_CLOSE] = close


def is_head(request: Request[Any, Any, Any]) -> bool:
    """Whether the client wants the headers alone."""
    return _HEAD in request.scope["state"]


@lru_cache(256)
def accepts_gzip(header: str) -> bool:
    """Whether an ``Accept-Encoding`` header allows gzip."""
    quality = {}
    for part in header.split(","):
        coding, _, parameter = part.partition(";")
        quality[coding.strip().lower()] = parameter.replace(" ", "").lower() not in _NEVER
    return quality.get("gzip", quality.get("*", False))


_NEVER = {"q=0", "q=0.0", "q=0.00", "q=0.000"}


def _without_body(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.body":
            message["body"] = b""
        await send(message)

    return sent


class _Coded:
    """Sends a response on, compressed if its body is long and the client takes gzip."""

    def __init__(self, send: Send, gzip: bool) -> None:
        self._send = send
        self._gzip = gzip
        self._start: HTTPResponseStartEvent | None = None
        self._compressor: Any = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableScopeHeaders(message)
            headers.extend_header_value("vary", "Accept-Encoding")
            if self._gzip and message["status"] not in (204, 304) and "content-encoding" not in headers:
                self._start = message
                return
        elif message["type"] == "http.response.body":
            message["body"] = await self._coded(message["body"], more=message["more_body"])
        await self._send(message)

    async def _coded(self, body: bytes, *, more: bool) -> bytes:
        start, self._start = self._start, None
        if start and (more or len(body) >= _LEAST_BYTES):
            self._compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
            _name_coding(MutableScopeHeaders(start))
        if self._compressor:
            body = await self._compressed(body, more=more)
            if start and not more:
                MutableScopeHeaders(start)["Content-Length"] = str(len(body))
        if start:
            await self._send(start)
        return body

    async def _compressed(self, body: bytes, *, more: bool) -> bytes:
        def work() -> bytes:
            written: bytes = self._compressor.compress(body)
            return written if more else written + self._compressor.flush()

        return work() if len(body) < _IN_A_THREAD else await run_sync(work)


def _name_coding(headers: MutableScopeHeaders) -> None:
    headers["Content-Encoding"] = "gzip"
    if "content-length" in headers:
        del headers["Content-Length"]
    if headers.get("etag", "").endswith('"'):
        headers["ETag"] = f'{headers["etag"][:-1]}{GZIP_SUFFIX}"'
