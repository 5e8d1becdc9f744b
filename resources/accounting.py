"""Accounting: every offset that an intake read is one record, one dead letter or no message; none is lost."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from resources.delta import add_actions
from resources.intakes import Intakes, in_slices
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
AT_ONCE = 250_000
"""About so many rows of several intakes are looked at at once, in some 100 MB."""
Fault = tuple[int, str]
"""An intake's number, and what of it does not add up."""


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


def account(lake: Lake, intakes: Intakes, window: Window, known: dict[int, Account] | None = None) -> Account:
    """Hold the ledger's spans and counts against the rows landed, for the intakes that touch a window.

    Of windows before the lake's floor nothing is counted: retention deletes their rows.

    Args:
        known: by number, what was found of single intakes before: what they read and landed never changes,
            so those in order are not looked at again. What is found now is added.
    """
    known = {} if known is None else known
    ledger = intakes.of_window(window)
    in_order = [number for number, found in known.items() if not found.faults]
    for part in in_slices(ledger.filter(~pl.col("number").is_in(in_order)), AT_ONCE):
        known |= _accounts(lake, intakes, part)
    return _sum([known[number] for number in ledger["number"]])


def _sum(found: Sequence[Account]) -> Account:
    return Account(
        intakes=sum(each.intakes for each in found),
        offsets=sum(each.offsets for each in found),
        records=sum(each.records for each in found),
        dead_letters=sum(each.dead_letters for each in found),
        no_message=sum(each.no_message for each in found),
        faults=[fault for each in found for fault in each.faults][:_SHOWN],
    )


def _accounts(lake: Lake, intakes: Intakes, ledger: pl.DataFrame) -> dict[int, Account]:
    """By number, the accounts of some intakes."""
    late = pl.when("too_late").then(pl.lit(_TOO_LATE)).otherwise(pl.lit(_RECORD))
    records = _landed(lake, "records", late, ledger)
    letters = _landed(lake, "dead_letters", pl.col("reason"), ledger)
    rows = pl.concat([records, letters])
    spans, replayed = (_exploded(ledger, name) for name in ("spans", "replayed"))
    replays = pl.col("number").is_in(replayed["number"].unique().to_list())
    read = rows.filter(~replays)
    faults = [
        *_untiled(intakes, ledger),
        *_twice(rows),
        *_astray(read, spans),
        *_not_replayed(rows.filter(replays), replayed),
        *_miscounted(rows, _counted(ledger), lake.floor().strftime(KEY_FORMAT)),
    ]
    offsets = Counter(dict(spans.group_by("number").agg((pl.col("end") - pl.col("start")).sum()).iter_rows()))
    landed, refused, messages = (
        Counter(dict(frame.group_by("number").len().iter_rows())) for frame in (records, letters, read)
    )
    return {
        number: Account(
            intakes=1,
            offsets=offsets[number],
            records=landed[number],
            dead_letters=refused[number],
            no_message=offsets[number] - messages[number],
            faults=[line for faulty, line in faults if faulty == number],
        )
        for number in ledger["number"]
    }


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


def _untiled(intakes: Intakes, ledger: pl.DataFrame) -> Iterator[Fault]:
    for number in ledger.filter(pl.col("kind") == "topic")["number"]:
        spans, before = intakes[number].spans, intakes.read_before(number)
        for partition, known in before.spans.items() if before else ():
            start = spans[partition].start if partition in spans else None
            if start != known.end:
                line = f"starts at {start}, the one before it ended at {known.end}"
                yield number, f"intake {number}, partition {partition}: {line}"


def _twice(rows: pl.DataFrame) -> Iterator[Fault]:
    unequal = rows.group_by(_READ).agg(pl.len(), pl.col("offset").n_unique().alias("places"))
    suspects = rows.join(unequal.filter(pl.col("len") != pl.col("places")), on=_READ, how="semi")
    places = suspects.group_by(_PLACE).len().filter(pl.col("len") > 1).sort(_PLACE)
    return (_at(row, f"is {row['len']} rows") for row in places.iter_rows(named=True))


def _astray(read: pl.DataFrame, spans: pl.DataFrame) -> Iterator[Fault]:
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
    return (_at(row, "lies outside its span") for row in rows.sort(_PLACE).iter_rows(named=True))


def _not_replayed(rows: pl.DataFrame, replayed: pl.DataFrame) -> Iterator[Fault]:
    """Rows of a replay that are none of the dead letters that it names."""
    others = rows.join(replayed, on=_PLACE, how="anti").sort(_PLACE)
    return (_at(row, "no dead letter that it replayed") for row in others.iter_rows(named=True))


def _miscounted(rows: pl.DataFrame, counted: pl.DataFrame, floor: str) -> Iterator[Fault]:
    """Where the ledger counts other than there are rows."""
    there = rows.group_by(_COUNTED).agg(pl.len().cast(pl.Int64).alias("rows"))
    both = counted.join(there, on=_COUNTED, how="full", coalesce=True, nulls_equal=True)
    differ = pl.col("count").fill_null(0) != pl.col("rows").fill_null(0)
    wrong = both.filter(differ, (pl.col("window") >= floor).fill_null(value=True)).sort(_COUNTED)
    for number, window, kind, count, found in wrong.select(*_COUNTED, "count", "rows").iter_rows():
        line = f"the ledger counts {count or 0}, there are {found or 0}"
        yield number, f"intake {number}, window {window}, {kind}: {line}"


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


def _at(row: dict[str, Any], line: str) -> Fault:
    number = row["number"]
    return number, f"intake {number}, partition {row['partition']}, offset {row['offset']}: {line}"
