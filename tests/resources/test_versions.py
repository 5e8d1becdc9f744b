"""Versions: how they are named, that earlier ones stay, and which one is pinned."""

from pathlib import Path

import pytest

from resources.contract import Contract
from resources.errors import VersionError
from resources.lake import Lake
from resources.upkeep.report import Report
from resources.upkeep.retention import apply_retention
from resources.versions import Version, all_versions, pin, pin_of, pins, read_version, unpin
from resources.windows import Window
from tests.resources.conftest import FIRST, GRID, contract_with, window_row
from tests.resources.model_rows import publish_model, store_model

LATER = FIRST.step(288)


def names(lake: Lake) -> list[str]:
    return [str(stored.version) for stored in all_versions(lake, GRID)]


def test_a_version_is_read_as_it_is_written() -> None:
    version = Version.parse("model_2/2026-11-24T0505Z/r12", GRID)
    assert version == Version(FIRST.step(1), 12)
    assert str(version) == "model_2/2026-11-24T0505Z/r12"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "write it like model_2/2026-11-24T0505Z/r1"),
        ("model_4/2026-11-24T0505Z/r1", "write it like"),
        ("model_2/2026-11-24T0505Z", "write it like"),
        ("model_2/2026-11-24T0505Z/r0", "write it like"),
        ("model_2/2026-11-24T0506Z/r1", "windows are 5 minutes long"),
        ("model_2/yesterday/r1", "'yesterday' is no window"),
        ("model_1/2026-11-24T0505Z/r1", "that window trains model_2"),
    ],
)
def test_what_no_version_can_be_named_says_why(text: str, told: str) -> None:
    with pytest.raises(VersionError, match="is no version") as raised:
        Version.parse(text, GRID)
    assert told in str(raised.value)


def test_an_earlier_revisions_model_stays_when_a_later_one_is_trained(lake: Lake) -> None:
    publish_model(lake, FIRST, 1, centres=(1.0, 2.0))
    publish_model(lake, FIRST, 2, centres=(3.0, 4.0))
    publish_model(lake, FIRST, 3, digest=f"{FIRST.key} 1", centres=(1.0, 2.0))  # the first records again
    assert names(lake) == [f"model_1/{FIRST.key}/r{revision}" for revision in (3, 2, 1)]
    model = read_version(lake, Version(FIRST, 2)).model
    assert model
    assert model.centres.tolist() == [[1.5], [2.0]]


def test_versions_are_listed_newest_first(lake: Lake) -> None:
    for window in (FIRST.step(1), FIRST, FIRST.step(2)):
        publish_model(lake, window)
    assert [name.split("/")[0] for name in names(lake)] == ["model_3", "model_2", "model_1"]


def test_a_revision_without_an_answer_is_no_version(lake: Lake) -> None:
    publish_model(lake, FIRST)
    store_model(lake, FIRST, 2)
    store_model(lake, FIRST.step(1))
    assert names(lake) == [f"model_1/{FIRST.key}/r1"]
    for version in (Version(FIRST, 2), Version(FIRST.step(1), 1)):
        with pytest.raises(VersionError, match=f"has no version {version}: `silt models list` shows all"):
            read_version(lake, version)


def test_of_several_models_of_a_revision_the_one_that_was_published_counts(lake: Lake) -> None:
    store_model(lake, FIRST, digest="a run that was killed", trained=1)
    publish_model(lake, FIRST, digest="published", trained=2)
    store_model(lake, FIRST, digest="a run that lost", trained=3)
    assert read_version(lake, Version(FIRST, 1)).digest == "published"
    publish_model(lake, FIRST, 2, trained=9)
    store_model(lake, FIRST.step(3), digest="killed", trained=1)
    assert read_version(lake, Version(FIRST, 1)).digest == "a run that lost"  # nothing else is known any more
    assert read_version(lake, Version(FIRST, 1), "published").digest == "published"


# ---- pins ----


