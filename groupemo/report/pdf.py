"""The report as a PDF: printed by a browser where there is one, else drawn with matplotlib."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

from groupemo.errors import OutputError
from groupemo.files import write_atomically
from groupemo.report.content import Content

__all__ = ["BROWSERS", "draw", "find_browser", "print_page", "save_pdf"]

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "msedge", "microsoft-edge")
"""Programs that can print a page, in the order they are looked for."""

SECONDS = 180
"""A browser that takes longer is stopped."""


def save_pdf(content: Content, page: str, path: str | Path) -> Path:
    """Write a report as a PDF on A4.

    Parameters
    ----------
    content : Content
    page : str
        The same report as HTML, which a browser prints where there is one (`find_browser`).
        Where there is none, or it fails, which is warned of, the sheets are drawn:
        without photos, otherwise the same.
    path : path

    Returns
    -------
    Path

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    return write_atomically(path, _printed_or_drawn(content, page))


def _printed_or_drawn(content: Content, page: str) -> bytes:
    browser = find_browser()
    if browser is not None:
        try:
            return print_page(page, browser)
        except OutputError as error:
            warnings.warn(f"{error}; the PDF is drawn without it", stacklevel=3)
    return draw(content)


def find_browser() -> str | None:
    """Return the browser that prints: `$GROUPEMO_CHROMIUM`, or one of `BROWSERS`; None for none.

    Set the variable to nothing to have the PDF drawn.
    """
    chosen = os.environ.get("GROUPEMO_CHROMIUM")
    names = BROWSERS if chosen is None else (chosen,) if chosen else ()
    return next(filter(None, map(shutil.which, names)), chosen or None)


def print_page(page: str, browser: str) -> bytes:
    """Return a page of HTML as PDF, printed by a Chromium of its own.

    Raises
    ------
    OutputError
        If the browser does not start, fails, or takes too long.
    """
    with TemporaryDirectory(prefix="groupemo-", ignore_cleanup_errors=True) as folder:
        source, target = Path(folder, "report.html"), Path(folder, "report.pdf")
        source.write_text(page, encoding="utf-8")
        command = [
            browser,
            "--headless=new",
            "--disable-gpu",
            "--disable-background-networking",
            "--no-first-run",
            "--no-pdf-header-footer",
            f"--user-data-dir={folder}/profile",
            f"--print-to-pdf={target}",
            *_without_sandbox(),
            source.as_uri(),
        ]
        try:
            subprocess.run(command, check=True, timeout=SECONDS, capture_output=True)
            return target.read_bytes()
        except subprocess.TimeoutExpired:
            reason = f"it took more than {SECONDS} s"
        except subprocess.CalledProcessError as error:
            said = error.stderr.decode(errors="replace").strip().splitlines()
            reason = f"exit code {error.returncode}" + (f", {said[-1]}" if said else "")
        except OSError as error:
            reason = error.strerror or str(error)
        raise OutputError(f"{browser} did not print the report: {reason}")


def draw(content: Content) -> bytes:
    """Return the report as PDF drawn with matplotlib alone, of the same content the same bytes."""
    import matplotlib as mpl
    from matplotlib.backends.backend_pdf import PdfPages

    from groupemo.report.sheets import sheets

    target = io.BytesIO()
    creator = f"groupemo {content.version}"
    told = {"Title": content.title, "Creator": creator, "CreationDate": None}  # it is on each sheet
    with mpl.rc_context({"pdf.fonttype": 42}), PdfPages(target, metadata=told) as file:
        for sheet in sheets(content):
            file.savefig(sheet)
    return target.getvalue()


def _without_sandbox() -> list[str]:
    """Return what a Chromium that root starts asks for: it refuses its sandbox then."""
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    return ["--no-sandbox"] if root else []
