"""The rival's encoders are the contract's."""

import numpy as np
import polars as pl
import pytest

from bench.summaries import Summary, features
from resources.contract import Contract

CONTRACT = Contract(
    topic="t", id="id", fields={"id": "string", "kind": "string", "price": "number", "rare": "number"},
    features=["kind", "price", "rare"],
)  # fmt: skip
KINDS = ["b", "a", "a", None, "b", "c", "a", "b"]
PRICES = [1.0, None, 4.0, 2.5, 8.0, 1.5, None, 3.0]


def summaries(kinds: list[str | None], amounts: list[float | None]) -> list[Summary]:
    frame = pl.DataFrame({"kind": kinds, "price": amounts})
    return [
        {"kind": kind, "count": len(prices), "rare": [0, None, None]}
        | {"price": [prices.count(), prices.mean(), prices.var()]}
        for (kind,), rows in frame.group_by("kind")
        for prices in [rows["price"]]
    ]


def test_micro_batches_together_give_the_windows_encoders() -> None:
    kind, price = features([*summaries(KINDS[:3], PRICES[:3]), *summaries(KINDS[3:], PRICES[3:])], CONTRACT)
    assert kind.labels == ("a", "b", "c")
    assert kind.encode(KINDS).std(ddof=1) == pytest.approx(1)
    assert price.fill == pytest.approx(np.mean([value for value in PRICES if value is not None]))
    assert price.encode(PRICES).std(ddof=1) == pytest.approx(1)


def test_a_feature_with_too_many_nulls_is_left_out() -> None:
    assert [feature.name for feature in features(summaries(KINDS, PRICES), CONTRACT)] == ["kind", "price"]
