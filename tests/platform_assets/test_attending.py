"""When an attending run takes in: now and then, and more and more often towards the close."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from platform_assets.ahead import ARRIVED
from platform_assets.attending import PREPARE, next_moment

END = datetime(2026, 11, 24, 5, 5, tzinfo=UTC)
CLOSE = END + timedelta(seconds=2)
AHEAD = (CLOSE - END - ARRIVED).total_seconds()


def moments(start: float, every: float) -> list[float]:
    """Seconds before the close of all that a run does which starts so long before it."""
    now, found = CLOSE - timedelta(seconds=start), [start]
    while now < CLOSE:
        now = next_moment(now, END, CLOSE, timedelta(seconds=every))
        found.append((CLOSE - now).total_seconds())
    return found


def test_intakes_come_at_their_pace_and_at_the_end_each_four_times_as_near_to_the_close() -> None:
    assert moments(60, 10) == [60, 51, 41, 31, PREPARE.total_seconds(), 11, 4, AHEAD, 0.25, 0]
    assert moments(60, 20) == [60, 41, PREPARE.total_seconds(), 8, AHEAD, 0.5, 0]


@pytest.mark.parametrize("every", [0.1, 0.5, 1, 7, 10, 60, 1000])
@pytest.mark.parametrize("start", [0.05, 0.9, 3.3, 59, 300])
def test_no_intake_is_far_from_the_next_and_the_last_is_near_the_close(start: float, every: float) -> None:
    found = moments(start, every)
    assert found[-1] == 0
    gaps = [earlier - later for earlier, later in pairwise(found)]
    assert all(0 < gap <= max(1.5 * every, 0.8) for gap in gaps)
    assert found[-2] <= max(0.8, min(0.4 * every, start))
