"""What backends answered as faces were disturbed, and the figures of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from groupemo.emotions import EMOTIONS
from groupemo.errors import OptionError
from groupemo.metrics.tally import Tally, tally_found
from groupemo.metrics.uncertainty import DRAWS, interval, weigh, weightings
from groupemo.robustness.disturbances import DISTURBANCES
from groupemo.robustness.figures import FIGURES, MAIN

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BLIND", "UNDISTURBED", "Step", "Stress"]

Floats = NDArray[np.float64]

UNDISTURBED = "undisturbed"
"""Stands where a table names the kind."""

BLIND = "no better than chance"
"""The outcome where there is nothing to lose."""


class Step(NamedTuple):
    """One kind of `DISTURBANCES` at one level."""

    kind: str
    level: float


Trio = tuple[Floats, Floats, Floats]
"""A figure of every row of answers: itself (r, 1), its draws (r, draws), its jackknife (r, m)."""


@dataclass(frozen=True, eq=False)
class Stress:
    """What backends answered as the labelled faces were disturbed.

    Parameters
    ----------
    steps : tuple of Step
    answers : mapping of str to np.ndarray, shape (1 + steps, n, 7)
        Each backend's probabilities, order `EMOTIONS`, undisturbed first; NaN where it
        abstained.
    photos : tuple of str
        With a labelled face whose expression is known.
    photo, labels, sides : np.ndarray, shape=(n,)
        Of each face: the photo it is in, its label, and its side in pixels.
    provenance : mapping of str to mapping
        Each backend's class, options, model files with their SHA-256, and version.
    draws, seed : int
        Of the bootstrap.
    """

    steps: tuple[Step, ...]
    answers: Mapping[str, Floats]
    photos: tuple[str, ...]
    photo: NDArray[np.int64]
    labels: NDArray[np.int64]
    sides: Floats
    provenance: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    draws: int = DRAWS
    seed: int = 0

    def __repr__(self) -> str:
        return (
            f"<Stress: {', '.join(self.answers)}; {', '.join(self.kinds)};"
            f" {len(self.labels)} faces in {len(self.photos)} photos>"
        )

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of disturbance, in order."""
        return tuple(dict.fromkeys(step.kind for step in self.steps))

    def table(self) -> pd.DataFrame:
        """Return every figure at every level, a row each: tidy.

        Columns: backend, kind ("undisturbed" first), level (NaN there), figure, value,
        low, high, change (from the undisturbed), change_low, change_high, n (faces),
        answered, photos. Low and high are 95 % intervals over photos.
        """
        import pandas as pd

        rows = [
            {
                "backend": backend,
                **step._asdict(),
                "figure": name,
                **self._estimate(backend, name, row),
                "n": len(self.labels),
                "answered": int((~np.isnan(self.answers[backend][row]).any(axis=1)).sum()),
                "photos": len(self.photos),
            }
            for backend in self.answers
            for row, step in enumerate([Step(UNDISTURBED, math.nan), *self.steps])
            for name in FIGURES
        ]
        return pd.DataFrame(rows)

    def half_lives(self, figure: str = MAIN) -> pd.DataFrame:
        """Return the level at which half of a figure above chance is lost, a row each.

        A level is sought from the neutral one on, downwards and upwards (for sizes from
        the largest down): the first at which the figure is half way from the undisturbed
        one to chance, between two levels on a straight line. Chance is what the best
        constant answer has: the share of the commonest label, or for balanced accuracy
        one by the number of labels that occur.

        Parameters
        ----------
        figure : str
            "accuracy" or "balanced_accuracy".

        Returns
        -------
        pd.DataFrame
            Columns: backend, kind, side ("below" or "above" the neutral level), harshest
            (level taken there), outcome, level, low, high (percentiles of the draws).
            The outcome is "reached", "beyond" (the harshest level: infinite, below with
            a minus) or "no better than chance" (undisturbed: NaN).

        Raises
        ------
        OptionError
            If it is no figure with a chance level.
        """
        import pandas as pd

        if figure not in FIGURES or FIGURES[figure].chance is None:
            known = [name for name, each in FIGURES.items() if each.chance]
            raise OptionError(f"figure is {figure!r}: expected one of {', '.join(known)}")
        rows = [
            {"backend": backend, **self._half_life(backend, figure, way)}
            for backend in self.answers
            for way in self._ways()
        ]
        return pd.DataFrame(rows)

    def chance(self, figure: str) -> float:
        """Return what the best constant answer has; NaN where that is not asked of a figure."""
        return float(self._chance[figure][0][0]) if figure in self._chance else math.nan

    def save(self, folder: str | Path) -> Path:
        """Write stress.csv, half_lives.csv, manifest.json, stress.png, stress.md; return the last.

        Raises
        ------
        OutputError
            If a file cannot be written.
        """
        from groupemo.robustness.pages import write

        return write(self, folder)

    def curve(self, backend: str, kind: str, figure: str) -> tuple[Floats, ...]:
        """Return a curve's levels, values and interval: four arrays, shape (m,)."""
        rows = [at for at, step in enumerate(self.steps, 1) if step.kind == kind]
        levels = [self.steps[at - 1].level for at in rows]
        told = [self._estimate(backend, figure, at) for at in rows]
        columns = ([one[name] for one in told] for name in ("value", "low", "high"))
        return tuple(np.array(column, dtype=np.float64) for column in (levels, *columns))

    def undisturbed(self, backend: str, figure: str) -> Mapping[str, float]:
        """Return the value, low and high of a figure without any disturbance."""
        return self._estimate(backend, figure, 0)

    def _estimate(self, backend: str, name: str, row: int) -> dict[str, float]:
        (value, base), (drawn, drawn_base), (left_out, left_out_base) = (
            (each[row], each[0]) for each in self._figures[backend][name]
        )
        bounds = interval(
            drawn, point=float(value[0]), jackknife=left_out, least=0.0, most=FIGURES[name].most
        )
        change = float((value - base)[0])
        apart = interval(
            drawn - drawn_base, point=change, jackknife=left_out - left_out_base, difference=True
        )
        names = ("value", "low", "high", "change", "change_low", "change_high")
        return dict(zip(names, (float(value[0]), *bounds, change, *apart), strict=True))

    @cached_property
    def _figures(self) -> dict[str, dict[str, Trio]]:
        """Each backend's figures of every row of answers, under all weights."""
        return {backend: self._weighed(rows) for backend, rows in self.answers.items()}

    def _weighed(self, answers: Floats) -> dict[str, Trio]:
        found: dict[str, list[list[Floats]]] = {name: [[], [], []] for name in FIGURES}
        for probs in answers:
            tally = self._tally(probs)
            for way, weights in enumerate(self._weights):
                drawn = weigh(tally, weights)
                for name, figure in FIGURES.items():
                    found[name][way].append(figure.of(drawn))
        return {name: (np.stack(a), np.stack(b), np.stack(c)) for name, (a, b, c) in found.items()}

    @cached_property
    def _chance(self) -> dict[str, tuple[Floats, ...]]:
        tally = self._tally(np.full((len(self.labels), len(EMOTIONS)), np.nan))
        drawn = [weigh(tally, weights) for weights in self._weights]
        return {
            name: tuple(map(figure.chance, drawn))
            for name, figure in FIGURES.items()
            if figure.chance is not None
        }

    @property
    def _weights(self) -> tuple[Floats, ...]:
        return weightings(len(self.photos), self.draws, self.seed)

    def _tally(self, probs: Floats) -> Tally:
        return tally_found(self.labels, probs, self.photo, len(self.photos))

    def _ways(self) -> Iterator[tuple[str, str, list[int]]]:
        """Yield kind, side, and rows of answers from the mildest to the harshest."""
        for kind in self.kinds:
            neutral = DISTURBANCES[kind].neutral
            rows = [at for at, step in enumerate(self.steps, 1) if step.kind == kind]
            if neutral is None:
                yield kind, "below", rows[::-1]
                continue
            below = [at for at in rows if self.steps[at - 1].level < neutral]
            above = [at for at in rows if self.steps[at - 1].level > neutral]
            yield from ((kind, "below", [0, *below[::-1]]),) if below else ()
            yield from ((kind, "above", [0, *above]),) if above else ()

    def _half_life(
        self, backend: str, figure: str, way: tuple[str, str, list[int]]
    ) -> dict[str, Any]:
        kind, side, rows = way
        about = DISTURBANCES[kind]
        levels = np.array([about.neutral if not at else self.steps[at - 1].level for at in rows])
        (value,), drawn = (
            _half_level(levels, values[rows], (values[0] + chance) / 2, chance, about.ratio)
            for values, chance in zip(
                self._figures[backend][figure][:2], self._chance[figure][:2], strict=True
            )
        )
        low, high = _percentiles(drawn)
        outcome = "beyond" if np.isinf(value) else "reached"
        return {
            "kind": kind,
            "side": side,
            "harshest": levels[-1],
            "outcome": BLIND if np.isnan(value) else outcome,
            "level": float(value),
            "low": low,
            "high": high,
        }


