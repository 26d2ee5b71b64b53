"""Write the report: `python -m reports.written [--out FILE]`. A `.html` is the page itself."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from groupemo.errors import GroupemoError
from groupemo.files import write_atomically
from groupemo.report.pdf import BROWSERS, find_browser
from reports.written.book import ROOT, Book, printed
from reports.written.demo import Demo


def main() -> None:
    """Read the command line and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "groupemo-report.pdf")
    parser.add_argument("--demo", type=Path, default=ROOT / "reports" / "demo")
    options = parser.parse_args()
    try:
        write(options.out, options.demo)
    except GroupemoError as error:
        sys.exit(f"error: {error}")


def write(out: Path, demo: Path) -> None:
    """Write the report from a demo's folder."""
    browser = find_browser()
    if out.suffix != ".html" and browser is None:
        sys.exit(
            f"error: no browser to print with: install one of {', '.join(BROWSERS)}, or set"
            " GROUPEMO_CHROMIUM to it"
        )
    book = Book(ROOT, Demo.open(demo))
    page = out.suffix == ".html"
    write_atomically(out, book.html().encode() if page else printed(book, browser))
    print(out)


if __name__ == "__main__":
    main()
