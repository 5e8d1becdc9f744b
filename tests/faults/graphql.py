"""What the harness asks Dagster beyond what a person in front of the UI does."""

import contextlib
import urllib.error
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.e2e.dagster_ui import DagsterUI, Run, as_run
from tests.stacks import until

_RUNS = """query($filter: RunsFilter!) { runsOrError(filter: $filter) { ... on Runs { results {
    runId status startTime endTime tags { key value } } } } }"""
_UNFINISHED = ["QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING"]
_SLOTS = "{ instance { runQueueConfig { maxConcurrentRuns } } }"
_BACKFILLS = """{ partitionBackfillsOrError(limit: 200) { ... on PartitionBackfills { results {
    id status } } } }"""
_BACKFILL = """mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
_TERMINATE = """mutation($runs: [String!]!) { terminateRuns(runIds: $runs) { __typename } }"""
_SAID = """query($run: ID!) { runOrError(runId: $run) { ... on Run { eventConnection { events {
    ... on MessageEvent { message } ... on ErrorEvent { error { message causes { message } } } } } } } }"""


class Dagster(DagsterUI):
    """Dagster of one stack, over GraphQL."""

    def unfinished(self) -> list[Run]:
        """All runs that wait or run."""
        return self._filtered(statuses=_UNFINISHED)

    def waiting(self) -> list[str]:
        """The ids of the runs that wait for a slot."""
        return [run.id for run in self._filtered(statuses=["QUEUED"])]

    def terminate(self, runs: Sequence[str]) -> None:
        """Call runs off, as a person does."""
        self.ask(_TERMINATE, runs=list(runs))

    def changed_since(self, moment: float) -> list[Run]:
        """The runs of which anything was heard since a moment, in seconds since the epoch."""
        return self._filtered(updatedAfter=moment)

    def slots(self) -> int:
        """So many runs may be in progress at once."""
        return int(self.ask(_SLOTS)["runQueueConfig"]["maxConcurrentRuns"])

    def said(self, run: str) -> str:
        """All messages and errors of a run."""
        events = self.ask(_SAID, run=run)["eventConnection"]["events"]
        return "\n".join(text for event in events for text in _texts(event))

    def launch(self, assets: Sequence[str], window: str, tags: Mapping[str, str] | None = None) -> str:
        """Launch a run as the UI does, as soon as Dagster knows its code again; the run's id."""
        return _as_soon_as_it_can(lambda: self.materialize(assets, window, tags))

    def start_backfill(self, assets: Sequence[str], windows: Sequence[str]) -> str:
        """Launch a backfill in the same way; its id."""
        selection = [{"path": [asset]} for asset in assets]
        params = {"partitionNames": list(windows), "assetSelection": selection}
        return _as_soon_as_it_can(lambda: str(self.ask(_BACKFILL, params=params)["backfillId"]))

    def backfills_in_progress(self) -> int:
        """How many backfills have not ended."""
        found = self.ask(_BACKFILLS)["results"]
        return sum(item["status"] in ("REQUESTED", "CANCELING", "FAILING") for item in found)

    def _filtered(self, **wanted: Any) -> list[Run]:
        return [as_run(item) for item in self.ask(_RUNS, filter=wanted)["results"]]


def _as_soon_as_it_can(ask: Callable[[], str]) -> str:
    answers: list[str] = []

    def asked() -> list[str]:
        with contextlib.suppress(AssertionError, KeyError, urllib.error.URLError):
            answers.append(ask())
        return answers

    until(asked, 120)
    return answers[0]


def _texts(event: dict[str, Any]) -> list[str]:
    error = event.get("error") or {}
    causes = [cause["message"] for cause in error.get("causes", [])]
    return [text for text in (event.get("message"), error.get("message"), *causes) if text]
