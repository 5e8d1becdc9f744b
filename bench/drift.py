"""Drift's false and missed alarms on generated streams: `python -m bench.drift`, two minutes, no stack."""

from collections.abc import Callable, Mapping

import click
import numpy as np
from numpy.random import Generator
from sklearn.cluster import KMeans

from platform_assets.training.drift import RAISED, WORSE, Columns, Values, feature_drift, inertia_ratio

FEATURES = 10
TRIALS = 200
Draw = Callable[[Generator, int, float], Values]
"""A feature's values: from a source, so many, shifted by so many standard deviations."""


def _normal(source: Generator, count: int, shift: float) -> Values:
    return source.normal(shift, 1, count)


def _skewed(source: Generator, count: int, shift: float) -> Values:
    return np.asarray(np.exp(source.normal(shift, 1, count)))


def _score(source: Generator, count: int, shift: float) -> Values:
    """Whole numbers from 1 to 5, mostly high."""
    return np.asarray(np.round(source.normal(4 - shift, 1, count)).clip(1, 5))


def _labels(labels: int) -> Draw:
    def draw(source: Generator, count: int, shift: float) -> Values:
        place = source.exponential(1 + shift, count) * labels / 5
        return np.char.add("label ", place.astype(np.int64).clip(max=labels - 1).astype(str))

    return draw


DRAWS: Mapping[str, Draw] = {
    "normal": _normal,
    "lognormal": _skewed,
    "scores 1 to 5": _score,
    "6 labels": _labels(6),
    "60 labels": _labels(60),
}


def window(source: Generator, draw: Draw, count: int, shift: float = 0.0) -> Columns:
    """A window of ten independent features; the first is shifted."""
    return {f"feature {i}": draw(source, count, shift if i == 0 else 0.0) for i in range(FEATURES)}


def alarms(draw: Draw, count: int, seed: int) -> tuple[float, float]:
    """Shares of windows with an alarm: of a steady stream, each against the one before; and, in the shifted
    feature, of windows where it lies half a standard deviation off."""
    source = np.random.default_rng(seed)
    steady = shifted = 0
    before = window(source, draw, count)
    for _ in range(TRIALS):
        now = window(source, draw, count)
        steady += any(found.level in RAISED for found in feature_drift(before, now))
        moved = feature_drift(before, window(source, draw, count, shift=0.5))
        shifted += moved[0].level in RAISED
        before = now
    return steady / TRIALS, shifted / TRIALS


def ratios(clusters: int, distance: float, features: int, shift: float, seed: int) -> list[float]:
    """Inertia ratios of 50 windows of 1,000 records around such centres, all of it shifted by so many
    standard deviations in one feature against the window before."""
    source = np.random.default_rng(seed)
    centres = source.normal(size=(clusters, features))
    centres *= distance / np.linalg.norm(centres, axis=1, keepdims=True)
    found = []
    for _ in range(50):
        pair = []
        for moved in (0.0, shift):
            points = centres[source.integers(clusters, size=1000)] + source.normal(size=(1000, features))
            points[:, 0] += moved * points[:, 0].std()
            scale = 1 / points.std(axis=0, ddof=1)
            fit = KMeans(clusters, n_init=5, random_state=seed).fit(points * scale)
            pair.append((points, scale, fit))
        (_, scale, fit), (points, _, own) = pair
        found.append(inertia_ratio(points * scale, fit.cluster_centers_, own.labels_))
    return found


def main() -> None:
    """Print both tables."""
    click.echo("| ten features | records | alarm, steady | raised, half a deviation |")
    click.echo("| --- | ---: | ---: | ---: |")
    for name, draw in DRAWS.items():
        for count in (500, 1000, 20_000):
            if count < 20_000 or name == "normal":
                steady, shifted = alarms(draw, count, seed=1000)
                click.echo(f"| {name} | {count} | {steady:.1%} | {shifted:.1%} |")
    click.echo(f"\n| clusters | distance | features | shift | ratio | 95 % | most | at least {WORSE} |")
    click.echo("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for clusters, distance, features in ((3, 6.0, 10), (3, 0.0, 10), (3, 6.0, 2), (3, 0.0, 2), (8, 6.0, 10)):
        for shift in (0.0, 0.5, 1.0):
            found = np.array(ratios(clusters, distance, features, shift, seed=1000))
            low, high, most = np.quantile(found, [0.5, 0.95, 1])
            share = (found >= WORSE).mean()
            click.echo(
                f"| {clusters} | {distance:g} | {features} | {shift:g} | {low:.3f} | {high:.3f} | {most:.3f} "
                f"| {share:.0%} |",
            )


if __name__ == "__main__":
    main()
