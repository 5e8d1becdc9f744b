"""Window arithmetic, over every window length."""

import random
from datetime import UTC, datetime, timedelta, timezone

import pytest

from resources.errors import WindowError
from resources.windows import Grid, Window

LENGTHS = (1, 2, 4, 5, 10, 20)
EVERY_LENGTH = pytest.mark.parametrize("minutes", LENGTHS)
_HOUR = timedelta(hours=1)


def instants(seed: int, count: int = 500) -> list[datetime]:
    """Random instants to the microsecond, among them some on the minute and before 1970."""
    draw = random.Random(seed)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    found = [epoch + timedelta(microseconds=draw.randrange(-(10**15), 4 * 10**15)) for _ in range(count)]
    return found + [moment.replace(second=0, microsecond=0) for moment in found[:50]]


@EVERY_LENGTH
def test_home_contains_its_event_time_and_is_aligned_to_the_hour(minutes: int) -> None:
    grid = Grid(minutes)
    for moment in instants(minutes):
        window = grid.home(moment)
        assert window.start <= moment < window.end
        assert window.end - window.start == timedelta(minutes=minutes)
        assert window.start.minute % minutes == 0
        assert (window.start.second, window.start.microsecond) == (0, 0)


@EVERY_LENGTH
def test_a_window_is_half_open(minutes: int) -> None:
    window = Grid(minutes).home(datetime(2026, 11, 24, 5, 0, tzinfo=UTC))
    assert Grid(minutes).home(window.end - timedelta(microseconds=1)) == window
    assert Grid(minutes).home(window.end) == window.step(1)


@EVERY_LENGTH
def test_three_slots_cycle_and_start_anew_with_every_hour(minutes: int) -> None:
    for moment in instants(minutes, 50):
        window = Grid(minutes).home(moment)
        assert [window.step(count).slot for count in range(3)] == [
            (window.slot - 1 + count) % 3 + 1 for count in range(3)
        ]
        hour = Grid(minutes).home(moment.replace(minute=0, second=0, microsecond=0))
        assert hour.slot == 1


@EVERY_LENGTH
def test_home_does_not_depend_on_the_zone_in_which_the_event_time_is_written(minutes: int) -> None:
    kathmandu = timezone(timedelta(hours=5, minutes=45))
    for moment in instants(minutes, 50):
        assert Grid(minutes).home(moment.astimezone(kathmandu)) == Grid(minutes).home(moment)
        assert Grid(minutes).home(moment.astimezone(kathmandu)).key == Grid(minutes).home(moment).key


@EVERY_LENGTH
def test_a_key_names_its_window_alone(minutes: int) -> None:
    grid = Grid(minutes)
    for moment in instants(minutes):
        window = grid.home(moment)
        assert grid.window(window.key) == window


@EVERY_LENGTH
def test_keys_sort_as_their_windows_do(minutes: int) -> None:
    windows = [Grid(minutes).home(moment) for moment in instants(minutes)]
    assert sorted(windows) == sorted(windows, key=lambda window: window.key)


def test_key_and_date_are_utc() -> None:
    window = Grid(5).home(datetime(2026, 11, 24, 1, 7, tzinfo=timezone(timedelta(hours=3))))
    assert window.key == "2026-11-23T2205Z"
    assert window.date.isoformat() == "2026-11-23"


@pytest.mark.parametrize(
    "key",
    [
        "", "yesterday", "2026-11-24T05:05Z", "2026-11-24T0505", "2026-11-24T0505z", "2026-11-24 0505Z",
        "2026-11-24T0505+0000", "2026-13-24T0505Z", "2026-02-30T0505Z", "2026-11-24T2405Z",
        "2026-11-24T0560Z", "2026-11-24T0505Z ", "2026-11-24T0505Z\n", "26-11-24T0505Z", "0000-11-24T0505Z",
    ],
)  # fmt: skip
def test_a_wrong_key_says_how_a_window_is_named(key: str) -> None:
    with pytest.raises(WindowError, match="named by its start in UTC, like 2026-11-24T0505Z") as caught:
        Grid(5).window(key)
    assert "\n" not in str(caught.value)


def test_a_key_between_two_windows_names_the_one_near_it() -> None:
    with pytest.raises(WindowError, match=r"5 minutes long, near it starts 2026-11-24T0505Z"):
        Grid(5).window("2026-11-24T0507Z")


@EVERY_LENGTH
def test_newest_closed_is_the_last_whose_close_has_come(minutes: int) -> None:
    grid = Grid(minutes, timedelta(seconds=7))
    for moment in instants(minutes, 100):
        newest = grid.newest_closed(moment)
        assert grid.close(newest) <= moment < grid.close(newest.step(1))


def test_a_window_closes_only_after_the_grace() -> None:
    grid = Grid(5, timedelta(seconds=2))
    window = grid.window("2026-11-24T0500Z")
    close = window.end + timedelta(seconds=2)
    assert grid.close(window) == close
    assert grid.newest_closed(close - timedelta(microseconds=1)) == window.step(-1)
    assert grid.newest_closed(close) == window


@EVERY_LENGTH
def test_between_names_every_window_once_oldest_first(minutes: int) -> None:
    first = Grid(minutes).window("2026-11-24T2300Z")
    last = Grid(minutes).home(first.start + 2 * _HOUR)
    windows = list(Grid(minutes).between(first, last))
    assert windows == [first.step(count) for count in range(120 // minutes + 1)]
    assert (windows[0], windows[-1]) == (first, last)
    assert list(Grid(minutes).between(last, first)) == []


def test_steps_go_back_and_forth() -> None:
    window = Window(datetime(2026, 11, 24, 5, 5, tzinfo=UTC), 5)
    assert window.step(12).start - window.start == _HOUR
    assert window.step(-3).step(3) == window
