"""Whatever takers, readers, upkeep and retention do, in any order, dying anywhere: each message counts once.

The same machine then meets planted bugs, one at a time, and finds each.
"""

import itertools
import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import write_deltalake
from hypothesis import HealthCheck, Phase, settings
from hypothesis.configuration import set_hypothesis_home_dir
from hypothesis.errors import FlakyFailure
from hypothesis.stateful import run_state_machine_as_test

import resources.intake
import resources.kafka
import resources.upkeep.days
from resources.batch import Batch
from resources.intake import Attempt
from resources.intake_rows import Intake
from resources.intakes import Intakes
from resources.kafka import BoundedRead
from resources.lake import Lake
from resources.windows import Window
from tests.resources.conftest import Feed, MakeFeed
from tests.resources.intake_protocol import PARTITIONS, History, IntakeProtocol, Reader, SteppedLake
from tests.resources.protocol_checks import MINUTES

Run = Callable[[int], History]
_LOG = logging.getLogger("tests.intake_protocol")


@pytest.fixture
def run(make_feed: MakeFeed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs so many examples, each on a topic and a lake of its own; intakes and files are small."""
    monkeypatch.setattr(resources.intake, "CHUNK_BYTES", 100)
    monkeypatch.setattr(resources.kafka, "_AT_ONCE", 2)
    monkeypatch.setattr(resources.upkeep.days, "SMALL_FILES", 2)
    set_hypothesis_home_dir(tmp_path / "hypothesis")
    homes = itertools.count()

    def new_feed() -> Feed:
        home = tmp_path / str(next(homes))
        return make_feed(partitions=PARTITIONS, settings={"home": home, "window_minutes": MINUTES})

    def runs(examples: int) -> History:
        history = History()
        run_state_machine_as_test(
            partial(IntakeProtocol, new_feed, history),  # type: ignore[arg-type]  # any factory will do
            settings=settings(
                max_examples=examples,
                stateful_step_count=40,
                deadline=None,
                derandomize=True,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )
        _LOG.info("%s", history)
        return history

    return runs


COMMON = {"sent", "caught up", "lost its number", "crashed after landing", "answered"}
RARE = {
    "committed", "aborted", "entered a chunk", "crashed before it had landed", "retention moved",
    "upkeep removed rows", "upkeep merged files", "amid a step: crash", "amid a step: taker",
    "amid a step: reader", "amid a step: retention", "amid a step: upkeep",
}  # fmt: skip


def test_any_order_of_steps_counts_each_message_once(run: Run) -> None:
    history = run(8)
    assert history.happened.keys() >= COMMON, history


@pytest.mark.slow
def test_many_orders_of_steps_count_each_message_once(run: Run) -> None:
    history = run(25)
    assert history.happened.keys() >= COMMON | RARE, history


# ---- planted bugs ----


class EntersBeforeItLands(Attempt):
    def land(self) -> None:
        self._landing.take(self._read)
        self._entered = super().enter()

    def enter(self) -> Intake | None:
        self._taker.lake.append("records", self._landing.records())
        self._taker.lake.append("dead_letters", self._landing.dead_letters())
        return self._entered


class SkipsAnOffset(Attempt):
    def _choose_starts(self) -> dict[int, int]:
        known, end = self._before.ends(), self._state.end
        starts = super()._choose_starts()
        return {p: min(start + 1, end[p]) if p in known else start for p, start in starts.items()}


class DropsItsFirstMessage(Attempt):
    def _bounded_read(self) -> BoundedRead:
        read = super()._bounded_read()
        end = self._state.end
        read.reached = {p: min(start + 1, max(start, end[p])) for p, start in read.reached.items()}
        return read


class MarksByNumberAlone(Attempt):
    def _choose_starts(self) -> dict[int, int]:
        self.id = f"attempt of {self.number}"
        return super()._choose_starts()


class TakesTheNextNumberWhenItLoses(Attempt):
    def enter(self) -> Intake | None:
        if entered := super().enter():
            return entered
        self.number = self._taker.ledger.intakes().last + 1
        return super().enter()


def overwrites_the_row(lake: SteppedLake, name: str, key: str, frame: pl.DataFrame) -> bool:
    lake._pass("before ledger")
    number = frame[key].item()
    table = Lake(lake.uri).table(name)
    write_deltalake(table, frame, mode="overwrite", predicate=f"{key} = {number}")
    return True


def names_a_later_intake(reader: Reader, window: Window, seen: Intakes) -> Batch:
    return replace(SELECT(reader, window, seen), covered=reader.ledger.intakes().last)


SELECT = Reader.select
ATTEMPT = (resources.intake, "Attempt")


@pytest.mark.parametrize(
    ("place", "bug"),
    [
        pytest.param(ATTEMPT, EntersBeforeItLands, marks=pytest.mark.slow),
        (ATTEMPT, SkipsAnOffset),
        (ATTEMPT, DropsItsFirstMessage),
        pytest.param(ATTEMPT, MarksByNumberAlone, marks=pytest.mark.slow),
        pytest.param(ATTEMPT, TakesTheNextNumberWhenItLoses, marks=pytest.mark.slow),
        ((SteppedLake, "insert_once"), overwrites_the_row),
        pytest.param((Reader, "select"), names_a_later_intake, marks=pytest.mark.slow),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_planted_bug_is_found(
    run: Run, monkeypatch: pytest.MonkeyPatch, place: tuple[Any, str], bug: Any
) -> None:
    monkeypatch.setattr(*place, bug)
    with pytest.raises((AssertionError, FlakyFailure)) as found:  # a read may fetch less at the second time
        run(80)  # it ends with the first failure
    _LOG.info("%s: %s", bug.__name__, found.value)
