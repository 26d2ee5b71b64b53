"""How often a 95 % interval holds the truth, by simulation, and which interval does it best.

    python benchmarks/coverage.py [--sets 1500] [--draws 1000] [--workers 2]

Photos are made whose faces go together: a photo's own light decides how many of
its faces are found, its own occasion which expressions there are and how many
are answered right. The truth is the figure on a very large number of photos.
Many small sets are then drawn, and each way to make an interval is asked for
one a set. Calibration errors, which are greater the fewer faces there are, are
held to the truth and to what they are on average on so many photos. Writes
reports/coverage.md and docs/coverage.svg.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit

from groupemo import EMOTIONS
from groupemo.figures import FIGURES, Weighed
from groupemo.files import write_atomically
from groupemo.metrics import calibration as cal
from groupemo.metrics import classification as cls
from groupemo.metrics.answers import Answers
from groupemo.metrics.tally import SUMS, Tally
from groupemo.metrics.uncertainty import draw_weights, estimate, interval, leave_one_out

ROOT = Path(__file__).resolve().parent.parent
K = len(EMOTIONS)
MACRO = "end_to_end_macro_f1"
NAMES = (MACRO, "detection_recall", "matched_accuracy", "matched_log_loss")
SIZES = (15, 30, 60, 150)
MANY = 300_000
"""Photos the truth is taken on."""


class World(NamedTuple):
    """What photos are like; classes in the order of `EMOTIONS`.

    Spreads are standard deviations between photos, on the logit scale; the
    greater `mixing`, the more alike are photos in the expressions they show.
    """

    shares: tuple[float, ...] = (0.06, 0.03, 0.03, 0.40, 0.10, 0.08, 0.30)
    right: tuple[float, ...] = (0.50, 0.40, 0.40, 0.85, 0.50, 0.65, 0.70)
    found: float = 0.85
    found_spread: float = 1.0
    right_spread: float = 0.7
    mixing: float = 4.0
    phantoms: float = 0.5


WORLDS = {
    "usual": World(),
    "tight": World(found_spread=1.5, right_spread=1.2, mixing=1.5),
    "rare": World(shares=(0.05, 0.01, 0.02, 0.50, 0.07, 0.05, 0.30)),
    "easy": World(right=(0.80, 0.75, 0.70, 0.95, 0.75, 0.85, 0.88)),
}
SAID = {
    "usual": "seven expressions, 3 to 40 % each; 3 to 20 faces a photo",
    "tight": "the same, faces of a photo far more alike",
    "rare": "the rarest expressions 1 and 2 %",
    "easy": "a classifier that is right on 70 to 95 % of each class",
}
ANSWERS = np.array([1.0, 0.5, 1.0, 2.0, 1.5, 1.0, 3.0])
"""How readily each class is answered where the answer is wrong, or there is no face."""


class Rows(NamedTuple):
    """Faces and phantoms, shape (f,): their photo, their cell of the tally, their log-loss."""

    photo: np.ndarray
    truth: np.ndarray
    answer: np.ndarray
    log_loss: np.ndarray

    def tallies(self, unit: np.ndarray, n: int) -> Tally:
        """Return one tally a unit, 0..n-1, stacked."""
        counts, sums = np.zeros((n, K + 2, K + 2), dtype=np.int64), np.zeros((n, len(SUMS)))
        np.add.at(counts, (unit, self.truth, self.answer), 1)
        np.add.at(sums[:, SUMS.index("log_loss")], unit, self.log_loss)
        return Tally(counts, sums)


class Way(NamedTuple):
    """A way to make an interval: how the draws are weighed, and how the bounds are read off."""

    said: str
    weights: Callable[[int, int, int], np.ndarray]
    method: str


def drawn(n: int, draws: int, seed: int) -> np.ndarray:
    return draw_weights(n, draws=draws, seed=seed)


def drawn_faces(n: int, draws: int, seed: int) -> np.ndarray:
    """Return the weights of faces drawn as if each were a photo; as `drawn`, faster for many."""
    rows = n * np.arange(draws)[:, np.newaxis]
    chosen = rows + np.random.default_rng(seed).integers(0, n, (draws, n))
    return np.bincount(chosen.ravel(), minlength=draws * n).reshape(draws, n).astype(float)


def shared_out(concentration: Callable[[int], float]) -> Callable[[int, int, int], np.ndarray]:
    """Return the weights of a Bayesian bootstrap."""

    def weights(n: int, draws: int, seed: int) -> np.ndarray:
        shares = np.random.default_rng(seed).standard_gamma(concentration(n), (draws, n))
        return shares / shares.mean(axis=1, keepdims=True)

    return weights


def one(n: int) -> float:
    return 1.0


def unbiased(n: int) -> float:
    """Return the concentration at which a mean's variance is the unbiased s^2 / n."""
    return 1 - 2 / n


