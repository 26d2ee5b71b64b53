"""The report on A4 sheets, drawn with matplotlib alone: for a PDF where there is no browser."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from textwrap import fill
from typing import Any, TypeVar

from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec, SubplotSpec

from groupemo import plots
from groupemo.figures import Estimate
from groupemo.plots._axes import GRID, QUIET, Dot, around, draw_dots, heading, plain
from groupemo.report.content import Content
from groupemo.report.grid import Run
from groupemo.report.sections.pairs import Pair
from groupemo.report.sections.slices import Panel
from groupemo.report.sections.table import Notes
from groupemo.report.words import DASH, known, number, plural, span

__all__ = ["sheets"]

Item = TypeVar("Item")

A4 = (8.27, 11.69)
"""Inches."""

LEFT, BOTTOM, WIDTH, TOP = 0.07, 0.05, 0.86, 0.93
"""Where the content of a sheet lies, in shares of it."""

LETTERS = 104
"""Letters of a line of text."""

LINE = 0.0165
"""Height of a line of text, as a share of the sheet."""

ROW = 0.42
"""Inches of a row in a plot of dots."""

BESIDE = 20
"""Rows of a plot that share a sheet with text."""

ROWS = 24
"""Rows of a table on one sheet."""

GROUPS = 15
"""Rows of the table of groups that share its sheet with a plot."""

BESIDE_EACH_OTHER = 5
"""Runs beside each other on the sheets of every figure."""

CURVES = 6
"""Curves in one plot."""

PANELS = 6
"""Plots of slices on one sheet."""


def sheets(content: Content) -> list[Figure]:
    """Return the sheets of a report, numbered."""
    drawn = list(_sheets(content))
    for at, sheet in enumerate(drawn, 1):
        made = plain(f"groupemo {content.version}, {content.made}")
        sheet.text(LEFT, 0.02, made, fontsize=8, color=QUIET)
        sheet.text(LEFT + WIDTH, 0.02, f"{at} / {len(drawn)}", ha="right", fontsize=8, color=QUIET)
    return drawn


def _sheets(content: Content) -> Iterator[Figure]:
    """Yield the sheets in the order of the page."""
    runs = content.grid.runs
    yield from _first(content)
    yield from _table(content)
    if "comparisons" in content:
        yield _differences(content)
    yield from map(_pair, runs)
    yield from _every_figure(content["pairs"].pairs)
    yield _anatomy(content)
    yield from _ablations(content)
    yield _curves(content)
    if "slices" in content:
        yield from _slices(content)
    if "group" in content:
        yield from _group(content)
    if "agreement" in content:
        yield _agreement(content)
    yield from _run(content)


def _sheet(
    title: str, heights: Sequence[float], *, columns: int = 1, lines: Sequence[str] = ()
) -> tuple[Figure, GridSpec]:
    """Return an empty sheet with its title and text, and the grid beneath them."""
    sheet = Figure(figsize=A4)
    size = min(15, 850 / max(len(title), 1))  # points: on one line
    sheet.text(LEFT, TOP + 0.02, plain(title), fontsize=size, weight="bold", va="bottom", zorder=-1)
    text = "\n".join(fill(line, LETTERS, break_on_hyphens=False) for line in lines)
    sheet.text(LEFT, TOP, plain(text), fontsize=9.5, va="top", linespacing=1.45, zorder=-1)
    used = LINE * (text.count("\n") + 2) if text else 0.0
    sheet.set_layout_engine(
        "constrained", rect=(LEFT, BOTTOM, WIDTH, TOP - used - BOTTOM), h_pad=0.12, w_pad=0.1
    )
    return sheet, sheet.add_gridspec(len(heights), columns, height_ratios=heights)


def _rows(count: int) -> tuple[float, float]:
    """Return the heights of a plot of so many rows, and of what is left of the sheet."""
    whole = A4[1] * (TOP - BOTTOM)
    height = min(ROW * count + 1.6, whole - 0.5)
    return height, whole - height


def _first(content: Content) -> Iterator[Figure]:
    """Yield the answer in words and as a plot, which has its own sheet where it is long."""
    grid = content.grid
    told = [
        f"{plural(content.photos, 'photo')}, {plural(content.faces, 'labelled face')}:"
        f" {', '.join(f'{n} {word}' for word, n in content.labelled.items())}.",
        f"{plural(len(content.detectors), 'detector')} and"
        f" {plural(len(content.backends), 'backend')}; a face counts as found from an overlap"
        f" (IoU) of {content.min_iou:g} on.",
        "",
        *content["answer"].sentences,
    ]
    if content.left_out:
        some = ", ".join(content.left_out[:5]) + (", ..." if len(content.left_out) > 5 else "")
        count = plural(len(content.left_out), "photo")
        told.append(f"Left out, for lack of labels or photo: {count} ({some}).")
    if content.count <= BESIDE:
        sheet, spec = _sheet(content.title, _rows(content.count + 4), lines=told)
    else:
        yield _sheet(content.title, (1,), lines=told)[0]
        sheet, spec = _sheet("The answer", (1,))
    plots.plot_comparison(grid.evaluation, ax=sheet.add_subplot(spec[0]))
    yield sheet


def _table(content: Content) -> Iterator[Figure]:
    table = content["table"]
    lines = [
        "95 % intervals over photos beneath the figures. Log-loss in nats, lower is better.",
        *_footnotes(table.notes),
    ]
    heads = ["", *(fill(each.full_title, 12, break_on_hyphens=False) for each in table.columns)]
    yield from _tables("The figures", lines, heads, _cells(table.rows, table.notes))


def _differences(content: Content) -> Figure:
    best = content.grid.candidates[0]
    lines = [f"{best.name} beside each of the others; comparisons.csv has all pairs."]
    sheet, spec = _sheet("Are the differences real?", _rows(content.count), lines=lines)
    found = content["comparisons"].found
    plots.plot_differences(found, sheet.add_subplot(spec[0]), of=best.scores.pair)
    return sheet


def _pair(run: Run) -> Figure:
    sheet, spec = _sheet(run.name, (1.15, 1), columns=2)
    plots.plot_confusion(run.scores, sheet.add_subplot(spec[0, :]))
    plots.plot_per_class(run.scores, sheet.add_subplot(spec[1, 0]))
    plots.plot_reliability(run.scores, sheet.add_subplot(spec[1, 1]))
    return sheet


def _every_figure(pairs: Sequence[Pair]) -> Iterator[Figure]:
    """Yield all figures of all runs, a few runs beside each other."""
    for some in _batches(pairs, BESIDE_EACH_OTHER):
        notes = Notes.of(each for pair in some for _, part in pair.figures for each in part)
        rows = [["", *(fill(pair.run.name, 18, break_on_hyphens=False) for pair in some)]]
        for parts in zip(*(pair.figures for pair in some), strict=True):
            rows.append([parts[0][0].upper()])
            for beside in zip(*(estimates for _, estimates in parts), strict=True):
                cells = (_cell(each, notes, " ({})") for each in beside)
                rows.append([beside[0].figure.title, *cells])
        heads, *rest = [[*row, *[""] * (BESIDE_EACH_OTHER + 1 - len(row))] for row in rows]
        sheet, spec = _sheet("Every figure", (1,), lines=_footnotes(notes))
        _text_table(sheet, spec[0], heads, rest)
        yield sheet


def _anatomy(content: Content) -> Figure:
    height = min(ROW * content.count + 1.6, 6.5)
    sheet, spec = _sheet("Where the errors come from", (height, 3.6, 9.5 - height))
    plots.plot_anatomy(content.grid.evaluation, sheet.add_subplot(spec[0]))
    plots.plot_gains(content.grid.candidates[0].scores, sheet.add_subplot(spec[1]))
    return sheet


def _ablations(content: Content) -> Iterator[Figure]:
    """Yield whose the loss is, three runs a sheet."""
    backends = {run.backend for run in content.grid.references}
    runs = [run for run in content.grid.candidates if run.backend in backends]
    for some in _batches(runs, 3):
        sheet, spec = _sheet("Whose the loss is", (1, 1, 1))
        for row, run in enumerate(some):
            axes = sheet.add_subplot(spec[row])
            plots.plot_ablation(content.grid.evaluation, run.detector, run.backend, ax=axes)
        yield sheet


def _curves(content: Content) -> Figure:
    runs = [run.scores for run in content.grid.candidates]
    title = "Detectors by their threshold, answers by their confidence"
    more = len(runs) > CURVES
    lines = [f"The first {CURVES} of {len(runs)} runs."] if more else []
    sheet, spec = _sheet(title, (1, 1), lines=lines)
    plots.plot_precision_recall(runs, sheet.add_subplot(spec[0]))
    plots.plot_risk_coverage(runs[:CURVES], sheet.add_subplot(spec[1]))
    return sheet


def _slices(content: Content) -> Iterator[Figure]:
    found = content["slices"]
    for some in _batches(found.panels, PANELS):
        faces, photos = found.least
        lines = [f"{found.run.name}. Hollow: fewer than {faces} faces or {photos} photos."]
        sheet, spec = _sheet("Where it does worse", (1, 1, 1), columns=2, lines=lines)
        for at, panel in enumerate(some):
            _panel(sheet, spec[at], panel)
        yield sheet


def _panel(sheet: Figure, place: SubplotSpec, panel: Panel) -> None:
    axes, figure = sheet.add_subplot(place), panel.figure
    draw_dots(
        axes,
        [
            Dot(plain(fill(group.name, 18)), group.value, group.low, group.high, f"n = {group.n}",
                "", filled=group.enough)
            for group in panel.groups
        ],
    )  # fmt: skip
    ends = [end for group in panel.groups for end in (group.value, group.low, group.high)]
    around(axes, ends, figure.least, figure.most)
    axes.set_xlabel(figure.full_title, fontsize=8)
    heading(axes, plain(fill(f"{panel.title}. {panel.gap}", 44)))
    axes.title.set_fontsize(8)


def _group(content: Content) -> Iterator[Figure]:
    """Yield the plot of groups and their table, which has sheets of its own where it is long."""
    found = content["group"]
    notes = Notes.of(each for row in found.rows for each in row.estimates)
    heads = ["", *(fill(figure.title, 14) for figure in found.columns)]
    rows, title, lines = _cells(found.rows, notes), "The group as a whole", _footnotes(notes)
    beside = len(rows) <= GROUPS
    sheet, spec = _sheet(title, (0.85, 1), lines=lines if beside else ())
    plots.plot_valence(found.run.scores, sheet.add_subplot(spec[0]))
    if beside:
        _text_table(sheet, spec[1], heads, rows)
    yield sheet
    if not beside:
        yield from _tables(title, lines, heads, rows)


def _agreement(content: Content) -> Figure:
    found = content["agreement"]
    lines = [f"{plural(found.faces, 'face')} with two votes or more. {found.settled}".strip(), ""]
    for one in found.measures:
        within = span(one.low, one.high)
        interval = f" (95 % interval {within})" if within else ""
        lines.append(f"{one.title}: {number(one.value)}{interval}, {one.text}.")
    return _sheet("How far annotators agree", (1,), lines=lines)[0]


def _run(content: Content) -> Iterator[Figure]:
    """Yield how to do it again, and what failed, as many lines a sheet as it holds."""
    lines = [*content["run"].command.splitlines(), ""]
    lines += [f"{name}: {value}" for name, value in content["run"].manifest]
    if content.failures:
        lines += ["", "Failures"]
        lines += [
            f"{photo}: {told} ({', '.join(pairs)})" for photo, told, pairs in content.failures
        ]
    broken = "\n".join(fill(line, LETTERS) for line in lines).splitlines()
    for some in _batches(broken, 48):
        yield _sheet("The run", (1,), lines=some)[0]


def _batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield the items, so many at a time."""
    left = iter(items)
    while some := list(islice(left, size)):
        yield some


