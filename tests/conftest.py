"""The one running stack that all tests share, and the seed batches."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from resources.settings import PROJECT, Settings
from resources.windows import Grid, Window
from tests.stacks import Stack

SEED = Path(os.environ.get("SILT_SEED_DATA", PROJECT.parent / "shared" / "seed"))


def cycle_before(hours: float) -> list[Window]:
    """The three windows of a complete cycle of five-minute windows, at least so many hours ago."""
    window = Grid(5).home(datetime.fromtimestamp(datetime.now(UTC).timestamp() - hours * 3600, UTC))
    first = window.step(1 - window.slot)
    return [first, first.step(1), first.step(2)]


def send_seed(stack: Stack, cycle: list[Window]) -> None:
    """Send the three seed batches into the three windows of a cycle."""
    for number, window in enumerate(cycle, start=1):
        at = window.start.strftime("%Y-%m-%dT%H:%MZ")
        stack.silt("produce", str(SEED / f"batch_{number}.csv"), "--at", at, "--over", "5m")


@pytest.fixture(scope="session")
def first_cycle() -> list[Window]:
    """The cycle whose records are sent to the broker before the stack is started."""
    return cycle_before(2)


@pytest.hookimpl(tryfirst=True)  # before xdist makes the groups of the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs the stack runs in one process, what needs just a broker in another, if there are two."""
    for item in items:
        for shared in ("stack", "broker"):
            if shared in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.xdist_group(shared))
                break


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, first_cycle: list[Window]) -> Iterator[Stack]:
    """A running stack; where the seed batches are there, they were sent to its broker before it started."""
    stack = Stack(tmp_path_factory.mktemp("stack") / "home")
    try:
        if SEED.is_dir():
            stack.start("broker")
            send_seed(stack, first_cycle)
            stack.stop()
        stack.start("up", "--no-sample")
        yield stack
    finally:
        stack.stop()


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings that reach a real broker."""
    alone = Stack(tmp_path_factory.mktemp("broker") / "home")
    try:
        alone.start("broker")
        yield alone.settings
    finally:
        alone.stop()


@pytest.fixture(scope="session")
def seed() -> Path:
    """The folder of the seed batches."""
    if not SEED.is_dir():
        pytest.skip(f"the seed batches are not at {SEED}; SILT_SEED_DATA names another folder")
    return SEED
