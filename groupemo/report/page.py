"""The report's files: index.html, report.md, and the evaluation's tables beside them."""

from __future__ import annotations

import math
import warnings
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groupemo.evaluation import Evaluation
from groupemo.files import write_atomically
from groupemo.markdown import escaped
from groupemo.plugins import is_stand_in
from groupemo.report.content import describe
from groupemo.report.pdf import save_pdf
from groupemo.report.tables import FILES, write_tables
from groupemo.report.words import STAND_IN, number, p_value, percent, points, span, unbounded

if TYPE_CHECKING:
    import jinja2

__all__ = ["render", "write_pdf", "write_report"]

SAVED = (
    "table.csv", "per_class.csv", "per_photo.csv", "faces.csv", "labels.csv", "analyses.jsonl",
    "manifest.json",
)  # fmt: skip
"""What `Evaluation.save` writes."""


def write_report(
    evaluation: Evaluation,
    folder: str | Path,
    *,
    show_faces: bool = False,
    title: str | None = None,
    pdf: bool = False,
) -> Path:
    """Write an evaluation as a page, as Markdown and as tables.

    The folder holds everything: `index.html` (one file that needs no other and no
    network), `report.md`, its figures as tidy tables (`groupemo.report.tables`; Parquet,
    too, where pyarrow is installed), and what `Evaluation.save` writes, from which
    `load_evaluation` makes the same report again.

    Parameters
    ----------
    evaluation : Evaluation
    folder : path
        Made where it is missing; files of an earlier report are replaced, and those that
        this one does not have removed: an earlier `report.pdf` with a warning.
    show_faces : bool
        Show faces as they are. By default every labelled or detected face is
        unrecognizable; one that nobody labelled or found may still show.
    title : str, optional
    pdf : bool
        Write `report.pdf`, too; see `groupemo.report.pdf`.

    Returns
    -------
    Path
        Of index.html.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    target = evaluation.save(folder)
    content = describe(evaluation, show_faces=show_faces, title=title)
    paper = ["report.pdf"] if pdf else []
    files = [*paper, "report.md", *write_tables(content, target), *SAVED]
    page = render("page.html", content=content, files=files)
    write_atomically(target / "report.md", render("report.md", content=content).encode())
    index = write_atomically(target / "index.html", page.encode())
    if pdf:
        save_pdf(content, page, target / "report.pdf")
    elif (target / "report.pdf").exists():
        warnings.warn(
            f"{target / 'report.pdf'} was of the earlier report and is removed: write it anew with"
            " pdf=True (--pdf)",
            stacklevel=2,
        )
    for name in {"report.pdf", *FILES}.difference(files):
        (target / name).unlink(missing_ok=True)
    return index


def write_pdf(
    evaluation: Evaluation,
    path: str | Path,
    *,
    show_faces: bool = False,
    title: str | None = None,
) -> Path:
    """Write an evaluation's report as a PDF alone; parameters are those of `write_report`.

    Returns
    -------
    Path
        Of the PDF.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    content = describe(evaluation, show_faces=show_faces, title=title)
    return save_pdf(content, render("page.html", content=content, files=[]), path)


def render(template: str, **values: Any) -> str:
    """Return a template of this package filled in; what goes into HTML is escaped."""
    return _templates().get_template(template).render(**values)


@cache
def _templates() -> jinja2.Environment:
    import jinja2

    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("groupemo.report"),
        autoescape=lambda name: not (name or "").endswith(".md"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {
        "num": number,
        "percent": percent,
        "points": points,
        "p": p_value,
        "span": lambda estimate: span(estimate.low, estimate.high),
        "tick": lambda value: f"{value:g}".replace("-", "\N{MINUS SIGN}"),
        "capital": lambda text: text[:1].upper() + text[1:],
        "md": escaped,
    }
    templates.tests |= {"stand_in": is_stand_in, "unbounded": unbounded}
    templates.globals |= {"STAND_IN": STAND_IN, "INFINITY": math.inf}
    return templates
