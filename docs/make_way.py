"""Draw docs/explanation/way.svg, a photo's way to a figure: `python docs/make_way.py`.

Colours are the page's own, so that it can be read in light and in dark.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path

PICTURE = Path(__file__).parent / "explanation" / "way.svg"

WIDTH, HEIGHT, GAP = 200, 62, 40
LEFT = 10
STEP = HEIGHT + GAP


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
        return LEFT + self.column * (WIDTH + GAP)

    @property
    def y(self) -> int:
        """The upper edge."""
        return 10 + self.row * STEP

    @property
    def middle(self) -> int:
        """The middle, from the left."""
        return self.x + WIDTH // 2


PHOTO = Box("Photo", "upright RGB pixels", 0, 0)
DETECTOR = Box("Detector", "boxes and scores", 0, 1)
BACKEND = Box("Backend", "crops, then probabilities", 0, 2)
ANALYSIS = Box("Analysis", "one line of JSON, kept", 0, 3, strong=True)
LABELS = Box("Labels", "boxes and words, by hand", 1, 3, strong=True)
MATCHING = Box("Matching", "the best pairs, IoU ≥ 0.5", 1, 4)
TALLY = Box("Tally", "one table of counts a photo", 1, 5)
WEIGHTS = Box("Weights", "photos drawn 2,000 times", 0, 5)
FIGURE = Box("Figure", "value, interval, difference", 1, 6, strong=True)

ARROWS = (
    (PHOTO, DETECTOR),
    (DETECTOR, BACKEND),
    (BACKEND, ANALYSIS),
    (ANALYSIS, MATCHING),
    (LABELS, MATCHING),
    (MATCHING, TALLY),
    (TALLY, FIGURE),
    (WEIGHTS, FIGURE),
)
BOXES = tuple(dict.fromkeys(box for arrow in ARROWS for box in arrow))


def picture() -> str:
    """Return the drawing as SVG."""
    width = 2 * LEFT + 2 * WIDTH + GAP
    height = 10 + 6 * STEP + HEIGHT + 10
    told = ", ".join(f"{a.title} to {b.title}" for a, b in ARROWS)
    parts = [
        f'<svg class="way" viewBox="0 0 {width} {height}" role="img" aria-label="{told}"'
        ' xmlns="http://www.w3.org/2000/svg" font-size="15" fill="currentColor"'
        ' stroke="currentColor">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="9"'
        ' markerHeight="9" orient="auto"><path d="M0 0 8 4 0 8z" stroke="none"/></marker></defs>',
        *(arrow(a, b) for a, b in ARROWS),
        *(drawn(box) for box in BOXES),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def arrow(a: Box, b: Box) -> str:
    """Return a line from one box down to another, with a bend where they are not in line."""
    x, y, foot, top = a.middle, a.y + HEIGHT, b.middle, b.y
    if x == foot:
        way = f"M{x} {y}V{top}"
    else:  # into the upper edge, beside what comes straight down
        foot -= WIDTH // 4
        way = f"M{x} {y}V{top - GAP // 2}H{foot}V{top}"
    return f'<path d="{way}" fill="none" stroke-width="1.5" marker-end="url(#tip)"/>'


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
    PICTURE.write_text(picture(), encoding="utf-8")
    print(PICTURE)
