"""Draw the flowcharts of the documentation and the report: `python docs/make_flowcharts.py`.

Colours are the page's own, so that they can be read in light and in dark.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from pathlib import Path

FOLDER = Path(__file__).parent / "explanation"

WIDTH, HEIGHT, GAP, EDGE = 200, 62, 40, 10


@dataclass(frozen=True)
class Box:
    """A step, or what is between steps, in a column and a row of the chart."""

    title: str
    text: str
    column: int
    row: int
    strong: bool = False

    @property
    def x(self) -> int:
        """The left edge."""
        return EDGE + self.column * (WIDTH + GAP)

    @property
    def y(self) -> int:
        """The upper edge."""
        return EDGE + self.row * (HEIGHT + GAP)

    @property
    def middle(self) -> int:
        """The middle, from the left."""
        return self.x + WIDTH // 2


Arrow = tuple[Box, Box]


@dataclass(frozen=True)
class Chart:
    """Boxes, by the arrows between them: to a box in the same row, or in the next one."""

    name: str
    arrows: Sequence[Arrow]

    @property
    def boxes(self) -> list[Box]:
        """All boxes, once each."""
        return list(dict.fromkeys(box for arrow in self.arrows for box in arrow))


def snake(name: str, steps: Sequence[tuple[str, str]], columns: int = 3) -> Chart:
    """Return a chart of steps one after the other, row by row, to the right and back again."""
    boxes = []
    for place, (title, text) in enumerate(steps):
        row, column = divmod(place, columns)
        column = columns - 1 - column if row % 2 else column
        boxes.append(Box(title, text, column, row, strong=place in (0, len(steps) - 1)))
    return Chart(name, tuple(pairwise(boxes)))


def way() -> Chart:
    """Return a photo's way to a figure."""
    photo = Box("Photo", "upright RGB pixels", 0, 0)
    detector = Box("Detector", "boxes and scores", 0, 1)
    backend = Box("Backend", "crops, then probabilities", 0, 2)
    analysis = Box("Analysis", "one line of JSON, kept", 0, 3, strong=True)
    labels = Box("Labels", "boxes and words, by hand", 1, 3, strong=True)
    matching = Box("Matching", "the best pairs, IoU ≥ 0.5", 1, 4)
    tally = Box("Tally", "one table of counts a photo", 1, 5)
    weights = Box("Weights", "photos drawn 2,000 times", 0, 5)
    figure = Box("Figure", "value, interval, difference", 1, 6, strong=True)
    arrows = (
        (photo, detector), (detector, backend), (backend, analysis), (analysis, matching),
        (labels, matching), (matching, tally), (tally, figure), (weights, figure),
    )  # fmt: skip
    return Chart("way", arrows)


def individuals() -> Chart:
    """Return how the people in a photo are told apart, and each face is read."""
    steps = (
        ("Photo", "decoded, turned upright"),
        ("Views", "its own size, smaller, tiles"),
        ("Net of the detector", "thousands of scored places"),
        ("Threshold", "places too unsure fall away"),
        ("Suppression", "of doubles, the surest stays"),
        ("Faces", "one box a person"),
        ("Crops", "each box cut out, resized"),
        ("Emotion net", "faces of many photos at once"),
        ("Probabilities", "seven a face, sum 1"),
    )
    return snake("individuals", steps)


def matching() -> Chart:
    """Return how labels meet detections, and over what figures are taken."""
    labelled = Box("Labelled faces", "drawn by hand", 0, 0)
    detected = Box("Detections", "boxes and answers", 2, 0)
    overlap = Box("Overlap", "IoU of every pair, ≥ 0.5", 1, 1)
    pairing = Box("Best pairing", "of the whole photo", 1, 2)
    missed = Box("Missed", "labelled, in no pair", 0, 3)
    pairs = Box("Found", "a pair: label and answer", 1, 3)
    phantoms = Box("Phantoms", "detected, in no pair", 2, 3)
    tally = Box("Tally", "one table of counts", 1, 4)
    detection = Box("Detection", "faces found, any answer", 0, 5, strong=True)
    matched = Box("Matched", "right, of found and answered", 1, 5, strong=True)
    whole = Box("End-to-end", "misses and phantoms count", 2, 5, strong=True)
    arrows = (
        (labelled, overlap), (detected, overlap), (overlap, pairing),
        *((pairing, left) for left in (missed, pairs, phantoms)),
        *((left, tally) for left in (missed, pairs, phantoms)),
        *((tally, figures) for figures in (detection, matched, whole)),
    )  # fmt: skip
    return Chart("matching", arrows)


