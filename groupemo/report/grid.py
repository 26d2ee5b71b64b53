"""What a report is about: the runs of an evaluation as they stand, and how they are shown."""

from __future__ import annotations

from dataclasses import dataclass

from groupemo.figures import MAIN
from groupemo.standing import Run, Standing

__all__ = ["MAIN", "Grid", "Run"]


@dataclass(frozen=True, eq=False)
class Grid(Standing):
    """An evaluation as a report looks at it.

    Parameters
    ----------
    evaluation : Evaluation
    show_faces : bool
        Show faces as they are.
    """

    show_faces: bool = False
