"""What a person does and sees in the Dagster UI, through the same GraphQL that the UI uses."""

import json
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from resources.settings import Settings
from tests.stacks import PATIENCE, until

_FINISHED = ("SUCCESS", "FAILURE", "CANCELED")
_RUN = "runId status startTime endTime tags { key value }"
_RUNS = f"""query($filter: RunsFilter!) {{
    runsOrError(filter: $filter) {{ ... on Runs {{ results {{ {_RUN} }} }} }} }}"""
_VALUES = """
    ... on IntMetadataEntry { intValue } ... on FloatMetadataEntry { floatValue }
    ... on TextMetadataEntry { text } ... on MarkdownMetadataEntry { mdStr }
    ... on JsonMetadataEntry { jsonString }
"""
_MATERIALIZATIONS = f"""query($key: AssetKeyInput!, $partitions: [String!]) {{
    assetOrError(assetKey: $key) {{ ... on Asset {{ assetMaterializations(partitions: $partitions) {{
        runId metadataEntries {{ label {_VALUES} }}
    }} }} }} }}"""
_CHECKS = """query($key: AssetKeyInput!, $check: String!, $partition: String) {
    assetCheckExecutions(assetKey: $key, checkName: $check, partition: $partition, limit: 10) {
        runId status evaluation { success severity description } } }"""
_FAILURES = """query($run: ID!) { runOrError(runId: $run) { ... on Run {
    eventConnection { events { ... on ExecutionStepFailureEvent { error { message } } } } } } }"""
_LAUNCH = """mutation($params: ExecutionParams!) { launchPipelineExecution(executionParams: $params) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
_BACKFILL = """mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
_BACKFILL_STATUS = """query($id: String!) { partitionBackfillOrError(backfillId: $id) {
    ... on PartitionBackfill { status } } }"""


@dataclass(frozen=True)
class Run:
    """A run, as the UI shows it; ``start`` and ``end`` in seconds since the epoch."""

    id: str
    status: str
    tags: dict[str, str]
    start: float | None
    end: float | None


class DagsterUI:
    """A person in front of the Dagster UI of a stack."""

    def __init__(self, settings: Settings) -> None:
        self._url = f"http://127.0.0.1:{settings.dagster_port}/graphql"

    def ask(self, query: str, **variables: Any) -> Any:
        """The answer to a query with one field."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(self._url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as response:
            answer = json.load(response)
        assert "errors" not in answer, answer["errors"]
        (field,) = answer["data"].values()
        return field

    def runs(self, **tags: str) -> list[Run]:
        """The runs with these tags (``silt__window`` is ``silt/window``), newest first."""
        wanted = [{"key": key.replace("__", "/"), "value": value} for key, value in tags.items()]
        return [as_run(item) for item in self.ask(_RUNS, filter={"tags": wanted})["results"]]

    def run(self, run_id: str) -> Run:
        """One run."""
        (found,) = self.ask(_RUNS, filter={"runIds": [run_id]})["results"]
        return as_run(found)

    def finished(self, run_id: str) -> Run:
        """A run, once it has ended."""
        until(lambda: self.run(run_id).status in _FINISHED)
        return self.run(run_id)

    def materializations(self, asset: str, window: str) -> list[dict[str, Any]]:
        """The metadata of an asset's materializations of a window, newest first."""
        answer = self.ask(_MATERIALIZATIONS, key={"path": [asset]}, partitions=[window])
        return [_metadata(item) for item in answer.get("assetMaterializations", [])]

    def checks(self, asset: str, check: str, window: str) -> list[dict[str, Any]]:
        """A check's evaluations of a window, newest first."""
        found = self.ask(_CHECKS, key={"path": [asset]}, check=check, partition=window)
        return [item["evaluation"] for item in found if item["evaluation"]]

    def failures(self, run_id: str) -> list[str]:
        """The messages of a run's failed steps."""
        events = self.ask(_FAILURES, run=run_id)["eventConnection"]["events"]
        return [event["error"]["message"] for event in events if event.get("error")]

    def materialize(self, assets: Sequence[str], window: str, tags: Mapping[str, str] | None = None) -> str:
        """Launch one run of some assets of a window, with more tags if they are given; its id."""
        named = {"dagster/partition": window, **(tags or {})}
        selection = [{"path": [asset]} for asset in assets]
        answer = self.ask(
            _LAUNCH,
            params={
                "mode": "default",
                "executionMetadata": {"tags": [{"key": k, "value": v} for k, v in named.items()]},
                "runConfigData": "{}",
                "selector": {
                    "repositoryLocationName": "silt",
                    "repositoryName": "__repository__",
                    "pipelineName": "__ASSET_JOB",
                    "assetSelection": selection,
                },
            },
        )
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return str(answer["run"]["runId"])

    def backfill(self, assets: Sequence[str], *windows: str, seconds: float = PATIENCE) -> list[Run]:
        """Backfill windows of some assets, to the end; its runs."""
        selection = [{"path": [asset]} for asset in assets]
        answer = self.ask(_BACKFILL, params={"partitionNames": windows, "assetSelection": selection})
        assert answer["__typename"] == "LaunchBackfillSuccess", answer
        backfill = answer["backfillId"]
        until(
            lambda: str(self.ask(_BACKFILL_STATUS, id=backfill)["status"]).startswith(("COMPLETED", "FAIL")),
            seconds,
        )
        return self.runs(dagster__backfill=backfill)


def as_run(item: dict[str, Any]) -> Run:
    """A run, from the fields that the queries here ask for."""
    tags = {tag["key"]: tag["value"] for tag in item["tags"]}
    return Run(item["runId"], item["status"], tags, item["startTime"], item["endTime"])


def _metadata(item: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {"run": item["runId"]}
    for entry in item["metadataEntries"]:
        values = [value for name, value in entry.items() if name != "label"]
        shown[entry["label"]] = values[0] if values else None
        if "jsonString" in entry:
            shown[entry["label"]] = json.loads(entry["jsonString"])
    return shown
