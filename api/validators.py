"""Answers with a strong ETag: made from the versions of the tables that it comes from, not from its bytes."""

import base64
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import cached_property
from typing import Any

from litestar import Request, Response

from api.delivery import GZIP_SUFFIX, accepts_gzip
from api.openapi import VERSION
from resources.lake import Lake

Answered = tuple[bytes, dict[str, str]]
"""A body, and the headers that belong to it."""
_KEPT_BYTES = 16 * 1024 * 1024
_ENTRY_BYTES = 1024
"""What a kept body takes beside its own bytes, about."""
_TRIES = 3


class Validators:
    """Makes ETags, answers 304 where the client has what they name, and keeps the newest bodies."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._kept = _Kept()

    def headers(self, request: Request[Any, Any, Any], media_type: str, state: Hashable) -> dict[str, str]:
        """The headers that let a client ask again cheaply: whatever is shown may be published again."""
        asked = (request.scope["raw_path"], request.scope["query_string"], media_type)
        made_of = repr((VERSION, self._lake_id, asked, state))
        digest = hashlib.blake2b(made_of.encode(), digest_size=16).digest()
        return {
            "ETag": f'"{base64.urlsafe_b64encode(digest).rstrip(b"=").decode()}"',
            "Cache-Control": "private, no-cache",
            "Vary": "Accept, Authorization",
        }

    def answer(
        self,
        request: Request[Any, Any, Any],
        media_type: str,
        state: Callable[[], Hashable],
        read: Callable[[], Answered],
    ) -> Response[bytes]:
        """What is read, or 304 without reading it. No body goes out under the ETag of another state."""
        before = state()
        for _ in range(_TRIES):
            headers = self.headers(request, media_type, before)
            if found := unchanged(request, headers):
                return found
            if kept := self._kept.get(headers["ETag"]):
                return _whole(request, media_type, kept, headers)
            answered, after = read(), state()
            if after == before:
                self._kept.put(headers["ETag"], answered)
                return _whole(request, media_type, answered, headers)
            before = after
        del headers["ETag"]  # published faster than read: it is whole, but nobody can say as of when
        return _whole(request, media_type, answered, headers)

    @cached_property
    def _lake_id(self) -> str:
        """Versions of another lake are other versions."""
        return str(self._lake.table("windows").metadata().id)


def _whole(
    request: Request[Any, Any, Any], media_type: str, answered: Answered, headers: dict[str, str]
) -> Response[bytes]:
    if request.headers.get("if-none-match", "").strip() == "*":
        return _not_modified(headers)
    body, more = answered
    return Response(body, media_type=media_type, headers=headers | more)


def unchanged(request: Request[Any, Any, Any], headers: dict[str, str]) -> Response[bytes] | None:
    """The answer 304, if the client has the representation already, compressed or not."""
    known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    tags = [headers["ETag"]]
    if accepts_gzip(request.headers.get("accept-encoding", "")):
        tags.append(f'{headers["ETag"][:-1]}{GZIP_SUFFIX}"')
    return next((_not_modified({**headers, "ETag": tag}) for tag in tags if tag in known), None)


def _not_modified(headers: dict[str, str]) -> Response[bytes]:
    return Response(b"", status_code=304, headers=headers)


class _Kept:
    """The bodies that were asked for last, by ETag, so many bytes of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: OrderedDict[str, Answered] = OrderedDict()
        self._bytes = 0

    def get(self, tag: str) -> Answered | None:
        with self._lock:
            if tag in self._answers:
                self._answers.move_to_end(tag)
            return self._answers.get(tag)

    def put(self, tag: str, answered: Answered) -> None:
        with self._lock:
            if tag in self._answers or len(answered[0]) > _KEPT_BYTES // 16:
                return
            self._answers[tag] = answered
            self._bytes += _ENTRY_BYTES + len(answered[0])
            while self._bytes > _KEPT_BYTES:
                self._bytes -= _ENTRY_BYTES + len(self._answers.popitem(last=False)[1][0])
