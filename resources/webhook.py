"""The alert hook: one JSON POST for each thing that an operator has to know."""

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import datetime
from http.client import HTTPException
from typing import Literal

from resources.errors import TransientError

Event = Literal["window-failed", "window-given-up", "window-overdue"]
State = Literal["due", "failed"]
SECONDS = 5.0
"""The hook must have answered within."""


@dataclass(frozen=True)
class Alert:
    """What the hook is told, as the JSON object that it gets.

    Attributes:
        event: ``window-failed``: its run failed, and not because the world was away; ``window-given-up``: so
            often that Silt waits for a person; ``window-overdue``: it has been due for two windows' length.
        window: its key; the oldest, where the same befell several.
        others: how many more windows the same befell at the same time.
        state: of the window: ``due``, or ``failed`` where its last run failed.
        error: of its last run.
        time: when this was found.
        url: where to look.
    """

    event: Event
    window: str
    others: int
    state: State
    error: str | None
    time: datetime
    url: str


def post(url: str, alert: Alert) -> None:
    """Tell the hook.

    Raises:
        TransientError: it did not answer, or not with success.
    """
    body = json.dumps(vars(alert) | {"time": alert.time.isoformat()}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json", "User-Agent": "silt"})
    try:
        with urllib.request.urlopen(request, timeout=SECONDS):
            pass
    except (OSError, HTTPException) as error:  # urllib's errors are OSErrors
        raise TransientError(
            f"The hook of SILT_ALERT_WEBHOOK did not take {alert.event} of {alert.window}: {error}."
        ) from None
