"""What every request passes before any route sees it: bounds, hosts, keys, rates, time."""

import logging
import re
from pathlib import Path
from typing import Any

from litestar import Request
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from api.bounds import check_url
from api.clients import Origin, Proxies
from api.cors import Cors, Headers
from api.deadlines import Deadline, Deadlines
from api.keyring import KeyRing
from api.problems import ProblemError, on_problem
from api.rates import Rates
from api.refusals import AnswerTimeoutError, NoKeyError, TooManyRequestsError, UnknownHostError
from api.scopes import KEY
from resources.access import listed
from resources.api_keys import ApiKey
from resources.settings import Settings

_OPEN = ("/health/", "/schema")
_UNCOUNTED = "/health/live"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_HEADERS: Headers = [
    (b"server", b"silt"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
_BARE = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
_PAGE = (
    b"content-security-policy",
    b"default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    b"img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
)
_HOST = re.compile(r"(?:([A-Za-z0-9._-]{1,255})|\[([0-9A-Fa-f:.]{2,45})\])(?::[0-9]{1,5})?")
_PART_BYTES = 2**18
"""Longer bodies go out in parts: each is waited for, and so is noticed that a client does not read."""
_LOG = logging.getLogger("silt.api")


class CutOffError(Exception):
    """An answer of which only a part went out."""


class Gate:
    """An ASGI application around another. The one place where requests are turned away."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        """Read the keys, if there are to be any.

        Raises:
            SettingError: the file of keys cannot be read.
        """
        self._app = app
        self._proxies = Proxies(settings.trusted_proxies)
        self._hosts = _hosts(settings)
        self._cors = Cors(listed(settings.api_cors_origins))
        self._keys = KeyRing(Path(settings.api_keys_file)) if settings.api_closed else None
        counted = settings.api_rate_per_minute and not settings.api_private
        self._rates = Rates(settings.api_rate_per_minute) if counted else None
        self._policy = f'"default";q={settings.api_rate_per_minute};w=60'.encode()
        self._seconds = settings.api_timeout_seconds
        self._deadlines = Deadlines(self._seconds)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it with a problem.

        Raises:
            CutOffError: a part of the answer did not go out in time. The server then breaks the connection.
        """
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        policy = _PAGE if scope["path"] in ("/schema", "/schema/") else _BARE
        deadline = Deadline(self._deadlines)
        reply = _Reply(send, deadline, [*_HEADERS, policy])
        with deadline:
            await self._answer(scope, receive, reply)
        if not deadline.expired:
            return
        if reply.started:  # with no trace of where it stood: that would keep alive what the answer holds
            raise CutOffError(f"An answer was cut off: nothing of it went out for {self._seconds:g} s.")
        await _refuse(AnswerTimeoutError(self._seconds), scope, receive, reply)

    async def _answer(self, scope: Scope, receive: Receive, reply: "_Reply") -> None:
        try:
            done = await self._admit(scope, reply)
        except ProblemError as error:
            await _refuse(error, scope, receive, reply)
        else:
            if not done:
                await self._app(scope, receive, reply)

    async def _admit(self, scope: Any, reply: "_Reply") -> bool:
        """Check all that can be checked before routing.

        Returns:
            Whether the request is answered already.

        Raises:
            ProblemError: it is refused.
        """
        origin = self._proxies.origin(scope)
        headers = dict(scope["headers"])
        reply.headers += self._cors.headers(headers.get(b"origin"))
        if not self._is_ours(origin.host):
            raise UnknownHostError
        check_url(scope)
        if (preflight := self._cors.preflight(scope["method"], headers)) is not None:
            await reply({"type": "http.response.start", "status": 204, "headers": preflight})
            await reply({"type": "http.response.body", "body": b"", "more_body": False})
            return True
        key = await self._holder(scope, headers, origin)
        self._count(scope, reply, key.id if key else origin.address)
        return False

    def _is_ours(self, host: str) -> bool:
        if self._hosts is None:
            return not host or _HOST.fullmatch(host) is not None
        return _name(host) in self._hosts

    async def _holder(self, scope: Any, headers: dict[bytes, bytes], origin: Origin) -> ApiKey | None:
        if self._keys is None or scope["path"] == "/" or scope["path"].startswith(_OPEN):
            return None
        text = _presented(headers)
        if text is None:
            raise NoKeyError
        key = scope["state"][KEY] = await self._keys.holder(text, origin.address)
        return key

    def _count(self, scope: Any, reply: "_Reply", client: str) -> None:
        if self._rates is None or scope["path"] == _UNCOUNTED:
            return
        standing = self._rates.take(client)
        reply.headers += [
            (b"ratelimit-policy", self._policy),
            (b"ratelimit", f'"default";r={standing.remaining};t={standing.reset}'.encode()),
        ]
        if not standing.allowed:
            raise TooManyRequestsError(standing.wait)


class _Reply:
    """The way an answer goes out: with the headers of all answers, and time for each of its parts."""

    def __init__(self, send: Send, deadline: Deadline, headers: Headers) -> None:
        self.headers = headers
        self.started = False
        self._send = send
        self._deadline = deadline

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            message["headers"] = [*message["headers"], *self.headers]
        elif message["type"] == "http.response.body":
            body = message["body"]
            for start in range(0, len(body) - _PART_BYTES, _PART_BYTES):
                part = body[start : start + _PART_BYTES]
                await self._pass({"type": "http.response.body", "body": part, "more_body": True})
            message["body"] = body[max(0, len(body) - 1) // _PART_BYTES * _PART_BYTES :]
        await self._pass(message)

    async def _pass(self, message: Message) -> None:
        if message.get("more_body"):
            self._deadline.extend()
        await self._send(message)


async def _refuse(error: ProblemError, scope: Any, receive: Receive, reply: _Reply) -> None:
    request: Request[Any, Any, Any] = Request(scope, receive, reply)
    _LOG.warning("Refused %s: %s", scope["client"][0] if scope["client"] else "somebody", error.kind)
    response = on_problem(request, error).to_asgi_response(app=None, request=request)
    await response(scope, receive, reply)


def _hosts(settings: Settings) -> set[str] | None:
    """The names that requests may be for; None: any. On loopback a page in a browser could ask by its own."""
    given = listed(settings.api_allowed_hosts)
    if "*" in given or not (given or settings.api_private):
        return None
    return set(given) or {*_LOOPBACK, settings.api_host.lower()}


def _name(host: str) -> str:
    """A host without its port; empty if it is none."""
    found = _HOST.fullmatch(host)
    return (found[1] or found[2]).lower() if found else ""


def _presented(headers: dict[bytes, bytes]) -> str | None:
    kind, _, text = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    if kind.lower() == "bearer" and text.strip():
        return text.strip()
    return headers[b"x-api-key"].decode("latin-1") if headers.get(b"x-api-key") else None
