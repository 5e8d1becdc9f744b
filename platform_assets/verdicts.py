"""What the checks say of a window: pure functions of what the lake has of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import dagster as dg

from platform_assets.drift import Drift
from platform_assets.training.drift import worst
from platform_assets.training.structure import Structure
from resources.accounting import Account

RECORDS_PER_FEATURE = 70
"""So many records per feature let a clustering find what is there (Dolnicar, Grün, Leisch, Schmidt 2014)."""
SILHOUETTE_FLOOR = 0.25
"""Below it there is no substantial structure (Kaufman, Rousseeuw, Finding Groups in Data, 1990)."""


@dataclass(frozen=True)
class Verdict:
    """Whether a check passed, why, and the figures behind it."""

    passed: bool
    description: str
    figures: dict[str, Any] = field(default_factory=dict)

    def result(
        self,
        key: dg.AssetCheckKey,
        severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.WARN,
    ) -> dg.AssetCheckResult:
        """As an asset returns it."""
        return dg.AssetCheckResult(
            passed=self.passed,
            asset_key=key.asset_key,
            check_name=key.name,
            severity=severity,
            description=self.description,
            metadata=self.figures,
        )


def accounting(found: Account) -> Verdict:
    """Whether every offset of the intakes that touch the window is accounted for."""
    figures = {name: value for name, value in vars(found).items() if name != "faults"}
    if found.faults:
        return Verdict(False, "; ".join(found.faults), figures)
    return Verdict(True, f"{found.offsets} offsets of {found.intakes} intakes add up.", figures)


def enough_records(records: int, features: int) -> Verdict:
    """Whether a window has enough records for its clusters to mean something, or none at all."""
    needed = RECORDS_PER_FEATURE * features
    figures = {"records": records, "needed": needed}
    if records == 0:
        return Verdict(True, "The window is empty.", figures)
    return Verdict(records >= needed, f"{records} records, {features} features want {needed}.", figures)


def nulls(shares: Mapping[str, float], most: float) -> Verdict:
    """Whether each feature has few enough nulls to be looked at."""
    above = {name: share for name, share in shares.items() if share > most}
    figures = {name: round(share, 4) for name, share in shares.items()}
    if above:
        names = ", ".join(f"{name} {share:.1%}" for name, share in above.items())
        return Verdict(False, f"More than {most:.0%} nulls, left out of the model: {names}.", figures)
    return Verdict(True, f"At most {max(shares.values(), default=0):.1%} nulls in a feature.", figures)


def silhouette(score: float | None) -> Verdict:
    """Whether the clusters are apart; the score is squared Euclidean."""
    if score is None:
        return Verdict(True, "The window has no model.")
    figures = {"silhouette": score, "floor": SILHOUETTE_FLOOR}
    return Verdict(score >= SILHOUETTE_FLOOR, f"{score:.3f}, the floor is {SILHOUETTE_FLOOR}.", figures)


def structure(found: Structure | None) -> Verdict:
    """Whether the records have groups at all."""
    if found is None or found.box_p is None or found.gaussian_p is None:
        return Verdict(True, "Not tested: no model, too few records, or no feature that is a number.")
    figures = {"structure": found.verdict, "p, box": found.box_p, "p, Gaussian": found.gaussian_p}
    dips = {f"p, dip of {name}": p for name, p in found.dip_p.items()}
    return Verdict(found.verdict != "none", f"Structure: {found.verdict}.", figures | dips)


def drift(drifts: Sequence[Drift]) -> Verdict:
    """Whether the window is like the one before, and like the baseline."""
    if not drifts:
        return Verdict(True, "No window to compare with yet.")
    moved = [f"{name} from {each.against.window}" for each in drifts for name in each.raised]
    figures = {str(each.reference): each.level for each in drifts}
    if moved:
        return Verdict(False, f"Moved: {', '.join(moved)}.", figures)
    level = worst([each.level for each in drifts])
    return Verdict(True, "Too few records to tell." if level == "unknown" else "No drift.", figures)


def freshness(overdue_since: datetime | None) -> Verdict:
    """Whether the window's answer covers what has landed, or has not been due for long."""
    if overdue_since is None:
        return Verdict(True, "Answered in time, or not due for long.")
    return Verdict(False, f"Due since {overdue_since:%Y-%m-%d %H:%M:%S} UTC.")
