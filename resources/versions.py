"""Versions of models: every model ever trained, by name, until retention; and which are pinned."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl

from resources.cluster_model import ClusterModel
from resources.contract import Contract
from resources.errors import VersionError, WindowError
from resources.lake import Lake
from resources.tables import TABLES
from resources.windows import Grid, Window

_VERSION = re.compile(r"(model_[1-3])/([^/]+)/r([1-9][0-9]{0,8})")


@dataclass(frozen=True)
class Version:
    """A window's model as of one of its revisions, like ``model_2/2026-11-24T0505Z/r1``."""

    window: Window
    revision: int

    @property
    def model(self) -> str:
        """``model_1`` to ``model_3``."""
        return f"model_{self.window.slot}"

    def __str__(self) -> str:
        return f"{self.model}/{self.window.key}/r{self.revision}"

    @classmethod
    def parse(cls, text: str, grid: Grid) -> "Version":
        """The version with this name.

        Raises:
            VersionError: no version can have it.
        """
        parts = _VERSION.fullmatch(text)
        if not parts:
            raise VersionError(f"{text!r} is no version: write it like model_2/2026-11-24T0505Z/r1")
        try:
            version = cls(grid.window(parts[2]), int(parts[3]))
        except WindowError as error:
            raise VersionError(f"{text!r} is no version: {error}") from None
        if version.model != parts[1]:
            raise VersionError(f"{text!r} is no version: that window trains {version.model}")
        return version


@dataclass(frozen=True)
class Stored:
    """A row of the table ``models``."""

    version: Version
    row: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """Of the selection that it was trained on."""
        return str(self.row["digest"])

    @property
    def model(self) -> ClusterModel | None:
        """The model; None where there were too few points for one."""
        return ClusterModel.from_row(self.row) if self.row["state"] == "trained" else None


@dataclass(frozen=True)
class Pin:
    """The version that assigns the records of all windows of its model.

    Attributes:
        digest: of the selection that it was trained on.
        pinned_at: UTC.
    """

    version: Version
    digest: str
    pinned_at: datetime
    by: str


def all_versions(lake: Lake, grid: Grid) -> list[Stored]:
    """Every version, the newest window and revision first.

    A revision that no answer has yet is none; of several models that were trained for a revision, the one
    that its answer is from counts, or else the last.
    """
    return _versions(lake, lake.read("models"), lake.read("windows"), grid)


def window_versions(lake: Lake, window: Window) -> list[Stored]:
    """The versions of a window, the newest revision first; as :func:`all_versions` says."""
    rows, answers = (lake.read_window(name, window).collect() for name in ("models", "windows"))
    return _versions(lake, rows, answers, Grid(window.minutes))


def read_version(lake: Lake, version: Version, digest: str | None = None) -> Stored:
    """The stored model of a version.

    Args:
        digest: of the selection that it was trained on, where that is known.

    Raises:
        VersionError: the lake has none.
    """
    rows, answers = (lake.read_window(name, version.window).collect() for name in ("models", "windows"))
    if digest:
        rows = rows.filter(pl.col("digest") == digest)
    for stored in _versions(lake, rows, answers, Grid(version.window.minutes)):
        if stored.version == version:
            return stored
    raise VersionError(f"The lake {lake.uri} has no version {version}: `silt models list` shows all.")


def _versions(lake: Lake, rows: pl.DataFrame, answers: pl.DataFrame, grid: Grid) -> list[Stored]:
    shown = answers.select("window", "revision", "digest")
    joined = rows.join(shown, on="window", how="left", suffix="_shown")
    kept_alone = pl.col("window") < grid.home(lake.floor()).key  # retention left it for what it assigned
    answered = joined.filter(kept_alone | (pl.col("revision") <= pl.col("revision_shown")))
    same = (pl.col(name) == pl.col(f"{name}_shown") for name in ("revision", "digest"))
    of_answer = pl.all_horizontal(same).fill_null(value=False)
    ordered = answered.sort("window", "revision", of_answer, "trained_at", descending=True)
    first = ordered.unique(["window", "revision"], keep="first", maintain_order=True)
    return [
        Stored(Version(grid.window(row["window"]), row["revision"]), row)
        for row in first.iter_rows(named=True)
    ]


# ---- pins ----


def newest_pins(lake: Lake) -> pl.DataFrame:
    """The rows of ``pins`` that are in force: the newest of each model, if it names a version."""
    newest = lake.read("pins").sort("pinned_at").unique("model", keep="last", maintain_order=True)
    return newest.drop_nulls("version").sort("model")


def pins(lake: Lake, grid: Grid) -> dict[str, Pin]:
    """Per model that is pinned, its pin."""
    return {
        row.pop("model"): Pin(**{**row, "version": Version.parse(row["version"], grid)})
        for row in newest_pins(lake).iter_rows(named=True)
    }


def pin(lake: Lake, contract: Contract, version: Version, by: str) -> None:
    """Have a version assign the records of its model's windows, from their next run on.

    Raises:
        VersionError: it is not there, or cannot assign.
    """
    stored = read_version(lake, version)
    check_assigns(stored, contract)
    _enter(lake, version.model, by, version=str(version), digest=stored.digest)


def unpin(lake: Lake, model: str, by: str) -> None:
    """Have each window's own model assign its records again."""
    _enter(lake, model, by)


def _enter(lake: Lake, model: str, by: str, **pinned: str) -> None:
    row = {"model": model, "by": by, "pinned_at": datetime.now(UTC), **pinned}
    lake.append("pins", pl.DataFrame([row], schema=dict(TABLES["pins"].schema)))


def pin_of(lake: Lake, contract: Contract, grid: Grid, window: Window) -> Pin | None:
    """The pin of a window's model, if it has one.

    Raises:
        VersionError: the pinned version is not there any more, or cannot assign under the present contract.
    """
    found = pins(lake, grid).get(f"model_{window.slot}")
    if found:
        check_assigns(read_version(lake, found.version, found.digest), contract)
    return found


def check_assigns(stored: Stored, contract: Contract) -> ClusterModel:
    """The model of a version, if it can assign records under the present contract.

    Raises:
        VersionError: it cannot.
    """
    model, version = stored.model, stored.version
    if not model:
        raise VersionError(
            f"{version} cannot assign records: its state is {stored.row['state']}. Choose another version."
        )
    for feature in model.features:
        kind = "number" if feature.kind == "number" else "string"
        if contract.fields.get(feature.name) != kind:
            raise VersionError(
                f"{version} cannot assign records: its feature {feature.name!r} is no {kind} field of the "
                "contract any more. Choose another version, or set the contract back; if it is pinned, "
                f"`silt models unpin {version.model}` takes the pin away."
            )
    return model
