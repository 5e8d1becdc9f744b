"""Paths that hold a record's id: how the client wrote it decides, not what the framework makes of slashes."""

from typing import Any
from urllib.parse import unquote

from litestar import Request
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from api.problems import asked_path

_BEFORE = "/api/clustering-results/"
_HISTORY = "/history"


class RecordPaths:
    """Wraps an application; it sees one segment for an id, whatever that is made of."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP and scope["raw_path"].startswith(_BEFORE.encode()):
            encoded, history = _parts(str(scope["raw_path"].partition(b"?")[0], "latin-1"))
            if encoded:
                scope["path"] = f"{_BEFORE}id{_HISTORY if history else ''}"
        await self._app(scope, receive, send)


def asked_id(request: Request[Any, Any, Any]) -> str:
    """The id in a request's path. One that ends in ``/history`` itself has its slash encoded, ``%2F``."""
    return unquote(_parts(asked_path(request))[0])


def _parts(path: str) -> tuple[str, bool]:
    """The encoded id, and whether its history is asked for."""
    encoded = path.removeprefix(_BEFORE)
    bare = encoded.removesuffix(_HISTORY)
    return (bare, True) if bare and bare != encoded else (encoded, False)