def _half_level(
    levels: Floats, values: Floats, half: Floats, chance: Floats, ratio: bool
) -> Floats:
    """Return the first level, in their order, at which values, shape (m, draws), fall to `half`."""
    at_scale = np.log(levels) if ratio else levels
    reached = values <= half
    last = reached.argmax(axis=0)
    first = np.maximum(last - 1, 0)
    draw = np.arange(values.shape[1])
    before, after = values[first, draw], values[last, draw]
    share = np.zeros_like(half)
    np.divide(before - half, before - after, out=share, where=before > after)
    found = at_scale[first] + np.clip(share, 0, 1) * (at_scale[last] - at_scale[first])
    found = np.exp(found) if ratio else found
    found = np.where(reached.any(axis=0), found, math.copysign(math.inf, levels[-1] - levels[0]))
    return np.where(half > chance, found, math.nan)


def _percentiles(drawn: Floats, level: float = 0.95) -> tuple[float, float]:
    """Return the bounds that hold the middle of the draws; infinite ones are draws like others."""
    values = np.sort(drawn[~np.isnan(drawn)])
    if 2 * len(values) <= len(drawn):
        return math.nan, math.nan
    tail = (1 - level) / 2 * (len(values) - 1)
    return float(values[math.floor(tail)]), float(values[-1 - math.floor(tail)])
