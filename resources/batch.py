"""A window's batch: the selection of landed records, its digest and its revision."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import polars as pl

from resources.contract import Contract
from resources.errors import LakeError
from resources.intakes import Intakes
from resources.lake import Lake
from resources.scheme import DISJOINT, Scheme
from resources.tables import TABLES
from resources.versions import Pin
from resources.window_rows import ORDER, WindowRows
from resources.windows import Grid, Window

_PLACE = ("intake", "kafka_partition", "kafka_offset")


@dataclass(frozen=True)
class Batch:
    """One row of ``kafka_batch``: which records a window's answer is made from. The counts are the window's.

    Attributes:
        digest: SHA-256 over topic id, contract version, scheme (unless disjoint) and, per Kafka partition,
            the ascending offsets of all that the model sees; one after the other where they are of several
            topics. Where a pinned version of another digest assigns, over both digests.
        covered: the last intake that the selection looked at.
        late: records landed by an intake after the first one that reached the window's close.
        duplicates: records of the window that another one with the same id replaces.
        missing: offsets that the broker's retention took unread, and that may have been the window's.
        first_source: the key of the first window that the model sees; the last is its own.
        seen: records of all windows that the model sees.
        pinned: the version that assigns the records, and its digest (``pinned_digest``); None: the model that
            is trained on this batch.
    """

    window: Window
    revision: int
    digest: str
    covered: int
    contract_version: str
    records: int
    late: int
    duplicates: int
    dead_letters: int
    missing: int
    first_source: str
    seen: int
    pinned: str | None = None
    pinned_digest: str | None = None

    def answer(self) -> dict[str, object]:
        """The columns that every row of an answer made from this batch carries."""
        return {
            "date": self.window.date,
            "window": self.window.key,
            "slot": self.window.slot,
            "revision": self.revision,
            "digest": self.digest,
        }

    def counts(self) -> dict[str, object]:
        """The counts, as ``kafka_batch`` and ``windows`` keep them."""
        return {
            "covered": self.covered,
            "contract_version": self.contract_version,
            "records": self.records,
            "late": self.late,
            "duplicates": self.duplicates,
            "dead_letters": self.dead_letters,
            "missing": self.missing,
            "first_source": self.first_source,
            "seen": self.seen,
        }

    def pin(self) -> dict[str, object]:
        """The pin, as ``kafka_batch`` keeps it."""
        return {"pinned": self.pinned, "pinned_digest": self.pinned_digest}

    def sources(self, grid: Grid) -> list[Window]:
        """The windows that the model sees, oldest first."""
        return list(grid.between(grid.window(self.first_source), self.window))


def select(
    lake: Lake,
    contract: Contract,
    grid: Grid,
    window: Window,
    intakes: Intakes,
    scheme: Scheme = DISJOINT,
    pin: Pin | None = None,
    rows: WindowRows | None = None,
) -> Batch:
    """Select a window's records among all that the intakes landed, and write the batch's row.

    Of several records with one id the latest counts, by event time, Kafka partition, offset, intake. What a
    model sees of earlier windows is selected in the same way, from the intakes alone: it makes no difference
    whether, when or in which order they were answered. Without a record of its own a window's model sees
    none.

    Args:
        pin: of the window's model.
        rows: what the run has of the window already; it holds the batch's records afterwards.
    """
    rows = rows or WindowRows(lake, contract)
    parts = rows.selections(window, intakes, intakes.last)
    batch, kept = batch_of(lake, contract, grid, window, intakes, scheme, pin, rows, parts)
    values = batch.answer() | batch.counts() | batch.pin()
    row = pl.DataFrame([values], schema=dict(TABLES["kafka_batch"].schema))
    lake.replace_window("kafka_batch", window, row)
    if rows.fit(intakes.records(window)):
        rows.hold(batch.digest, kept)
    return batch


def batch_of(
    lake: Lake,
    contract: Contract,
    grid: Grid,
    window: Window,
    intakes: Intakes,
    scheme: Scheme,
    pin: Pin | None,
    rows: WindowRows,
    parts: Iterable[tuple[pl.DataFrame, pl.Series]],
) -> tuple[Batch, pl.DataFrame]:
    """What :func:`select` writes of a window's selection, which comes in parts; and the last of these."""
    reached = intakes.first_to_reach(grid.close(window), datetime.now(UTC)) or intakes.last
    places, came, late = list[pl.DataFrame](), 0, 0
    for kept, landed_by in parts:
        places.append(kept.select(_PLACE))
        came += landed_by.len()
        late += int((landed_by > reached).sum())
    records = sum(part.height for part in places)
    sources = [window]
    if records and scheme.before(window.slot):
        sources = scheme.sources(window, lake.floor())
    for source in sources[:-1]:
        earlier = rows.selections(source, intakes, intakes.last)
        places += [part.select(_PLACE) for part, _ in earlier]
    seen = pl.concat(places)
    terms = contract.version if scheme == DISJOINT else f"{contract.version}\n{scheme.name}"
    digest = _digest(seen, intakes, intakes[reached].topic_id, terms)
    if pin and pin.digest == digest:
        pin = None  # it is the very model that this batch trains
    if pin:
        digest = hashlib.sha256(f"{digest}\n{pin.digest}\n".encode()).hexdigest()
    batch = Batch(
        window=window,
        revision=_revision(lake, window, digest),
        digest=digest,
        covered=intakes.last,
        contract_version=contract.version,
        records=records,
        late=late,
        duplicates=came - records,
        dead_letters=intakes.dead_letters(window),
        missing=intakes.missing(window),
        first_source=sources[0].key,
        seen=seen.height,
        pinned=str(pin.version) if pin else None,
        pinned_digest=pin.digest if pin else None,
    )
    return batch, kept


