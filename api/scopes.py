"""What a key must be good for: each route's ``opt`` names one scope, ``read`` unless it says another."""

from typing import Any

from litestar import Litestar
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.openapi.spec import Components, SecurityScheme

from api.refusals import NoKeyError, NoScopeError

OPEN: dict[str, str | None] = {"scope": None}
"""The ``opt`` of a route that needs no key."""
PREDICT: dict[str, str | None] = {"scope": "predict"}
"""The ``opt`` of a route that needs the scope ``predict``."""
KEY = "api_key"
"""Where in a connection's state the gate leaves the key that came along."""
SCHEMES = Components(
    security_schemes={
        "bearer": SecurityScheme("http", scheme="bearer", description="a key made by `silt keys new`"),
        "apiKey": SecurityScheme(
            "apiKey", name="X-API-Key", security_scheme_in="header", description="the same key"
        ),
    }
)


def require_scope(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """A guard, where keys are asked for.

    Raises:
        NoKeyError: the route needs one.
        NoScopeError: the key is not good for the route.
    """
    needed = _scope(handler)
    if needed is None:
        return
    key = connection.scope["state"].get(KEY)
    if key is None:
        raise NoKeyError
    if needed not in key.scopes:
        raise NoScopeError(needed)


def document_scopes(app: Litestar) -> None:
    """Have the OpenAPI document say which scope each route needs."""
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            if isinstance(handler, HTTPRouteHandler) and (scope := _scope(handler)):
                handler.security = [{name: [scope]} for name in ("bearer", "apiKey")]


def _scope(handler: BaseRouteHandler) -> str | None:
    return handler.opt.get("scope", "read")  # type: ignore[no-any-return]
