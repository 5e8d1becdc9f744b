"""Many messages at once, decoded into columns: what ``Contract.decode`` says of each, in half the time."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

import msgspec
import polars as pl

from resources.contract import (
    UNREADABLE,
    BadRecordError,
    Contract,
    EventTime,
    Value,
    make_reader,
    make_time_reader,
    missing_id,
    number_of,
    unreadable,
)
from resources.tables import TIME

Refused = dict[int, BadRecordError]
"""What is wrong with a message, by its place among those that were decoded."""

_KINDS = {"string": pl.String(), "number": pl.Float64()}
_CACHED = 1_000
"""So many messages, decoded, stay in the processor's cache until they are columns."""


class ColumnDecoder:
    """Makes rows of messages, as a contract says.

    Attributes:
        schema: of the rows: the contract's fields by their columns, and ``event_time``.
    """

    def __init__(self, contract: Contract) -> None:
        fields = {contract.columns[name]: _KINDS[kind] for name, kind in contract.fields.items()}
        self.schema = pl.Schema({**fields, "event_time": TIME})
        self._contract = contract
        self._names = list(contract.fields)
        self._id_at = self._names.index(contract.id)
        self._read = make_reader(contract)
        self._nothing: tuple[Value, ...] = (None,) * len(self._names)
        self._none = pl.DataFrame(schema=fields)

    def decode(self, values: Sequence[bytes | None], timestamps: pl.Series) -> tuple[pl.DataFrame, Refused]:
        """Decode messages.

        Args:
            timestamps: the messages' own, null where one has none that is usable.

        Returns:
            A row per message, in their order, and what is wrong with those that break the contract, whose
            rows mean nothing.
        """
        refused: Refused = {}
        starts = range(0, len(values), _CACHED)
        parts = [self._part(values[start : start + _CACHED], start, refused) for start in starts]
        series = [_without_empty(column) for column in pl.concat([self._none, *parts], rechunk=True)]
        ids = series[self._id_at]
        for place in ids.is_null().arg_true() if ids.null_count() else ():
            refused.setdefault(place, missing_id(self._contract))
        times = self._event_times(series, timestamps, refused)
        return pl.DataFrame([*series, times]), refused

    def _part(self, values: Sequence[bytes | None], start: int, refused: Refused) -> pl.DataFrame:
        columns = zip(*self._rows(values, start, refused), strict=True)
        return pl.DataFrame(
            [
                self._series(name, column, start, refused)
                for name, column in zip(self._names, columns, strict=True)
            ]
        )

    def _rows(self, values: Sequence[bytes | None], start: int, refused: Refused) -> list[tuple[Value, ...]]:
        read, values_of, rows = self._read, msgspec.structs.astuple, list[tuple[Value, ...]]()
        there = [value for value in values if value is not None]
        if len(there) == len(values):
            with suppress(*UNREADABLE):  # as a rule all can be read
                return list(map(values_of, map(read, there)))
        for place, value in enumerate(values, start):
            row = self._nothing
            try:
                if value is not None:
                    row = values_of(read(value))
                else:
                    refused[place] = BadRecordError("null-value", "the message has no value")
            except UNREADABLE as error:
                refused[place] = unreadable(error)
            rows.append(row)
        return rows

    def _series(self, name: str, column: Sequence[Value], start: int, refused: Refused) -> pl.Series:
        """A field's values: numbers are numbers."""
        own, kind = self._contract.columns[name], _KINDS[self._contract.fields[name]]
        try:
            return pl.Series(own, column, dtype=kind)
        except TypeError:  # some are texts
            return pl.Series(own, self._numbers(name, column, start, refused), dtype=kind)

    def _numbers(self, name: str, column: Sequence[Value], start: int, refused: Refused) -> list[Value]:
        numbers = list[Value]()
        for place, value in enumerate(column, start):
            number = None
            try:
                number = number_of(value, name)
            except BadRecordError as error:
                refused.setdefault(place, error)
            numbers.append(number)
        return numbers

    def _event_times(self, series: Sequence[pl.Series], timestamps: pl.Series, refused: Refused) -> pl.Series:
        spec = self._contract.event_time
        if isinstance(spec, EventTime):
            values = series[self._names.index(spec.field)].to_list()
            return self._times_in_payload(spec, values, refused)
        for place in timestamps.is_null().arg_true() if timestamps.null_count() else ():
            error = BadRecordError("missing-event-time", "the message has no usable timestamp")
            refused.setdefault(place, error)
        return timestamps.alias("event_time")

    def _times_in_payload(self, spec: EventTime, column: Sequence[Value], refused: Refused) -> pl.Series:
        read, times = make_time_reader(spec), list[datetime | None]()
        for place, value in enumerate(column):
            try:
                times.append(None if place in refused else read(value))
            except BadRecordError as error:
                times.append(None)
                refused[place] = error
        return pl.Series("event_time", times, dtype=TIME)


def _without_empty(column: pl.Series) -> pl.Series:
    """Empty texts mean that a value is missing: null."""
    empty = column == "" if column.dtype == pl.String else None
    return column if empty is None or not empty.any() else column.set(empty, None)
