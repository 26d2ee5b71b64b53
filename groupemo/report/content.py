"""What a report says, as plain values: the page and the Markdown show the same ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from groupemo._version import __version__
from groupemo.detectors.labelled import LABELLED
from groupemo.evaluation import Evaluation
from groupemo.labels import IGNORE, UNSURE
from groupemo.report.gallery import gallery
from groupemo.report.grid import Grid
from groupemo.report.sections.agreement import agreement
from groupemo.report.sections.anatomy import anatomy
from groupemo.report.sections.answer import answer
from groupemo.report.sections.calibration import calibration
from groupemo.report.sections.comparisons import comparisons
from groupemo.report.sections.group import group
from groupemo.report.sections.pairs import pairs
from groupemo.report.sections.run import failures, manifest
from groupemo.report.sections.slices import slices
from groupemo.report.sections.table import table
from groupemo.slices import MIN_FACES, MIN_PHOTOS

__all__ = ["LACKING", "SECTIONS", "Content", "Section", "describe"]

LEFT_OUT = "left out"

SECTIONS: Mapping[str, tuple[str, Callable[[Grid], Any]]] = {
    "answer": ("The answer", answer),
    "table": ("The figures", table),
    "comparisons": ("Are the differences real?", comparisons),
    "pairs": ("Pair by pair", pairs),
    "anatomy": ("Where the errors come from", anatomy),
    "gallery": ("The errors in pictures", gallery),
    "calibration": ("How sure to be", calibration),
    "slices": ("Where it does worse", slices),
    "group": ("The group as a whole", group),
    "agreement": ("How far annotators agree", agreement),
    "run": ("The run", manifest),
}
"""Name -> title, and what makes its values of a grid, or None where it has no say.

The template is `sections/NAME.html`; it has the values as `data`.
"""

LACKING: Mapping[str, str] = {
    "comparisons": (
        "There is one run: nothing to compare it with. Add the backend prior: it never looks"
        " at a face, and a model should be better than that."
    ),
    "anatomy": "Nothing was labelled and nothing was found: there is no error to take apart.",
    "calibration": "No face with a known expression was found and answered.",
    "slices": (
        f"No way of cutting the faces leaves two parts of {MIN_FACES} faces in {MIN_PHOTOS} photos"
        " each: too few to compare."
    ),
    "group": "No photo has a labelled and an answered face.",
    "agreement": (
        "No face was labelled by two people: how far they agree, and how much a person would"
        " score, is not known."
    ),
}
"""What is said in place of a section that has no say."""


@dataclass(frozen=True)
class Section:
    """One section: its name, which is its anchor, its title, and its values.

    Where it has no say, the values are None, and `lacking` says why.
    """

    id: str
    title: str
    data: Any

    @property
    def template(self) -> str:
        """The name of its template."""
        return f"sections/{self.id}.html"

    @property
    def lacking(self) -> str:
        """Why it has no say, where it has none."""
        return LACKING[self.id] if self.data is None else ""


@dataclass(frozen=True)
class Content:
    """Everything a report says."""

    title: str
    made: str
    version: str
    grid: Grid
    labelled: Mapping[str, int]
    sections: Sequence[Section]
    failures: Sequence[tuple[str, str, Sequence[str]]]

    def __contains__(self, name: str) -> bool:
        return any(section.id == name and not section.lacking for section in self.sections)

    def __getitem__(self, name: str) -> Any:
        return next(section.data for section in self.sections if section.id == name)

    @property
    def photos(self) -> int:
        """How many photos were compared."""
        return len(self.grid.evaluation.labels)

    @property
    def faces(self) -> int:
        """How many faces are labelled; regions to leave out are none."""
        return sum(n for word, n in self.labelled.items() if word != LEFT_OUT)

    @property
    def most(self) -> int:
        """The greatest count of `labelled`."""
        return max(self.labelled.values(), default=0)

    @property
    def count(self) -> int:
        """How many runs there are."""
        return len(self.grid.runs)

    @property
    def detectors(self) -> list[str]:
        """The detectors' labels; the labelled boxes are none."""
        each = dict.fromkeys(scores.detector for scores in self.grid.evaluation.scores)
        return [label for label in each if label != LABELLED]

    @property
    def given(self) -> bool:
        """Whether backends were given the labelled boxes, too."""
        return any(scores.detector == LABELLED for scores in self.grid.evaluation.scores)

    @property
    def backends(self) -> list[str]:
        """The backends' labels."""
        return list(dict.fromkeys(scores.backend for scores in self.grid.evaluation.scores))

    @property
    def annotators(self) -> Sequence[str]:
        """Who labelled."""
        return self.grid.evaluation.labels.annotators

    @property
    def min_iou(self) -> float:
        """Least IoU of a found face."""
        return self.grid.evaluation.min_iou

    @property
    def left_out(self) -> Sequence[str]:
        """Photos that are not compared."""
        return self.grid.evaluation.left_out

    @property
    def show_faces(self) -> bool:
        """Whether faces are shown as they are."""
        return self.grid.show_faces

    @property
    def stand_in(self) -> bool:
        """Whether any run has stand-in weights."""
        return self.grid.stand_in


def describe(
    evaluation: Evaluation,
    *,
    show_faces: bool = False,
    title: str | None = None,
) -> Content:
    """Return what a report on an evaluation says, its pictures included.

    Parameters
    ----------
    evaluation : Evaluation
    show_faces : bool
    title : str, optional
    """
    grid = Grid(evaluation, show_faces)
    made = [Section(name, heading, build(grid)) for name, (heading, build) in SECTIONS.items()]
    return Content(
        title=title or "How right the perceived expressions are",
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        version=__version__,
        grid=grid,
        labelled=_labelled(evaluation),
        sections=made,
        failures=failures(evaluation),
    )


def _labelled(evaluation: Evaluation) -> dict[str, int]:
    """Return how many faces are labelled with each word, words nobody used left out."""
    values = [faces.labels for faces in evaluation.labels.values()]
    labels = np.concatenate([*values, np.empty(0, np.int64)])
    words = dict(enumerate(evaluation.labels.classes)) | {UNSURE: "unsure", IGNORE: LEFT_OUT}
    counts = {word: int((labels == label).sum()) for label, word in words.items()}
    return {word: n for word, n in counts.items() if n}
