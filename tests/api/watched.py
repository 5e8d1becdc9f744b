"""A lake with something of everything that ``GET /metrics`` shows."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.api.lakes import GRID, HandMadeLake

OPEN = GRID.home(datetime.now(UTC))
NOW = OPEN.start + timedelta(seconds=30)
"""Not in the grace of the window before."""
OLDER, INCOMPLETE, TOO_FEW, NEWEST = (OPEN.step(count) for count in (-5, -4, -3, -2))
MARK = NOW - timedelta(minutes=7)
SPAN = {"missing": 0, "start": 0, "watermark": MARK}
SPANS = [
    {**SPAN, "partition": 0, "end": 90, "topic_end": 120},
    {**SPAN, "partition": 1, "end": 50, "topic_end": 50},
    {**SPAN, "partition": 2, "end": 0, "topic_end": None, "watermark": None},
]
COUNTS: dict[str, Any] = {"records": 3, "late": 1, "duplicates": 2, "missing": 0}


def watched_lake(home: Path) -> HandMadeLake:
    """Four answered windows, of which the newest trained and drifted, below a home."""
    lake = HandMadeLake(home / "lake", NOW)
    windows = (OLDER, INCOMPLETE, TOO_FEW, NEWEST)
    letters = [{"window": OLDER.key, "reason": "invalid-json", "count": 4}]
    lake.take(1, NOW, dict.fromkeys(windows, 3), refused=letters, spans=SPANS)
    lake.publish(OLDER, {"a": 0, "b": 1}, covered=1, seconds=9.0, **COUNTS)
    lake.publish(INCOMPLETE, {"a": 0}, covered=1, seconds=5.0, **COUNTS | {"missing": 7})
    lake.write_row(TOO_FEW, "too-few", **{"covered": 1, "model_version": None, **COUNTS})
    lake.publish(NEWEST, {"a": 0, "b": 1}, covered=1, seconds=1.5, **COUNTS)
    lake.review(NEWEST, structure="yes", psi=0.3)
    return lake
