"""Many messages at once, decoded into columns: what ``Contract.decode`` says of each, in half the time."""

from collections.abc import Sequence
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


class ColumnDecoder:
    """Makes rows of messages, as a contract says.

    Attributes:
        schema: of the rows: the contract's fields by their columns, ``record_id`` and ``event_time``.
    """

    def __init__(self, contract: Contract) -> None:
        fields = {contract.columns[name]: _KINDS[kind] for name, kind in contract.fields.items()}
        self.schema = pl.Schema({**fields, "record_id": pl.String(), "event_time": TIME})
        self._contract = contract
        self._names = list(contract.fields)
        self._id_at = self._names.index(contract.id)
        self._read = make_reader(contract)
        self._nothing: tuple[Value, ...] = (None,) * len(self._names)

    def decode(self, values: Sequence[bytes | None], timestamps: pl.Series) -> tuple[pl.DataFrame, Refused]:
        """Decode messages: a few thousand at once at most, else they do not stay in the processor's cache.

        Args:
            timestamps: the messages' own, null where one has none that is usable.

        Returns:
            A row per message, in their order, and what is wrong with those that break the contract, whose
            rows mean nothing.
        """
        refused: Refused = {}
        rows = self._rows(values, refused)
        columns = list(zip(*rows, strict=True)) if rows else [()] * len(self._names)
        series = [
            self._series(name, column, refused) for name, column in zip(self._names, columns, strict=True)
        ]
        self._check_ids(columns[self._id_at], refused)
        times = self._event_times(series, timestamps, refused)
        return pl.DataFrame([*series, series[self._id_at].alias("record_id"), times]), refused

    def _rows(self, values: Sequence[bytes | None], refused: Refused) -> list[tuple[Value, ...]]:
        read, values_of, rows = self._read, msgspec.structs.astuple, list[tuple[Value, ...]]()
        for place, value in enumerate(values):
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

    def _series(self, name: str, column: Sequence[Value], refused: Refused) -> pl.Series:
        """A field's values: numbers are numbers, and what is missing is null."""
        own, kind = self._contract.columns[name], _KINDS[self._contract.fields[name]]
        if kind == pl.String():
            texts = pl.Series(own, column, dtype=kind)
            empty = texts == ""
            return texts.set(empty, None) if empty.any() else texts
        try:
            return pl.Series(own, column, dtype=kind)
        except TypeError:  # some are texts
            return pl.Series(own, self._numbers(name, column, refused), dtype=kind)

    def _numbers(self, name: str, column: Sequence[Value], refused: Refused) -> list[Value]:
        numbers: list[Value] = list(column)
        for place, value in enumerate(column):
            try:
                numbers[place] = number_of(value, name)
            except BadRecordError as error:
                numbers[place] = None
                refused.setdefault(place, error)
        return numbers

    def _check_ids(self, ids: Sequence[Value], refused: Refused) -> None:
        if not all(ids):
            for place, identity in enumerate(ids):
                if not identity:
                    refused.setdefault(place, missing_id(self._contract))

    def _event_times(self, series: Sequence[pl.Series], timestamps: pl.Series, refused: Refused) -> pl.Series:
        spec = self._contract.event_time
        if isinstance(spec, EventTime):
            values = series[self._names.index(spec.field)].to_list()
            return self._times_in_payload(spec, values, refused)
        for place in timestamps.is_null().arg_true():
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
