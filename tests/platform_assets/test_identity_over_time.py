"""Ids of clusters in a real lake, whatever runs there were: in any order, at once, or killed halfway."""

import itertools
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import platform_assets.identity as identity_module
import resources.samples as samples_module
from platform_assets.identity import update
from platform_assets.training.identity import Event
from resources.cluster_model import ClusterModel, Feature
from resources.identity import Chain, Identity, read_chain, read_events, read_identities, write_identities
from resources.lake import Lake
from resources.ledger import Ledger
from resources.samples import Samples
from resources.tables import TABLES
from resources.upkeep.report import Report
from resources.upkeep.retention import apply_retention
from resources.windows import Grid
from tests.resources.conftest import ledger_row, window_row

GRID = Grid(5)
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
FIRST = GRID.window("2026-11-23T2350Z")
"""The third window after it is of another day."""
STEADY = [0.0, 100.0]


class Stream:
    """A lake of windows whose records lie close about the centres of the window's model."""

    def __init__(self, uri: str) -> None:
        self.lake = Lake(uri)
        self.lake.create(NOW, timedelta(hours=24))

    def publish(self, number: int, centres: Sequence[float], revision: int = 1, match: bool = True) -> None:
        """Publish a window, and do what its run does then unless that is killed before it."""
        window, intake = FIRST.step(number), self.lake.read("ledger").height + 1
        head = {"date": window.date, "window": window.key}
        answer = {**head, "slot": window.slot, "revision": revision, "digest": f"{window.key}-{revision}"}
        rows = [
            {**head, "record_id": f"{place}-{count}", "intake": intake, "attempt": f"attempt-{intake}"}
            | {"event_time": window.start, "kafka_partition": place, "kafka_offset": count, "too_late": False}
            for place in range(len(centres))
            for count in range(20)
        ]
        landed = pl.DataFrame(rows, schema=dict(TABLES["records"].schema))
        prices = np.repeat(centres, 20) + np.tile(np.linspace(-5, 5, 20), len(centres))
        self.lake.append("records", landed.with_columns(pl.Series("shop_price", prices)))
        counted = [{"window": window.key, "records": len(rows), "too_late": 0}]
        self.lake.append("ledger", ledger_row(intake, taken_at=window.end, landed=counted))
        model = ClusterModel((Feature("shop price", "number", (), 0.0, 1.0),), np.array(centres)[:, None])
        frame = pl.DataFrame(
            [answer | {"state": "trained"} | model.row()], schema=dict(TABLES["models"].schema)
        )
        self.lake.replace_window("models", window, frame, str(answer["digest"]))
        changes = {"revision": revision, "digest": answer["digest"], "covered": intake}
        changes |= {"model_digest": answer["digest"], "records": len(rows)}
        self.lake.replace_window("windows", window, window_row(window, **changes))
        if match:
            self.update(number)

    def update(self, number: int, seconds: float = 60.0) -> None:
        samples = Samples(Lake(self.lake.uri), Ledger(self.lake, 5, "id").intakes, GRID)
        update(samples, FIRST.step(number), seconds)

    def names(self, number: int, revision: int = 1) -> list[str]:
        """The names of a window's clusters, in the order of their numbers in its model."""
        window = FIRST.step(number)
        found = read_identities(self.lake, window, f"{window.key}-{revision}")
        return [found[cluster].name for cluster in sorted(found)]

    def all_ids(self) -> pl.DataFrame:
        return self.lake.read("cluster_ids").sort("window", "cluster")

    def events(self, number: int) -> list[tuple[str, list[int], list[int]]]:
        """What happened, by the numbers in the models before and after; survival aside."""
        rows = self.lake.read("cluster_events").filter(window=FIRST.step(number).key)
        shown = rows.filter(pl.col("event") != "survived").select("event", "before", "after")
        return sorted(shown.iter_rows())

    def versions(self) -> tuple[int, int]:
        """The versions of the tables of events and of ids."""
        return self.lake.table("cluster_events").version(), self.lake.table("cluster_ids").version()


@pytest.fixture
def stream(tmp_path: Path) -> Stream:
    return Stream(str(tmp_path / "my lake"))


