"""Accounting: every offset that an intake read is one record, one dead letter or no message; none is lost."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from resources.delta import add_actions
from resources.intakes import Intakes
from resources.lake import Lake
from resources.windows import KEY_FORMAT, Window

_ROWS = {
    "number": pl.Int64,
    "partition": pl.Int32,
    "offset": pl.Int64,
    "window": pl.String,
    "kind": pl.String,
}
_READ = ["number", "partition"]
_PLACE = [*_READ, "offset"]
_COUNTED = ["number", "window", "kind"]
_RECORD, _TOO_LATE = "records", "too late"
_SHOWN = 5


@dataclass(frozen=True)
class Account:
    """What the intakes that touch a window have read.

    Attributes:
        offsets: in their spans.
        no_message: offsets that hold neither record nor dead letter: a transaction's marker, what the topic's
            compaction took, or what retention took before it was read.
        faults: what does not add up, a line each.
    """

    intakes: int
    offsets: int
    records: int
    dead_letters: int
    no_message: int
    faults: list[str]


def account(lake: Lake, intakes: Intakes, window: Window) -> Account:
    """Hold the ledger's spans and counts against the rows landed, for the intakes that touch a window.

    Of windows before the lake's floor nothing is counted: retention deletes their rows.
    """
    ledger = intakes.of_window(window)
    late = pl.when("too_late").then(pl.lit(_TOO_LATE)).otherwise(pl.lit(_RECORD))
    records = _landed(lake, "records", late, ledger)
    letters = _landed(lake, "dead_letters", pl.col("reason"), ledger)
    rows = pl.concat([records, letters])
    spans, replayed = (_exploded(ledger, name) for name in ("spans", "replayed"))
    replays = pl.col("number").is_in(replayed["number"].unique().to_list())
    read = rows.filter(~replays)
    offsets = int((spans["end"] - spans["start"]).sum())
    faults = [
        *_untiled(intakes, ledger),
        *_twice(rows),
        *_astray(read, spans),
        *_not_replayed(rows.filter(replays), replayed),
        *_miscounted(rows, _counted(ledger), lake.floor().strftime(KEY_FORMAT)),
    ]
    return Account(
        ledger.height, offsets, records.height, letters.height, offsets - read.height, faults[:_SHOWN]
    )


def _landed(lake: Lake, name: str, kind: pl.Expr, ledger: pl.DataFrame) -> pl.DataFrame:
    """The rows that these intakes landed. Only files that can hold them are read."""
    actions, numbers = add_actions(lake.table(name)), ledger["number"].to_numpy()
    if actions.is_empty() or not len(numbers):
        return pl.DataFrame(schema=_ROWS)
    first = np.searchsorted(numbers, actions["min.intake"].fill_null(0).to_numpy())
    behind = np.searchsorted(numbers, actions["max.intake"].fill_null(numbers[-1]).to_numpy(), "right")
    files = actions.filter(pl.Series(first < behind))["address"].to_list()
    if not files:
        return pl.DataFrame(schema=_ROWS)
    rows = pl.scan_parquet(files, missing_columns="insert", extra_columns="ignore")
    named = rows.filter(
        pl.col("intake").is_in(numbers.tolist()), pl.col("attempt").is_in(ledger["attempt"].to_list())
    )
    values = [pl.col("intake"), pl.col("kafka_partition"), pl.col("kafka_offset"), pl.col("window"), kind]
    return named.select(value.alias(column) for column, value in zip(_ROWS, values, strict=True)).collect()


def _untiled(intakes: Intakes, ledger: pl.DataFrame) -> list[str]:
    faults = []
    for number in ledger.filter(pl.col("kind") == "topic")["number"]:
        spans, before = intakes[number].spans, intakes.read_before(number)
        for partition, known in before.spans.items() if before else ():
            start = spans[partition].start if partition in spans else None
            if start != known.end:
                faults.append(
                    f"intake {number}, partition {partition}: starts at {start}, the one before it ended at "
                    f"{known.end}"
                )
    return faults


def _twice(rows: pl.DataFrame) -> list[str]:
    unequal = rows.group_by(_READ).agg(pl.len(), pl.col("offset").n_unique().alias("places"))
    suspects = rows.join(unequal.filter(pl.col("len") != pl.col("places")), on=_READ, how="semi")
    places = suspects.group_by(_PLACE).len().filter(pl.col("len") > 1).sort(_PLACE)
    return [f"{_place(row)}: is {row['len']} rows" for row in places.iter_rows(named=True)]


def _astray(read: pl.DataFrame, spans: pl.DataFrame) -> list[str]:
    """Rows outside what their intake read."""
    first, last = pl.col("start") + pl.col("missing"), pl.col("end") - 1
    bounds = read.group_by(_READ).agg(
        pl.col("offset").min().alias("least"), pl.col("offset").max().alias("most")
    )
    inside = (pl.col("least") >= first) & (pl.col("most") <= last)
    beyond = bounds.join(spans, on=_READ, how="left").filter(~inside.fill_null(value=False))
    rows = read.join(beyond, on=_READ).filter(
        ~pl.col("offset").is_between(first, last).fill_null(value=False)
    )
    return [f"{_place(row)}: lies outside its span" for row in rows.sort(_PLACE).iter_rows(named=True)]


def _not_replayed(rows: pl.DataFrame, replayed: pl.DataFrame) -> list[str]:
    """Rows of a replay that are none of the dead letters that it names."""
    others = rows.join(replayed, on=_PLACE, how="anti").sort(_PLACE)
    return [f"{_place(row)}: no dead letter that it replayed" for row in others.iter_rows(named=True)]


def _miscounted(rows: pl.DataFrame, counted: pl.DataFrame, floor: str) -> list[str]:
    """Where the ledger counts other than there are rows."""
    there = rows.group_by(_COUNTED).agg(pl.len().cast(pl.Int64).alias("rows"))
    both = counted.join(there, on=_COUNTED, how="full", coalesce=True, nulls_equal=True)
    differ = pl.col("count").fill_null(0) != pl.col("rows").fill_null(0)
    wrong = both.filter(differ, (pl.col("window") >= floor).fill_null(value=True)).sort(_COUNTED)
    return [
        f"intake {row['number']}, window {row['window']}, {row['kind']}: the ledger counts "
        f"{row['count'] or 0}, there are {row['rows'] or 0}"
        for row in wrong.iter_rows(named=True)
    ]


def _counted(ledger: pl.DataFrame) -> pl.DataFrame:
    """The ledger's counts: columns ``number``, ``window``, ``kind``, ``count``."""
    landed = _exploded(ledger, "landed").rename({"records": _RECORD, "too_late": _TOO_LATE})
    records = landed.unpivot([_RECORD, _TOO_LATE], index=["number", "window"], variable_name="kind")
    refused = _exploded(ledger, "refused").rename({"reason": "kind", "count": "value"})
    both = pl.concat([records, refused.select(records.columns)])
    return both.group_by(_COUNTED).agg(pl.col("value").sum().alias("count")).filter(pl.col("count") > 0)


def _exploded(ledger: pl.DataFrame, column: str) -> pl.DataFrame:
    filled = ledger.select("number", column).filter(pl.col(column).list.len() > 0)
    return filled.explode(column).unnest(column)


def _place(row: dict[str, Any]) -> str:
    return f"intake {row['number']}, partition {row['partition']}, offset {row['offset']}"
