"""Clients of the API in this process."""

from datetime import UTC, datetime
from typing import Any

from litestar import Litestar
from litestar.testing import TestClient

from api.app import create_app
from resources.settings import Settings

Client = TestClient[Litestar]
LOOPBACK = "http://127.0.0.1"


def client_of(settings: Settings, now: datetime | None = None) -> Client:
    """A client of the API with these settings, which asks for loopback; ``now`` is what its clock says."""
    app = create_app(settings, clock=lambda: now or datetime.now(UTC))
    return TestClient(app, base_url=LOOPBACK, raise_server_exceptions=False)


def problem(client: Client, url: str, status: int) -> dict[str, Any]:
    """The problem that a request is answered with; its status and media type are checked."""
    response = client.get(url)
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    answer: dict[str, Any] = response.json()
    assert answer["status"] == status
    return answer
