"""How far those who labelled agree, and the ceiling that follows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from groupemo.metrics import agreement as people
from groupemo.metrics.uncertainty import estimate
from groupemo.report.grid import Grid
from groupemo.report.words import listed, plural
from groupemo.standing import Person

__all__ = ["Agreement", "Measure", "agreement"]


@dataclass(frozen=True)
class Measure:
    """One figure of agreement."""

    title: str
    text: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Agreement:
    """What is known of the annotators.

    Parameters
    ----------
    faces : int
        Faces with two votes or more.
    measures : sequence of Measure
    annotators : sequence of str
    kappa, shared : sequence of rows
        Of each pair of annotators, in their order.
    settled : str
        What is to be said of labels that were settled; empty where none was.
    """

    faces: int
    measures: Sequence[Measure]
    annotators: Sequence[str]
    kappa: Sequence[Sequence[float]]
    shared: Sequence[Sequence[int]]
    settled: str


def agreement(grid: Grid) -> Agreement | None:
    """Return how far people agree; None where no face has two votes."""
    found = people.agreement(grid.evaluation.labels)
    if not found.faces:
        return None
    return Agreement(
        found.faces,
        list(_measures(grid.person)),
        found.annotators,
        found.kappa.tolist(),
        found.shared.tolist(),
        _settled(found.settled, grid.evaluation.labels.settlers),
    )


def _settled(faces: int, settlers: Sequence[str]) -> str:
    """Return how many labels were settled, and that agreement is that from before."""
    if not faces:
        return ""
    by = f" by {listed(list(settlers))}" if settlers else ""
    return (
        f"The labels of {plural(faces, 'face')} were settled{by} where they differed; the figures"
        " here are of the annotators' own answers, before that."
    )


PERSON = "against the majority of the others"

MEASURES: Mapping[str, tuple[str, str]] = {
    "matched_macro_f1": ("one annotator's macro-F1", PERSON),
    "matched_accuracy": ("one annotator's accuracy", PERSON),
    "matched_kappa": ("one annotator's Cohen's kappa", PERSON),
    "fleiss": ("Fleiss' kappa", "agreement beyond chance, faces count alike"),
    "alpha": ("Krippendorff's alpha", "agreement beyond chance, votes count alike"),
    "matched_soft_cross_entropy": (
        "vote entropy", "how split a face's votes are, in nats; no cross-entropy with votes is less"
    ),
}  # fmt: skip
"""What is shown, in words."""


def _measures(person: Person) -> Iterator[Measure]:
    cast = people.ballots(person.labels)
    beyond = {"fleiss": people.fleiss_kappa, "alpha": people.krippendorff_alpha}
    for name, (title, text) in MEASURES.items():
        if name in beyond:
            found = estimate(partial(beyond[name], cast), cast.n, most=1.0)
        else:
            one = person.estimate(name)
            found = one.value, one.low, one.high
        yield Measure(title, text, *found)
