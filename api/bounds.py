"""What a request's URL may be: so long, and text."""

from typing import Any
from urllib.parse import unquote_to_bytes

from api.problems import ACCEPTS, BadParameterError
from api.refusals import UrlTooLongError

URL_BYTES = 16_384
PARAMETER_BYTES = 4_096
_IN_PATH = "path"


def check_url(scope: Any) -> None:
    """Refuse a URL that no client of good will sends.

    Raises:
        UrlTooLongError: it is longer than 16 KiB.
        BadParameterError: the path or a parameter is longer than 4 KiB, no UTF-8, or has a NUL in it.
    """
    path, query = scope["raw_path"].partition(b"?")[0], scope["query_string"]
    if len(path) + len(query) > URL_BYTES:
        raise UrlTooLongError(f"The URL is longer than {URL_BYTES} bytes.")
    _check(_IN_PATH, path)
    if query:
        for pair in query.replace(b"+", b" ").split(b"&"):
            name, _, value = pair.partition(b"=")
            _check("query", name)
            _check(unquote_to_bytes(name).decode(), value)


def _check(name: str, encoded: bytes) -> None:
    value = unquote_to_bytes(encoded) if b"%" in encoded else encoded
    if len(value) > PARAMETER_BYTES and name != "cursor":  # it holds an id, and more
        wrong = f"is longer than {PARAMETER_BYTES} bytes"
    elif b"\0" in value:
        wrong = "has a NUL in it"
    elif not value.isascii() and not _is_utf8(value):
        wrong = "is no percent-encoded UTF-8"
    else:
        return
    detail = f"The {name} {wrong}." if name in (_IN_PATH, "query") else f"{name} {wrong}."
    accepts = ACCEPTS.get(name, f"UTF-8 without NUL, at most {PARAMETER_BYTES} bytes")
    raise BadParameterError(name[:100], detail[:200], accepts)


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
