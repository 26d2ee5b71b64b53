"""What chapters say in passing: single values read out of the tables and texts of reports/."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from groupemo.markdown import table
from groupemo.metrics.uncertainty import DRAWS
from reports.written.demo import CHOSEN, Demo
from reports.written.tables import Missing, Pages, point, text_of

__all__ = ["Best", "facts"]

REAL9 = "group_emotion_real9 (IoU at least 0.3)"
F1 = "end-to-end macro-F1 [95 %]"
MACRO_F1 = "end-to-end macro-F1: ways compared"
OURS, NAIVE = "photos drawn, expanded BCa (groupemo's)", "faces drawn, percentile (naive)"


@dataclass(frozen=True)
class Best:
    """A row and its cell."""

    row: str
    cell: str


def facts(pages: Pages, demo: Demo) -> Mapping[str, Any]:
    """Return names and what they stand for, as chapters use them."""
    held = _over(pages, OURS)
    naive = _over(pages, NAIVE)
    return {
        "real9": REAL9,
        "f1": F1,
        "draws": f"{DRAWS:,}",
        "crowd": pages.cell("labels", "", "wider_groups.csv", "photos"),
        "crowd_faces": _said(pages, "detectors", r"(\d+) labelled\s+faces"),
        "matched": lambda detector, backend: pages.cell(
            "accuracy", REAL9, (detector, backend), "matched accuracy (n)"
        ).partition(" ")[0],
        "coverage_low": min(held),
        "coverage_high": max(held),
        "naive_low": min(naive),
        "naive_high": max(naive),
        "coverage_about": _said(pages, "coverage", r"`\. (.*?)\. In brackets") + ".",
        "leaks": _said(pages, "datasheet", r"also in the training part (\d+)", " faces"),
        "kills": _said(pages, "labelling", r"(\d+) kills"),
        "keras": _said(pages, "backends", r"inputs: (at most .* apart)"),
        "parameters": of(pages, "card", "The net", "parameters"),
        "top": lambda *where: _extreme(pages, max, *where),
        "least": lambda *where: _extreme(pages, min, *where),
        "within": lambda name, section: pages.page(name).path.exists()
        and any(one.section == section and one.rows for one in pages.page(name).tables),
        "cut": _cut(pages),
        "parity": lambda: parity(pages),
        "worked": {
            name: _counts(demo, name) for name in CHOSEN
        },
    }  # fmt: skip


def of(pages: Pages, name: str, section: str, row: str) -> str:
    """Return the second cell of a row, in a table whose columns have no names."""
    for one in pages.page(name).tables:
        for cells in one.rows:
            if one.section == section and text_of(cells[0]) == row:
                return text_of(cells[1])
    raise Missing(f"{pages.page(name).path}: no row {row!r} in section {section!r}")


def parity(pages: Pages) -> str:
    """Return the tables of all packages as one."""
    rows = [[one.section, *cells] for one in pages.page("parity").tables for cells in one.rows]
    return table(["package", "what", "on", "widest difference>", "bound>"], rows)


def _cut(pages: Pages) -> Mapping[str, Any]:
    """Return how faces are cut for the default net, as the sweep chose."""
    averages = pages.page("framing").table("Averaged over the tables")
    for margin, square, accuracy, *_ in averages.rows:
        if "(chosen)" in margin:
            return {
                "row": margin.partition(" ")[0], "square": square == "yes", "accuracy": accuracy,
            }  # fmt: skip
    raise Missing(f"{pages.page('framing').path}: no row of the table of averages is chosen")


def _extreme(pages: Pages, which: Callable[..., Any], name: str, section: str, column: str) -> Best:
    one = pages.page(name).table(section)
    cells = one.columns([column]).rows
    values = [point(text_of(cell)) for (cell,) in cells]
    place = values.index(which(values))
    return Best(text_of(one.rows[place][0]), text_of(cells[place][0]))


def _over(pages: Pages, way: str) -> list[float]:
    """Return the coverage of one way on 30, 60 and 150 photos."""
    columns = ("30 photos", "60 photos", "150 photos")
    return [pages.value("coverage", MACRO_F1, way, column) for column in columns]


def _counts(demo: Demo, detector: str) -> Mapping[str, int]:
    run = demo.run(detector, demo.best.backend)
    overall = run.scores.only([demo.worked]).overall()
    return {name: int(overall[name]) for name in ("labelled", "found", "phantom")}


def _said(pages: Pages, name: str, pattern: str, after: str = "") -> str:
    """Return what stands in a file's text where the pattern is."""
    found = re.findall(pattern, " ".join(pages.page(name).lines))
    if not found:
        raise Missing(f"{pages.page(name).path}: nothing there like {pattern!r}")
    return found[0] + after
