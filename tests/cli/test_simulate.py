"""`silt simulate`: the made-up stream keeps what it promises, and what it sends arrives."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray

from cli.archetypes import ARCHETYPES
from cli.sample import Sample, SampleStream, Shares
from cli.sending import spread
from cli.simulate import command
from resources.contract import BadRecordError, Contract, Record, load_contract
from resources.errors import SettingError
from resources.kafka import event_times
from resources.windows import Grid
from tests.cli.conftest import CONTRACT, MakeTopic, use_contract

GRID = Grid(5)
START = datetime(2026, 11, 24, 5, 1, 2, tzinfo=UTC)
LATENESS = timedelta(hours=24)
MAX_FUTURE = timedelta(hours=1)


def stream(seed: int = 1, *, lateness: timedelta = LATENESS, **shares: float) -> SampleStream:
    return SampleStream(GRID, Shares(**shares), allowed_lateness=lateness, max_future=MAX_FUTURE, seed=seed)


def samples(source: SampleStream, count: int) -> list[tuple[datetime, Sample]]:
    """Twenty samples a second, each with the moment it was sent."""
    moments = [START + timedelta(milliseconds=50 * n) for n in range(count)]
    return [(now, source.sample(now)) for now in moments]


@pytest.fixture(scope="module")
def contract() -> Contract:
    return load_contract(CONTRACT)


def decode(contract: Contract, sample: Sample) -> Record:
    return contract.decode(sample.broken or msgspec.json.encode(sample.row))


def run(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def test_same_seed_gives_the_same_stream() -> None:
    one = samples(stream(7, late=0.1, bad=0.1, duplicate=0.1), 500)
    assert one == samples(stream(7, late=0.1, bad=0.1, duplicate=0.1), 500)
    assert one != samples(stream(8, late=0.1, bad=0.1, duplicate=0.1), 500)


def test_shares_are_what_was_asked_for() -> None:
    kinds = Counter(sample.kind for _, sample in samples(stream(late=0.03, bad=0.02, duplicate=0.01), 20_000))
    assert kinds["late"] / 20_000 == pytest.approx(0.03, abs=0.005)
    assert kinds["bad"] / 20_000 == pytest.approx(0.02, abs=0.005)
    assert kinds["duplicate"] / 20_000 == pytest.approx(0.01, abs=0.003)


def test_all_but_the_bad_are_records_of_the_contract(contract: Contract) -> None:
    for now, sample in samples(stream(late=0.1, duplicate=0.1), 3_000):
        assert decode(contract, sample).id
        assert sample.event_time <= now


def test_every_bad_one_becomes_a_dead_letter_and_all_reasons_occur(contract: Contract) -> None:
    reasons: Counter[str] = Counter()
    for now, sample in samples(stream(bad=1), 400):
        try:
            decode(contract, sample)
        except BadRecordError as error:
            reasons[error.reason] += 1
        else:
            assert sample.event_time > now + MAX_FUTURE
            reasons["future-timestamp"] += 1
    assert set(reasons) == {"invalid-json", "wrong-type", "missing-id", "future-timestamp"}


def test_clean_records_are_on_time_and_have_ids_of_their_own(contract: Contract) -> None:
    sent = samples(stream(), 3_000)
    assert all(sample.event_time == now for now, sample in sent)
    assert len({decode(contract, sample).id for _, sample in sent}) == 3_000


def test_late_records_lie_mostly_one_to_three_windows_back() -> None:
    back = [
        (GRID.home(now).start - GRID.home(sample.event_time).start) / timedelta(minutes=5)
        for now, sample in samples(stream(late=1), 2_000)
    ]
    assert min(back) >= 1
    assert sum(windows <= 3 for windows in back) / 2_000 > 0.85
    assert max(back) > 3


def test_late_records_are_never_too_late() -> None:
    lateness = timedelta(minutes=20)
    for now, sample in samples(stream(late=1, lateness=lateness), 1_000):
        assert GRID.home(sample.event_time) < GRID.home(now)
        assert sample.event_time >= now - lateness / 2


def test_duplicates_repeat_an_id_of_their_home(contract: Contract) -> None:
    homes: dict[str, str] = {}
    duplicates = 0
    for _, sample in samples(stream(duplicate=0.2), 8_000):
        record, home = decode(contract, sample), GRID.home(sample.event_time).key
        if sample.kind == "duplicate":
            duplicates += 1
            assert homes[record.id] == home
        homes[record.id] = home
    assert duplicates > 1_000


def test_numbers_come_in_both_forms_and_values_are_missing_in_all_three(contract: Contract) -> None:
    rows = [sample.row for _, sample in samples(stream(), 2_000)]
    assert {type(row["CSAT Score"]) for row in rows} == {int, str}
    prices = [row.get("Item_price", "absent") for row in rows]
    assert {None, "", "absent"} <= set(prices)
    full = max(rows, key=lambda row: len([value for value in row.values() if value]))
    assert set(full) == set(contract.fields)


def test_no_feature_misses_too_often_to_be_used(contract: Contract) -> None:
    records = [decode(contract, sample) for _, sample in samples(stream(), 2_000)]
    for feature in contract.features:
        at = list(contract.fields).index(feature)
        assert sum(record.values[at] is None for record in records) / 2_000 < contract.max_null_share


def test_clusters_are_the_archetypes(contract: Contract) -> None:
    records = [decode(contract, sample) for _, sample in samples(stream(), 2_000)]
    names = list(contract.fields)
    matrix = np.column_stack(
        [_encoded([r.values[names.index(f)] for r in records]) for f in contract.features]
    )
    found = _two_means(matrix / matrix.std(axis=0))
    happy = np.array(
        [record.values[names.index("channel_name")] in ARCHETYPES[0].channels for record in records]
    )
    assert happy.mean() == pytest.approx(ARCHETYPES[0].share, abs=0.05)
    assert max((found == happy).mean(), (found != happy).mean()) == 1


def _encoded(values: Sequence[str | float | None]) -> NDArray[np.float64]:
    """Numbers filled with their mean; strings by frequency, the missing ones last."""
    numbers = [value for value in values if isinstance(value, float)]
    if numbers:
        return np.array([np.mean(numbers) if value is None else value for value in values], dtype=float)
    order = [label for label, _ in Counter(value for value in values if value).most_common()]
    return np.array([order.index(value) if value else len(order) for value in values], dtype=float)


def _two_means(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Lloyd's k-means with k = 2, from the first point and the one farthest from it."""
    centres = points[[0, int(((points - points[0]) ** 2).sum(axis=1).argmax())]]
    second = np.zeros(len(points), dtype=np.bool_)
    for _ in range(50):
        second = ((points - centres[1]) ** 2).sum(axis=1) < ((points - centres[0]) ** 2).sum(axis=1)
        centres = np.array([points[~second].mean(axis=0), points[second].mean(axis=0)])
    return second


