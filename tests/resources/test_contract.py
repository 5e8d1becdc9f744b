"""The contract: every mistake in the file is one clear line, and the decoder is as lenient as it says."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from resources.contract import BadRecordError, Contract, EventTime, Record, format_event_time, load_contract
from resources.errors import SettingError
from resources.settings import PROJECT
from tests.resources.conftest import CONTRACT, contract_file, contract_with, record


def reason(contract: Contract, value: bytes) -> str:
    """The reason for which a message is refused."""
    with pytest.raises(BadRecordError) as caught:
        contract.decode(value)
    return caught.value.reason


def price(contract: Contract, value: str) -> Any:
    """What the decoder makes of a price, given as JSON."""
    return contract.decode(b'{"id": "a", "price": %s}' % value.encode()).values[2]


# ---- the file ----


def test_the_shipped_contract_is_right_and_names_twenty_fields() -> None:
    contract = load_contract(PROJECT / "contracts" / "customer_support.yaml")
    assert len(contract.fields) == 20
    assert contract.id == "Unique id"
    assert set(contract.numbers + contract.categories) == set(contract.features)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "feature that is no field": ({"features": ["shop", "colour"]}, "the feature 'colour' is not among"),
    "feature twice": ({"features": ["shop", "shop"]}, "a feature is named twice"),
    "no features": ({"features": []}, "features"),
    "id among the features": ({"features": ["price", "id"]}, "the feature 'id' is the id, by which no two"),
    "id that is no field": ({"id": "uid"}, "the id 'uid' is not among its fields"),
    "id that is a number": ({"id": "price"}, "the id 'price' must be a string"),
    "statistic that is no field": ({"statistics": {"avgX": "x"}}, "'avgX' averages 'x' is not among"),
    "statistic of a string": ({"statistics": {"avgShop": "shop"}}, "'shop' must be a number"),
    "statistic with a name of the API": ({"statistics": {"count": "price"}}, "choose another"),
    "unknown type": ({"fields": {"id": "string", "shop": "text", "price": "number"}}, "'text'"),
    "unknown key": ({"colour": "red"}, "colour"),
    "one cluster": ({"clusters": 1}, "clusters"),
    "range of one cluster": ({"clusters": {"min": 1, "max": 3}}, "clusters"),
    "range of too many": ({"clusters": {"min": 2, "max": 51}}, "clusters"),
    "range upside down": ({"clusters": {"min": 4, "max": 3}}, "min is greater than"),
    "range without an end": ({"clusters": {"min": 2}}, "max"),
    "range for mllib": ({"clusters": {"min": 2, "max": 3}, "trainer": "mllib"}, "takes a fixed number"),
    "unknown encoding": ({"encoding": "hash"}, "encoding"),
    "unknown scaling": ({"scaling": "none"}, "scaling"),
    "seed below zero": ({"seed": -1}, "seed"),
    "null share above one": ({"max_null_share": 1.5}, "max_null_share"),
    "unknown trainer": ({"trainer": "magic"}, "trainer"),
    "topic that no broker has": ({"topic": "a b"}, "topic"),
    "topic that is a folder": ({"topic": ".."}, "no broker has a topic '..'"),
    "event time that is no field": ({"event_time": {"field": "at"}}, "the event time 'at' is not among"),
    "zone that is none": ({"event_time": {"field": "shop", "zone": "Mars/Base"}}, "'Mars/Base' is no time"),
    "event time of another word": ({"event_time": "payload"}, "event_time"),
    "unknown key of the event time": ({"event_time": {"field": "shop", "form": "iso8601"}}, "form"),
    "fields that differ by case alone": (
        {"fields": {"id": "string", "shop": "string", "Shop": "string", "price": "number"}},
        "two fields have the same name",
    ),
    "fields that differ by blanks alone": (
        {"fields": {"id": "string", "shop": "string", "price": "number", "a b": "string", "a_b": "string"}},
        "two fields have the same name",
    ),
    "field that takes the name of a renamed one": (
        {
            "fields": {
                "id": "string",
                "shop": "string",
                "price": "number",
                "date": "string",
                "date_": "string",
            }
        },
        "two fields have the same name",
    ),
}


@pytest.mark.parametrize(("changes", "says"), WRONG.values(), ids=WRONG)
def test_a_wrong_contract_is_one_line_that_names_the_file_and_the_mistake(
    tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    path = contract_file(tmp_path, **changes)
    with pytest.raises(SettingError) as caught:
        load_contract(path)
    message = str(caught.value)
    assert message.startswith(f"The contract {path} is wrong: ")
    assert message.endswith("Correct the file.")
    assert says in message
    assert "\n" not in message


@pytest.mark.parametrize("missing", ["topic", "id", "fields", "features"])
def test_what_a_contract_cannot_do_without_is_asked_for(tmp_path: Path, missing: str) -> None:
    path = contract_file(tmp_path)
    path.write_text("\n".join(line for line in path.read_text().splitlines() if not line.startswith(missing)))
    with pytest.raises(SettingError, match=f"{path}.*"):
        load_contract(path)


@pytest.mark.parametrize("content", [b"", b"[]", b"a: b: c", b"\tx: 1", b"\xff\xfe\x00", b"just words"])
def test_a_file_that_is_no_contract_at_all_is_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "contract.yaml"
    path.write_bytes(content)
    with pytest.raises(SettingError) as caught:
        load_contract(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_a_contract_that_cannot_be_read_says_which_setting_names_it(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingError, match=r"cannot be read .*: set SILT_CONTRACT to a contract file"):
        load_contract(tmp_path / name)


@pytest.mark.parametrize(
    "event_time",
    [
        {"field": "shop", "format": "epoch"},  # no format of ours, and no strptime pattern
        {"field": "price", "format": "iso8601"},  # the field is a number: no record could ever be read
        {"field": "price", "format": "%d.%m.%Y"},
    ],
)
def test_an_event_time_that_no_record_can_have_is_a_mistake_of_the_file(
    tmp_path: Path, event_time: dict[str, str]
) -> None:
    path = contract_file(tmp_path, event_time=event_time)
    with pytest.raises(SettingError, match="event time"):
        load_contract(path)


@pytest.mark.parametrize("form", ["epoch_s", "epoch_ms"])
def test_an_epoch_may_be_a_number_or_a_string(tmp_path: Path, form: str) -> None:
    for name in ("price", "shop"):
        assert contract_with(tmp_path, event_time={"field": name, "format": form}).event_time != "kafka"


# ---- version and columns ----


@pytest.mark.parametrize(
    "changes",
    [
        {"topic": "other"}, {"clusters": 3}, {"clusters": {"min": 2, "max": 3}}, {"trainer": "mllib"},
        {"encoding": "one-hot"}, {"scaling": "robust"}, {"seed": 1}, {"max_null_share": 0.5},
        {"statistics": {}},
        {"features": ["price", "shop"]}, {"event_time": {"field": "shop"}},
        {"id": "shop", "features": ["price"]},
        {"fields": {"id": "string", "price": "number", "shop": "string", "more": "string"}},
    ],
    ids=str,
)  # fmt: skip
def test_the_version_changes_with_the_content(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert contract_with(tmp_path, **changes).version != contract_with(tmp_path).version


def test_the_version_does_not_change_with_comments_layout_or_defaults_spelled_out(tmp_path: Path) -> None:
    version = contract_with(tmp_path).version
    path = contract_file(tmp_path, clusters=2, trainer="coreset", encoding="index", scaling="deviation")
    path.write_text("# a comment\n\n" + path.read_text())
    assert load_contract(path).version == version
    assert len(version) == 12


def test_columns_keep_names_apart_from_what_delta_forbids_and_silt_uses(tmp_path: Path) -> None:
    names = [
        "id",
        "shop",
        "price",
        "Item price",
        "a,b;c",
        "f(x)={y}",
        "window",
        "Date",
        "cluster",
        "attempt",
        "rank",
    ]
    contract = contract_with(
        tmp_path, fields={name: "number" if name == "price" else "string" for name in names}
    )
    assert contract.columns == {
        "id": "record_id", "shop": "shop", "price": "price", "Item price": "Item_price", "a,b;c": "a_b_c",
        "f(x)={y}": "f_x___y_", "window": "window_", "Date": "Date_", "cluster": "cluster_",
        "attempt": "attempt_", "rank": "rank_",
    }  # fmt: skip


# ---- the decoder ----


def test_values_come_in_the_order_of_the_fields_whatever_the_message_has(contract: Contract) -> None:
    decoded = contract.decode(b'{"price": 2, "unknown": {"deep": [1]}, "shop": "north", "id": "a"}')
    assert decoded == Record("a", None, ("a", "north", 2.0))


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("12", 12.0), ("1.5", 1.5), ("-0.25", -0.25), ("1e3", 1000.0), ('"12"', 12.0), ('"1.5"', 1.5),
        ('" 7 "', 7.0), ('"1e3"', 1000.0), ('"-2"', -2.0), ("null", None), ('""', None),
        ("9007199254740993", 9007199254740992.0),
    ],
)  # fmt: skip
def test_numbers_may_be_numbers_or_numeric_strings(
    contract: Contract, given: str, read: float | None
) -> None:
    found = price(contract, given)
    assert found == read
    assert found is None or isinstance(found, float)


@pytest.mark.parametrize(
    "message", [b'{"id": "a"}', b'{"id": "a", "shop": null}', b'{"id": "a", "shop": ""}']
)
def test_missing_values_may_be_absent_null_or_empty(contract: Contract, message: bytes) -> None:
    assert contract.decode(message).values == ("a", None, None)


@pytest.mark.parametrize(
    "given",
    ['"abc"', "true", "[]", "{}", '"nan"', '"inf"', '"-Infinity"', '"1_000"', '"1,5"', '" "', '"0x1F"'],
)
def test_what_is_no_number_is_a_wrong_type(contract: Contract, given: str) -> None:
    assert reason(contract, b'{"id": "a", "price": %s}' % given.encode()) == "wrong-type"


@pytest.mark.parametrize("given", ["5", "true", "[]", '{"a": 1}'])
def test_what_is_no_string_is_a_wrong_type(contract: Contract, given: str) -> None:
    assert reason(contract, b'{"id": "a", "shop": %s}' % given.encode()) == "wrong-type"


@pytest.mark.parametrize("given", [b"[]", b"1", b'"text"', b"null"])
def test_json_that_is_no_object_is_a_wrong_type(contract: Contract, given: bytes) -> None:
    assert reason(contract, given) == "wrong-type"


@pytest.mark.parametrize(
    "given",
    [
        b"", b" ", b"{", b'{"id": "a"} trailing', b"{'id': 'a'}", b'{"id": "\xff"}', b"\x00\x01",
        b"\xef\xbb\xbf{}",
        b'{"id": "a", "price": NaN}', b'{"x": ' + b"[" * 100_000, b'{"x": ' * 100_000,
        b'{"id": "\\ud800"}', b'{"id": "\n"}',
    ],
    ids=range(13),
)  # fmt: skip
def test_what_is_no_json_is_refused_as_such(contract: Contract, given: bytes) -> None:
    assert reason(contract, given) == "invalid-json"


@pytest.mark.parametrize("given", [b"{}", b'{"id": null}', b'{"id": ""}', b'{"shop": "north"}'])
def test_a_message_without_id_is_refused(contract: Contract, given: bytes) -> None:
    assert reason(contract, given) == "missing-id"


def test_a_number_out_of_range_is_refused_and_not_infinite(contract: Contract) -> None:
    assert reason(contract, b'{"id": "a", "price": 1e999}') in ("wrong-type", "invalid-json")
    assert reason(contract, b'{"id": "a", "price": "1e999"}') == "wrong-type"


def test_the_detail_names_the_field(contract: Contract) -> None:
    for message in (b'{"id": "a", "price": "abc"}', b'{"id": "a", "price": true}'):
        with pytest.raises(BadRecordError, match="price"):
            contract.decode(message)


def test_ids_and_strings_of_any_script_stay_as_they_are(contract: Contract) -> None:
    decoded = contract.decode('{"id": "Łódź/東京 \\u0000 🦉", "shop": " x "}'.encode())
    assert (decoded.id, decoded.values[1]) == ("Łódź/東京 \0 🦉", " x ")


# ---- event times of the payload ----

AT = datetime(2026, 7, 24, 5, 5, 30, tzinfo=UTC)
TIMES = [
    ("iso8601", "UTC", '"2026-07-24T05:05:30Z"'),
    ("iso8601", "UTC", '"2026-07-24T05:05:30"'),
    ("iso8601", "UTC", '"2026-07-24 05:05:30"'),
    ("iso8601", "UTC", '"20260724T050530Z"'),
    ("iso8601", "Europe/Berlin", '"2026-07-24T07:05:30"'),
    ("iso8601", "Europe/Berlin", '"2026-07-24T01:05:30-04:00"'),
    ("%d/%m/%Y %H:%M:%S", "Asia/Kolkata", '"24/07/2026 10:35:30"'),
    ("%d/%m/%Y %H:%M:%S %z", "Asia/Kolkata", '"24/07/2026 00:05:30 -0500"'),
    ("epoch_s", "Asia/Kolkata", '"1784869530"'),
    ("epoch_ms", "UTC", '"1784869530000"'),
]


@pytest.mark.parametrize(("form", "zone", "given"), TIMES)
def test_event_times_are_read_in_their_format_and_zone(
    tmp_path: Path, form: str, zone: str, given: str
) -> None:
    contract = contract_with(tmp_path, event_time={"field": "shop", "format": form, "zone": zone})
    moment = contract.decode(b'{"id": "a", "shop": %s}' % given.encode()).event_time
    assert moment == AT
    assert moment.tzinfo == UTC


@pytest.mark.parametrize(("form", "given"), [("epoch_s", "1784869530.25"), ("epoch_ms", "1784869530250")])
def test_epochs_may_be_numbers(tmp_path: Path, form: str, given: str) -> None:
    contract = contract_with(tmp_path, event_time={"field": "price", "format": form})
    moment = contract.decode(b'{"id": "a", "price": %s}' % given.encode()).event_time
    assert moment == AT.replace(microsecond=250_000)


@pytest.mark.parametrize("form", ["iso8601", "epoch_s", "epoch_ms", "%d.%m.%Y %H:%M:%S"])
@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu", "America/New_York"])
def test_an_event_time_written_by_a_producer_is_read_back(tmp_path: Path, form: str, zone: str) -> None:
    field = "price" if form.startswith("epoch") else "shop"
    spec = EventTime(field, form, zone)
    contract = contract_with(tmp_path, event_time={"field": field, "format": form, "zone": zone})
    assert contract.decode(record(1, **{field: format_event_time(spec, AT)})).event_time == AT


@pytest.mark.parametrize(
    ("form", "given"),
    [
        ("iso8601", '"yesterday"'), ("iso8601", '"2026-02-30T00:00:00"'),
        ("iso8601", '"0001-01-01T00:00:00+10:00"'),
        ("iso8601", '"9999-12-31T23:59:59-10:00"'), ("%d/%m/%Y", '"2026-07-24"'), ("epoch_s", '"soon"'),
        ("epoch_s", '"nan"'), ("epoch_s", '"inf"'), ("epoch_ms", '"1e300"'),
    ],
)  # fmt: skip
def test_an_event_time_that_is_none_is_refused(tmp_path: Path, form: str, given: str) -> None:
    contract = contract_with(tmp_path, event_time={"field": "shop", "format": form})
    assert reason(contract, b'{"id": "a", "shop": %s}' % given.encode()) == "invalid-event-time"


@pytest.mark.parametrize(
    "message", [b'{"id": "a"}', b'{"id": "a", "shop": null}', b'{"id": "a", "shop": ""}']
)
def test_a_missing_event_time_is_refused(tmp_path: Path, message: bytes) -> None:
    contract = contract_with(tmp_path, event_time={"field": "shop"})
    assert reason(contract, message) == "missing-event-time"


def test_the_small_contract_of_these_tests_is_right(contract: Contract) -> None:
    assert contract.topic == CONTRACT["topic"]
    assert (contract.numbers, contract.categories) == (["price"], ["shop"])