def test_a_cluster_keeps_its_id_under_whatever_number_a_model_gives_it(stream: Stream) -> None:
    stream.publish(0, [0.0, 100.0])
    stream.publish(1, [101.0, 1.0])
    window = FIRST.step(1)
    assert read_identities(stream.lake, window, f"{window.key}-1") == {
        0: Identity("2026-11-23T2350Z/1", "c2"),
        1: Identity("2026-11-23T2350Z/0", "c1"),
    }
    assert stream.events(1) == []


def test_the_window_before_is_the_last_published_one(stream: Stream) -> None:
    stream.publish(0, STEADY)
    for number, state in enumerate(("empty", "too-few", None), 1):
        window = FIRST.step(number)
        stream.lake.replace_window("windows", window, window_row(window, state=state))
        stream.update(number)
    stream.publish(4, STEADY)
    assert stream.names(4) == ["c1", "c2"]
    assert set(stream.lake.read("cluster_events")["previous"]) == {None, FIRST.key}


def test_births_and_deaths_splits_and_mergers_are_told(stream: Stream) -> None:
    plan = [[0.0, 100.0], [0.0, 100.0, 300.0], [0.0, 100.0], [4.0, -4.0, 100.0], [0.0, 100.0]]
    for number, centres in enumerate(plan):
        stream.publish(number, centres)
    assert stream.events(0) == [("appeared", [], [0]), ("appeared", [], [1])]
    assert stream.events(1) == [("appeared", [], [2])]
    assert stream.events(2) == [("disappeared", [2], [])]
    assert stream.events(3) == [("split", [0], [0, 1])]
    assert stream.events(4) == [("merged", [0, 1], [0])]
    assert [stream.names(number)[-1] for number in range(5)] == ["c2", "c3", "c2", "c2", "c2"]
    assert sorted(stream.names(3)) == ["c1", "c2", "c4"], "a name is never given twice"


PLAN = [[0.0, 100.0], [100.0, 0.0, 300.0], [301.0, 1.0, 101.0], [2.0, 102.0], [2.0, 102.0, -90.0]]


