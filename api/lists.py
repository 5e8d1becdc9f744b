"""How every list goes out: in the format asked for, with a validator; whole, in pages, or as one stream."""

import logging
import threading
from collections.abc import Callable, Generator, Hashable, Iterator
from itertools import chain
from typing import Any, Literal, Protocol
from urllib.parse import urlencode

import msgspec
import polars as pl
from litestar import Request, Response
from litestar.response import Stream

from api import formats
from api.cursors import Cursors, Filters, Place, Position
from api.delivery import close_afterwards, is_head
from api.formats import MEDIA_TYPES, Format, Rows
from api.parameters import PAGE_ROWS
from api.parts import Parts
from api.problems import ACCEPTS, BadParameterError, BusyError, VersionGoneError, WalkExpiredError, asked_path
from api.validators import Answered, Validators, unchanged
from resources.lake import Lake
from resources.settings import Settings

Limit = int | Literal["all"]
_EXPORTS_AT_ONCE = 2
_ROWS_AT_ONCE = 32_768
"""Rows of an export that are in memory at a time."""
_LOG = logging.getLogger("silt.api")


class Read(Protocol):
    """Reads the rows of a page, at most so many from a place on.

    It returns them and the position that the next page starts behind, None after the last one; it raises
    VersionGoneError where what the place names is no longer kept.
    """

    def __call__(self, place: Place, limit: int) -> tuple[Rows, Position | None]: ...


class Lists:
    """Answers with lists. Safe to share among threads."""

    def __init__(self, settings: Settings, lake: Lake) -> None:
        self._cursors = Cursors(settings.home / "cursor.key")
        self._validators = Validators(lake)
        self._exports = threading.BoundedSemaphore(_EXPORTS_AT_ONCE)

    def whole(
        self,
        request: Request[Any, Any, Any],
        format_: Format | None,
        kind: type[msgspec.Struct],
        state: Callable[[], Hashable],
        read: Callable[[], Rows],
    ) -> Response[Any]:
        """A short list.

        Args:
            request: that asks for it.
            format_: that the request names, if it does.
            kind: what a row is.
            state: the versions of the tables that the rows come from; quick.
            read: the rows.
        """
        chosen = _chosen(request, format_)
        return self._validators.answer(
            request, MEDIA_TYPES[chosen], state, lambda: (formats.encode(chosen, kind, read()), {})
        )

    def one(
        self, request: Request[Any, Any, Any], state: Callable[[], Hashable], read: Callable[[], Any]
    ) -> Response[Any]:
        """An object, as JSON; ``state`` as in :meth:`whole`."""
        return self._validators.answer(
            request, MEDIA_TYPES["json"], state, lambda: (msgspec.json.encode(read()), {})
        )

    def pages(
        self,
        request: Request[Any, Any, Any],
        format_: Format | None,
        kind: type[msgspec.Struct],
        *,
        filters: Filters,
        limit: Limit,
        cursor: str | None,
        version: Callable[[], int],
        read: Read,
        now: Callable[[], Hashable] = tuple,
    ) -> Response[Any]:
        """A page of a long list, or with the limit ``all`` the rest of it as one stream.

        Args:
            request: that asks for it.
            format_: that the request names, if it does.
            kind: what a row is.
            filters: the query parameters that choose rows.
            limit: rows at most, or ``all``.
            cursor: that the request carries, if it does.
            version: what a walk that starts now is as of.
            read: the rows; they are always the same of a place, at the same ``now``.
            now: what the rows depend on beside the walk's version, where they change while it goes on; quick.

        Raises:
            BadParameterError: the limit is too large or small, the cursor none of ours or of another walk.
            WalkExpiredError: what the cursor's walk reads is no longer kept.
            BusyError: too many exports run.
        """
        if limit != "all" and not 1 <= limit <= PAGE_ROWS:
            raise BadParameterError("limit", f"limit={limit} is not accepted: it takes {ACCEPTS['limit']}.")
        chosen, route = _chosen(request, format_), asked_path(request)
        asked = {**filters, "limit": limit, "format": format_}
        start = Place(version()) if cursor is None else self._cursors.decode(cursor, route, filters)

        def page(count: int) -> Answered:
            rows, position = read(start, count)
            body = formats.encode(chosen, kind, rows)
            if position is None:
                return body, {}
            token = self._cursors.encode(route, filters, Place(start.version, position))
            return body, {"Link": _query({**asked, "cursor": token})}

        try:
            if limit == "all":
                return self._export(request, chosen, kind, start, read, now())
            answer = self._validators.answer(
                request, MEDIA_TYPES[chosen], lambda: (start.version, now()), lambda: page(limit)
            )
            if following := answer.headers.get("Link"):  # a query: each client has its own name for us
                answer.headers["Link"] = _next_link(request, following)
            return answer
        except VersionGoneError as error:
            _LOG.info("A walk expired: %s", error)
            raise WalkExpiredError(f"{route}?{_query(asked)}") from None

    def _export(
        self,
        request: Request[Any, Any, Any],
        chosen: Format,
        kind: type[msgspec.Struct],
        start: Place,
        read: Read,
        now: Hashable,
    ) -> Response[Any]:
        headers = self._validators.headers(request, MEDIA_TYPES[chosen], (start.version, now))
        if found := unchanged(request, headers):
            return found
        if is_head(request):
            return Stream(iter(()), media_type=MEDIA_TYPES[chosen], headers=headers)
        parts = Parts(self._exported(formats.stream(chosen, kind, _frames(kind, start, read))))
        close_afterwards(request, parts.close)
        first = next(parts, b"")  # what cannot be read or must wait is an answer of its own
        return Stream(chain([first], parts), media_type=MEDIA_TYPES[chosen], headers=headers)

    def _exported(self, parts: Iterator[bytes]) -> Generator[bytes]:
        """The parts, while there is room for another export: until they are closed."""
        if not self._exports.acquire(blocking=False):
            raise BusyError(f"{_EXPORTS_AT_ONCE} exports run, and no more may at once: try again later.")
        try:
            yield from parts
        finally:
            self._exports.release()


def _frames(kind: type[msgspec.Struct], start: Place, read: Read) -> Iterator[pl.DataFrame]:
    place: Place | None = start
    while place:
        rows, position = read(place, _ROWS_AT_ONCE)
        yield formats.frame(kind, rows)
        place = Place(start.version, position) if position else None


def _chosen(request: Request[Any, Any, Any], format_: Format | None) -> Format:
    return format_ or formats.negotiated(request.headers.get("accept", "*/*"))


def _next_link(request: Request[Any, Any, Any], query: str) -> str:
    url = request.url.with_replacements(path=asked_path(request), query=query)
    return f'<{url}>; rel="next"'


def _query(parameters: Filters) -> str:
    return urlencode({name: value for name, value in parameters.items() if value is not None})
