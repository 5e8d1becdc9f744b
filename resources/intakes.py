"""What the ledger says: all intakes at one moment, kept in columns, and what follows from them."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import cached_property

import polars as pl

from resources.intake_rows import Gap, Intake, Span, read_intake
from resources.tables import TABLES
from resources.windows import Window

_PIECES = 100


class Intakes:
    """All intakes up to the last one, a value: a reader that learns of more makes another.

    Upkeep may have removed the oldest; every topic or reset row carries all partitions' spans.
    """

    def __init__(self, rows: pl.DataFrame | None = None) -> None:
        """Args: rows of the ledger, in the order of their numbers, none left out between them."""
        self.rows = pl.DataFrame(schema=dict(TABLES["ledger"].schema)) if rows is None else rows

    def extended(self, rows: pl.DataFrame) -> "Intakes":
        """These intakes, and those that follow them."""
        if self.rows.is_empty():
            return Intakes(rows)
        more = Intakes(_joined(self.rows, rows))
        for name in ("_counted", "_landed", "_refused", "_replayed", "_gaps"):
            if name in self.__dict__:  # what was worked out already is not worked out again
                more.__dict__[name] = _joined(getattr(self, name), getattr(Intakes(rows), name))
        return more

    # ---- single intakes ----

    def __len__(self) -> int:
        return self.rows.height

    def __iter__(self) -> Iterator[Intake]:
        return map(read_intake, self.rows.iter_rows(named=True))

    def __getitem__(self, number: int) -> Intake:
        """The intake with this number."""
        return read_intake(self.rows.row(number - self.first, named=True))

    @property
    def first(self) -> int:
        """The lowest number that is kept; 1 where there is none."""
        return int(self.rows["number"][0]) if len(self) else 1

    @property
    def last(self) -> int:
        """The highest number; 0 where there is none."""
        return int(self.rows["number"][-1]) if len(self) else 0

    def latest_for(self, window: Window, limit: int) -> list[Intake]:
        """The last ``limit`` intakes that landed records for a window."""
        numbers = self._landed.filter(pl.col("window") == window.key)["number"].tail(limit)
        return [self[number] for number in numbers]

    # ---- how far the topic has been read ----

    @cached_property
    def newest_read(self) -> Intake | None:
        """The last intake that says where the next one starts: a read of the topic, or a reset."""
        read = self.rows.filter(pl.col("kind") != "replay").tail(1)
        return read_intake(read.row(0, named=True)) if read.height else None

    def spans(self) -> Mapping[int, Span]:
        """Per Kafka partition, the last span read."""
        return self.newest_read.spans if self.newest_read else {}

    def ends(self) -> dict[int, int]:
        """Per Kafka partition, the offset at which the next intake starts."""
        return {partition: span.end for partition, span in self.spans().items()}

    def caught_up_with(self, partition: int) -> datetime | None:
        """When all of a Kafka partition was read for the first time; None where it never was."""
        partitions = pl.col("spans").list.eval(pl.element().struct.field("partition"))
        reset = pl.col("kind") == "reset"
        rows = self.rows.filter("caught_up", reset.cum_sum() == reset.sum())
        return next(iter(rows.filter(partitions.list.contains(partition))["taken_at"]), None)

    def reach(self, now: datetime) -> datetime | None:
        """The instant up to which the topic has been read: the latest clock of an intake that caught up.

        A clock may have been ahead and set back: none counts that lies after ``now``, or after a later
        intake's.
        """
        clocks = self._clocks.filter(pl.col("clock") <= now)["clock"]
        return clocks[-1] if len(clocks) else None

    def reaches(self, close: datetime, now: datetime) -> bool:
        """Whether the topic has been read to its end at or after ``close``."""
        known = self.reach(now)
        return known is not None and known >= close

    def first_to_reach(self, close: datetime, now: datetime) -> int | None:
        """The number of the first intake that read to the topic's end at or after ``close``."""
        found = self._clocks.filter(pl.col("clock").is_between(close, now))["number"]
        return int(found[0]) if len(found) else None

    @cached_property
    def _clocks(self) -> pl.DataFrame:
        """Number and clock of the intakes that caught up. One follows the other: so must their clocks."""
        clock = pl.col("taken_at").cum_min(reverse=True).alias("clock")
        read = self.rows.select("number", "kind", "caught_up", "taken_at").filter(pl.col("kind") != "replay")
        return read.select("number", "caught_up", clock).filter("caught_up")

    # ---- what landed for which window ----

    def latest_per_window(self) -> dict[str, int]:
        """Per window key, the number of the last intake that landed a record for it."""
        latest = self._landed.group_by("window").agg(pl.col("number").max())
        return dict(latest.iter_rows())

    def counts_per_window(self) -> pl.DataFrame:
        """What landed for each window: ``window``, ``records`` and ``too_late``, ``dead_letters`` that are
        still dead, and ``intakes``, ``first_intake`` and ``last_intake``: those that landed any of it."""
        known = self._counted.filter(pl.col("window").is_not_null())
        letters = self._refused.select("number", "window", dead_letters="count").drop_nulls("window")
        again = self._replayed.select("window", dead_letters=pl.lit(-1, pl.Int64)).drop_nulls("window")
        number = pl.col("number")
        return (
            pl.concat([known, letters, again], how="diagonal")
            .group_by("window")
            .agg(
                pl.col("records", "too_late", "dead_letters").sum(),
                number.n_unique().alias("intakes") - number.is_null().any(),
                number.min().alias("first_intake"),
                number.max().alias("last_intake"),
            )
        )

    def records(self, window: Window) -> int:
        """How many records have landed for a window."""
        return int(self._counted.filter(pl.col("window") == window.key)["records"].sum())

    def attempts_with(self, window: Window, covered: int) -> list[str]:
        """The attempts, up to intake ``covered``, that landed records for a window."""
        mine = (pl.col("window") == window.key) & (pl.col("number") <= covered)
        numbers = self._landed.filter(mine)["number"]
        return self.rows["attempt"].gather(numbers - self.first).to_list()

    def of_window(self, window: Window) -> pl.DataFrame:
        """The ledger's rows of the intakes that landed records or dead letters for a window."""
        mine = pl.col("window") == window.key
        numbers = pl.concat([frame.filter(mine)["number"] for frame in (self._landed, self._refused)])
        return self.rows[(numbers.unique().sort() - self.first).to_numpy()]

    def read_before(self, number: int) -> Intake | None:
        """The intake that says where this one starts: the last read of the topic, or reset, before it."""
        earlier = range(number - 1, self.first - 1, -1)
        return next((intake for intake in map(self.__getitem__, earlier) if intake.kind != "replay"), None)

    def dead_letters(self, window: Window) -> int:
        """The dead letters of a window that are still dead: no replay has landed them as records."""
        mine = pl.col("window") == window.key
        return int(self._refused.filter(mine)["count"].sum()) - self._replayed.filter(mine).height

    @property
    def refused(self) -> pl.DataFrame:
        """The dead letters counted: ``number`` of the intake, ``window``, ``reason`` and ``count``."""
        return self._refused

    @property
    def replayed(self) -> pl.DataFrame:
        """The dead letters that replays landed as records: ``intake``, ``partition``, ``offset`` and more."""
        return self._replayed

    # ---- what the broker's retention took before it was read ----

    @cached_property
    def gaps(self) -> list[Gap]:
        """Where offsets are missing, in the order in which that was found."""
        spans = self._gaps.drop("end", "watermark", "last_timestamp", "topic_end").rename(
            {"number": "intake"}
        )
        return [Gap(**row) for row in spans.iter_rows(named=True)]

    def missing(self, window: Window) -> int:
        """The offsets that are missing and whose messages may have been this window's."""
        return sum(gap.missing for gap in self.gaps if gap.touches(window))

    # ---- the lives of the topic ----

    @cached_property
    def lives(self) -> pl.DataFrame:
        """Per intake (``number``) the topic whose offsets it landed: ``topic_id``, and ``life``.

        Each reset begins another life, in which the same offsets mean other messages. A replay landed what an
        earlier intake had read.
        """
        own = self.rows.select("number", "topic_id", (pl.col("kind") == "reset").cum_sum().alias("life"))
        origin = self._replayed.group_by("number").agg(pl.col("intake").min())
        read = origin.join(own, left_on="intake", right_on="number").drop("intake")
        return own.update(read, on="number", how="left")

    @cached_property
    def _landed(self) -> pl.DataFrame:
        return self._counted.filter(pl.col("records") > 0).select("number", "window")

    @cached_property
    def _counted(self) -> pl.DataFrame:
        return self._exploded("landed")

    @cached_property
    def _refused(self) -> pl.DataFrame:
        return self._exploded("refused")

    @cached_property
    def _replayed(self) -> pl.DataFrame:
        return self._exploded("replayed")

    @cached_property
    def _gaps(self) -> pl.DataFrame:
        return self._exploded("spans").filter(pl.col("missing") > 0)

    def _exploded(self, column: str) -> pl.DataFrame:
        filled = self.rows.select("number", column).filter(pl.col(column).list.len() > 0)
        return filled.explode(column).unnest(column)

    @classmethod
    def of(cls, intakes: Iterable[Intake]) -> "Intakes":
        """These intakes, as the ledger keeps them (of records and dead letters the counts alone)."""
        rows = [
            {
                **vars(intake),
                "spans": [vars(span) for span in intake.spans.values()],
                "landed": [{"window": w, "records": n, "too_late": 0} for w, n in intake.landed.items()],
                "refused": [{"window": w, "reason": "", "count": n} for w, n in intake.refused.items()],
            }
            for intake in intakes
        ]
        return cls(pl.DataFrame(rows, schema=dict(TABLES["ledger"].schema)))


def in_slices(ledger: pl.DataFrame, rows: int) -> list[pl.DataFrame]:
    """Rows of the ledger one after the other, in parts that landed about so many rows each, by its counts."""
    record, letter = pl.element().struct.field("records", "too_late"), pl.element().struct.field("count")
    landed = pl.col("landed").list.eval(pl.sum_horizontal(record)).list.sum()
    refused = pl.col("refused").list.eval(letter).list.sum()
    behind = (landed + refused).cum_sum().shift(1, fill_value=0)
    return ledger.with_columns(slice=behind // rows).partition_by("slice", include_key=False)


def _joined(known: pl.DataFrame, new: pl.DataFrame) -> pl.DataFrame:
    """One below the other; all is copied into one piece only now and then."""
    return pl.concat([known, new.select(known.columns)], rechunk=known.n_chunks() >= _PIECES)
