"""``GET /metrics`` says what the lake says, and what there is when the lake is away."""

import shutil
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as parse

from api import lake_metrics
from resources.lake import Lake
from resources.settings import Settings
from tests.api.clients import Client, client_of
from tests.api.lakes import GRID, HandMadeLake
from tests.api.watched import COUNTS, MARK, NEWEST, NOW, OLDER, watched_lake


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def lake(home: Path) -> HandMadeLake:
    return watched_lake(home)


@pytest.fixture(scope="module")
def client(home: Path, lake: HandMadeLake) -> Iterator[Client]:
    with client_of(Settings(home=home), NOW) as client:
        yield client


def scrape(client: Client) -> dict[tuple[str, ...], float]:
    """The value of each sample, by its name and its labels' values."""
    response = client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = parse(response.text)
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


def test_windows_and_counts_are_those_of_the_lake(client: Client) -> None:
    found = scrape(client)
    states = {key[1]: int(value) for key, value in found.items() if key[0] == "silt_windows" and value}
    listed = client.get("/api/windows").json()
    assert states == {
        state: sum(row["state"] == state for row in listed) for state in {row["state"] for row in listed}
    }
    assert (states["published"], states["incomplete"], states["too-few"]) == (2, 1, 1)
    kept = {name: found[(f"silt_kept_{name}",)] for name in (*COUNTS, "dead_letters")}
    assert kept == {"records": 12, "late": 4, "duplicates": 8, "missing": 7, "dead_letters": 4}
    assert found[("silt_lake_up",)] == 1
    assert found[("silt_window_length_seconds",)] == 300


def test_age_and_speed_of_publication_are_those_of_the_windows(client: Client) -> None:
    found = scrape(client)
    age = (NOW - GRID.close(NEWEST)).total_seconds()
    assert found[("silt_newest_published_window_age_seconds",)] == pytest.approx(age)
    assert found[("silt_publication_seconds_newest",)] == 1.5
    assert [found[("silt_publication_seconds", p)] for p in ("50", "95", "100")] == [5.0, 9.0, 9.0]


def test_topic_is_as_far_as_the_newest_intake_saw_it(client: Client) -> None:
    found = scrape(client)
    assert {key: value for key, value in found.items() if key[0] == "silt_topic_lag"} == {
        ("silt_topic_lag", "0"): 30, ("silt_topic_lag", "1"): 0,
    }  # fmt: skip
    assert [found[("silt_topic_read_offset", p)] for p in "012"] == [90, 50, 0]
    assert found[("silt_topic_end_offset", "0")] == 120
    marks = [value for key, value in found.items() if key[0] == "silt_topic_watermark_timestamp_seconds"]
    assert marks == pytest.approx([MARK.timestamp()] * 2)
    assert found[("silt_last_intake_timestamp_seconds",)] == pytest.approx(NOW.timestamp())


def test_models_and_their_drift_are_shown(lake: HandMadeLake, client: Client) -> None:
    found = scrape(client)
    model = f"model_{NEWEST.slot}"
    assert found[("silt_model_silhouette", model)] == 0.5868
    assert found[("silt_drift_psi", model, "previous")] == 0.3
    assert found[("silt_drift_level", model, "previous")] == 2
    assert ("silt_model_age_seconds", model) in found
    for name in ("ledger", "windows", "models"):
        assert found[("silt_lake_table_version", name)] == lake.table(name).version()


def test_what_lands_after_the_first_scrape_is_counted(tmp_path: Path) -> None:
    lake = HandMadeLake(tmp_path / "lake", NOW)
    lake.take(1, NOW, {OLDER: 3})
    with client_of(Settings(home=tmp_path), NOW) as client:
        before = scrape(client)
        assert before[("silt_records_landed_total",)] == 0
        assert before[("silt_dead_letters_total", "invalid-json")] == 0
        letters = [{"window": OLDER.key, "reason": "invalid-json", "count": 4}]
        lake.take(2, NOW, {OLDER: 5, NEWEST: 2}, refused=letters)
        for _ in range(2):
            after = scrape(client)
            assert after[("silt_records_landed_total",)] == 7
            assert after[("silt_dead_letters_total", "invalid-json")] == 4


def test_window_that_nobody_answers_is_due_for_longer_and_longer(tmp_path: Path) -> None:
    lake = HandMadeLake(tmp_path / "lake", NOW)
    taken_at = NOW - timedelta(minutes=11)
    lake.take(1, taken_at, {GRID.home(NOW - timedelta(hours=2)): 3})
    lake.take(2, NOW, {})
    with client_of(Settings(home=tmp_path), NOW) as client:
        found = scrape(client)
    assert found[("silt_longest_due_seconds",)] == 660
    assert found[("silt_windows", "due")] == 1


def test_lake_that_is_away_leaves_the_metrics_of_the_process(tmp_path: Path) -> None:
    with client_of(Settings(home=tmp_path), NOW) as client:
        for _ in range(2):
            found = scrape(client)
            assert found[("silt_lake_up",)] == 0
            assert ("silt_window_length_seconds",) not in found
            assert found[("process_cpu_seconds_total",)] > 0
        HandMadeLake(tmp_path / "lake", NOW)
        assert scrape(client)[("silt_lake_up",)] == 1
        shutil.rmtree(tmp_path / "lake" / "windows")
        assert scrape(client)[("silt_lake_up",)] == 0


def test_lake_that_does_not_answer_is_away_until_it_does(
    lake: HandMadeLake, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = threading.Event()
    monkeypatch.setattr(lake_metrics, "_PATIENCE", 0.1)
    monkeypatch.setattr(Lake, "require", lambda *_: answers.wait(20))
    try:
        for _ in range(3):
            assert scrape(client)[("silt_lake_up",)] == 0
        assert [thread.name for thread in threading.enumerate()].count("metrics") == 1
    finally:
        answers.set()
    monkeypatch.setattr(lake_metrics, "_PATIENCE", 20)
    scrape(client)
    assert scrape(client)[("silt_windows", "published")] == 2


def test_client_that_wants_open_metrics_gets_them(client: Client) -> None:
    accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
    response = client.get("/metrics", headers={"Accept": accept})
    assert response.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    names = {family.name for family in open_metrics(response.text)}  # type: ignore[no-untyped-call]
    assert {"silt_windows", "silt_records_landed", "silt_api_requests"} <= names


def test_no_metric_says_what_is_installed(client: Client) -> None:
    text = client.get("/metrics").text
    assert not [word for word in ("python_info", "granian", "litestar", "deltalake") if word in text]
