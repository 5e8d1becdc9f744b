"""`silt models`: what is listed and shown, how two versions differ, and pins, on a real lake."""

from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from cli import models
from resources.contract import Contract, load_contract
from resources.lake import Lake
from resources.settings import load_settings
from tests.cli.test_errors import refuse
from tests.resources.conftest import FIRST, NOW, contract_file, landed_rows, ledger_row
from tests.resources.model_rows import publish_model

OLD, NEW = f"model_1/{FIRST.key}/r1", f"model_1/{FIRST.step(3).key}/r1"
PRICES = [1.0, 1.5, 2.0, 3.5, 5.0, 6.0]


@pytest.fixture
def contract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Contract:
    path = contract_file(tmp_path)
    monkeypatch.setenv("SILT_CONTRACT", str(path))
    monkeypatch.setenv("SILT_HOME", str(tmp_path / "home"))
    return load_contract(path)


@pytest.fixture
def lake(contract: Contract) -> Lake:
    """Two published windows of model_1; the newer one has six records."""
    settings = load_settings()
    lake = Lake(settings.lake)
    lake.create(NOW, settings.lateness)
    newer = FIRST.step(3)
    rows = landed_rows(newer, 1, [(0, offset) for offset in range(len(PRICES))])
    shops = pl.lit("north").alias("shop")
    lake.append("records", rows.with_columns(pl.col("record_id").alias("id"), shops, price=pl.Series(PRICES)))
    landed = [{"window": newer.key, "records": len(PRICES), "too_late": 0}]
    assert lake.insert_once("ledger", "number", ledger_row(1, landed=landed))
    publish_model(lake, FIRST, centres=(1.0, 5.0))
    publish_model(lake, newer, centres=(5.0, 1.0))
    return lake


def said(*arguments: str) -> list[str]:
    result = CliRunner().invoke(models.command, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    return [" ".join(line.split()) for line in result.output.splitlines()]


def test_versions_are_listed_by_model_the_newest_first(lake: Lake) -> None:
    publish_model(lake, FIRST.step(1), state="too-few", silhouette=None)
    header, *lines = said("list")
    assert header == "version state k silhouette inertia records trained at (UTC)"
    scores = "trained 2 0.5 12 9 2026-11-24 12:00:00"
    assert lines[:2] == [f"{NEW} {scores}", f"{OLD} {scores}"]
    assert lines[2].startswith(f"model_2/{FIRST.step(1).key}/r1 too-few 2 none ")
    assert said("list", "--model", "model_2") == [header, lines[2]]
    assert said("list", "--limit", "1")[1:] == [lines[0], lines[2]]


def test_a_pinned_version_is_listed_whatever_the_limit(lake: Lake) -> None:
    assert said("pin", OLD) == [f"{OLD} assigns the records of model_1's windows from their next run on."]
    assert [line.endswith(" pinned") for line in said("list", "--limit", "1")[1:]] == [False, True]
    assert any(line.startswith("pinned: since") for line in said("show", OLD))
    assert said("unpin", "model_1") == ["Each window's own model_1 assigns its records from the next run on."]
    assert len(said("list", "--limit", "1")) == 2


def test_a_version_is_shown_with_its_scores_sizes_and_centres_in_plain_units(lake: Lake) -> None:
    lines = said("show", NEW)
    assert {"state: trained", "k: 2", "silhouette: 0.5", "inertia: 12"} <= set(lines)
    assert lines[-3:] == ["cluster records price", "0 4 5", "1 5 1"]


def test_clusters_that_were_only_renumbered_move_no_record(lake: Lake) -> None:
    assert said("diff", OLD, NEW) == [
        "cluster records price",
        "0 → 1 4 → 5 1 → 1",
        "1 → 0 5 → 4 5 → 5",
        f"0 of the 6 records of {FIRST.step(3).key} would move (0.0%)",
    ]


def test_records_between_the_old_and_the_new_border_move(lake: Lake) -> None:
    publish_model(lake, FIRST.step(3), centres=(9.0, 1.0), digest="another")  # the border is at 5, not at 3
    assert said("diff", NEW, OLD)[-1] == f"1 of the 6 records of {FIRST.step(3).key} would move (16.7%)"


def test_a_cluster_that_the_older_one_lacks_is_shown_alone(lake: Lake) -> None:
    publish_model(lake, FIRST.step(3), centres=(1.0, 5.0, 6.0), digest="another", sizes=[3, 2, 1])
    lines = said("diff", OLD, NEW)
    assert lines[1:4] == ["0 → 0 4 → 3 1 → 1", "1 → 1 5 → 2 5 → 5", "none → 2 none → 1 none → 6"]
    assert lines[-1].startswith("1 of the 6 records")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("show", "model_1"), "'model_1' is no version: write it like model_2/2026-11-24T0505Z/r1"),
        (("show", f"model_1/{FIRST.key}/r9"), f"has no version model_1/{FIRST.key}/r9: `silt models list`"),
        (("diff", OLD, f"model_2/{FIRST.key}/r1"), "that window trains model_1"),
        (("pin", f"model_2/{FIRST.step(1).key}/r1"), "its state is too-few. Choose another version."),
        (("unpin", "model_3"), "No version of model_3 is pinned."),
    ],
    ids=["malformed", "unknown", "another slot", "too few", "not pinned"],
)
def test_what_cannot_be_done_is_one_line(
    lake: Lake, tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    publish_model(lake, FIRST.step(1), state="too-few")
    assert told in refuse(tmp_path, "models", *arguments, SILT_CONTRACT=str(tmp_path / "contract.yaml"))
