"""The report as a PDF: printed by a browser, or drawn."""

import io
import stat
import subprocess
import sys
import warnings
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest
from report_scenes import evaluation, voted
from typer.testing import CliRunner

from groupemo.cli import app
from groupemo.errors import OutputError
from groupemo.evaluation import Evaluation
from groupemo.figures import FIGURES
from groupemo.report import pdf, write_pdf, write_report
from groupemo.report import sheets as made_sheets
from groupemo.report.content import describe
from groupemo.report.sheets import A4, sheets

pypdf = pytest.importorskip("pypdf")


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    many = voted(tmp_path_factory.mktemp("many"), photos=4)
    runs = [run for run in many.scores if run.detector == "eye" or run.backend == "mind"]
    return describe(Evaluation.of(many.labels, [one for run in runs for one in run.analyses()]))


@pytest.fixture(scope="module")
def drawn(content):
    return pdf.draw(content)


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """One run, with what plots take for mathematics in its names, and a long manifest."""
    made = evaluation(tmp_path_factory.mktemp("few"), pairs=(("eye$x^", "$\\frac"),))
    return replace(made, manifest={f"entry {i}": "word " * 60 for i in range(20)})


@pytest.fixture(scope="module")
def few_content(few):
    return describe(few, title="$\\alpha")


@pytest.fixture(scope="module")
def few_drawn(few_content):
    return pdf.draw(few_content)


@pytest.fixture
def no_browser(monkeypatch):
    monkeypatch.setenv("GROUPEMO_CHROMIUM", "")


def pages(data):
    """Return the words of each page, spaces and line ends alike."""
    reader = pypdf.PdfReader(io.BytesIO(data))
    return [" ".join(page.extract_text().split()) for page in reader.pages]


def is_a4(data):
    boxes = [page.mediabox for page in pypdf.PdfReader(io.BytesIO(data)).pages]
    return all(
        abs(float(box.width) - 595) < 2 and abs(float(box.height) - 842) < 2 for box in boxes
    )


# --- drawn ---


def test_sheets_have_every_part_of_the_report(content, drawn):
    said = pages(drawn)
    starts = [
        content.title,
        "The figures",
        "Are the differences real?",
        *(run.name for run in content.grid.runs),
        "Every figure",
        "Where the errors come from",
        "Whose the loss is",
        "Detectors by their threshold",
        "Where it does worse",
        "The group as a whole",
        "How far annotators agree",
        "The run",
    ]
    left = iter(said)
    for start in starts:  # in this order
        assert any(start in page for page in left), start
    assert is_a4(drawn)


def test_sheets_are_numbered(drawn):
    said = pages(drawn)
    for number, page in enumerate(said, 1):
        assert f"{number} / {len(said)}" in page


def test_the_first_sheet_has_the_answer(content, drawn):
    first = pages(drawn)[0].replace(" ", "")
    for sentence in content["answer"].sentences:
        assert sentence.replace(" ", "") in first
    assert "4 photos, 12 labelled faces: 4 happy, 4 sad, 4 neutral.".replace(" ", "") in first


def test_the_table_has_each_figure_and_why_one_is_missing(content, drawn):
    said = pages(drawn)
    table = next(page for page in said if page.startswith("The figures"))
    one = content.grid.runs[0].estimates["detection_precision"]
    assert f"{one.value:.2f}{one.low:.2f}to{one.high:.2f}" in table.replace(" ", "")
    alone = next(page for page in said if page.startswith("The group as a whole"))
    reason = content["group"].run.estimates["group_valence_pearson"].figure.undefined
    assert f"a: undefined, {reason}" in alone


def test_nothing_is_cut_off(content):
    for sheet in sheets(replace(content, title="How right they are, at length: " * 4)):
        sheet.draw_without_rendering()
        box = sheet.get_tightbbox()
        assert box.x0 >= 0.1
        assert box.y0 >= 0.1
        assert box.x1 <= A4[0] - 0.1
        assert box.y1 <= A4[1] - 0.1


def test_twice_drawn_is_the_same_and_leaves_matplotlib_as_it_was(few_content, few_drawn):
    before = dict(mpl.rcParams)
    assert pdf.draw(few_content) == few_drawn
    assert dict(mpl.rcParams) == before


def test_every_figure_of_every_run_is_there(content, drawn):
    said = " ".join(page for page in pages(drawn) if page.startswith("Every figure"))
    assert all(run.name in said for run in content.grid.runs)
    assert all(figure.title in said for figure in FIGURES.values())
    one = content.grid.runs[0].estimates["detection_precision"]
    assert f"{one.value:.2f} ({one.low:.2f} to {one.high:.2f})" in said


def test_many_runs_take_more_sheets(content, monkeypatch):
    monkeypatch.setattr(made_sheets, "GROUPS", 3)
    monkeypatch.setattr(made_sheets, "ROWS", 2)
    monkeypatch.setattr(made_sheets, "BESIDE_EACH_OTHER", 3)
    assert len(content.grid.runs) == 4
    assert len(list(made_sheets._table(content))) == 2
    assert len(list(made_sheets._group(content))) == 1 + 2
    assert len(list(made_sheets._every_figure(content["pairs"].pairs))) == 2


