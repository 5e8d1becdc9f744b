"""Attending: until its window closes, the open window's run takes the topic in and gets ready."""

import gc
import math
import time
from datetime import UTC, datetime, timedelta

import dagster as dg

from platform_assets.ahead import ARRIVED, work_ahead
from platform_assets.models import in_process, rehearse
from platform_assets.run import Platform
from platform_assets.spark_session import SparkConnectResource
from resources.errors import SiltError, TransientError
from resources.intake_rows import Intake
from resources.lake import STORE_ERRORS
from resources.spark import SERVER_ERRORS, stopped_answering
from resources.windows import Window

LAST = timedelta(seconds=0.2)
"""No nearer to the close is the last intake before it: it must not still be at it then."""
PREPARE = timedelta(seconds=21)
"""So long before the close the run connects to Spark; earlier it would hold what others could use."""
REHEARSAL = timedelta(seconds=15)
"""A rehearsal begins no later before the close: it must not delay what it is for."""


def attend(
    context: dg.AssetExecutionContext, platform: Platform, spark: SparkConnectResource, window: Window
) -> None:
    """Take the topic in every ``SILT_INTAKE_SECONDS`` until the window closes; connect to Spark in time.

    A broker or a Spark server that is away is asked again: nothing is lost before the close.
    """
    close = platform.grid.close(window)
    platform.rows.keep(window)
    every = timedelta(seconds=platform.settings.intake_seconds)
    if _until(close) > 0:
        context.log.info(f"The window closes in {_until(close):.0f} s: attending it.")
    ready = worked = False
    while (now := datetime.now(UTC)) < close:
        _take_in(context, platform)
        if not worked and now >= window.end + ARRIVED:
            _work_ahead(context, platform, spark, window)
            worked = True
        if not ready and now >= close - PREPARE:
            ready = _prepare(context, platform, spark, window)
        _sleep(next_moment(now, window.end, close, every))


def next_moment(now: datetime, end: datetime, close: datetime, every: timedelta) -> datetime:
    """When an attending run next takes in, prepares, works ahead, or is at the close.

    Towards the close intakes come nearer together: each has little more to take in than it has time for, and
    little is left for the one after the close. Where two would be near each other there is one: it costs as
    much CPU time as ten thousand records.
    """
    left, ahead = close - now, close - end - ARRIVED
    tails = [0.4 * every]
    while tails[-1] / 4 >= LAST:
        tails.append(tails[-1] / 4)
    last = [tail for tail in tails if not ahead / 2 < tail < 2 * ahead]
    regular = PREPARE + (math.ceil((left - PREPARE) / every) - 1) * every
    planned = [PREPARE, *last, ahead, timedelta(0)] + ([regular] if regular >= 2 * tails[0] else [])
    return close - max(until for until in planned if until < left)


def log_intakes(context: dg.AssetExecutionContext, taken: list[Intake]) -> None:
    """Say in the run's log what was read."""
    for intake in taken:
        spans = ", ".join(f"{p}: [{span.start}, {span.end})" for p, span in sorted(intake.spans.items()))
        end = "to the topic's end" if intake.caught_up else "a chunk"
        context.log.info(f"Intake {intake.number}: offsets {spans}, {end}.")


def _take_in(context: dg.AssetExecutionContext, platform: Platform) -> None:
    try:
        log_intakes(context, platform.taker.take_new())
    except TransientError as error:
        context.log.warning(f"{error} Trying again until the window closes.")


def _prepare(
    context: dg.AssetExecutionContext, platform: Platform, spark: SparkConnectResource, window: Window
) -> bool:
    close = platform.grid.close(window)
    try:
        platform.account(window, platform.taker.ledger.intakes())
        if not in_process(platform, platform.taker.ledger.intakes().records(window)):
            spark.connect()
            if close - datetime.now(UTC) >= REHEARSAL:
                rehearse(spark, platform, window)
    except TransientError as error:
        context.log.warning(str(error))
        return False
    except SERVER_ERRORS as error:
        spark.drop()
        context.log.warning(str(stopped_answering(platform.settings.spark_url, error)))
        return False
    gc.collect()  # not after the close
    gc.freeze()
    context.log.info(f"Ready {_until(close):.1f} s before the close.")
    return True


def _work_ahead(
    context: dg.AssetExecutionContext, platform: Platform, spark: SparkConnectResource, window: Window
) -> None:
    """Whatever goes wrong here goes wrong, or does not, after the close, where it is said and tried again."""
    try:
        platform.account(window, platform.taker.ledger.intakes())
        if work_ahead(platform, spark, window):
            context.log.info(f"Ahead of the close by {_until(platform.grid.close(window)):.1f} s.")
    except (SiltError, *STORE_ERRORS) as error:
        context.log.warning(f"Not ahead of the close: {error}")


def _until(moment: datetime) -> float:
    return (moment - datetime.now(UTC)).total_seconds()


def _sleep(moment: datetime) -> None:
    time.sleep(max(0.0, _until(moment)))
