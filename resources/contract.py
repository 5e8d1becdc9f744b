"""The contract: a YAML file that says what a record is, and the decoder made from it."""

import hashlib
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import yaml

from resources.errors import SettingError

FieldType = Literal["string", "number"]
Reason = Literal[
    "null-value",
    "invalid-json",
    "wrong-type",
    "missing-id",
    "missing-event-time",
    "invalid-event-time",
    "future-timestamp",
]
"""Why a message is a dead letter: codes that never change their meaning."""
Value = str | float | None

_LAKE_COLUMNS = {
    "date", "window", "record_id", "event_time", "too_late",
    "intake", "attempt", "kafka_partition", "kafka_offset", "cluster",
    "distance", "rank",  # of the frames in Spark
}  # fmt: skip
_RESERVED = (
    "model",
    "window",
    "modelVersion",
    "cluster",
    "clusterId",
    "clusterName",
    "count",
    "share",
    "features",
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class BadRecordError(Exception):
    """A message that breaks the contract; it becomes a dead letter.

    Attributes:
        reason: a stable code, such as ``invalid-json``.
        field: the contract's field that is wrong; None: it is none of them, or not known which.
    """

    def __init__(self, reason: Reason, detail: str, field: str | None = None) -> None:
        super().__init__(detail)
        self.reason = reason
        self.field = field


class EventTime(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A payload field that holds the event time: ISO 8601, an epoch number, or a strptime pattern."""

    field: str
    format: str = "iso8601"
    zone: str = "UTC"


class ClusterRange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The numbers of clusters among which the trainer chooses, both ends included."""

    min: Annotated[int, msgspec.Meta(ge=2, le=50)]
    max: Annotated[int, msgspec.Meta(ge=2, le=50)]


class Contract(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """What a record is: topic, id, event time, fields and types, features, statistics, clusters."""

    topic: Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z0-9._-]{1,249}$")]
    id: str
    fields: dict[str, FieldType]
    features: Annotated[list[str], msgspec.Meta(min_length=1)]
    event_time: Literal["kafka"] | EventTime = "kafka"
    max_null_share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.3
    encoding: Literal["index", "one-hot"] = "index"
    scaling: Literal["deviation", "robust"] = "deviation"
    trainer: Literal["coreset", "mllib"] = "coreset"
    clusters: Annotated[int, msgspec.Meta(ge=2, le=1000)] | ClusterRange = 2
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] = 0
    statistics: dict[str, str] = {}

    @cached_property
    def version(self) -> str:
        """The contract version: twelve hexadecimal digits that change with anything in the contract."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()[:12]

    @cached_property
    def columns(self) -> dict[str, str]:
        """Field name to the lake's column name: what Delta forbids, or Silt uses itself, gains a ``_``.

        The id's is ``record_id``.
        """
        return {name: column_of(name) for name in self.fields} | {self.id: "record_id"}

    @property
    def fewest_clusters(self) -> int:
        """The number of clusters, or the least one of a range."""
        return self.clusters.min if isinstance(self.clusters, ClusterRange) else self.clusters

    @property
    def numbers(self) -> list[str]:
        """The features that are numbers."""
        return [name for name in self.features if self.fields[name] == "number"]

    @property
    def categories(self) -> list[str]:
        """The features that are strings."""
        return [name for name in self.features if self.fields[name] == "string"]

    @cached_property
    def decode(self) -> Callable[[bytes], "Record"]:
        """The decoder made from this contract, see :func:`make_decoder`."""
        return make_decoder(self)

    @cached_property
    def decode_partly(self) -> Callable[[bytes], "Record"]:
        """As :attr:`decode`, of what need not have an id (then it is empty) or an event time."""
        return make_decoder(self, partly=True)


@dataclass(frozen=True, slots=True)
class Record:
    """A decoded message: ``values`` in the order of ``Contract.fields``."""

    id: str
    event_time: datetime | None
    """From the payload, aware; None where the contract says ``kafka``."""
    values: tuple[Value, ...]


def load_contract(path: Path) -> Contract:
    """Read and check a contract file.

    Raises:
        SettingError: the file is not there, is no YAML, or says what no contract can say.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except OSError as error:
        raise SettingError(
            f"The contract {path} cannot be read ({error.strerror}): set SILT_CONTRACT to a contract file."
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingError(f"The contract {path} is no YAML: {' '.join(str(error).split())}") from None
    try:
        _check_types(content)
        contract = msgspec.convert(content, Contract)
        _check(contract)
    except (msgspec.ValidationError, ValueError) as error:
        raise SettingError(f"The contract {path} is wrong: {error}. Correct the file.") from None
    return contract


def _check_types(content: object) -> None:
    """Name the field whose type is wrong; msgspec would name its value alone."""
    fields = content.get("fields") if isinstance(content, dict) else None
    for name, kind in fields.items() if isinstance(fields, dict) else ():
        if kind not in get_args(FieldType):
            raise ValueError(f"the field {name!r} is a {kind!r}, and a field is a string or a number")


def _check(contract: Contract) -> None:
    def field(name: str, role: str, kind: FieldType | None = None) -> None:
        if name not in contract.fields:
            raise ValueError(f"{role} {name!r} is not among its fields")
        if kind and contract.fields[name] != kind:
            raise ValueError(f"{role} {name!r} must be a {kind}, and its field is a {contract.fields[name]}")

    if contract.topic in (".", ".."):
        raise ValueError(f"no broker has a topic {contract.topic!r}")
    for name in contract.fields:
        if not name or "`" in name:
            raise ValueError(f"the field {name!r} has a name that Spark cannot take: rename it")
    field(contract.id, "the id", "string")
    if contract.id in contract.features:
        raise ValueError(
            f"the feature {contract.id!r} is the id, by which no two records are alike: name others"
        )
    for name in contract.features:
        field(name, "the feature")
    if len(set(contract.features)) != len(contract.features):
        raise ValueError("a feature is named twice")
    for statistic, name in contract.statistics.items():
        field(name, f"the statistic {statistic!r} averages", "number")
        if statistic in _RESERVED:
            raise ValueError(f"the statistic {statistic!r} has a name that the API needs: choose another")
    if len({column.lower() for column in contract.columns.values()}) != len(contract.fields):
        raise ValueError("two fields have the same name but for case, blanks and punctuation: rename one")
    _check_clusters(contract)
    if isinstance(contract.event_time, EventTime):
        form = contract.event_time.format
        epoch = form in ("epoch_s", "epoch_ms")
        field(contract.event_time.field, "the event time", None if epoch else "string")
        if not epoch and form != "iso8601" and "%" not in form:
            raise ValueError(
                f"the event time's format {form!r} is not iso8601, epoch_s, epoch_ms or a strptime pattern"
            )
        try:
            ZoneInfo(contract.event_time.zone)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"{contract.event_time.zone!r} is no time zone") from None


def _check_clusters(contract: Contract) -> None:
    if isinstance(contract.clusters, ClusterRange):
        if contract.clusters.min > contract.clusters.max:
            raise ValueError("the clusters' min is greater than their max")
        if contract.trainer == "mllib":
            raise ValueError("the trainer 'mllib' takes a fixed number of clusters, and clusters is a range")


def column_of(name: str) -> str:
    """The lake's column for a field: characters that Delta forbids become ``_``."""
    column = re.sub(r"[ ,;{}()\n\t=]", "_", name)
    return f"{column}_" if column.lower() in _LAKE_COLUMNS else column


def make_decoder(contract: Contract, partly: bool = False) -> Callable[[bytes], Record]:
    """Make the function from a message's bytes to its :class:`Record`.

    It is lenient as producers need it: numbers may be numeric strings, missing values null, absent or
    ``""``; fields that the contract does not name are passed over. It raises :class:`BadRecordError`
    for everything else. What is taken in is decoded many messages at a time, by the same functions
    (:class:`resources.columns.ColumnDecoder`).

    Args:
        partly: whether id and event time may be missing.
    """
    names = list(contract.fields)
    is_number = [contract.fields[name] == "number" for name in names]
    read, id_at, spec = make_reader(contract), names.index(contract.id), contract.event_time
    if isinstance(spec, EventTime):
        time_at, read_time = names.index(spec.field), make_time_reader(spec)

    def moment_of(values: tuple[Value, ...]) -> datetime | None:
        if spec == "kafka" or (partly and values[time_at] is None):
            return None
        return read_time(values[time_at])

    def decode(value: bytes) -> Record:
        try:
            message = read(value)
        except UNREADABLE as error:
            raise unreadable(error) from None
        values = tuple(
            number_of(raw, name) if number else (raw or None)
            for raw, number, name in zip(msgspec.structs.astuple(message), is_number, names, strict=True)
        )
        identity = values[id_at] or ""
        if not identity and not partly:
            raise missing_id(contract)
        return Record(str(identity), moment_of(values), values)

    return decode


UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What a reader raises, see :func:`make_reader`."""


def make_reader(contract: Contract) -> Callable[[bytes], msgspec.Struct]:
    """Make the function from a message's bytes to what they say of the contract's fields, in their order.

    It raises :data:`UNREADABLE` for what is no JSON object of numbers and strings.
    """
    names = list(contract.fields)
    shape = msgspec.defstruct(
        "Message",
        [(f"field_{i}", _json_type(contract.fields[name]), None) for i, name in enumerate(names)],
        rename=lambda attribute: names[int(attribute.removeprefix("field_"))],
        gc=False,
    )
    return msgspec.json.Decoder(shape).decode


def unreadable(error: Exception) -> BadRecordError:
    """The error of ours for one of :data:`UNREADABLE`."""
    if isinstance(error, msgspec.ValidationError):
        return BadRecordError("wrong-type", str(error), _field_of(error))
    return BadRecordError("invalid-json", str(error))


def _field_of(error: msgspec.ValidationError) -> str | None:
    """msgspec names the place at the end of its text alone: ``… - at `$.price```."""
    _, found, place = str(error).partition(" - at `$.")
    return place.removesuffix("`") if found else None


def _json_type(kind: FieldType) -> Any:
    return float | str | None if kind == "number" else str | None


def number_of(raw: Value, name: str) -> float | None:
    """A number, whether it was written as one or as a string; None where it is missing.

    Raises:
        BadRecordError: it is none, or not finite.
    """
    if raw is None or raw == "":
        return None
    try:
        number = float(raw)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or (isinstance(raw, str) and "_" in raw):
        raise BadRecordError("wrong-type", f"{name!r} is {raw!r}, which is no number", name)
    return number


def missing_id(contract: Contract) -> BadRecordError:
    """The error of a message without an id."""
    return BadRecordError("missing-id", f"no {contract.id!r}", contract.id)


def make_time_reader(spec: EventTime) -> Callable[[Value], datetime]:
    """Make the function from a field's value to the event time, which is aware, in UTC.

    It raises :class:`BadRecordError` for what is none.
    """
    parse = _time_parser(spec)

    def read(value: Value) -> datetime:
        if value is None:
            raise BadRecordError("missing-event-time", f"no {spec.field!r}", spec.field)
        try:
            return parse(value)
        except (ValueError, TypeError, OverflowError) as error:
            detail = f"{spec.field!r} is {value!r}: {error}"
            raise BadRecordError("invalid-event-time", detail, spec.field) from None

    return read


def _time_parser(spec: EventTime) -> Callable[[Any], datetime]:
    zone = ZoneInfo(spec.zone)

    def aware(moment: datetime) -> datetime:
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)

    match spec.format:
        case "epoch_s":
            return lambda value: _EPOCH + timedelta(seconds=float(value))
        case "epoch_ms":
            return lambda value: _EPOCH + timedelta(milliseconds=float(value))
        case "iso8601":
            return lambda value: aware(datetime.fromisoformat(value))
        case pattern:
            return lambda value: aware(datetime.strptime(value, pattern))  # noqa: DTZ007


def format_event_time(spec: EventTime, moment: datetime) -> str | float:
    """An event time as a producer writes it into the payload: the inverse of the decoder's reading."""
    local = moment.astimezone(ZoneInfo(spec.zone))
    match spec.format:
        case "epoch_s":
            return moment.timestamp()
        case "epoch_ms":
            return float(round(moment.timestamp() * 1000))
        case "iso8601":
            return local.isoformat()
        case pattern:
            return local.strftime(pattern)
