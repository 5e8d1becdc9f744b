"""Dead letters: the messages that broke the contract, and that no replay has landed as records since."""

import re
from dataclasses import dataclass
from functools import partial
from typing import get_args

import msgspec
import polars as pl

from resources.contract import Reason
from resources.delta import add_actions, scan
from resources.errors import SettingError
from resources.intakes import Intakes
from resources.lake import Lake
from resources.tables import TABLES
from resources.windows import Grid, Window

PLACE = ["intake", "kafka_partition", "kafka_offset"]
"""What names a dead letter: offsets alone would not, after a reset of the ledger."""


@dataclass(frozen=True)
class Choice:
    """Which dead letters: of one window, for one reason, or all.

    Attributes:
        window: the home of the message's timestamp, which need not be its event time.
    """

    window: Window | None = None
    reason: Reason | None = None

    @classmethod
    def of(cls, grid: Grid, window: str | None, reason: str | None) -> "Choice":
        """The choice that a person names.

        Raises:
            WindowError: there is no such window.
            SettingError: there is no such reason.
        """
        known: dict[str, Reason] = {code: code for code in get_args(Reason)}
        if reason is not None and reason not in known:
            raise SettingError(f"{reason!r} is no reason of dead letters: there are {', '.join(known)}.")
        return cls(grid.window(window) if window else None, known[reason] if reason else None)


def dead_letters(lake: Lake, intakes: Intakes, choice: Choice) -> pl.LazyFrame:
    """The rows of ``dead_letters`` that the ledger names, without those that were replayed."""
    rows = scan(lake.table("dead_letters"), choice.window.date if choice.window else None)
    if choice.window:
        rows = rows.filter(pl.col("window") == choice.window.key)
    if choice.reason:
        rows = rows.filter(pl.col("reason") == choice.reason)
    return still_dead(rows, intakes)


def still_dead(rows: pl.LazyFrame, intakes: Intakes) -> pl.LazyFrame:
    """Of rows of ``dead_letters`` those that the ledger names and no replay has landed."""
    named = intakes.rows.filter(pl.col("refused").list.len() > 0).select("number", "attempt")
    places = ["intake", "partition", "offset"]
    rows = rows.join(named.lazy(), left_on=["intake", "attempt"], right_on=["number", "attempt"], how="semi")
    return rows.join(intakes.replayed.select(places).lazy(), left_on=PLACE, right_on=places, how="anti")


def between(lake: Lake, first: int, last: int) -> pl.LazyFrame:
    """The rows that the intakes from one number to another landed, all columns but ``date``."""
    schema = {name: kind for name, kind in TABLES["dead_letters"].schema.items() if name != "date"}
    actions = add_actions(lake.table("dead_letters"))
    if not actions.is_empty():
        actions = actions.filter(
            pl.col("min.intake").le(last).fill_null(value=True)
            & pl.col("max.intake").ge(first).fill_null(value=True)
        )
    if actions.is_empty():
        return pl.LazyFrame(schema=schema)
    rows = pl.scan_parquet(actions["address"].to_list(), schema=schema, extra_columns="ignore")
    return rows.filter(pl.col("intake").is_between(first, last))


def newest(letters: pl.LazyFrame, limit: int, value_bytes: int) -> pl.DataFrame:
    """The dead letters taken in last, of each value the first bytes alone."""
    order = ["intake", "timestamp", "kafka_partition", "kafka_offset"]
    columns = ["window", "reason", *order, "detail", pl.col("value").bin.slice(0, value_bytes)]
    return letters.select(columns).sort(order, descending=True).head(limit).collect(engine="streaming")


def count_by_reason(letters: pl.LazyFrame) -> dict[str, int]:
    """How many dead letters there are for each reason, most first."""
    counts = letters.group_by("reason").len().sort("len", "reason", descending=[True, False])
    return dict(counts.collect(engine="streaming").iter_rows())


def of_record(record_id: str, id_field: str) -> pl.Expr:
    """Whether a dead letter is a record's.

    By its key, or by its id field; where it has none, because its bytes name the id as a word.
    """
    judge = partial(_of_record, record_id, id_field)
    return pl.struct("key", "value").map_batches(judge, pl.Boolean, is_elementwise=True)


def _of_record(record_id: str, id_field: str, letters: pl.Series) -> pl.Series:
    word = re.compile(rb"(?<![\w-])" + re.escape(record_id.encode()) + rb"(?![\w-])")
    items = letters.to_list()
    return pl.Series([_is_of(record_id, id_field, word, item) for item in items], dtype=pl.Boolean)


def _is_of(record_id: str, id_field: str, word: re.Pattern[bytes], letter: dict[str, bytes | None]) -> bool:
    key, value = letter["key"], letter["value"] or b""
    if key == record_id.encode():
        return True
    try:
        message = msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        message = None
    if isinstance(message, dict) and message.get(id_field) not in (None, ""):
        return str(message[id_field]) == record_id
    return word.search(value) is not None
