"""What the Dagster webserver tells about the stack: whether the code loaded, whether the daemon lives."""

import json
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

from local_stack.ports import LOOPBACK

_CODE = """{ workspaceOrError { ... on Workspace { locationEntries {
  locationOrLoadError { __typename ... on PythonError { message } } } } } }"""
_DAEMON = '{ instance { daemonHealth { daemonStatus(daemonType: "SENSOR") { lastHeartbeatTime } } } }'
_direct = build_opener(ProxyHandler({}))


def http_ok(url: str, seconds: float = 1) -> bool:
    """Whether a GET is answered with a success."""
    try:
        with _direct.open(url, timeout=seconds):
            return True
    except OSError:
        return False


def code_loaded(port: int) -> bool:
    """Whether the webserver on this port has loaded the code location."""
    entries = _ask(port, _CODE).get("workspaceOrError", {}).get("locationEntries", [])
    return any(
        (entry["locationOrLoadError"] or {}).get("__typename") == "RepositoryLocation" for entry in entries
    )


def daemon_lives(port: int, since: float) -> bool:
    """Whether the sensor daemon gave a sign of life after ``since`` (seconds since the epoch)."""
    health = _ask(port, _DAEMON).get("instance", {}).get("daemonHealth", {})
    return ((health.get("daemonStatus") or {}).get("lastHeartbeatTime") or 0) >= since


def _ask(port: int, query: str) -> dict[str, Any]:
    request = Request(
        f"http://{LOOPBACK}:{port}/graphql",
        data=json.dumps({"query": query}).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with _direct.open(request, timeout=2) as response:
            answer = json.load(response).get("data")
    except (OSError, ValueError):
        return {}
    return answer or {}
