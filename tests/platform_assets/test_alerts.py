"""The alert sensor, with a real hook: what is told, once, and what becomes of a hook that does not answer."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import msgspec
import pytest

from platform_assets.alerts import MOST_TRIES, Told, make_alert_sensor
from platform_assets.checks import FRESHNESS
from platform_assets.sensors import MOST_FAILURES
from resources.contract import Contract
from resources.overdue import patience
from resources.publication import record_failure
from resources.windows import Window
from tests.platform_assets.test_sensors import World
from tests.stacks import free_ports

FAILED = dg.DagsterRunStatus.FAILURE


class Hook:
    """An HTTP server in a thread that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.status = 200
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                assert self.headers["Content-Type"] == "application/json"
                if outer.status == 200:
                    outer.told.append(body)
                self.send_response(outer.status)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/alerts"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def events(self) -> list[tuple[str, str, int]]:
        return [(body["event"], body["window"], body["others"]) for body in self.told]


@pytest.fixture
def hook() -> Iterator[Hook]:
    made = Hook()
    yield made
    made.close()


class Watched(World):
    """A world that the alert sensor looks at."""

    cursor: str | None = None

    def watch(self, url: str) -> dg.SensorResult:
        """One evaluation of the sensor; what it shows is stored as the daemon stores it."""
        settings = self.settings.model_copy(update={"alert_webhook": url})
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            resources={"platform": replace(self.platform, settings=settings)},
        )
        result = make_alert_sensor()(context)
        assert isinstance(result, dg.SensorResult), result
        for event in result.asset_events:
            self.instance.report_runless_asset_event(event)
        self.cursor = result.cursor
        return result

    def later(self) -> None:
        """The pause after a hook that did not answer is over."""
        told = msgspec.json.decode(self.cursor or "", type=Told)
        told.not_before = datetime.now(UTC)
        self.cursor = msgspec.json.encode(told).decode()

    def lands_late(self, *windows: Window) -> int:
        """An intake that landed records long ago, and that nothing covers yet."""
        return self.take_in(*windows, at=self.now - patience(self.grid) - timedelta(minutes=4))

    def fails(
        self, window: Window, due: int, error: str = "the model went wrong", kind: str = "permanent"
    ) -> None:
        self.has_run(window, FAILED, due, silt__failure=kind)
        record_failure(self.lake, window, error)

    def fresh(self, window: Window) -> bool | None:
        """What Dagster shows of a window's freshness."""
        storage = self.instance.event_log_storage
        records = storage.get_asset_check_execution_history(FRESHNESS, limit=10)
        for record in records:
            evaluation = record.evaluation
            if evaluation and evaluation.partition == window.key:
                return evaluation.passed
        return None


@pytest.fixture
def world(tmp_path: Path, contract: Contract) -> Iterator[Watched]:
    made = Watched(tmp_path, contract)
    with made.instance:
        yield made


def test_nothing_is_told_while_windows_are_answered_in_time(world: Watched, hook: Hook) -> None:
    world.publish(world.window(1), world.take_in(world.window(1)))
    world.take_in(world.window(2))  # due since now
    assert world.watch(hook.url).asset_events == []
    assert hook.told == []


def test_an_overdue_window_is_told_and_shown_once(world: Watched, hook: Hook) -> None:
    number = world.lands_late(world.window(6))
    world.take_in()
    for _ in range(3):
        world.watch(hook.url)
    (alert,) = hook.told
    assert alert.pop("time").endswith("+00:00")
    key = world.window(6).key
    assert alert == {
        "event": "window-overdue", "window": key, "others": 0, "state": "due", "error": None,
        "url": f"http://127.0.0.1:3000/assets/cluster_stats?partition={key}",
    }  # fmt: skip
    assert world.fresh(world.window(6)) is False
    world.publish(world.window(6), number)
    world.watch(hook.url)
    assert len(hook.told) == 1


def test_a_window_that_is_overdue_once_more_is_told_again(world: Watched, hook: Hook) -> None:
    for _ in range(2):
        number = world.lands_late(world.window(6))
        world.take_in()
        world.watch(hook.url)
        assert world.fresh(world.window(6)) is False
        world.publish(world.window(6), number)
        world.watch(hook.url)
    assert hook.events() == [("window-overdue", world.window(6).key, 0)] * 2