@pytest.fixture(scope="module")
def in_order(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    """The ids of the plan, published one after the other."""
    stream = Stream(str(tmp_path_factory.mktemp("in-order")))
    for number, centres in enumerate(PLAN):
        stream.publish(number, centres)
    return stream.all_ids()


@pytest.mark.parametrize("order", [(4, 3, 2, 1, 0), (2, 4, 0, 3, 1), (1, 0, 4, 2, 3)])
def test_ids_do_not_depend_on_the_order_of_runs(
    stream: Stream, in_order: pl.DataFrame, order: tuple[int, ...]
) -> None:
    for number in order:
        stream.publish(number, PLAN[number])
    assert stream.all_ids().equals(in_order)


def test_runs_at_once_agree_as_soon_as_the_last_one_has_ended(stream: Stream, in_order: pl.DataFrame) -> None:
    for number in range(len(PLAN)):
        stream.publish(number, PLAN[number], match=False)
    with ThreadPoolExecutor(5) as pool:
        list(pool.map(stream.update, range(5)))
    assert stream.all_ids().equals(in_order)


def test_what_others_publish_meanwhile_is_matched_before_a_run_ends(
    stream: Stream, in_order: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (0, 2, 3, 4):
        stream.publish(number, PLAN[number], match=False)
    calls = itertools.count()

    def written(lake: Lake, chain: Chain) -> bool:
        if not next(calls):
            stream.publish(1, PLAN[1], match=False)
        return write_identities(lake, chain)

    monkeypatch.setattr(identity_module, "write_identities", written)
    stream.update(4)
    assert stream.all_ids().equals(in_order)


def _publish_in_a_process(uri: str, number: int) -> None:
    Stream(uri).update(number)


def test_processes_at_once_agree_too(stream: Stream, in_order: pl.DataFrame) -> None:
    for number in range(len(PLAN)):
        stream.publish(number, PLAN[number], match=False)
    spawn = multiprocessing.get_context("spawn")
    runs = [spawn.Process(target=_publish_in_a_process, args=(stream.lake.uri, n)) for n in (1, 3)]
    for run in runs:
        run.start()
    for run in runs:
        run.join(60)
    assert [run.exitcode for run in runs] == [0, 0]
    assert stream.all_ids().equals(in_order)


def test_what_a_killed_run_left_undone_the_next_one_does(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream.publish(0, STEADY)

    def killed(lake: Lake, chain: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(identity_module, "write_identities", killed)
    with pytest.raises(KeyboardInterrupt):
        stream.publish(1, [100.0, 0.0])
    monkeypatch.undo()
    assert stream.names(1) == [], "killed between events and ids"
    stream.publish(2, [100.0, 0.0], match=False)  # killed before both
    stream.publish(3, STEADY)
    assert [stream.names(number) for number in (1, 2, 3)] == [["c2", "c1"], ["c2", "c1"], ["c1", "c2"]]


def test_ids_written_from_an_outdated_view_are_corrected(stream: Stream) -> None:
    stream.publish(1, STEADY)
    outdated = replace(read_chain(stream.lake), ids=read_chain(stream.lake).ids.clear())
    stream.publish(0, [100.0, 0.0])
    assert write_identities(stream.lake, outdated)
    assert stream.names(1) == ["c1", "c2"]
    stream.update(0)
    assert stream.names(1) == ["c2", "c1"]


def test_a_new_revision_is_matched_again_and_changes_no_more_than_it_must(stream: Stream) -> None:
    for number in range(6):
        stream.publish(number, STEADY)
    before = stream.all_ids()
    events, ids = stream.versions()
    stream.publish(2, [100.0, 0.0], revision=2)
    assert stream.names(2, revision=2) == ["c2", "c1"]
    assert stream.versions() == (events + 2, ids + 1), "its two pairs, and one commit of ids"
    others = pl.col("window") != FIRST.step(2).key
    assert stream.all_ids().filter(others).equals(before.filter(others))
    files = stream.lake.table("cluster_ids").history(1)[0]["operationParameters"]["predicate"]
    assert files.count(FIRST.step(2).key) == 2, "from this window to this window"


def test_a_revision_that_changes_later_ids_changes_them_to_the_last(stream: Stream) -> None:
    for number in range(5):
        stream.publish(number, [*STEADY, *([300.0] if number >= 2 else [])])
    stream.publish(1, [*STEADY, 300.0], revision=2)
    assert [set(stream.names(n, revision=1 + (n == 1))) for n in range(1, 5)] == [{"c1", "c2", "c3"}] * 4
    third = stream.all_ids().filter(pl.col("name") == "c3")["id"].unique().to_list()
    assert third == [f"{FIRST.step(1).key}/2"], "it was born a window earlier than was known"


def test_events_are_shown_of_answers_that_stand(stream: Stream) -> None:
    for number in range(4):
        stream.publish(number, STEADY)
    keys = [FIRST.step(number).key for number in range(4)]
    assert (
        read_events(stream.lake, keys[0], keys[2])["window"].unique(maintain_order=True).to_list() == keys[:3]
    )
    stream.publish(1, STEADY, revision=2, match=False)
    assert set(read_events(stream.lake, keys[0], keys[3])["window"]) == {keys[0], keys[3]}
    stream.update(1)
    assert set(read_events(stream.lake, keys[0], keys[3])["window"]) == set(keys)


def test_nothing_is_written_where_nothing_differs(stream: Stream) -> None:
    for number in range(3):
        stream.publish(number, STEADY)
    before = stream.versions()
    stream.update(1)
    assert stream.versions() == before


def test_ids_end_at_a_window_that_there_was_no_time_to_match_and_go_on_later(stream: Stream) -> None:
    for number in range(4):
        stream.publish(number, STEADY, match=False)
    stream.update(3, seconds=-1.0)
    assert stream.all_ids().is_empty()
    stream.update(3)
    assert [stream.names(number) for number in range(4)] == [["c1", "c2"]] * 4


def test_a_window_whose_model_is_lost_has_no_place_in_the_chain(stream: Stream) -> None:
    for number in range(3):
        stream.publish(number, STEADY)
    stream.lake.replace_window("models", FIRST.step(1), pl.DataFrame(schema=dict(TABLES["models"].schema)))
    stream.update(0)
    after = stream.lake.read("cluster_events").filter(window=FIRST.step(2).key)
    assert set(after["previous"]) == {FIRST.key}
    assert stream.names(2) == ["c1", "c2"]


def test_retention_renames_nothing(stream: Stream) -> None:
    plan = [[0.0, 100.0], [0.0, 100.0, 300.0], [301.0, 101.0], [100.0, 300.0], [100.0, 300.0]]
    for number, centres in enumerate(plan):
        stream.publish(number, centres)
    kept = stream.all_ids().filter(pl.col("date") > FIRST.date)
    assert set(kept["name"]) == {"c2", "c3"}
    apply_retention(stream.lake, FIRST.step(2).date, Report(stream.lake))
    assert stream.lake.read("windows").height == 3
    stream.update(4)
    assert stream.all_ids().equals(kept)
    stream.publish(5, [100.0, 300.0, 700.0])
    assert stream.names(5) == ["c2", "c3", "c4"], "c1 is not given again, though nothing tells of it any more"


def test_a_floor_that_moves_while_a_pair_is_matched_spoils_nothing(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        stream.publish(number, STEADY)
    kept = stream.all_ids().filter(pl.col("date") > FIRST.date)
    moved = itertools.count()

    def transition(*args: object) -> list[Event]:
        """What is found once the records of the window before are gone."""
        if next(moved) == 1:  # the pair of this window and the next, which is the first that is kept
            apply_retention(stream.lake, FIRST.step(2).date, Report(stream.lake))
        return [Event("appeared", after=(0,)), Event("appeared", after=(1,))]

    monkeypatch.setattr(identity_module, "transition", transition)
    stream.publish(1, [100.0, 0.0], revision=2)
    assert next(moved) == 2
    assert stream.events(2) == []
    assert stream.all_ids().filter(pl.col("date") > FIRST.date).equals(kept)


def test_retention_beside_a_reader_of_the_chain_leaves_no_window_unmatched(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        stream.publish(number, STEADY)
    real = Lake.read

    def read(lake: Lake, name: str, columns: list[str] | None = None) -> pl.DataFrame:
        if name == "cluster_events":
            apply_retention(Lake(lake.uri), FIRST.step(2).date, Report(Lake(lake.uri)))
        return real(lake, name, columns)

    monkeypatch.setattr(Lake, "read", read)
    chain = read_chain(stream.lake)
    assert [row["window"] for row in chain.windows] == [FIRST.step(number).key for number in (2, 3, 4)]
    assert chain.unmatched() == []


def test_models_of_different_features_are_matched_by_the_records_that_they_share(stream: Stream) -> None:
    stream.publish(0, STEADY)
    stream.publish(1, STEADY, match=False)
    window = FIRST.step(1)
    other = Feature("amount", "number", (), 5.0, 1.0)  # a field that the lake does not have
    price = Feature("shop price", "number", (), 0.0, 2.0)
    model = ClusterModel((other, price), np.array([[5.0, 200.0], [5.0, 0.0]]))
    answer = {"date": window.date, "window": window.key, "slot": window.slot, "revision": 1}
    row = answer | {"digest": f"{window.key}-1", "state": "trained"} | model.row()
    stream.lake.replace_window("models", window, pl.DataFrame([row], schema=dict(TABLES["models"].schema)))
    stream.update(1)
    assert stream.names(1) == ["c2", "c1"]


def test_no_more_than_a_sample_of_a_large_window_is_looked_at(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples_module, "MOST", 10)
    seen = []

    def transition(*args: tuple[list[int], list[int]]) -> list[Event]:
        seen.append([len(labels) for labels, _ in args[:2]])
        return [Event("appeared", after=(0,)), Event("appeared", after=(1,))]

    monkeypatch.setattr(identity_module, "transition", transition)
    stream.publish(0, STEADY)
    stream.publish(1, STEADY)
    assert seen == [[10, 10]]
