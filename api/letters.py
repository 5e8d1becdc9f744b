"""The dead letters that are still dead: found by what the ledger counts, so that no page reads them all."""

from base64 import b64encode
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import polars as pl

from api.cursors import Place, Position
from api.intake_schemas import DeadLetter, Header
from api.keys import bounds, named
from resources.dead_letters import PLACE, between, still_dead
from resources.intakes import Intakes
from resources.lake import Lake
from resources.ledger import Ledger
from resources.windows import KEY_FORMAT, Grid

_PREVIEW = 200
_PAGE_BYTES = 16 * 1024 * 1024
"""A page ends early once its keys, values and headers are so long."""
_SHOWN = ["window", "reason", "detail", "timestamp", *PLACE, "key", "value", "headers"]


class Letters:
    """The dead letters, newest intake first, in each by partition and offset, the last first.

    Safe to share among threads.
    """

    def __init__(self, lake: Lake, ledger: Ledger, grid: Grid) -> None:
        self._lake = lake
        self._ledger = ledger
        self._grid = grid
        self._as_of = lru_cache(2)(self._cut)

    def version(self) -> int:
        """The number of the last intake: what was dead then is told by those up to it."""
        return self._ledger.intakes().last

    def state(self) -> int:
        """Changes with anything that is shown beside that: an erasure takes what a letter said."""
        return self._lake.table("dead_letters").version()

    def page(
        self, asked: Mapping[str, Any], place: Place, limit: int
    ) -> tuple[list[DeadLetter], Position | None]:
        """At most ``limit`` dead letters from a place on.

        Args:
            asked: ``window``, ``reason``, ``from`` and ``to``, each of which may be None.

        Raises:
            BadParameterError: a window cannot exist.
        """
        known, position = self._ledger.intakes(), place.position
        intakes = known if place.version >= known.last else self._as_of(place.version)
        chosen = self._chosen(asked)
        reach = _reach(intakes, chosen, position, limit)
        if reach is None:
            return [], None
        rows = still_dead(between(self._lake, reach.first, reach.last), intakes).filter(chosen)
        if position:
            rows = rows.filter(_behind(position))
        size = pl.sum_horizontal(pl.col("key", "value").bin.size().fill_null(0))
        places = rows.select(*PLACE, size=size).sort(PLACE, descending=True).head(limit + 1).collect()
        before = pl.col("size").cum_sum() - pl.col("size")
        shown = places.head(limit).filter(before < _PAGE_BYTES).select(PLACE)
        letters = rows.select(_SHOWN).join(shown.lazy(), on=PLACE, how="semi")
        found = [_letter(row) for row in letters.sort(PLACE, descending=True).collect().iter_rows(named=True)]
        if shown.height < places.height:
            return found, list(shown.row(-1))
        return found, [reach.first, -1, -1] if reach.more else None

    def _cut(self, last: int) -> Intakes:
        return Intakes(self._ledger.intakes().rows.filter(pl.col("number") <= last))

    def _chosen(self, asked: Mapping[str, Any]) -> pl.Expr:
        """Which letters: by ``window`` and ``reason``; none from before the floor."""
        window, (first, end) = pl.col("window"), bounds(self._grid, asked["from"], asked["to"])
        floor = self._lake.floor().strftime(KEY_FORMAT)
        chosen = (window >= max(first, floor)) & (window < end)
        if not (asked["from"] or asked["to"]):
            chosen = chosen | window.is_null()
        if asked["window"] is not None:
            chosen = chosen & (window == named(self._grid, asked["window"]).key)
        if asked["reason"]:
            chosen = chosen & (pl.col("reason") == asked["reason"])
        return chosen


class _Reach(NamedTuple):
    """The intakes that a page looks at, and whether there are letters of earlier ones."""

    first: int
    last: int
    more: bool


def _reach(intakes: Intakes, chosen: pl.Expr, position: Position | None, limit: int) -> _Reach | None:
    """So many of the newest intakes that their letters fill a page; None where there are none."""
    again = intakes.replayed.select("window", "reason", number="intake", count=pl.lit(-1, pl.Int64))
    counts = (
        pl.concat([intakes.refused, again], how="diagonal")
        .filter(chosen)
        .group_by("number")
        .agg(pl.col("count").sum())
        .filter(pl.col("count") > 0)
        .sort("number", descending=True)
    )
    seen = pl.lit(0)
    if position:
        counts = counts.filter(pl.col("number") <= position[0])
        seen = pl.col("count").filter(pl.col("number") == position[0]).sum()
    filled = pl.col("count").cum_sum() - pl.col("count") - seen > limit
    near = counts.filter(~filled)["number"]
    return _Reach(near[-1], near[0], len(near) < counts.height) if len(near) else None


def _behind(position: Position) -> pl.Expr:
    """Rows that come after a place, in falling order."""
    (intake, partition, offset), (at, of, on) = (pl.col(name) for name in PLACE), position
    return (intake < at) | ((intake == at) & ((partition < of) | ((partition == of) & (offset < on))))


def _letter(row: dict[str, Any]) -> DeadLetter:
    value = row["value"]
    return DeadLetter(
        **{name: row[name] for name in ("window", "reason", "detail", "timestamp", "intake")},
        partition=row["kafka_partition"],
        offset=row["kafka_offset"],
        preview=None if value is None else _preview(value),
        key_base64=_base64(row["key"]),
        value_base64=_base64(value),
        headers=[Header(item["key"], _base64(item["value"])) for item in row["headers"] or []],
    )


def _base64(content: bytes | None) -> str | None:
    return None if content is None else b64encode(content).decode()


def _preview(value: bytes) -> str:
    text = value[: 4 * _PREVIEW].decode(errors="backslashreplace")
    shown = (each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
    return "".join(shown)[:_PREVIEW]
