"""The features of records are written as polars writes a struct as JSON."""

import math

import msgspec
import polars as pl
from msgspec.structs import replace

from platform_assets.features_json import as_json
from resources.contract import Contract

NUMBERS = [0.1 + 0.2, -0.0, 1e16, 1e21, 5e-324, 1e300, 100.0, math.inf, math.nan, None]
LABELS = ['say "no"', "back\\slash", "two\nlines", "tab\t", "\u0001", "ä€😀", "", "/", None, "plain"]


def test_every_number_and_label_is_written_as_polars_writes_it(contract: Contract) -> None:
    mine = replace(
        contract,
        fields={**contract.fields, 'a "name"': "number", "kind": "string"},
        features=('a "name"', "kind"),
    )
    values = {'a "name"': pl.Series(NUMBERS, dtype=pl.Float64), "kind": pl.Series(LABELS)}
    columns = {mine.columns[name]: series for name, series in values.items()}
    records = pl.DataFrame(columns).with_columns(pl.col(mine.columns["kind"]).cast(pl.Categorical))
    written = records.select(as_json(records, mine)).to_series()
    expected = pl.DataFrame(values).select(pl.struct(pl.all()).struct.json_encode()).to_series()
    assert written.to_list() == expected.to_list()
    assert [msgspec.json.decode(line)["kind"] for line in written] == LABELS


def test_a_slice_and_a_feature_that_no_record_has(contract: Contract) -> None:
    mine = replace(contract, fields={**contract.fields, "kind": "string"}, features=("kind",))
    column = mine.columns["kind"]
    records = pl.DataFrame({column: ["a", "b", "a"]}, schema={column: pl.Categorical})
    assert records[1:].select(as_json(records, mine)).to_series().to_list() == [
        '{"kind":"b"}',
        '{"kind":"a"}',
    ]
    nothing = pl.DataFrame({column: [None, None]}, schema={column: pl.Categorical})
    assert nothing.select(as_json(nothing, mine)).to_series().to_list() == ['{"kind":null}'] * 2
