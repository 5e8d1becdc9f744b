"""What every asset of a run needs: the one guard before it begins, and how it fails."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import NoReturn

import dagster as dg
import polars as pl

from platform_assets.liveness import claim
from platform_assets.made import Made
from platform_assets.spark_session import SparkConnectResource
from resources.accounting import Account, account
from resources.batch import Batch, check_current, read_batch
from resources.contract import Contract
from resources.errors import SiltError, TransientError, WindowError
from resources.intake import Taker
from resources.intakes import Intakes
from resources.lake import STORE_ERRORS, Lake, store_failed
from resources.publication import record_failure
from resources.samples import Samples
from resources.settings import Settings
from resources.spark import SERVER_ERRORS, stopped_answering
from resources.window_rows import WindowRows
from resources.windows import Grid, Window

PARTITION_TAG = "dagster/partition"
FAILURE_TAG = "silt/failure"
"""On a failed run: ``transient`` (the world was away) or ``permanent``; without it the run was killed."""
RETRIES = dg.RetryPolicy(max_retries=4, delay=1, backoff=dg.Backoff.EXPONENTIAL)
"""Transient failures are retried after 1, 3, 7 and 15 s within the run; the sensor goes on from there."""


@dataclass(frozen=True)
class Platform:
    """The resources that the assets and the sensor share."""

    settings: Settings
    contract: Contract
    lake: Lake
    taker: Taker

    def __post_init__(self) -> None:
        self.taker.on_landed = self.rows.land

    @property
    def grid(self) -> Grid:
        return self.settings.grid

    @cached_property
    def rows(self) -> WindowRows:
        """The records that a run has in memory."""
        return WindowRows(self.lake, self.contract, self.settings.run_bytes)

    @cached_property
    def samples(self) -> Samples:
        """The samples of published windows; a batch's that the run has in memory is not read."""
        return Samples(self.lake, self.taker.ledger.intakes, self.grid, self.contract.features, self.rows)

    @cached_property
    def made(self) -> Made:
        """What the run has made of its batch."""
        return Made()

    def account(self, window: Window, intakes: Intakes) -> Account:
        """Of the intakes that touch a window; those that were in order before are not looked at again."""
        return account(self.lake, intakes, window, self._accounts)

    @cached_property
    def _accounts(self) -> dict[int, Account]:
        return {}

    def batch(self, window: Window) -> Batch:
        """The window's batch as it stands."""
        return read_batch(self.lake, self.contract, window)

    def records(self, batch: Batch) -> pl.DataFrame:
        """A batch's records, in memory for all assets of the run."""
        held = self.rows.held(batch.digest)
        if held is None:
            intakes = self.taker.ledger.intakes()
            held, _ = self.rows.selection(batch.window, intakes, batch.covered)
            self.rows.hold(batch.digest, held)
        return held

    def seen(self, batch: Batch) -> pl.DataFrame:
        """The records that a batch's model sees."""
        intakes, windows = self.taker.ledger.intakes(), batch.sources(self.grid)
        earlier = [self.rows.selection(window, intakes, batch.covered)[0] for window in windows[:-1]]
        return pl.concat([*earlier, self.records(batch)], how="diagonal")

    def check_current(self, batch: Batch) -> None:
        """Refuse a batch that another run has replaced."""
        check_current(self.lake, self.contract, batch)


@contextmanager
def our_errors(platform: Platform) -> Iterator[None]:
    """Show errors of ours as their line, not as a traceback; transient ones may be retried."""
    try:
        yield
    except SiltError as error:
        raise dg.Failure(str(error), allow_retries=isinstance(error, TransientError)) from None
    except STORE_ERRORS as error:
        raise dg.Failure(str(store_failed(platform.lake.uri, error))) from error


@contextmanager
def window_of(
    context: dg.AssetExecutionContext,
    platform: Platform,
    spark: SparkConnectResource,
    slot: int | None = None,
    wait: Callable[[Window], None] | None = None,
    answers: bool = True,
) -> Iterator[Window]:
    """The window of a run: checked, begun and closed. What fails inside is noted in the window's row.

    One in the future, before the lake's floor, or of another slot fails at once. Transient failures are
    retried by :data:`RETRIES`, permanent ones are not.

    Args:
        wait: what to do with a window that is still open, until it closes; None: sleep.
        answers: whether the window lacks an answer if this fails; what follows the publication leaves the
            window's row alone.
    """
    try:
        window = _checked(context.run.tags.get(PARTITION_TAG, ""), platform, slot)
    except WindowError as error:
        raise dg.Failure(str(error), allow_retries=False) from None
    claim(context.instance, context.run.run_id)
    failing = partial(_fail, context, platform, window if answers else None)
    try:
        (wait or partial(_sleep, context, platform))(window)
        yield window
    except SERVER_ERRORS as error:
        spark.drop()
        failing(stopped_answering(platform.settings.spark_url, error))
    except STORE_ERRORS as error:
        failing(store_failed(platform.lake.uri, error))
    except SiltError as error:
        failing(error)
    except Exception as error:
        if answers:
            _note(context, platform, window, f"{type(error).__name__}: {error}"[:1000])
        raise


def _fail(
    context: dg.AssetExecutionContext, platform: Platform, window: Window | None, error: SiltError
) -> NoReturn:
    transient = isinstance(error, TransientError)
    if window and (not transient or context.retry_number == RETRIES.max_retries):
        _note(context, platform, window, str(error))
        context.instance.add_run_tags(
            context.run.run_id, {FAILURE_TAG: "transient" if transient else "permanent"}
        )
    raise dg.Failure(str(error), allow_retries=transient) from None


def _note(context: dg.AssetExecutionContext, platform: Platform, window: Window, error: str) -> None:
    try:
        record_failure(platform.lake, window, error)
    except (SiltError, *STORE_ERRORS) as second:  # the lake itself may be what fails
        context.log.warning(f"The failure could not be noted in the window's row: {second}")


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


def _sleep(context: dg.AssetExecutionContext, platform: Platform, window: Window) -> None:
    seconds = (platform.grid.close(window) - datetime.now(UTC)).total_seconds()
    if seconds > 0:
        context.log.info(f"The window closes in {seconds:.1f} s: waiting for it.")
        time.sleep(seconds)