WAYS = {
    "ours": Way("photos drawn, expanded BCa (groupemo's)", drawn, "expanded"),
    "bca": Way("photos drawn, BCa", drawn, "bca"),
    "percentile": Way("photos drawn, percentile", drawn, "percentile"),
    "bayes": Way("Bayesian, Dirichlet(1), percentile", shared_out(one), "percentile"),
    "bayes_bca": Way("Bayesian, Dirichlet(1), expanded BCa", shared_out(one), "expanded"),
    "unbiased": Way("Bayesian, Dirichlet(1 - 2/n), expanded BCa", shared_out(unbiased), "expanded"),
    "naive": Way("faces drawn, percentile (naive)", drawn_faces, "percentile"),
}


def photograph(world: World, n: int, rng: np.random.Generator) -> Rows:
    """Return what becomes of the faces of `n` photos."""
    faces = np.clip(np.rint(rng.lognormal(np.log(7), 0.55, n)), 3, 20).astype(int)
    photo = np.repeat(np.arange(n), faces)
    mixture = rng.dirichlet(world.mixing * np.array(world.shares), n)
    truth = _choose(mixture[photo], rng)
    found = rng.random(len(photo)) < expit(
        logit(world.found) + rng.normal(0, world.found_spread, n)[photo]
    )
    right = rng.random(len(photo)) < expit(
        logit(np.array(world.right))[truth] + rng.normal(0, world.right_spread, n)[photo]
    )
    wrong = np.tile(ANSWERS, (K, 1))
    np.fill_diagonal(wrong, 0)
    answer = np.where(right, truth, _choose((wrong / wrong.sum(axis=1, keepdims=True))[truth], rng))
    abstained = rng.random(len(photo)) < 0.02
    given = np.where(right, rng.beta(6, 2, len(photo)), rng.beta(1.2, 5, len(photo)))
    column = np.where(found, np.where(abstained, K, answer), K + 1)
    phantom = np.repeat(np.arange(n), rng.poisson(world.phantoms * rng.lognormal(0, 0.8, n)))
    return Rows(
        np.append(photo, phantom),
        np.append(truth, np.full(len(phantom), K + 1)),
        np.append(column, _choose(np.tile(ANSWERS / ANSWERS.sum(), (len(phantom), 1)), rng)),
        np.append(np.where(column < K, -np.log(given), 0), np.zeros(len(phantom))),
    )