def training() -> Chart:
    """Return how an emotion net comes to be."""
    steps = (
        ("Faces and votes", "a sheet, folders, own photos"),
        ("prepare", "leaks, non-faces left out"),
        ("One HDF5 file", "with checksums of its sources"),
        ("Augmentation", "turned, blurred, darkened ..."),
        ("Learning", "from votes, not from words"),
        ("Averaged net", "a checkpoint each epoch"),
        ("Validation", "other faces: best epoch"),
        ("Temperature", "confidence made honest"),
        ("ONNX file", "with card and data sheet"),
    )
    return snake("training", steps)


CHARTS = {chart.name: chart for chart in (way(), individuals(), matching(), training())}


def picture(chart: Chart) -> str:
    """Return a chart as SVG."""
    boxes = chart.boxes
    width = max(box.x for box in boxes) + WIDTH + EDGE
    height = max(box.y for box in boxes) + HEIGHT + EDGE
    told = escape(", ".join(f"{a.title} to {b.title}" for a, b in chart.arrows))
    return "\n".join(
        [
            f'<svg class="way" viewBox="0 0 {width} {height}" role="img" aria-label="{told}"'
            ' xmlns="http://www.w3.org/2000/svg" font-size="15" fill="currentColor"'
            ' stroke="currentColor">',
            f'<defs><marker id="tip-{chart.name}" viewBox="0 0 8 8" refX="8" refY="4"'
            ' markerWidth="9" markerHeight="9" orient="auto">'
            '<path d="M0 0 8 4 0 8z" stroke="none"/></marker></defs>',
            *lines(chart),
            *map(drawn, boxes),
            "</svg>\n",
        ]
    )


def lines(chart: Chart) -> Iterator[str]:
    """Yield each arrow; of several to one box, those from the sides end beside its middle."""
    for a, b in chart.arrows:
        several = sum(end is b for _, end in chart.arrows) > 1
        shape = across(a, b) if a.row == b.row else down(a, b, WIDTH // 4 if several else 0)
        tip = f"url(#tip-{chart.name})"
        yield f'<path d="{shape}" fill="none" stroke-width="1.5" marker-end="{tip}"/>'


def across(a: Box, b: Box) -> str:
    """Return a line to the side."""
    start, end = (a.x + WIDTH, b.x) if a.column < b.column else (a.x, b.x + WIDTH)
    return f"M{start} {a.y + HEIGHT // 2}H{end}"


def down(a: Box, b: Box, beside: int) -> str:
    """Return a line down, with a bend where the boxes are not in line."""
    if a.column == b.column:
        return f"M{a.middle} {a.y + HEIGHT}V{b.y}"
    foot = b.middle + (-beside if a.column < b.column else beside)
    return f"M{a.middle} {a.y + HEIGHT}V{b.y - GAP // 2}H{foot}V{b.y}"


def drawn(box: Box) -> str:
    """Return a box with its two lines of text."""
    line = 2.5 if box.strong else 1
    return (
        f'<rect x="{box.x}" y="{box.y}" width="{WIDTH}" height="{HEIGHT}" rx="8"'
        f' fill="none" stroke-width="{line}"/>'
        f'<text x="{box.middle}" y="{box.y + 27}" text-anchor="middle" stroke="none"'
        f' font-weight="600">{escape(box.title)}</text>'
        f'<text x="{box.middle}" y="{box.y + 47}" text-anchor="middle" stroke="none"'
        f' font-size="13">{escape(box.text)}</text>'
    )


if __name__ == "__main__":
    for chart in CHARTS.values():
        path = FOLDER / f"{chart.name}.svg"
        path.write_text(picture(chart), encoding="utf-8")
        print(path)