def test_last_windows_are_filled_evenly_and_the_command_ends(make_topic: MakeTopic) -> None:
    topic = make_topic(partitions=3)
    result = run("--last-windows", 3, "--once", "--rate", 2)
    newest = GRID.newest_closed(datetime.now(UTC))
    assert result.exit_code == 0
    times: dict[str, list[datetime]] = {}
    for moment in event_times(topic.messages()):
        times.setdefault(GRID.home(moment).key, []).append(moment)
    windows = [GRID.window(key) for key in sorted(times)]
    assert len(windows) == 3
    assert windows[-1] in (newest, newest.step(-1))  # a window may have ended meanwhile
    for window in windows:
        even = spread(window.start, window.end - window.start, 600)
        assert sorted(times[window.key]) == [even(n) for n in range(600)]
        assert f"{window.key}: 600 records" in result.output


def test_live_stream_keeps_its_rate_and_tells_what_it_sent(make_topic: MakeTopic) -> None:
    topic = make_topic()
    result = run("--rate", 100, "--duration", "2s", "--bad", 0.2)
    assert result.exit_code == 0
    messages = topic.messages()
    assert len(messages) == pytest.approx(200, abs=20)
    assert f"{len(messages)} acknowledged, 0 refused" in result.output
    bad = 0
    for message, moment in zip(messages, event_times(messages), strict=True):
        try:
            record = topic.contract.decode(message.value() or b"")
            assert message.key() == record.id.encode()
            bad += moment > datetime.now(UTC) + MAX_FUTURE / 2
        except BadRecordError:
            bad += 1
    assert f"{bad} bad" in result.output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_the_stream_with_all_it_sent_on_the_broker(
    make_topic: MakeTopic, number: signal.Signals
) -> None:
    topic = make_topic()
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.main", "simulate", "--rate", "50"],
        stdout=subprocess.PIPE, text=True, env=dict(os.environ),
    )  # fmt: skip
    try:
        while not topic.messages() and process.poll() is None:
            time.sleep(0.2)
        process.send_signal(number)
        output, _ = process.communicate(timeout=20)
    finally:
        process.kill()
    sent = len(topic.messages())
    assert sent > 0
    assert process.returncode == 0
    assert f"{sent} sent to {topic.contract.topic}: {sent} acknowledged, 0 refused" in output


def test_contract_of_other_records_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, contract: Contract
) -> None:
    fields = {name: kind for name, kind in contract.fields.items() if name != "Manager"}
    use_contract(monkeypatch, tmp_path, fields=fields)
    error = run().exception
    assert isinstance(error, SettingError)
    assert "no string field 'Manager'" in str(error)


def test_contract_that_takes_a_number_for_text_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, contract: Contract
) -> None:
    use_contract(monkeypatch, tmp_path, fields={**contract.fields, "Order_id": "number"})
    error = run().exception
    assert isinstance(error, SettingError)
    assert "no string field 'Order_id'" in str(error)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--late", 0.6, "--bad", 0.6),
        ("--once",),
        ("--last-windows", 3, "--once", "--duration", "5s"),
        ("--late", 1.5),
        ("--last-windows", 0),
    ],
)
def test_options_that_make_no_sense_are_usage_errors(arguments: tuple[object, ...]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Error: " in result.output