def landed(lake: Lake, window: Window, intakes: Intakes, covered: int) -> pl.LazyFrame:
    """A window's records that the intakes up to ``covered`` name, without too late and erased ones."""
    attempts = intakes.attempts_with(window, covered)
    named = ~pl.col("too_late") & pl.col("attempt").is_in(attempts)
    return lake.read_window("records", window).filter(named, pl.col("record_id").is_not_null())


def latest(lake: Lake, window: Window, intakes: Intakes, covered: int) -> pl.LazyFrame:
    """A window's records, one per record id, in order of event time, Kafka partition, offset, intake."""
    return latest_of(landed(lake, window, intakes, covered))


def selected(lake: Lake, batch: Batch, intakes: Intakes) -> pl.LazyFrame:
    """A batch's records, as :func:`latest` gives them."""
    return latest(lake, batch.window, intakes, batch.covered)


def latest_of(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Of landed records, one per record id, in order of event time, Kafka partition, offset, intake."""
    ordered = rows.sort(*ORDER)
    return ordered.unique("record_id", keep="last", maintain_order=True)


def read_batch(lake: Lake, contract: Contract, window: Window) -> Batch:
    """The batch of a window as it stands.

    Raises:
        LakeError: there is none, or it was selected under another contract.
    """
    rows = lake.window_rows("kafka_batch", window)
    if not rows:
        raise LakeError(f"Window {window.key} has no batch yet: materialize kafka_batch for it first.")
    row = {name: value for name, value in rows[0].items() if name not in ("window", "slot")}
    batch = Batch(window=window, **row)
    if batch.contract_version != contract.version:
        raise LakeError(
            f"Window {window.key} was selected under contract {batch.contract_version}, in force is "
            f"{contract.version}: materialize kafka_batch for it, and all that follows."
        )
    return batch


def check_current(lake: Lake, contract: Contract, batch: Batch) -> None:
    """Refuse to go on with a batch that another run has replaced by one with another digest.

    Raises:
        LakeError: the batch is no longer the window's.
    """
    if read_batch(lake, contract, batch.window).digest != batch.digest:
        raise LakeError(
            f"Another run has selected window {batch.window.key} anew: its answer replaces this one."
        )


def _digest(seen: pl.DataFrame, intakes: Intakes, topic_now: str, terms: str) -> str:
    lives = intakes.lives.filter(pl.col("number").is_in(seen["intake"].unique().implode()))
    read = lives.group_by("life", "topic_id").agg("number").sort("life").select("topic_id", "number")
    digest = hashlib.sha256()
    for topic, numbers in read.iter_rows() if read.height else [(topic_now, [])]:
        digest.update(f"{topic}\n{terms}\n".encode())
        mine = seen.filter(pl.col("intake").is_in(numbers)) if read.height > 1 else seen
        for partition in (partitions := mine["kafka_partition"].unique().sort()):
            one = mine if len(partitions) == 1 else mine.filter(pl.col("kafka_partition") == partition)
            digest.update(f"{partition}:{one.height}\n".encode())
            digest.update(np.sort(one["kafka_offset"].to_numpy()).astype("<i8", copy=False).data)
    return digest.hexdigest()


def _revision(lake: Lake, window: Window, digest: str) -> int:
    rows = lake.window_rows("windows", window)
    if not rows or rows[0]["state"] is None:
        return 1
    before = rows[0]
    revision: int = before["revision"]
    return revision if before["digest"] == digest else revision + 1
