"""``python -m bench.choice_of_k``: how often the chosen k and the verdict on structure are right."""

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from statistics import fmean

import click
import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from bench.known_clusters import CLEAR, MIDDLING, OVERLAPPING, UNSTRUCTURED, clustered, one_bimodal
from platform_assets.training.choice import Candidate, choose, picked
from platform_assets.training.structure import structure
from resources.cluster_model import Floats

SMALLEST, LARGEST = 2, 10
TUNING, REPORT = range(100), range(1000, 1200)
SETS = 100
"""Sets a row of the tables on structure."""
CLEAR_SHARE, CLEAR_AND_MIDDLING_SHARE, UNSTRUCTURED_SHARE, BIMODAL_SHARE = 0.9, 0.75, 0.95, 0.9
DISTANCES = {"clear": CLEAR, "middling": MIDDLING, "overlapping": OVERLAPPING}
_WORKERS = 2


@dataclass(frozen=True)
class Trial:
    """A set with k known clusters: the candidates' scores and, of the chosen k and the known one, how well
    k-means finds the clusters (adjusted Rand index)."""

    k: int
    chosen: int
    candidates: tuple[Candidate, ...]
    agreement: float
    agreement_of_known: float


def trial(job: tuple[int, float, bool]) -> Trial:
    """Generate a set (seed, least distance, crowded), choose k, and compare with what is known."""
    seed, least_distance, crowded = job
    known = clustered(least_distance, seed, crowded=crowded)
    choice = choose(known.points, np.ones(len(known.points)), SMALLEST, LARGEST, seed)
    chosen, true = (KMeans(k, n_init=30, random_state=seed).fit(known.points) for k in (choice.k, known.k))
    return Trial(
        known.k,
        choice.k,
        choice.candidates,
        float(adjusted_rand_score(known.labels, chosen.labels_)),
        float(adjusted_rand_score(known.labels, true.labels_)),
    )


def trials(pool: Executor, seeds: Iterable[int], least_distance: float, crowded: bool = False) -> list[Trial]:
    return list(pool.map(trial, ((seed, least_distance, crowded) for seed in seeds), chunksize=5))


def verdict(points: Floats, seed: int) -> str:
    """The verdict on points whose k was chosen."""
    weights = np.ones(len(points))
    k = choose(points, weights, SMALLEST, LARGEST, seed).k
    features = [f"feature {place}" for place in range(points.shape[1])]
    return structure(points, weights, k, features, (), seed).verdict


def unstructured_verdict(job: tuple[str, int, int]) -> str:
    name, features, seed = job
    return verdict(UNSTRUCTURED[name](features, np.random.default_rng(seed)), seed)


def bimodal_verdict(seed: int) -> str:
    return verdict(one_bimodal(np.random.default_rng(seed)), seed)


def clear_verdict(seed: int) -> str:
    return verdict(clustered(CLEAR, seed).points, seed)


def right(found: Sequence[Trial]) -> float:
    return fmean(each.chosen == each.k for each in found)


@click.group()
def main() -> None:
    """Measure the choice of k and the test of structure on generated data."""


@main.command()
def tune() -> None:
    """Print how often k is right on the tuning seeds, by the rule's threshold."""
    with ProcessPoolExecutor(_WORKERS) as pool:
        clear, middling = (trials(pool, TUNING, distance) for distance in (CLEAR, MIDDLING))
    _head("separated from", "clear", "middling", "clear and middling")
    for separated in np.arange(2.9, 4.05, 0.1):
        shares = [
            fmean(picked(each.candidates, separated) == each.k for each in found)
            for found in (clear, middling, clear + middling)
        ]
        _row(f"{separated:.1f}", *(f"{share:.1%}" for share in shares))


@main.command()
def report() -> None:
    """Print the tables of docs/models.md; the exit code is 1 if a bound is missed."""
    with ProcessPoolExecutor(_WORKERS) as pool:
        kept = [*_report_choice(pool), *_report_structure(pool)]
    sys.exit(0 if all(kept) else 1)


def _report_choice(pool: Executor) -> list[bool]:
    clear, middling, overlapping = (trials(pool, REPORT, distance) for distance in DISTANCES.values())
    _head("clusters", "sets", "right k", "adjusted Rand index, chosen k", "known k")
    _tell_trials("clear", clear)
    _tell_trials("middling", middling)
    _tell_trials("clear and middling", clear + middling)
    _tell_trials("overlapping", overlapping)
    for name, distance in DISTANCES.items():
        _tell_trials(f"{name}, crowded", trials(pool, REPORT[:SETS], distance, crowded=True))
    return [right(clear) >= CLEAR_SHARE, right(clear + middling) >= CLEAR_AND_MIDDLING_SHARE]


def _tell_trials(name: str, found: Sequence[Trial]) -> None:
    chosen, known = fmean(each.agreement for each in found), fmean(each.agreement_of_known for each in found)
    _row(name, len(found), f"{right(found):.1%}", f"{chosen:.3f}", f"{known:.3f}")


def _report_structure(pool: Executor) -> list[bool]:
    seeds = REPORT[:SETS]
    click.echo()
    _head("data", "features", "yes", "weak", "none")
    kept = []
    for name, features in product(UNSTRUCTURED, (2, 5, 10)):
        jobs = [(name, features, seed) for seed in seeds]
        found = Counter(pool.map(unstructured_verdict, jobs, chunksize=5))
        _tell_verdicts(name, features, found)
        kept.append(1 - found["yes"] / SETS >= UNSTRUCTURED_SHARE)
    bimodal = Counter(pool.map(bimodal_verdict, seeds, chunksize=5))
    _tell_verdicts("one bimodal feature among three of noise", 4, bimodal)
    _tell_verdicts("clear clusters", "3 to 10", Counter(pool.map(clear_verdict, seeds, chunksize=5)))
    return [*kept, bimodal["yes"] / SETS >= BIMODAL_SHARE]


def _tell_verdicts(name: str, features: object, found: Counter[str]) -> None:
    _row(name, features, *(found[each] for each in ("yes", "weak", "none")))


def _head(*titles: str) -> None:
    _row(*titles)
    _row(*("---" for _ in titles))


def _row(*cells: object) -> None:
    click.echo("| " + " | ".join(str(cell) for cell in cells) + " |")


if __name__ == "__main__":
    main()