def _cells(rows: Sequence[Any], notes: Notes) -> list[list[str]]:
    """Return the rows of a table: each run's name, and its figures with their intervals."""
    return [
        [
            fill(row.run.name, 26, break_on_hyphens=False),
            *(_cell(each, notes, "\n{}") for each in row.estimates),
        ]
        for row in rows
    ]


def _cell(each: Estimate, notes: Notes, interval: str) -> str:
    """Return a figure with its interval, written that way, or the note on why there is none."""
    if not known(each.value):
        return f"{DASH} {notes[each.figure.undefined]}"
    within = span(each.low, each.high)
    return number(each.value) + (interval.format(within) if within else "")


def _footnotes(notes: Notes) -> list[str]:
    return [f"{DASH} {letter}: undefined, {reason}" for reason, letter in notes.items()]


def _tables(
    title: str, lines: Sequence[str], heads: Sequence[str], rows: Sequence[Sequence[str]]
) -> Iterator[Figure]:
    """Yield the sheets of a table, each with its heads."""
    for some in _batches(rows, ROWS):
        sheet, spec = _sheet(title, (1,), lines=lines)
        _text_table(sheet, spec[0], heads, some)
        yield sheet


def _text_table(
    sheet: Figure, place: SubplotSpec, heads: Sequence[str], rows: Sequence[Sequence[str]]
) -> None:
    """Write a table that hangs from the top of its place, the rows as high as their lines."""
    axes = sheet.add_subplot(place)
    axes.set_axis_off()
    sheet.draw_without_rendering()  # so that the height of the axes is known
    inches = axes.bbox.height / sheet.dpi
    first = 0.2
    shares = [first, *[(1 - first) / (len(heads) - 1)] * (len(heads) - 1)]
    table = axes.table(
        [[plain(cell) for cell in row] for row in (heads, *rows)],
        colWidths=shares,
        loc="upper center",
        cellLoc="right",
        edges="B",
    )
    table.auto_set_font_size(False)
    lines = [max(cell.count("\n") + 1 for cell in row) for row in (heads, *rows)]
    for (row, column), cell in table.get_celld().items():
        cell.set(edgecolor=GRID, height=(0.06 + 0.12 * lines[row]) / inches)
        cell.PAD = 0.02
        cell.get_text().set(fontsize=6, ha="left" if not column else "right")