def test_hostile_names_are_drawn_as_they_are(few_drawn):
    said = pages(few_drawn)
    assert said[0].startswith("$\\alpha")
    assert any(page.startswith("eye$x^ x $\\frac") for page in said)


def test_a_long_manifest_takes_more_sheets(few_drawn):
    runs = [page for page in pages(few_drawn) if page.startswith("The run")]
    assert len(runs) > 1
    assert "entry 19" in runs[-1]


def test_pyplot_is_never_loaded():
    code = "import groupemo.report.sheets, sys; assert 'matplotlib.pyplot' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# --- which way ---


def fake(tmp_path, script):
    """Return a program in place of a browser."""
    program = tmp_path / "browser"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(program)


@pytest.fixture
def sketch(monkeypatch):
    """Draw next to nothing."""
    monkeypatch.setattr(pdf, "draw", lambda content: f"%PDF {content.title}".encode())


def test_without_a_browser_it_is_drawn(few, tmp_path, no_browser, sketch):
    assert pdf.find_browser() is None
    path = write_pdf(few, tmp_path / "deep" / "report.pdf", title="Ours")
    assert path.read_bytes() == b"%PDF Ours"


def test_a_browser_that_fails_is_named_and_replaced(content, tmp_path, monkeypatch, sketch):
    program = fake(tmp_path, "echo 'no display here' >&2; exit 3")
    monkeypatch.setenv("GROUPEMO_CHROMIUM", program)
    with pytest.warns(UserWarning, match=r"exit code 3, no display here; the PDF is drawn"):
        path = pdf.save_pdf(content, "<p>page</p>", tmp_path / "report.pdf")
    assert path.read_bytes().startswith(b"%PDF How right")


def test_where_the_pdf_cannot_be_written_no_browser_is_to_blame(content, tmp_path, monkeypatch):
    monkeypatch.setattr(pdf, "print_page", lambda page, browser: b"%PDF printed")
    monkeypatch.setattr(pdf, "find_browser", lambda: "browser")
    monkeypatch.setattr(pdf, "draw", lambda content: pytest.fail("it was drawn for nothing"))
    (tmp_path / "report.pdf").mkdir()
    with pytest.raises(OutputError, match=r"report.pdf: cannot be written: Is a directory"):
        pdf.save_pdf(content, "<p>page</p>", tmp_path / "report.pdf")


@pytest.mark.parametrize(
    ("script", "reason"),
    [("exit 0", "No such file"), ("exec sleep 9", "more than 0.2 s"), ("exit 1", "exit code 1$")],
)
def test_why_a_page_was_not_printed(script, reason, tmp_path, monkeypatch):
    monkeypatch.setattr(pdf, "SECONDS", 0.2 if "sleep" in script else 60)
    with pytest.raises(OutputError, match=reason):
        pdf.print_page("<p>page</p>", fake(tmp_path, script))


def test_a_browser_that_is_not_there_is_an_error_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("GROUPEMO_CHROMIUM", str(tmp_path / "none"))
    assert pdf.find_browser() == str(tmp_path / "none")
    with pytest.raises(OutputError, match="did not print the report: No such file"):
        pdf.print_page("", pdf.find_browser())


def test_browsers_are_looked_for_in_turn(tmp_path, monkeypatch):
    monkeypatch.delenv("GROUPEMO_CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert pdf.find_browser() is None
    for name in ("msedge", "google-chrome"):
        program = tmp_path / name
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
        assert pdf.find_browser() == str(program)


# --- printed ---


def test_the_page_is_printed(few, tmp_path):
    if pdf.find_browser() is None:
        pytest.skip("no Chromium here: install one, or set GROUPEMO_CHROMIUM to its program")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = write_pdf(few, tmp_path / "report.pdf", title="Ours alone")
    said = pages(path.read_bytes())
    assert "Ours alone" in said[0]
    assert "The run" in " ".join(said)
    assert f"2 / {len(said)}" in said[1]
    assert is_a4(path.read_bytes())
    assert np.mean([bool(page) for page in said]) > 0.9  # hardly a page is empty


# --- the command ---


def test_the_report_has_a_pdf_where_it_is_asked_for(few, tmp_path, no_browser, sketch):
    folder = write_report(few, tmp_path).parent
    assert not (folder / "report.pdf").exists()
    done = CliRunner().invoke(app, ["report", str(folder), "--pdf"])
    assert done.exit_code == 0, done.output
    assert f"pdf: {folder / 'report.pdf'}" in done.output.splitlines()
    assert (folder / "report.pdf").read_bytes().startswith(b"%PDF")
    assert 'href="report.pdf"' in (folder / "index.html").read_text(encoding="utf-8")


@pytest.mark.filterwarnings("always:.*is removed")
def test_a_report_without_its_pdf_says_that_the_earlier_one_is_gone(few, tmp_path):
    folder = write_report(few, tmp_path).parent
    assert CliRunner().invoke(app, ["report", str(folder)]).stderr == ""
    (folder / "report.pdf").write_bytes(b"%PDF")
    done = CliRunner().invoke(app, ["report", str(folder)])
    assert done.stdout == f"report: {folder / 'index.html'}\n"
    assert done.stderr.startswith(f"warning: {folder / 'report.pdf'} was of the earlier report")
    assert "--pdf" in done.stderr
    assert not (folder / "report.pdf").exists()
