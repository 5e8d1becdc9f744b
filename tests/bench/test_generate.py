"""The benches' records: what each is, and that each is a new one."""

import json
from datetime import UTC, datetime

import numpy as np

from bench.generate import ID, SAMPLE, Messages, drawn, sample
from resources.contract import load_contract
from resources.settings import Settings
from resources.windows import Window

WINDOW = Window(datetime(2026, 11, 24, 5, 5, tzinfo=UTC), 1)


def test_each_message_is_a_record_of_twenty_columns_and_about_640_bytes() -> None:
    contract = load_contract(Settings(_env_file=None).contract)
    messages = Messages().made(list(range(SAMPLE)))
    for (key, value), row in zip(messages, sample(), strict=True):
        fields = json.loads(value)
        assert fields == row | {ID: key.decode()}
        assert list(fields) == list(contract.fields)
        assert contract.decode(value).id == key.decode()
    assert abs(np.mean([len(value) for _, value in messages]) - 640) < 10


def test_no_id_comes_twice() -> None:
    keys = [key for key, _ in Messages().made([0] * 100_000)]
    assert len(set(keys)) == 100_000
    assert {len(key) for key in keys} == {36}


def test_a_windows_draws_are_the_same_each_time_and_another_windows_are_not() -> None:
    rows = drawn(WINDOW, 10_000)
    assert rows.tolist() == drawn(WINDOW, 10_000).tolist() != drawn(WINDOW.step(1), 10_000).tolist()
    assert set(rows.tolist()) <= set(range(SAMPLE))
