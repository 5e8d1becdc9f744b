"""The alert rules and the dashboard name metrics that there are, and so does their page."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families as parse

from resources.settings import PROJECT, Settings
from tests.api.clients import client_of
from tests.api.watched import NOW, watched_lake

FOLDER = PROJECT / "docs" / "observability"
PAGE = (PROJECT / "docs" / "observability.md").read_text()
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
METRIC = re.compile(r"\b(?:silt|process)_[a-z_]+[a-z]")


@pytest.fixture(scope="module")
def metrics(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    home = tmp_path_factory.mktemp("home")
    watched_lake(home)
    with client_of(Settings(home=home), NOW) as client:
        families = list(parse(client.get("/metrics").text))
    return {f"{family.name}{suffix}" for family in families for suffix in SUFFIXES[family.type]}


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    answer: dict[str, Any] = json.loads((FOLDER / "dashboard.json").read_text())
    return answer


def expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in rules())
    for panel in dashboard()["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))


def test_every_metric_that_is_asked_for_is_there(metrics: set[str]) -> None:
    asked = {name for expression in expressions() for name in METRIC.findall(expression)}
    assert len(asked) > 25
    assert asked - metrics == set()


def test_page_lists_every_metric_of_silt_and_no_other(metrics: set[str]) -> None:
    mine = {re.sub("_(bucket|sum|count)$", "", name) for name in metrics if name.startswith("silt_")}
    assert {name for name in METRIC.findall(PAGE) if name.startswith("silt_")} == mine


def test_every_alert_says_what_is_wrong_and_what_to_do() -> None:
    assert len({rule["alert"] for rule in rules()}) == len(rules())
    for rule in rules():
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert rule["annotations"].keys() == {"summary", "do"}
        assert f"`{rule['alert']}`" in PAGE


def test_dashboard_takes_any_data_source_and_every_panel_has_its_place() -> None:
    board = dashboard()
    assert "datasource" in {variable["type"] for variable in board["templating"]["list"]}
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken
        assert at["x"] + at["w"] <= 24
        taken |= cells
