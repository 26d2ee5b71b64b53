"""Pictures of results for notebooks and papers: functions that take and return matplotlib Axes.

Where no Axes are given, a new figure is made without pyplot, so that nothing
global changes and nothing has to be closed: `plot_confusion(scores).figure.savefig(...)`.

Conventions
-----------
- Intervals are the 95 % intervals over photos of `groupemo.metrics.uncertainty`.
- What a figure stands on, n, is on every plot. What is undefined is left out, and
  the plot says so.
- Colours are told apart by colour-blind eyes (Okabe and Ito, 2008); markers, dashes
  and hatches tell the same without colour.
"""

from groupemo.plots.annotators import plot_agreement
from groupemo.plots.classes import plot_confusion, plot_per_class
from groupemo.plots.curves import (
    plot_precision_recall,
    plot_reliability,
    plot_risk_coverage,
    plot_width,
)
from groupemo.plots.errors import plot_ablation, plot_anatomy, plot_gains, plot_slices
from groupemo.plots.faces import draw_faces
from groupemo.plots.groups import plot_groups
from groupemo.plots.options import plot_options
from groupemo.plots.photos import plot_valence
from groupemo.plots.robustness import plot_robustness
from groupemo.plots.runs import plot_comparison, plot_differences

__all__ = [
    "draw_faces",
    "plot_ablation",
    "plot_agreement",
    "plot_anatomy",
    "plot_comparison",
    "plot_confusion",
    "plot_differences",
    "plot_gains",
    "plot_groups",
    "plot_options",
    "plot_per_class",
    "plot_precision_recall",
    "plot_reliability",
    "plot_risk_coverage",
    "plot_robustness",
    "plot_slices",
    "plot_valence",
    "plot_width",
]
