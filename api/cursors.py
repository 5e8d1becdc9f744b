"""The cursor of a page walk: where the last page ended, and the filters it belongs to."""

import base64
import binascii

import msgspec

from api.problems import BadParameterError


class Filters(msgspec.Struct, frozen=True, forbid_unknown_fields=True, array_like=True):
    """What a walk through the results is limited to."""

    window: str | None = None
    model: str | None = None
    cluster: int | None = None

    @property
    def parameters(self) -> dict[str, str | int | None]:
        """The filters as query parameters."""
        return {"window": self.window, "model": self.model, "cluster": self.cluster}


class Position(msgspec.Struct, frozen=True, forbid_unknown_fields=True, array_like=True):
    """After the record ``unique_id`` of the window with the key ``window``."""

    window: str
    unique_id: str


class _Cursor(msgspec.Struct, frozen=True, forbid_unknown_fields=True, array_like=True):
    filters: Filters
    position: Position


def encode(filters: Filters, position: Position) -> str:
    """The cursor as it stands in a URL: base64url of JSON, no padding."""
    return base64.urlsafe_b64encode(msgspec.json.encode(_Cursor(filters, position))).rstrip(b"=").decode()


def decode(text: str, filters: Filters) -> Position:
    """The position that a cursor holds.

    Raises:
        BadParameterError: it is no cursor of ours, or belongs to other filters.
    """
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        raw = base64.b64decode(padded, altchars=b"-_", validate=True)
        cursor = msgspec.json.decode(raw, type=_Cursor)
        if encode(cursor.filters, cursor.position) != text:
            raise ValueError
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        raise BadParameterError("cursor", "This is no cursor: follow the Link header of a page.") from None
    if cursor.filters != filters:
        raise BadParameterError("cursor", "The cursor belongs to a walk with other filters: repeat those.")
    return cursor.position
