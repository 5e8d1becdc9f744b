"""``alert_sensor``: shows overdue windows, and tells the operator's hook what befell a window, once."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg
import msgspec
from dagster._core.event_api import PartitionKeyFilter
from dagster._core.instance.utils import RUNLESS_RUN_ID

from platform_assets.checks import FRESHNESS
from platform_assets.run import FAILURE_TAG, Platform
from platform_assets.sensors import MOST_FAILURES, failed_runs
from platform_assets.verdicts import freshness
from resources.due import Due, covered_intakes, due_windows
from resources.errors import SiltError, TransientError
from resources.overdue import overdue
from resources.overview import window_rows
from resources.webhook import Alert, Event, State, post
from resources.windows import Window

LOOKED_AT = 100
"""So many due windows, the oldest, are asked for failed runs: the others wait behind them."""
MOST_TRIES = 8
"""A hook that does not answer is tried so often, in about an hour; then it is left alone with what befell."""
AT_ONCE = 5
"""So many POSTs at one tick, which Dagster lets take a minute."""
_FIRST_PAUSE = timedelta(seconds=30)
_LONGEST_PAUSE = timedelta(minutes=20)


class Told(msgspec.Struct):
    """The sensor's cursor, which Dagster keeps: what is known already, for as long as a window is due.

    Attributes:
        events: ``<event> <window>``, of which the hook knows.
        overdue: the windows that are shown as overdue.
        tries: how often in a row the hook did not answer, and when to try again.
    """

    events: list[str] = []
    overdue: list[str] = []
    tries: int = 0
    not_before: datetime = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class _Cause:
    event: Event
    window: Window
    error: str | None

    @property
    def name(self) -> str:
        return f"{self.event} {self.window.key}"


def make_alert_sensor() -> dg.SensorDefinition:
    """The sensor, running by default, whether or not there is a hook."""

    @dg.sensor(
        name="alert_sensor",
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Shows overdue windows, and tells SILT_ALERT_WEBHOOK of failed and overdue ones.",
    )
    def alert_sensor(
        context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]
    ) -> dg.SensorResult | dg.SkipReason:
        try:
            return _tick(context, platform, datetime.now(UTC))
        except SiltError as error:
            return dg.SkipReason(str(error))

    return alert_sensor


def _tick(context: dg.SensorEvaluationContext, platform: Platform, now: datetime) -> dg.SensorResult:
    told = msgspec.json.decode(context.cursor, type=Told) if context.cursor else Told()
    intakes, floor = platform.taker.ledger.intakes(), platform.lake.floor()
    due = due_windows(intakes, covered_intakes(platform.lake), platform.grid, floor, now)
    late = {item.due.window.key: item for item in overdue(due, intakes, platform.grid, now)}
    unseen = [key for key in late if key not in told.overdue and _not_shown(context.instance, key)]
    told.overdue = list(late)
    causes = _causes(context.instance, platform, due, set(late))
    waiting = {item.window.key for item in due}
    told.events = [name for name in told.events if name.split()[1] in waiting]
    if platform.settings.alert_webhook and now >= told.not_before:
        _tell(context, platform, told, [cause for cause in causes if cause.name not in told.events], now)
    return dg.SensorResult(
        asset_events=[_evaluation(key, late[key].since) for key in unseen],
        skip_reason=f"{len(causes)} windows failed or are overdue.",
        cursor=msgspec.json.encode(told).decode(),
    )


def _causes(
    instance: dg.DagsterInstance, platform: Platform, due: Sequence[Due], late: set[str]
) -> list[_Cause]:
    """What an operator has to know of the due windows, oldest first; of each window the worst."""
    rows = window_rows(platform.lake)
    causes = []
    for place, item in enumerate(due):
        failures = failed_runs(instance, item.window, str(item.intake)) if place < LOOKED_AT else []
        kinds = [record.dagster_run.tags.get(FAILURE_TAG) for record in failures]
        error = rows.get(item.window.key, {}).get("error")
        if sum(kind != "transient" for kind in kinds) >= MOST_FAILURES:
            causes.append(_Cause("window-given-up", item.window, error))
        elif "permanent" in kinds:
            causes.append(_Cause("window-failed", item.window, error))
        elif item.window.key in late:
            causes.append(_Cause("window-overdue", item.window, error))
    return causes


def _tell(
    context: dg.SensorEvaluationContext, platform: Platform, told: Told, causes: list[_Cause], now: datetime
) -> None:
    """Tell the hook, in one POST what has one cause; what it did not take is told at a later tick."""
    settings = platform.settings
    same: defaultdict[tuple[Event, str | None], list[_Cause]] = defaultdict(list)
    for cause in causes:
        same[cause.event, cause.error].append(cause)
    for (event, error), group in list(same.items())[:AT_ONCE]:
        oldest = group[0].window.key
        url = f"http://127.0.0.1:{settings.dagster_port}/assets/cluster_stats?partition={oldest}"
        state: State = "failed" if error else "due"
        try:
            post(settings.alert_webhook, Alert(event, oldest, len(group) - 1, state, error, now, url))
        except TransientError as problem:
            context.log.warning(str(problem))
            told.tries += 1
            told.not_before = now + min(_FIRST_PAUSE * 2 ** (told.tries - 1), _LONGEST_PAUSE)
            if told.tries < MOST_TRIES:
                return
        told.tries = 0
        told.events += [cause.name for cause in group]


def _not_shown(instance: dg.DagsterInstance, key: str) -> bool:
    """Whether no sensor has shown a window as overdue yet: outside of runs Dagster takes one evaluation of a
    partition, ever. The window's next run shows it as answered.
    """
    records = instance.event_log_storage.get_asset_check_execution_history(
        FRESHNESS, limit=100, partition_filter=PartitionKeyFilter(key=key)
    )
    return all(record.run_id != RUNLESS_RUN_ID for record in records)


def _evaluation(key: str, since: datetime) -> dg.AssetCheckEvaluation:
    verdict = freshness(since)
    return dg.AssetCheckEvaluation(
        FRESHNESS.asset_key,
        FRESHNESS.name,
        verdict.passed,
        severity=dg.AssetCheckSeverity.WARN,
        description=verdict.description,
        partition=key,
    )
