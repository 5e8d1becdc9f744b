"""What every asset of a run needs: the one guard before it begins, and how it fails."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NoReturn

import dagster as dg

from resources.batch import Batch, check_current, read_batch
from resources.contract import Contract
from resources.errors import SiltError, TransientError, WindowError
from resources.intake import Taker
from resources.lake import Lake
from resources.publication import record_failure
from resources.settings import Settings
from resources.spark import SERVER_ERRORS, stopped_answering
from resources.windows import Grid, Window

PARTITION_TAG = "dagster/partition"


@dataclass(frozen=True)
class Platform:
    """The resources that the assets and the sensor share."""

    settings: Settings
    contract: Contract
    lake: Lake
    taker: Taker

    @property
    def grid(self) -> Grid:
        return self.settings.grid

    def batch(self, window: Window) -> Batch:
        """The window's batch as it stands."""
        return read_batch(self.lake, self.contract, window)

    def check_current(self, batch: Batch) -> None:
        """Refuse a batch that another run has replaced."""
        check_current(self.lake, self.contract, batch)


@contextmanager
def window_of(
    context: dg.AssetExecutionContext, platform: Platform, slot: int | None = None
) -> Iterator[Window]:
    """The window of a run: checked, begun and closed. What fails inside is noted in the window's row.

    A window that is still open is waited for; one in the future, before the lake's floor, or of another
    slot fails at once.
    """
    try:
        window = _checked(context.run.tags.get(PARTITION_TAG, ""), platform, slot)
    except WindowError as error:
        raise dg.Failure(str(error), allow_retries=False) from None
    _wait(context, platform.grid.close(window))
    try:
        yield window
    except SiltError as error:
        _fail(platform, window, error)
    except SERVER_ERRORS as error:
        _fail(platform, window, stopped_answering(platform.settings.spark_url, error))
    except Exception as error:
        record_failure(platform.lake, window, f"{type(error).__name__}: {error}"[:1000])
        raise


def _fail(platform: Platform, window: Window, error: SiltError) -> NoReturn:
    record_failure(platform.lake, window, str(error))
    raise dg.Failure(str(error), allow_retries=isinstance(error, TransientError)) from None


def _checked(key: str, platform: Platform, slot: int | None) -> Window:
    window = platform.grid.window(key)
    if slot and window.slot != slot:
        raise WindowError(
            f"{key} is slot {window.slot} of its cycle: materialize model_{window.slot} for it."
        )
    floor = platform.lake.floor()
    if window.start < floor:
        raise WindowError(f"{key} lies before {floor:%Y-%m-%d}, from which day on the lake keeps windows.")
    if window.start > datetime.now(UTC):
        raise WindowError(f"{key} has not begun: it opens at {window.start:%H:%M} UTC. Run it then.")
    return window


def _wait(context: dg.AssetExecutionContext, close: datetime) -> None:
    seconds = (close - datetime.now(UTC)).total_seconds()
    if seconds > 0:
        context.log.info(f"The window closes in {seconds:.1f} s: waiting for it.")
        time.sleep(seconds)
