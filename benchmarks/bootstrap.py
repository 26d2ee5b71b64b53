"""How long the bootstrap takes, as a ratio to loops over draws.

    python benchmarks/bootstrap.py [--photos 1000] [--draws 2000] [--rounds 5]

All figures that are functions of the tally, for all draws at once: photos are
weighed in one matrix product. Against it a loop that draws photos and adds their
tallies one by one, and a loop that lets NumPy add them. All take the same draws
and must give the same figures. The rounds are interleaved; a loop does a part of
the draws in each, and its time is scaled.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from groupemo import EMOTIONS
from groupemo.figures import FIGURES
from groupemo.files import write_atomically
from groupemo.metrics.tally import SUMS, Tally
from groupemo.metrics.uncertainty import draw_weights, weigh

ROOT = Path(__file__).resolve().parent.parent
K = len(EMOTIONS)
PART = 20
"""Draws a loop does in each round."""

Figures = dict[str, np.ndarray]


def make_photos(n: int) -> list[Tally]:
    """Return tallies of `n` photos of about ten faces."""
    rng = np.random.default_rng(0)
    counts = rng.poisson(10 / (K + 2) ** 2, (n, K + 2, K + 2))
    counts[:, -1, -1] = 0
    return [
        Tally(table, sums, overlap)
        for table, sums, overlap in zip(
            counts, rng.exponential(5, (n, len(SUMS))), rng.random((n, K)), strict=True
        )
    ]


def figures(tally: Tally) -> Figures:
    """Return every figure that is a function of the tally alone."""
    told = {}
    for name, figure in FIGURES.items():
        try:
            told[name] = figure.of(
                SimpleNamespace(tally=tally, scores=SimpleNamespace(min_iou=0.5))
            )
        except AttributeError:
            continue
    return told


def at_once(photos: list[Tally], stacked: Tally, weights: np.ndarray) -> Figures:
    return figures(weigh(stacked, weights))


def photo_by_photo(photos: list[Tally], stacked: Tally, weights: np.ndarray) -> Figures:
    return _loop(
        Tally.stack([sum((photos[at] for at in chosen), Tally.zero(K))])
        for chosen in _chosen(weights)
    )


def draw_by_draw(photos: list[Tally], stacked: Tally, weights: np.ndarray) -> Figures:
    arrays = stacked.counts, stacked.sums, stacked.overlap
    return _loop(
        Tally(*(array[chosen].sum(axis=0, keepdims=True) for array in arrays))
        for chosen in _chosen(weights)
    )


def _chosen(weights: np.ndarray) -> Iterable[np.ndarray]:
    return (np.repeat(np.arange(len(row)), row.astype(int)) for row in weights)


def _loop(totals: Iterable[Tally]) -> Figures:
    each = [figures(total) for total in totals]
    return {name: np.concatenate([one[name] for one in each]) for name in each[0]}


OURS = "groupemo: all draws at once"
LOOPS = {
    "a loop over draws, NumPy adds the photos": draw_by_draw,
    "a loop over draws and photos": photo_by_photo,
}


def _seconds(way: Callable[..., Figures], *args: object) -> tuple[float, Figures]:
    start = time.perf_counter()
    told = way(*args)
    return time.perf_counter() - start, told


def measure(n: int, draws: int, rounds: int) -> tuple[dict[str, list[float]], int]:
    """Return the seconds of each way in each round, and the number of figures."""
    photos, weights = make_photos(n), draw_weights(n, draws=draws)
    stacked = Tally.stack(photos)
    taken: dict[str, list[float]] = {said: [] for said in (OURS, *LOOPS)}
    for number in range(rounds):
        seconds, expected = _seconds(at_once, photos, stacked, weights)
        taken[OURS].append(seconds)
        part = slice(number * PART, (number + 1) * PART)
        for said, loop in LOOPS.items():
            seconds, told = _seconds(loop, photos, stacked, weights[part])
            taken[said].append(seconds * draws / PART)
            for name, each in told.items():
                np.testing.assert_allclose(each, expected[name][part], rtol=1e-9)
    return taken, len(expected)


def report(n: int, draws: int, rounds: int) -> str:
    taken, count = measure(n, draws, rounds)
    ours = np.median(taken[OURS])
    lines = [
        "# Speed of the bootstrap", "",
        f"`python benchmarks/bootstrap.py`. {draws} draws of {n} photos, {count} figures; the"
        f" median of {rounds} interleaved rounds (least to most); loops did {PART} draws a round,"
        f" scaled. {os.cpu_count()} cores.", "",
        "| way | seconds | ratio |", "|---|---|---|",
    ]  # fmt: skip
    for said, seconds in taken.items():
        middle = np.median(seconds)
        spread = f"{min(seconds):.2f} to {max(seconds):.2f}"
        lines.append(f"| {said} | {middle:.2f} ({spread}) | {middle / ours:.0f} |")
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "bootstrap.md")
    options = parser.parse_args()
    text = report(options.photos, options.draws, options.rounds)
    print(text)
    write_atomically(options.out, text.encode())


if __name__ == "__main__":
    main()
