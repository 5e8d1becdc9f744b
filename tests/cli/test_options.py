"""What the commands' options take, and the pace they set."""

import os
import signal
from datetime import UTC, datetime, timedelta

import click
import pytest

from cli.options import Duration, Instant, Pacer, ending_on_signal


class FakeClock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("5m", timedelta(minutes=5)),
        ("90s", timedelta(seconds=90)),
        ("1h30m", timedelta(minutes=90)),
        ("250ms", timedelta(milliseconds=250)),
        ("0.5d", timedelta(hours=12)),
    ],
)
def test_duration_is_read(text: str, length: timedelta) -> None:
    assert Duration().convert(text, None, None) == length


@pytest.mark.parametrize("text", ["", "5", "m", "5 m", "-5m", "5m!", "0s", "99999999999d"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        Duration().convert(text, None, None)


def test_instant_is_read_in_its_zone() -> None:
    assert Instant().convert("2026-11-24T07:05+02:00", None, None) == datetime(2026, 11, 24, 5, 5, tzinfo=UTC)


@pytest.mark.parametrize("text", ["yesterday", "2026-11-24T05:05", "2026-13-01T00:00Z"])
def test_instant_without_zone_or_sense_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        Instant().convert(text, None, None)


@pytest.mark.parametrize("rate", [0.5, 20, 30_000])
def test_pacer_keeps_its_rate(rate: float) -> None:
    clock = FakeClock()
    pacer = Pacer(rate, lambda: False, clock, clock.sleep)
    for _ in range(50):
        pacer.wait()
    assert clock.now - 100 == pytest.approx(49 / rate)


def test_pacer_makes_up_for_a_short_hold_up_but_not_for_a_long_one() -> None:
    clock = FakeClock()
    pacer = Pacer(10, lambda: False, clock, clock.sleep)
    pacer.wait()
    clock.now += 0.35
    for _ in range(4):
        pacer.wait()
    assert clock.now == pytest.approx(100.4)
    clock.now += 3600
    woke = clock.now
    for _ in range(7):
        pacer.wait()
    assert clock.now - woke == pytest.approx(0.1)


def test_pacer_without_a_rate_never_waits() -> None:
    clock = FakeClock()
    pacer = Pacer(None, lambda: False, clock, clock.sleep)
    for _ in range(1000):
        pacer.wait()
    assert clock.now == 100


def test_pacer_does_not_sleep_on_once_the_end_is_asked_for() -> None:
    clock = FakeClock()
    pacer = Pacer(0.001, lambda: clock.now > 105, clock, clock.sleep)
    pacer.wait()
    pacer.wait()
    assert clock.now < 106


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_first_signal_asks_for_the_end_and_the_handlers_return(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with ending_on_signal() as stopped:
        assert not stopped()
        os.kill(os.getpid(), number)
        assert stopped()
        assert signal.getsignal(number) == before
    assert signal.getsignal(number) == before
