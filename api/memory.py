"""Answers that are given again from memory, without a thread and without a look at the lake's files."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, NamedTuple

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from api.scopes import KEY
from resources.lake import Lake

_RESULTS = b"/api/clustering-results"
_RECORDS = _RESULTS + b"/"
_TABLES = {
    b"/api/cluster-stats": ("windows", "cluster_ids"),
    _RESULTS: ("windows",),
    b"/api/models": ("windows", "model_reviews"),
    b"/api/drift": ("windows", "drift"),
}
"""The tables whose versions decide what a route answers: all else is as a row of ``windows`` says."""
_CHOOSING = (b"accept", b"accept-encoding", b"host")
_CONDITIONAL = (b"if-none-match", b"range")
_MOST_BYTES = 32 * 1024 * 1024
_LONGEST = 256 * 1024
_OVERHEAD = 2_000
"""Bytes that an answer takes beside its body, about."""

Versions = tuple[int, ...]


class _Kept(NamedTuple):
    versions: Versions
    route: str
    start: Message
    body: Message


class Memory:
    """Wraps an application: what it answered is answered again while no table has a new version.

    That is asked for each time, so no answer is older than the lake. In an object store it costs a request,
    which is why there every answer is made anew.
    """

    def __init__(self, app: ASGIApp, lake: Lake) -> None:
        self._app = app
        self._lake = lake
        self._answers: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        tables = _tables(scope)
        versions = self._lake.versions_at_hand(tables) if tables else None
        question = _question(scope) if versions else None
        if question is None or versions is None:
            await self._app(scope, receive, send)
            return
        kept = self._answers.get(question)
        if kept and kept.versions == versions:
            self._answers.move_to_end(question)
            scope["path_template"] = kept.route
            await send(kept.start.copy())
            await send(kept.body.copy())
            return
        heard = _Heard(send)
        await self._app(scope, receive, heard)
        if heard.whole and self._lake.versions_at_hand(tables) == versions:
            route = str(scope.get("path_template", ""))
            self._keep(question, _Kept(versions, route, *heard.messages))

    def _keep(self, question: Hashable, kept: _Kept) -> None:
        self._forget(question)
        self._answers[question] = kept
        self._bytes += _size(kept)
        while self._bytes > _MOST_BYTES:
            self._forget(next(iter(self._answers)))

    def _forget(self, question: Hashable) -> None:
        if gone := self._answers.pop(question, None):
            self._bytes -= _size(gone)


class _Heard:
    """Sends an answer on, and remembers it."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.messages: list[Any] = []

    @property
    def whole(self) -> bool:
        """Whether it was a success in one piece, and short enough to keep."""
        if len(self.messages) != 2:
            return False
        start, body = self.messages
        return start["status"] == 200 and not body["more_body"] and len(body["body"]) <= _LONGEST

    async def __call__(self, message: Message) -> None:
        if len(self.messages) < 3:
            self.messages.append(message.copy())
        await self._send(message)


def _tables(scope: Scope) -> tuple[str, ...]:
    if scope["type"] != ScopeType.HTTP or scope["method"] != "GET":
        return ()
    path = scope["raw_path"].partition(b"?")[0]
    is_record = path.startswith(_RECORDS) and not path.endswith(b"/history")
    return _TABLES[_RESULTS] if is_record else _TABLES.get(path, ())


def _question(scope: Any) -> Hashable:
    """All that an answer depends on beside the tables; None if it is to be made anew."""
    chosen = tuple(header for header in scope["headers"] if header[0] in _CHOOSING)
    if any(name in _CONDITIONAL for name, _ in scope["headers"]):
        return None
    key = scope["state"].get(KEY)
    return scope["raw_path"], scope["query_string"], scope["scheme"], chosen, key and tuple(key.scopes)


def _size(kept: _Kept) -> int:
    return len(kept.body["body"]) + _OVERHEAD  # type: ignore[typeddict-item]
