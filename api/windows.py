"""Windows as the API shows them."""

import re
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import polars as pl

from api.cursors import Place, Position
from api.keys import bounds, named
from api.overview import Overview
from api.problems import NotThereError
from api.schemas import MODELS
from api.window_schemas import Window
from resources.windows import Grid

_PLACES = re.compile(r"\w+://\S+|(?<![\w.])~?/[^\s:;,]+|\b[\w.-]+:\d{2,5}\b|\[[0-9a-f:]+\]:\d+")
_LONGEST = 300
_MADE = {"model", "seconds_to_publish", "attempts", "error"}
_AS_STORED = [name for name in Window.__struct_fields__ if name not in _MADE]


class Windows:
    """The windows of an overview, as answers.

    Args:
        places: paths and addresses that no answer may name, be there blanks in them.
    """

    def __init__(self, overview: Overview, grid: Grid, places: Sequence[str]) -> None:
        self.overview = overview
        self._grid = grid
        self._places = sorted(places, key=len, reverse=True)

    def state(self) -> str:
        """Changes with anything that is shown."""
        return self.overview.view().version

    def page(
        self, asked: Mapping[str, Any], place: Place, limit: int
    ) -> tuple[list[Window], Position | None]:
        """At most ``limit`` windows from a place on, newest first.

        Args:
            asked: ``model``, ``state``, ``from`` and ``to``, each of which may be None.

        Raises:
            BadParameterError: a window cannot exist.
        """
        first, end = bounds(self._grid, asked["from"], asked["to"])
        rows = (
            self.overview.view()
            .windows.lazy()
            .filter(pl.col("window").is_between(pl.lit(first), pl.lit(end), "left"))
        )
        if place.position:
            rows = rows.filter(pl.col("window") < str(place.position[0]))
        if asked["model"]:
            rows = rows.filter(pl.col("slot") == MODELS.index(asked["model"]) + 1)
        if asked["state"]:
            rows = rows.filter(pl.col("state") == asked["state"])
        found = [self._shown(row) for row in rows.head(limit + 1).collect().iter_rows(named=True)]
        return found[:limit], [found[limit - 1].window] if len(found) > limit else None

    def one(self, key: str) -> Window:
        """The window with a key.

        Raises:
            BadParameterError: no window can have it.
            NotThereError: nothing is known of it: it lies before all records, before the floor or ahead.
        """
        named(self._grid, key)
        row = self.overview.view().row(key)
        if row is None:
            raise NotThereError(f"Nothing is known of the window {key}: it is too old, or has not begun.")
        return self._shown(row)

    def _shown(self, row: dict[str, Any]) -> Window:
        return Window(
            model=MODELS[row["slot"] - 1],
            seconds_to_publish=row["seconds"],
            attempts=row["attempts"] or 0,
            error=_without_places(row["error"], self._places),
            **{name: row[name] for name in _AS_STORED},
        )


def _without_places(error: str | None, known: Sequence[str]) -> str | None:
    """The first line of an error's text, without paths, addresses and hosts."""
    lines = (error or "").strip().splitlines()
    if not lines:
        return None
    text = reduce(lambda shown, place: shown.replace(place, "…"), known, lines[0])
    return _PLACES.sub("…", text)[:_LONGEST]