def test_the_newest_pin_counts_until_it_is_taken_away(lake: Lake, contract: Contract) -> None:
    old, new = Version(FIRST, 1), Version(FIRST.step(3), 1)
    digests = {version: publish_model(lake, version.window) for version in (old, new)}
    assert pins(lake, GRID) == {}
    for version in (old, new, old):
        pin(lake, contract, version, "a person")
        found = pin_of(lake, contract, GRID, FIRST.step(6))
        assert found
        assert (found.version, found.digest, found.by) == (version, digests[version], "a person")
    assert list(pins(lake, GRID)) == ["model_1"]
    assert pin_of(lake, contract, GRID, FIRST.step(7)) is None
    unpin(lake, "model_1", "another")
    assert pins(lake, GRID) == {}
    assert pin_of(lake, contract, GRID, FIRST.step(6)) is None


def test_a_model_of_too_few_records_is_not_pinned(lake: Lake, contract: Contract) -> None:
    publish_model(lake, FIRST, state="too-few")
    with pytest.raises(VersionError, match="cannot assign records: its state is too-few"):
        pin(lake, contract, Version(FIRST, 1), "a person")
    assert pins(lake, GRID) == {}


CHANGES = {
    "gone": {"fields": {"id": "string", "shop": "string"}, "features": ["shop"], "statistics": {}},
    "of another type": {
        "fields": {"id": "string", "shop": "string", "price": "string"},
        "features": ["shop"],
        "statistics": {},
    },
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_feature_that_the_contract_has_no_more_is_named_when_pinning_and_when_assigning(
    lake: Lake, contract: Contract, tmp_path: Path, change: dict[str, object]
) -> None:
    version = Version(FIRST, 1)
    publish_model(lake, FIRST)
    changed = contract_with(tmp_path, **change)
    told = "its feature 'price' is no number field of the contract any more"
    with pytest.raises(VersionError, match=told):
        pin(lake, changed, version, "a person")
    pin(lake, contract, version, "a person")
    with pytest.raises(VersionError, match=told + r".*`silt models unpin model_1` takes the pin away"):
        pin_of(lake, changed, GRID, FIRST.step(3))


# ---- retention ----


def kept(lake: Lake) -> set[str]:
    apply_retention(lake, LATER.date, Report(lake))
    return set(lake.read("models")["digest"])


def publish_days(lake: Lake) -> dict[Window, str]:
    """An answer in each of two old windows of model_1, and in one of the next day."""
    return {window: publish_model(lake, window) for window in (FIRST, FIRST.step(3), LATER)}


def test_a_pinned_version_outlives_retention_until_it_is_unpinned(lake: Lake, contract: Contract) -> None:
    digests, version = publish_days(lake), Version(FIRST, 1)
    pin(lake, contract, version, "a person")
    assert kept(lake) == {digests[FIRST], digests[LATER]}
    assert read_version(lake, version).digest == digests[FIRST]
    assert pin_of(lake, contract, GRID, LATER)
    unpin(lake, "model_1", "a person")
    assert kept(lake) == {digests[LATER]}


def test_a_version_that_assigned_what_is_shown_outlives_its_pin(lake: Lake) -> None:
    digests = publish_days(lake)
    row = window_row(LATER, model_version=f"model_1/{FIRST.key}/r1", model_digest=digests[FIRST])
    lake.replace_window("windows", LATER, row)
    assert kept(lake) == {digests[FIRST], digests[LATER]}
    lake.replace_window("windows", LATER, window_row(LATER, model_version=None, model_digest=None))
    assert kept(lake) == {digests[LATER]}


def test_a_pin_at_work_finds_a_version_that_is_gone_and_says_so(lake: Lake, contract: Contract) -> None:
    publish_days(lake)
    pin(lake, contract, Version(FIRST, 1), "a person")
    lake.table("models").delete()
    with pytest.raises(VersionError, match=f"has no version model_1/{FIRST.key}/r1"):
        pin_of(lake, contract, GRID, LATER)
