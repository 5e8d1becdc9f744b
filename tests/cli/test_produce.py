"""`silt produce`: a file's rows as the topic then has them."""

import json
import random
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner, Result

from cli.produce import command
from cli.sending import spread
from cli.table_file import TableFile
from resources.errors import SettingError, TransientError
from resources.kafka import event_times
from tests.cli.conftest import MakeTopic, use_contract

AT = datetime(2026, 11, 24, 5, 5, tzinfo=UTC)
FIVE_MINUTES = timedelta(minutes=5)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def rows(count: int) -> list[dict[str, Any]]:
    return [{"Unique id": f"id-{n}", "channel_name": "Chat", "Item_price": str(n)} for n in range(count)]


def csv_of(folder: Path, content: list[dict[str, Any]]) -> Path:
    path = folder / "rows.csv"
    pl.DataFrame(content).write_csv(path)
    return path


def payloads(messages: list[Any]) -> list[dict[str, Any]]:
    return [json.loads(message.value()) for message in messages]


@pytest.mark.parametrize("seed", range(20))
def test_spread_is_even_in_order_and_within_the_interval(seed: int) -> None:
    draw = random.Random(seed)
    at = AT + timedelta(microseconds=draw.randrange(10**7))
    over = timedelta(microseconds=draw.randrange(2_000, 10**9))
    count = draw.randrange(1, 5_000)
    times = [spread(at, over, count)(row) for row in range(count)]
    assert times == sorted(times)
    assert at <= times[0] < at + timedelta(milliseconds=1)
    assert times[-1] < at + over
    gaps = [(later - earlier) / timedelta(milliseconds=1) for earlier, later in pairwise(times)]
    even = over / count / timedelta(milliseconds=1)
    assert all(abs(gap - even) <= 2 for gap in gaps)
    assert all(time.microsecond % 1000 == 0 for time in times)


def test_spread_of_more_rows_than_milliseconds_stays_within() -> None:
    event_times = spread(AT, timedelta(milliseconds=3), 10_000_000)
    assert event_times(0) == AT
    assert event_times(9_999_999) == AT + timedelta(milliseconds=2)


def test_spread_over_less_than_a_millisecond_is_refused() -> None:
    with pytest.raises(SettingError, match="millisecond"):
        spread(AT + timedelta(microseconds=5), timedelta(microseconds=10), 5)


def test_csv_values_stay_text_and_empty_ones_are_empty(make_topic: MakeTopic, tmp_path: Path) -> None:
    topic = make_topic()
    path = tmp_path / "rows.csv"
    path.write_text('Unique id,Item_price,Customer Remarks\na,007,"two\nlines, quoted"\nb,,\n')
    assert run(path).exit_code == 0
    assert payloads(topic.messages()) == [
        {"Unique id": "a", "Item_price": "007", "Customer Remarks": "two\nlines, quoted"},
        {"Unique id": "b", "Item_price": "", "Customer Remarks": ""},
    ]


def test_ndjson_keeps_types_and_gaps_as_each_line_has_them(make_topic: MakeTopic, tmp_path: Path) -> None:
    topic = make_topic()
    lines: list[dict[str, Any]] = [
        {"Unique id": "a", "Item_price": 5},
        {"Unique id": "b", "Item_price": "5.50", "extra": {"deep": [1]}},
        {"Unique id": "c", "Item_price": None},
    ]
    path = tmp_path / "rows.ndjson"
    path.write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    assert run(path).exit_code == 0
    assert payloads(topic.messages()) == lines


def test_parquet_values_become_json(make_topic: MakeTopic, tmp_path: Path) -> None:
    topic = make_topic()
    path = tmp_path / "rows.parquet"
    frame = pl.DataFrame(
        {"Unique id": ["a"], "Item_price": [2.5], "CSAT Score": [None], "day": [date(2026, 1, 2)]}
    )
    frame.write_parquet(path)
    assert run(path).exit_code == 0
    assert payloads(topic.messages()) == [
        {"Unique id": "a", "Item_price": 2.5, "CSAT Score": None, "day": "2026-01-02"}
    ]


def test_rows_are_keyed_by_record_id(make_topic: MakeTopic, tmp_path: Path) -> None:
    topic = make_topic(partitions=3)
    assert run(csv_of(tmp_path, rows(60) * 2)).exit_code == 0
    places: dict[bytes, set[int | None]] = {}
    for message in topic.messages():
        key, value = message.key(), message.value()
        assert key is not None and value is not None
        assert json.loads(value)["Unique id"].encode() == key
        places.setdefault(key, set()).add(message.partition())
    assert len(places) == 60
    assert {len(partitions) for partitions in places.values()} == {1}
    assert {partition for partitions in places.values() for partition in partitions} == {0, 1, 2}


def test_event_times_are_the_timestamps_spread_in_file_order(make_topic: MakeTopic, tmp_path: Path) -> None:
    topic = make_topic(partitions=3)
    result = run(csv_of(tmp_path, rows(421)), "--at", "2026-11-24T05:05Z", "--over", "5m")
    assert result.output.strip().endswith("421 acknowledged, 0 refused")
    messages = topic.messages()
    ids = [json.loads(message.value() or b"")["Unique id"] for message in messages]
    times = dict(zip(ids, event_times(messages), strict=True))
    even = spread(AT, FIVE_MINUTES, 421)
    assert times == {f"id-{n}": even(n) for n in range(421)}


