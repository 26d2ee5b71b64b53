"""Write docs/reference/terms.md from the catalogs: `python docs/make_terms.py`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from groupemo.markdown import table
from groupemo.models.resolver import Entry
from groupemo.models.store import MODELS
from groupemo.samples import list_samples

PAGE = Path(__file__).parent / "reference" / "terms.md"

TEXT = """\
# Terms of models and data

<!-- Made by docs/make_terms.py from groupemo/models/*.toml. -->

groupemo's code and its own net are under the MIT licence. Everything else keeps its own terms,
which are given here as their sources state them. This is no legal advice: what a net may be
used for can also hang on what it was trained on, and on whose faces are in the photos.

## Model files

As `groupemo models list` shows them. None but groupemo's own is in the package; each is
fetched from its source when it is first asked for, or put there by you.

{models}

GPL and AGPL ask that programs made with such a file are given on under the same licence;
groupemo runs it as data you chose, and ships none of it. *Stand-ins* fill the place of
published weights that are out of reach; every table marks figures made with them.

## Sample photos

As `groupemo samples list` shows them. None is in the repository.

{samples}

## Data sets

What the figures of the benchmarks were measured on. None is given on by groupemo.

{data}
"""

DATA = (
    (
        "FER2013 (Goodfellow et al., 2013)",
        "training and measuring nets",
        "competition data without a licence text",
    ),
    ("FER+ (Barsoum et al., 2016)", "the votes of ten people on FER2013's faces", "MIT"),
    (
        "WIDER FACE (Yang et al., 2016), 60 photos",
        "measuring detectors",
        "CC BY-NC-ND 4.0, as passed on with the photos",
    ),
    (
        "nine group photos with boxes and labels",
        "measuring the whole way",
        "photos CC BY-NC-ND 4.0; the labels state no licence",
    ),
    ("collages of 16 gray faces", "measuring with balanced classes", "CC BY 4.0"),
)
"""Data, what it is used for, and its terms as stated where it came from."""


def page() -> str:
    """Return the whole page."""
    return TEXT.format(
        models=listed(MODELS.entries.values(), "trained on, and remarks"),
        samples=listed(list_samples(), "what it is"),
        data=table(("data", "used for", "terms"), DATA),
    )


def listed(entries: Iterable[Entry], about: str) -> str:
    """Return a table of a catalog's files."""
    rows = [[f"`{entry.name}`", entry.licence, entry.about] for entry in entries]
    return table(("name", "licence", about), rows)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)