def test_a_topic_that_is_not_read_is_told_by_the_oldest_window_that_waits(world: Watched, hook: Hook) -> None:
    world.take_in(at=world.grid.close(world.window(6)))
    world.watch(hook.url)
    assert hook.events() == [("window-overdue", world.window(5).key, 0)]


def test_a_failure_that_is_permanent_is_told_at_once_and_once(world: Watched, hook: Hook) -> None:
    number = world.take_in(world.window(2))
    world.fails(world.window(2), number)
    world.watch(hook.url)
    world.fails(world.window(2), number)
    world.watch(hook.url)
    (alert,) = hook.told
    assert (alert["event"], alert["window"]) == ("window-failed", world.window(2).key)
    assert (alert["state"], alert["error"]) == ("failed", "the model went wrong")


def test_a_transient_failure_is_not_told_while_the_window_is_not_overdue(world: Watched, hook: Hook) -> None:
    number = world.take_in(world.window(2))
    world.fails(world.window(2), number, kind="transient")
    world.watch(hook.url)
    assert hook.told == []


def test_a_window_that_is_given_up_is_told_again(world: Watched, hook: Hook) -> None:
    number = world.take_in(world.window(2))
    world.fails(world.window(2), number)
    world.watch(hook.url)
    for _ in range(MOST_FAILURES - 1):
        world.has_run(world.window(2), FAILED, number)  # killed
    world.watch(hook.url)
    world.watch(hook.url)
    key = world.window(2).key
    assert hook.events() == [("window-failed", key, 0), ("window-given-up", key, 0)]


def test_what_befell_several_windows_for_one_reason_is_one_alert(world: Watched, hook: Hook) -> None:
    windows = sorted(world.window(back) for back in (6, 7, 8))
    number = world.take_in(*windows)
    for window in windows[:2]:
        world.fails(window, number, "the contract is wrong")
    world.fails(windows[2], number, "the disk is full")
    world.watch(hook.url)
    assert hook.events() == [
        ("window-failed", windows[0].key, 1),
        ("window-failed", windows[2].key, 0),
    ]


def test_a_window_that_fails_again_after_it_was_answered_is_told_again(world: Watched, hook: Hook) -> None:
    window, number = world.window(2), world.take_in(world.window(2))
    world.fails(window, number)
    world.watch(hook.url)
    world.publish(window, number)
    world.watch(hook.url)
    world.fails(window, world.take_in(window))
    world.watch(hook.url)
    assert hook.events() == [("window-failed", window.key, 0)] * 2


def test_a_hook_that_is_away_is_tried_again_after_a_pause_and_told_once(world: Watched, hook: Hook) -> None:
    number = world.take_in(world.window(2))
    world.fails(world.window(2), number)
    hook.status = 500
    world.watch(hook.url)
    hook.status = 200
    world.watch(hook.url)
    assert hook.told == []  # within the pause
    world.later()
    world.watch(hook.url)
    world.watch(hook.url)
    assert hook.events() == [("window-failed", world.window(2).key, 0)]


def test_the_pauses_grow_and_end(world: Watched) -> None:
    nobody = f"http://127.0.0.1:{free_ports(1)[0]}/"
    world.fails(world.window(2), world.take_in(world.window(2)))
    pauses = []
    for _ in range(MOST_TRIES):
        before = datetime.now(UTC)
        world.watch(nobody)
        told = msgspec.json.decode(world.cursor or "", type=Told)
        pauses.append(round((told.not_before - before).total_seconds() / 10) * 10)
        world.later()
    assert pauses[:4] == [30, 60, 120, 240]
    assert max(pauses) == 1200
    assert told.events == [f"window-failed {world.window(2).key}"]


def test_without_a_hook_nothing_is_told_and_overdue_windows_are_shown(world: Watched) -> None:
    world.lands_late(world.window(6))
    world.take_in()
    world.watch("")
    assert world.fresh(world.window(6)) is False


def test_a_hook_that_is_set_later_is_told_what_lasts(world: Watched, hook: Hook) -> None:
    world.fails(world.window(2), world.take_in(world.window(2)))
    world.watch("")
    world.watch(hook.url)
    assert hook.events() == [("window-failed", world.window(2).key, 0)]
