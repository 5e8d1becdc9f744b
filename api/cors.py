"""Web pages of other origins: none may ask the API unless a setting names its origin."""

from collections.abc import Iterable

Headers = list[tuple[bytes, bytes]]
VARY: tuple[bytes, bytes] = (b"vary", b"Origin")
_PREFLIGHT: Headers = [
    (b"access-control-allow-methods", b"GET, HEAD, POST"),
    (b"access-control-allow-headers", b"Authorization, X-API-Key, Accept, Content-Type, If-None-Match"),
    (b"access-control-max-age", b"600"),
]
_EXPOSED = b"ETag, Link, RateLimit, RateLimit-Policy, Retry-After, X-Request-ID"


class Cors:
    """The headers that let pages of some origins read the answers."""

    def __init__(self, origins: Iterable[str]) -> None:
        self._origins = {origin.encode() for origin in origins}

    def headers(self, origin: bytes | None) -> Headers:
        """Those of an answer to a page of an origin."""
        if not self._origins:
            return []
        if origin not in self._origins:
            return [VARY]
        return [
            VARY,
            (b"access-control-allow-origin", origin),
            (b"access-control-expose-headers", _EXPOSED),
        ]

    def preflight(self, method: str, headers: dict[bytes, bytes]) -> Headers | None:
        """What is said beside that to a browser that asks beforehand; None if it is not that question."""
        asks = method == "OPTIONS" and b"access-control-request-method" in headers
        return _PREFLIGHT if asks and headers.get(b"origin") in self._origins else None
