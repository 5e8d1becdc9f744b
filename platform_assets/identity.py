"""Published windows are matched to the ones before them, each pair once; all ids follow from the pairs."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from platform_assets.training.identity import Event, Labels, transition
from platform_assets.training.points import clusters_of
from resources.assigning import assigning_model
from resources.batch import Batch
from resources.cluster_model import ClusterModel
from resources.errors import LakeError, TransientError, VersionError
from resources.identity import Chain, read_chain, write_identities
from resources.samples import Samples, batch_of
from resources.tables import TABLES
from resources.windows import KEY_FORMAT, Window

_SECONDS = 60.0
Row = Mapping[str, Any]


def update(samples: Samples, window: Window, seconds: float = _SECONDS) -> None:
    """Bring ``cluster_events`` and ``cluster_ids`` up to date after a publication, and until nothing differs.

    What other runs published, or left undone when they were killed, is done too: of several at once the last
    one to end has seen all. So the ids do not depend on which runs there were, or in which order.

    Args:
        window: what was published: the pairs that it belongs to come first, then the oldest.
        seconds: for so long at most are new pairs begun; the next call goes on.

    Raises:
        TransientError: retention deleted a model under it, or a table was busy.
    """
    deadline, matcher = time.monotonic() + seconds, _Matcher(samples)
    while True:
        chain = read_chain(samples.lake)
        if not _match(matcher, chain, window.key, deadline) and not write_identities(samples.lake, chain):
            return


def _match(matcher: "_Matcher", chain: Chain, first: str, deadline: float) -> bool:
    """Match the windows that are not; whether there were any, and time."""
    keys = [row["window"] for row in chain.windows]
    own = [place for place, key in enumerate(keys) if first in keys[max(0, place - 1) : place + 1]]
    began = False
    for place in sorted(chain.unmatched(), key=lambda place: (place not in own, place)):
        if time.monotonic() > deadline:
            break
        began = True
        before = chain.windows[place - 1] if place else None
        if not matcher.match(before, chain.windows[place], chain.floor):
            break
    return began


@dataclass(frozen=True)
class _Matcher:
    """Matches pairs of windows."""

    samples: Samples

    def match(self, before: Row | None, after: Row, floor: str) -> bool:
        """Write what became of the clusters; not, and False, if the floor moved and records went with it."""
        events = self._events(self._batch(before), self._batch(after)) if before else self._born(after)
        if self.samples.lake.floor().strftime(KEY_FORMAT) != floor:
            return False
        frame = _frame(before, after, events)
        window = self.samples.grid.window(after["window"])
        self.samples.lake.replace_window("cluster_events", window, frame)
        return True

    def _batch(self, row: Row) -> Batch:
        return batch_of(self.samples.grid.window(row["window"]), row)

    def _born(self, row: Row) -> list[Event]:
        model = self._model(self._batch(row))
        return [Event("appeared", after=(cluster,)) for cluster in range(len(model.centres))]

    def _events(self, before: Batch, after: Batch) -> list[Event]:
        models = (self._model(before), self._model(after))
        names = tuple(sorted({feature.name for model in models for feature in model.features}))
        earlier, later = (_labels(self.samples.records(batch, names), *models) for batch in (before, after))
        return transition(earlier, later, *(len(model.centres) for model in models))

    def _model(self, batch: Batch) -> ClusterModel:
        try:
            stored = assigning_model(self.samples.lake, self.samples.grid, batch)
        except (LakeError, VersionError) as error:
            raise TransientError(
                f"A model was deleted while {batch.window.key} was matched: {error}"
            ) from None
        assert stored and stored.model  # it has published clusters
        return stored.model


def _labels(records: pl.DataFrame, before: ClusterModel, after: ClusterModel) -> tuple[Labels, Labels]:
    return clusters_of(records, before), clusters_of(records, after)


def _frame(before: Row | None, after: Row, events: list[Event]) -> pl.DataFrame:
    head = {name: after[name] for name in ("date", "window", "slot", "revision", "digest")}
    previous = {
        "previous" if name == "window" else f"previous_{name}": before[name] if before else None
        for name in ("window", "revision", "digest")
    }
    rows = [
        {
            **head,
            **previous,
            "event": event.event,
            "before": event.before,
            "after": event.after,
            "overlaps": event.overlaps,
            "keeps_before": event.keeps[0] if event.keeps else None,
            "keeps_after": event.keeps[1] if event.keeps else None,
        }
        for event in events
    ]
    return pl.DataFrame(rows, schema=dict(TABLES["cluster_events"].schema))
