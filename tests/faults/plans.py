"""How large a run of the harness is: the short one for CI, the long one for `make faults`."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Plan:
    """Numbers of one run; the code is the same for all.

    Attributes:
        live_windows: one-minute windows that pass while the producer sends at ``rate``.
        rate: messages a second.
        past_windows: windows of the hours before, which are sent at the start, late records later.
        past_records: messages for each of them at the start.
        rounds: so often all faults happen.
        run_kills: kills of a window's run in a round.
        crowded: every so many kills of the whole stack, more runs wait than there are slots.
        calls_off: whether a person calls those off afterwards, to save their time.
        disk_megabytes: size of the disk that the lake is on.
        least_acknowledged, least_windows: the run does not count below.
    """

    live_windows: int
    rate: float
    past_windows: int
    past_records: int
    rounds: int
    run_kills: int
    crowded: int
    calls_off: bool
    disk_megabytes: int
    least_acknowledged: int
    least_windows: int

    @property
    def live_seconds(self) -> int:
        """So long the producer sends live records."""
        return 60 * self.live_windows


SHORT = Plan(
    live_windows=2, rate=60, past_windows=5, past_records=200, rounds=1, run_kills=1, crowded=1,
    calls_off=True, disk_megabytes=256, least_acknowledged=5_000, least_windows=7,
)  # fmt: skip
LONG = Plan(
    live_windows=36, rate=100, past_windows=6, past_records=2_000, rounds=20, run_kills=1, crowded=5,
    calls_off=False, disk_megabytes=2048, least_acknowledged=200_000, least_windows=40,
)  # fmt: skip
MEDIUM = replace(LONG, live_windows=10, rounds=4, crowded=2, least_acknowledged=40_000, least_windows=14)
PLANS = {"short": SHORT, "medium": MEDIUM, "long": LONG}