def _choose(shares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return one class a row of shares."""
    return (rng.random((len(shares), 1)) > shares.cumsum(axis=1)[:, :-1]).sum(axis=1)


def figures(stacked: Tally, weights: np.ndarray) -> dict[str, np.ndarray]:
    run = Weighed(SimpleNamespace(stacked=stacked), weights)
    return {name: FIGURES[name].of(run) for name in NAMES}


class Coverage(NamedTuple):
    """Of one world and number of photos: by way and figure, how many sets the interval missed."""

    sets: int
    lacking: int
    low: dict[tuple[str, str], int]
    high: dict[tuple[str, str], int]
    width: dict[tuple[str, str], float]

    def share(self, way: str, name: str) -> float:
        """Return how many of the intervals held the truth."""
        return 1 - (self.low[way, name] + self.high[way, name]) / self.sets


def cover(
    world: World, n: int, *, sets: int, draws: int, ways: Iterable[str] = WAYS, many: int = MANY
) -> Coverage:
    """Draw sets of `n` photos and count the intervals that miss the truth, and on which side.

    The truth of a macro-F1 is taken over the classes a set has, as the figure is.
    """
    whole = photograph(world, many, np.random.default_rng(0))
    total = whole.tallies(np.zeros(len(whole.photo), dtype=np.int64), 1)
    truth = {name: float(value[0]) for name, value in figures(total, np.ones((1, 1))).items()}
    f1 = cls.f1(total, "end_to_end")[0]
    keys = [(way, name) for way in ways for name in NAMES]
    low, high = dict.fromkeys(keys, 0), dict.fromkeys(keys, 0)
    width = dict.fromkeys(keys, 0.0)
    lacking = 0
    for seed in range(sets):
        rows = photograph(world, n, np.random.default_rng([n, seed]))
        stacked = rows.tallies(rows.photo, n)
        points = figures(stacked, np.ones((1, n)))
        jackknife = figures(stacked, leave_one_out(n))
        has = cls.support(stacked, "end_to_end").sum(axis=0) > 0
        lacking += not has.all()
        true = {**truth, MACRO: f1[has].mean()}
        draw_by = functools.cache(functools.partial(_draw, rows, stacked, draws, seed))
        for way in ways:
            for name, values in draw_by(WAYS[way].weights).items():
                least, most = interval(
                    values,
                    point=float(points[name][0]),
                    jackknife=jackknife[name],
                    method=WAYS[way].method,
                )
                low[way, name] += not least <= true[name]
                high[way, name] += not most >= true[name]
                width[way, name] += (most - least) / sets
    return Coverage(sets, lacking, low, high, width)


def _draw(
    rows: Rows,
    stacked: Tally,
    draws: int,
    seed: int,
    weights: Callable[[int, int, int], np.ndarray],
) -> dict[str, np.ndarray]:
    if weights is drawn_faces:
        stacked = rows.tallies(np.arange(len(rows.photo)), len(rows.photo))
    return figures(stacked, weights(len(stacked.counts), draws, seed))


CALIBRATION: Mapping[str, Callable[[Answers, np.ndarray], np.ndarray]] = {
    "ECE": cal.expected_calibration_error,
    "adaptive ECE": functools.partial(cal.expected_calibration_error, adaptive=True),
    "classwise ECE": cal.classwise_calibration_error,
}


def answered(n: int, rng: np.random.Generator) -> Answers:
    """Return the answers on `n` photos: too sure of themselves, on some photos more than others."""
    faces = np.clip(np.rint(rng.lognormal(np.log(7), 0.55, n)), 3, 20).astype(int)
    photo = np.repeat(np.arange(n), faces)
    probs = rng.dirichlet(np.full(K, 0.4), len(photo))
    true = probs ** np.exp(rng.normal(-0.4, 0.4, n))[photo, np.newaxis]
    return Answers(photo, n, _choose(true / true.sum(axis=1, keepdims=True), rng), probs)


class Held(NamedTuple):
    """Of a figure and number of photos: the truth, its mean over sets, and what was held."""

    truth: float
    mean: float
    held_truth: float
    held_mean: float


def cover_calibration(name: str, n: int, *, sets: int, draws: int, many: int = 30_000) -> Held:
    """Draw sets of `n` photos and count the intervals that hold the truth, and the mean figure."""
    of = CALIBRATION[name]
    truth = float(of(answered(many, np.random.default_rng(0)), np.ones((1, many)))[0])
    made = []
    for seed in range(sets):
        given = answered(n, np.random.default_rng([n, seed]))
        made.append(
            estimate(functools.partial(of, given), n, draws=draws, seed=seed, least=0, most=1)
        )
    value, low, high = np.array(made).T
    mean = float(value.mean())
    return Held(truth, mean, *(((low <= t) & (t <= high)).mean() for t in (truth, mean)))


Found = Mapping[tuple[str, int], Coverage]


def run(sets: int, draws: int, workers: int) -> Found:
    """Simulate every world and number of photos; all ways in the usual world, two elsewhere."""
    cells = [(world, n) for world in WORLDS for n in SIZES]
    with ProcessPoolExecutor(workers) as pool:
        jobs = [
            pool.submit(
                cover, WORLDS[world], n, sets=sets, draws=draws,
                ways=tuple(WAYS) if world == "usual" else ("ours", "naive"),
            )
            for world, n in cells
        ]  # fmt: skip
        found = {}
        for cell, job in zip(cells, jobs, strict=True):
            found[cell] = job.result()
            print(*cell, "done", flush=True)
        return found


Calibrated = Mapping[tuple[str, int], Held]


def run_calibration(sets: int, draws: int, workers: int) -> Calibrated:
    cells = [(name, n) for name in CALIBRATION for n in SIZES]
    with ProcessPoolExecutor(workers) as pool:
        jobs = [pool.submit(cover_calibration, *cell, sets=sets, draws=draws) for cell in cells]
        return {cell: job.result() for cell, job in zip(cells, jobs, strict=True)}


def report_calibration(found: Calibrated, sets: int) -> str:
    """Return the table of calibration errors in Markdown."""
    lines = [
        "## Calibration errors", "",
        f"{sets} sets a cell: mean value (truth) and, in %, intervals that hold the truth / the"
        " mean value of so many photos.", "", *_header("figure"),
    ]  # fmt: skip
    for name in CALIBRATION:
        cells = " | ".join(
            f"{one.mean:.3f} ({one.truth:.3f}); {100 * one.held_truth:.0f}"
            f" / {100 * one.held_mean:.0f}"
            for one in (found[name, n] for n in SIZES)
        )
        lines.append(f"| {name} | {cells} |")
    return "\n".join([*lines, ""])


def report(found: Found, draws: int) -> str:
    """Return the tables of the other figures in Markdown."""
    sets = found["usual", SIZES[0]].sets
    error = 1.96 * np.sqrt(0.95 * 0.05 / sets)
    lines = [
        "# Coverage of 95 % intervals", "",
        f"`python benchmarks/coverage.py`. {sets} made sets of photos a cell, {draws} draws each;"
        f" chance alone moves a cell by {100 * error:.1f} points. In brackets: intervals wholly"
        " above / wholly below the truth, %.", "",
    ]  # fmt: skip
    for name in NAMES:
        lines += [f"## {FIGURES[name].full_title}: ways compared", "", *_header("way")]
        lines += [
            f"| {way.said} | "
            + " | ".join(_cell(found["usual", n], key, name) for n in SIZES)
            + " |"
            for key, way in WAYS.items()
        ]
        lines.append("")
    lines += ["## Other worlds", "", *(f"- {world}: {said}" for world, said in SAID.items()), ""]
    lines += _header("world, figure, way")
    for world in list(WORLDS)[1:]:
        for name in NAMES:
            for way in ("ours", "naive"):
                cells = " | ".join(_cell(found[world, n], way, name) for n in SIZES)
                said = "groupemo" if way == "ours" else "faces drawn"
                lines.append(f"| {world}, {FIGURES[name].full_title}, {said} | {cells} |")
    lines += ["", "## Sets that lack an expression, and width of groupemo's intervals", ""]
    lines += _header("world")
    for world in WORLDS:
        cells = " | ".join(
            f"{100 * found[world, n].lacking / sets:.0f} %; macro-F1"
            f" {found[world, n].width['ours', MACRO]:.2f}, recall"
            f" {found[world, n].width['ours', 'detection_recall']:.2f}"
            for n in SIZES
        )
        lines.append(f"| {world} | {cells} |")
    return "\n".join([*lines, ""])


def _header(first: str) -> list[str]:
    return [f"| {first} | " + " | ".join(f"{n} photos" for n in SIZES) + " |", "|---" * 5 + "|"]


def _cell(found: Coverage, way: str, name: str) -> str:
    low, high = (100 * side[way, name] / found.sets for side in (found.low, found.high))
    return f"{100 * found.share(way, name):.1f} ({low:.1f} / {high:.1f})"


def draw(found: Found, file: Path) -> None:
    """Draw coverage against the number of photos in the usual world."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    styles = {
        "ours": ("o-", "#0072b2", "photos drawn, expanded BCa (groupemo)"),
        "percentile": ("s--", "#009e73", "photos drawn, percentile"),
        "bayes": ("^--", "#e69f00", "photos weighted (Bayesian), percentile"),
        "naive": ("x:", "#d55e00", "faces drawn, percentile (naive)"),
    }
    with mpl.rc_context({"svg.hashsalt": "groupemo", "font.size": 9}):
        picture = Figure(figsize=(8, 3.6), layout="constrained")
        panels = picture.subplots(1, 2, sharey=True)
        for axes, name in zip(panels, (MACRO, "detection_recall"), strict=True):
            axes.axhspan(93, 97, color="#ddd", label="93 to 97 %")
            axes.axhline(95, color="#888", linewidth=1)
            for way, (line, color, said) in styles.items():
                shares = [100 * found["usual", n].share(way, name) for n in SIZES]
                axes.plot(SIZES, shares, line, color=color, label=said)
            axes.set_xscale("log")
            axes.set_xticks(SIZES, [str(n) for n in SIZES])
            axes.minorticks_off()
            axes.set(title=FIGURES[name].full_title, xlabel="photos", ylim=(70, 100))
        panels[0].set_ylabel("95 % intervals that hold the truth, %")
        picture.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
        picture.savefig(file, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=1500)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "coverage.md")
    parser.add_argument("--picture", type=Path, default=ROOT / "docs" / "coverage.svg")
    options = parser.parse_args()
    found = run(options.sets, options.draws, options.workers)
    sets = max(options.sets // 5, 1)
    calibrated = run_calibration(sets, options.draws, options.workers)
    text = report(found, options.draws) + "\n" + report_calibration(calibrated, sets)
    print(text)
    write_atomically(options.out, text.encode())
    draw(found, options.picture)


if __name__ == "__main__":
    main()