@pytest.mark.parametrize(
    ("field", "layout"),
    [
        ({"created": "string"}, "iso8601"),
        ({"created": "number"}, "epoch_ms"),
        ({"created": "string"}, "epoch_s"),
        ({"created": "string"}, "%d/%m/%Y %H:%M:%S.%f"),
    ],
)
def test_event_times_go_into_the_contracts_field(
    make_topic: MakeTopic, tmp_path: Path, field: dict[str, str], layout: str
) -> None:
    spec = {"field": "created", "format": layout, "zone": "Europe/Vienna"}
    topic = make_topic(
        fields={"Unique id": "string", "Item_price": "number"} | field,
        event_time=spec,
        features=["Item_price"],
        statistics={},
    )
    assert run(csv_of(tmp_path, rows(50)), "--at", "2026-11-24T05:05Z", "--over", "5m").exit_code == 0
    records = [topic.contract.decode(message.value() or b"") for message in topic.messages()]
    even = spread(AT, FIVE_MINUTES, 50)
    assert [record.event_time for record in records] == [even(n) for n in range(50)]


def test_without_at_the_event_time_is_now(make_topic: MakeTopic, tmp_path: Path) -> None:
    topic = make_topic()
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    assert run(csv_of(tmp_path, rows(5))).exit_code == 0
    assert event_times(topic.messages()).is_between(before, datetime.now(UTC)).all(ignore_nulls=False)


def test_rate_is_kept(make_topic: MakeTopic, tmp_path: Path) -> None:
    topic = make_topic()
    assert run(csv_of(tmp_path, rows(101)), "--rate", "100").exit_code == 0
    times = event_times(topic.messages()).to_list()
    assert (max(times) - min(times)).total_seconds() == pytest.approx(1, abs=0.3)


def test_what_the_broker_refuses_is_counted_with_its_reason(make_topic: MakeTopic, tmp_path: Path) -> None:
    topic = make_topic(config={"message.timestamp.after.max.ms": "1000"})
    result = run(csv_of(tmp_path, rows(10)), "--at", "2096-01-01T00:00Z", "--over", "1m")
    assert result.exit_code == 1
    assert "10 sent to" in result.output and "0 acknowledged, 10 refused" in result.output
    assert "10 refused: Broker: Broker failed to validate record" in result.output
    assert topic.messages() == []


def test_rows_too_large_for_the_client_are_counted_and_the_others_arrive(
    make_topic: MakeTopic, tmp_path: Path
) -> None:
    topic = make_topic()
    large = {"Unique id": "large", "channel_name": "x" * 2_000_000, "Item_price": "1"}
    result = run(csv_of(tmp_path, [*rows(3), large, *rows(2)]))
    assert result.exit_code == 1
    assert "5 acknowledged, 1 refused" in result.output
    assert "Broker: Message size too large" in result.output
    assert len(topic.messages()) == 5


def test_file_without_rows_is_no_error(make_topic: MakeTopic, tmp_path: Path) -> None:
    make_topic()
    path = tmp_path / "rows.csv"
    path.write_text("Unique id,Item_price\n")
    result = run(path, "--at", "2026-11-24T05:05Z", "--over", "5m")
    assert (result.exit_code, result.output[:7]) == (0, "0 sent ")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--at", "2026-11-24T05:05Z"),
        ("--over", "5m"),
        ("--at", "now", "--over", "5m"),
        ("--rate", "0"),
    ],
)
def test_options_that_make_no_sense_are_usage_errors(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    result = run(csv_of(tmp_path, rows(1)), *arguments)
    assert result.exit_code == 2
    assert "Error: " in result.output


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("rows.xlsx", b"PK", "name a .csv, .ndjson or .parquet file"),
        ("rows.csv", b"", "cannot be read"),
        ("rows.csv", b"Unique id,x\na,b,c\n", "cannot be read"),
        ("rows.csv", b"Unique id\n\xff\xfe\n", "cannot be read"),
        ("rows.parquet", b"PAR1", "cannot be read"),
        ("rows.ndjson", b'{"Unique id": "a"}\n[1]\n', "line 2, is no JSON object"),
        ("rows.csv", b"id,x\na,b\n", "has no column 'Unique id'"),
    ],
)
def test_file_that_cannot_be_sent_says_why(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    error = run(path).exception
    assert isinstance(error, SettingError)
    assert str(path) in str(error) and says in str(error)


def test_missing_file_says_so(tmp_path: Path) -> None:
    error = run(tmp_path / "none.csv").exception
    assert isinstance(error, SettingError)
    assert "is not there" in str(error)


def test_broker_that_is_away_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SILT_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setattr("resources.kafka.ANSWER_SECONDS", 1.0)
    monkeypatch.setattr("cli.sending._SETTLE_SECONDS", 0.5)
    error = run(csv_of(tmp_path, rows(1))).exception
    assert isinstance(error, TransientError)
    assert "127.0.0.1:1" in str(error)


def test_missing_topic_is_one_clear_error(
    make_topic: MakeTopic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_topic()
    use_contract(monkeypatch, tmp_path, topic="not-there")
    error = run(csv_of(tmp_path, rows(1))).exception
    assert isinstance(error, SettingError)
    assert "no topic 'not-there'" in str(error)


def test_large_file_is_read_in_slices_in_file_order(tmp_path: Path) -> None:
    path = csv_of(tmp_path, rows(35_001))
    table = TableFile(path)
    assert table.count == 35_001
    assert [row["Unique id"] for row in table] == [f"id-{n}" for n in range(35_001)]
