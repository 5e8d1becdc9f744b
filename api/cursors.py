"""The cursor of a page walk: where the last page ended, in which version, and the walk that it belongs to."""

import base64
import binascii
import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import msgspec

from api.problems import BadParameterError

Filters = Mapping[str, str | int | None]
"""Query parameters that a walk is limited by; None: not given."""
Position = list[str | int]
"""Where a page ended: what a route's rows are ordered by, of the last one."""
_KEY_BYTES = 32
_MAC_BYTES = 16


class Place(msgspec.Struct, frozen=True):
    """Where a page starts: behind a position (None: the beginning), in a version of what is walked."""

    version: int
    position: Position | None = None


class _Signed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, array_like=True):
    route: str
    filters: dict[str, str | int]
    version: int
    position: Position


class Cursors:
    """Makes and reads cursors, signed with the key in a file, which is made when it is first needed.

    All processes that share the file take each other's cursors.
    """

    def __init__(self, key_file: Path) -> None:
        self._key_file = key_file

    def encode(self, route: str, filters: Filters, place: Place) -> str:
        """The cursor as it stands in a URL: base64url of a MAC and JSON, no padding."""
        raw = msgspec.json.encode(_Signed(route, _given(filters), place.version, place.position or []))
        return base64.urlsafe_b64encode(self._mac(raw) + raw).rstrip(b"=").decode()

    def decode(self, text: str, route: str, filters: Filters) -> Place:
        """The place that a cursor names.

        Raises:
            BadParameterError: it is no cursor of ours, or belongs to another walk.
        """
        try:
            signed = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), b"-_", validate=True)
            mac, raw = signed[:_MAC_BYTES], signed[_MAC_BYTES:]
            if not hmac.compare_digest(mac, self._mac(raw)):
                raise ValueError
            cursor = msgspec.json.decode(raw, type=_Signed)
        except (ValueError, binascii.Error, msgspec.MsgspecError):
            raise BadParameterError(
                "cursor", "This is no cursor: follow the Link header of a page."
            ) from None
        if cursor.route != route or cursor.filters != _given(filters):
            raise BadParameterError(
                "cursor", "The cursor belongs to a walk of another route or with other filters: repeat those."
            )
        return Place(cursor.version, cursor.position)

    def _mac(self, raw: bytes) -> bytes:
        return hmac.digest(self._key, raw, hashlib.sha256)[:_MAC_BYTES]

    @cached_property
    def _key(self) -> bytes:
        with suppress(FileNotFoundError):
            return self._key_file.read_bytes()
        _create(self._key_file, secrets.token_bytes(_KEY_BYTES))
        return self._key_file.read_bytes()


def _create(file: Path, content: bytes) -> None:
    """Write a file for its owner alone, whole or not at all; one that another process wrote stays."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())
    try:
        with suppress(FileExistsError):
            os.link(draft, file)
    finally:
        draft.unlink()


def _given(filters: Filters) -> dict[str, str | int]:
    return {name: value for name, value in filters.items() if value is not None}
