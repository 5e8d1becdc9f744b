"""Messages decoded into columns: row by row what the contract's decoder says of each, whatever is in them."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resources.columns import ColumnDecoder
from resources.contract import BadRecordError, Contract
from resources.tables import TIME
from tests.resources.conftest import contract_with

FIELDS = {"id": "string", "shop": "string", "price": "number", "at": "string", "second": "number"}
EVENT_TIMES: list[Any] = [
    "kafka",
    {"field": "at", "zone": "Asia/Kolkata"},
    {"field": "second", "format": "epoch_s"},
    {"field": "at", "format": "%d/%m/%Y %H:%M"},
]
STAMP = datetime(2026, 7, 24, 5, 5, 30, tzinfo=UTC)
VALUES = st.one_of(
    st.sampled_from(
        [None, "", " ", "12", " 7 ", "1.5", "1e3", "1e999", "1_000", "nan", "-inf", "x", "Łódź", True, [], {}]
    ),
    st.sampled_from(
        ["2026-07-24T10:35:30", "2026-02-30T00:00:00", "24/07/2026 10:35", 1784869530, "1784869530"]
    ),
    st.text(max_size=20),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
)
OBJECTS = st.dictionaries(st.sampled_from([*FIELDS, "unknown"]), VALUES).map(
    lambda it: json.dumps(it).encode()
)
PLAIN = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["a", "b"]),
        "shop": st.sampled_from(["north", "", None]),
        "price": st.sampled_from([1.5, 2, "3", "", None]),
        "at": st.sampled_from(["2026-07-24T10:35:30", "24/07/2026 10:35", ""]),
        "second": st.sampled_from([1784869530.25, "1784869530"]),
    }
).map(lambda fields: json.dumps(fields).encode())
OTHERS = st.sampled_from(
    [None, b"", b"{", b"[]", b"null", b"\xff", b'{"id": "\\ud800"}', b'{"price": 1e999}']
)
MESSAGES = st.lists(st.tuples(st.one_of(PLAIN, OBJECTS, OTHERS), st.sampled_from([STAMP, None])), max_size=12)


def said(contract: Contract, value: bytes | None, stamp: datetime | None) -> object:
    """What the contract's decoder says of a message; it never meets one without a value."""
    try:
        if value is None:
            raise BadRecordError("null-value", "the message has no value")
        record = contract.decode(value)
        if (moment := record.event_time or stamp) is None:
            raise BadRecordError("missing-event-time", "the message has no usable timestamp")
    except BadRecordError as error:
        return (error.reason, str(error), error.field)
    return (*record.values, moment)


@pytest.mark.parametrize("event_time", EVENT_TIMES, ids=str)
@settings(
    max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None
)
@given(messages=MESSAGES)
def test_every_row_is_what_the_contracts_decoder_says_of_its_message(
    tmp_path: Path, event_time: Any, messages: list[tuple[bytes | None, datetime | None]]
) -> None:
    contract = contract_with(tmp_path, fields=FIELDS, event_time=event_time)
    stamps = pl.Series("timestamp", [stamp for _, stamp in messages], dtype=TIME)
    rows, refused = ColumnDecoder(contract).decode([value for value, _ in messages], stamps)
    found: list[object] = list(rows.iter_rows())
    for place, error in refused.items():
        found[place] = (error.reason, str(error), error.field)
    assert found == [said(contract, value, stamp) for value, stamp in messages]
    assert rows.columns == [*contract.columns.values(), "event_time"]


def test_numbers_written_both_ways_stand_in_one_column(tmp_path: Path) -> None:
    contract = contract_with(tmp_path)
    values = [b'{"id": "a", "price": %s}' % price for price in (b"1.5", b'"2"', b'""', b"null", b"3")]
    stamps = pl.Series([STAMP + timedelta(seconds=n) for n in range(5)], dtype=TIME)
    rows, refused = ColumnDecoder(contract).decode(values, stamps)
    assert not refused
    assert rows["price"].to_list() == [1.5, 2.0, None, None, 3.0]
    assert rows["event_time"].to_list() == stamps.to_list()


def test_what_is_refused_is_named_by_its_place_however_many_messages_there_are(tmp_path: Path) -> None:
    contract = contract_with(tmp_path)
    odd = {0: b"no json", 999: None, 1_000: b"{}", 1_700: b'{"id": "a", "price": "x"}', 2_499: b'{"id": ""}'}
    values = [odd.get(place, b'{"id": "%d", "price": "%d"}' % (place, place)) for place in range(2_500)]
    rows, refused = ColumnDecoder(contract).decode(values, pl.Series([STAMP] * 2_500, dtype=TIME))
    reasons = {place: error.reason for place, error in refused.items()}
    assert reasons == {
        0: "invalid-json", 999: "null-value", 1_000: "missing-id", 1_700: "wrong-type", 2_499: "missing-id"
    }  # fmt: skip
    kept = [place for place in range(2_500) if place not in odd]
    assert rows[kept]["record_id"].to_list() == list(map(str, kept))
    assert rows[kept]["price"].to_list() == kept


def test_columns_have_the_lakes_names_and_types_whatever_the_messages_lack(tmp_path: Path) -> None:
    contract = contract_with(
        tmp_path, fields={"id": "string", "city name": "string", "price": "number"}, features=["price"]
    )
    decoder = ColumnDecoder(contract)
    for values in ([], [b'{"id": "a"}'], [None, b"no json"]):
        rows, _ = decoder.decode(values, pl.Series([STAMP] * len(values), dtype=TIME))
        assert rows.schema == decoder.schema
        assert rows.schema == {
            "record_id": pl.String, "city_name": pl.String, "price": pl.Float64, "event_time": TIME,
        }  # fmt: skip
