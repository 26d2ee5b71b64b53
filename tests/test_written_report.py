"""The written report: its cells are those of the tables, nothing is typed, and the PDF is whole."""

import re
import sys
from pathlib import Path

import jinja2
import pytest
from conftest import ROOT
from jinja2 import nodes
from pypdf import PdfReader

sys.path.insert(0, str(ROOT))

from reports.written import facts
from reports.written.__main__ import write
from reports.written.book import CHAPTERS, Book
from reports.written.demo import Demo
from reports.written.example import Example
from reports.written.pictures import FILES
from reports.written.tables import OTHERS, Missing, Page, point

PDF = ROOT / "reports" / "groupemo-report.pdf"
NAMES = sorted(CHAPTERS.glob("*.md"))
CONSTANTS = {"0.5"}
"""Decimals that are no result: the least IoU of a pair."""

TEXT = """\
# Detectors

| detector | recall | ms |
|---|---|---:|
| **yunet** | 0.82 [0.75, 0.88] | 1,021 |
| haar | 0.45 | - |

## By pair

| detector | backend | F1 |
|---|---|---|
| yunet | `fer` | 0.5 |
| yunet | prior | 0.1 |
"""


@pytest.fixture
def page(tmp_path: Path) -> Page:
    (tmp_path / "made.md").write_text(TEXT, encoding="utf-8")
    return Page(tmp_path / "made.md")


# --- tables -------------------------------------------------------------------------------------


def test_a_cell_is_found_by_section_row_and_column(page: Page) -> None:
    assert page.cell("", "yunet", "recall") == "0.82 [0.75, 0.88]"
    assert page.cell("By pair", ("yunet", "fer"), "F1") == "0.5"
    assert point(page.cell("Detectors", "yunet", "ms")) == 1021


@pytest.mark.parametrize(
    ("section", "row", "column"),
    [
        ("", "hog", "recall"),
        ("By pair", "yunet", "F1"),
        ("Nowhere", "yunet", "F1"),
        ("", "haar", "MB"),
    ],
)
def test_a_cell_that_is_not_there_or_is_two_is_refused(
    page: Page, section: str, row: str, column: str
) -> None:
    with pytest.raises(Missing) as caught:
        page.cell(section, row, column)
    assert all(word in str(caught.value) for word in ("made.md", section, row, column))


def test_what_holds_no_number_and_what_is_no_file_is_refused(page: Page, tmp_path: Path) -> None:
    with pytest.raises(Missing, match="no number"):
        point(page.cell("", "haar", "ms"))
    with pytest.raises(Missing, match="make bench"):
        Page(tmp_path / "none.md").table()


def test_columns_are_taken_in_the_order_they_are_asked_for(page: Page) -> None:
    lines = page.table("Detectors", ["ms", "detector"]).markdown().splitlines()
    assert lines[:3] == ["| ms | detector |", "| ---: | --- |", "| 1,021 | **yunet** |"]


# --- chapters -----------------------------------------------------------------------------------


def asked(path: Path):
    """Yield the calls of a chapter that stand under no condition, with their plain arguments."""

    def calls(node: nodes.Node):
        for child in node.iter_child_nodes():
            if isinstance(child, nodes.Call) and isinstance(child.node, nodes.Name):
                yield child.node.name, child.args
            if not isinstance(child, nodes.If | nodes.For):
                yield from calls(child)

    known = {"real9": facts.REAL9, "f1": facts.F1}

    def plain(node: nodes.Expr):
        if isinstance(node, nodes.Name):
            return known[node.name]
        if isinstance(node, nodes.Tuple | nodes.List):
            return tuple(plain(item) for item in node.items)
        return node.as_const()

    tree = jinja2.Environment().parse(path.read_text(encoding="utf-8"))
    for name, args in calls(tree):
        if name in ("cell", "value", "table"):
            yield name, [plain(each) for each in args]


@pytest.mark.parametrize("path", NAMES, ids=lambda path: path.stem)
def test_every_cell_and_table_that_a_chapter_asks_for_is_there(path: Path) -> None:
    for kind, (name, *where) in asked(path):
        page = Page(ROOT / OTHERS.get(name, f"reports/{name}.md"))
        found = page.table(*where).rows if kind == "table" else page.cell(*where)
        assert found


@pytest.mark.parametrize("path", NAMES, ids=lambda path: path.stem)
def test_no_decimal_is_typed(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    typed = set(re.findall(r"(?<![\w./:])\d*\.\d+", prose(text)))
    assert typed <= CONSTANTS


def prose(text: str) -> str:
    """Return what a reader sees as words: no calls, but their captions; no links' targets."""
    captions = " ".join(re.findall(r'"([^"]{40,})"', text))
    words = re.sub(r"\{\{.*?\}\}|\{%.*?%\}", " ", text, flags=re.S)
    return re.sub(r"\[([^\]]*)\]\(http[^)]*\)", " ", f"{words} {captions}")


def test_typed_decimals_are_seen() -> None:
    assert re.findall(r"\d\.\d+", prose('An F1 of 0.64, {{ cell("a", "0.1") }}')) == ["0.64"]


def test_pictures_of_other_parts_are_used_and_named_once() -> None:
    used = re.findall(
        r'figure\("(\w+)"', " ".join(path.read_text(encoding="utf-8") for path in NAMES)
    )
    assert len(used) == len(set(used))
    assert set(FILES) <= set(used)


def test_what_is_cited_is_referenced_and_the_other_way_round() -> None:
    *chapters, references, _ = (path.read_text(encoding="utf-8") for path in NAMES)
    listed = set(re.findall(r"^- ([\w-]+), .*?\((\d{4})\)", references, flags=re.M))
    cited = set(re.findall(r"([A-Z][\w-]+)(?: et al\.| and \w+)? \(?(\d{4})\b", " ".join(chapters)))
    words = {"January", "February", "August", "November", "December"}
    assert {pair for pair in cited if pair[0] not in words} == listed


def test_the_example_is_what_a_reader_counts() -> None:
    example = Example()
    assert (example["found"], example["missed"], example["phantom"]) == ("4", "1", "1")
    assert (example["matched_accuracy"], example["end_to_end_accuracy"]) == ("0.750", "0.600")
    assert example.of_class("happy", "end_to_end_recall") == "0.667"
    assert "| C | happy |  |  |  | missed |" in example.pairs_table()
    assert "| **no labelled face** | 1 | 0 | 0 |" in example.counts_table()


def test_no_demo_is_said_with_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(Missing, match="make demo"):
        Demo.open(tmp_path)


def test_no_browser_is_said_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUPEMO_CHROMIUM", "")
    with pytest.raises(SystemExit, match="no browser to print with"):
        write(tmp_path / "report.pdf", tmp_path)


# --- the PDF ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_kept_pdf_has_all_chapters_and_no_hole() -> None:
    pages = [page.extract_text() for page in PdfReader(PDF).pages]
    text = " ".join(" ".join(pages).split())
    titles = [path.read_text(encoding="utf-8").splitlines()[0].lstrip("# ") for path in NAMES]
    assert [title for title in titles if title not in text] == []
    assert not re.search(r"\bnan\b|\{\{|\}\}", text)
    assert min(len(page.strip()) for page in pages) > 60
    assert PDF.stat().st_size < 3_500_000


@pytest.mark.slow
@pytest.mark.models
def test_the_page_is_made_of_a_saved_demo() -> None:
    saved = ROOT / "reports" / "demo"
    if not (saved / "manifest.json").exists():
        pytest.skip("no saved demo: make demo")
    html = Book(ROOT, Demo.open(saved)).html()
    assert html.count('class="chapter') == len(NAMES)
    numbers = [int(each) for each in re.findall(r"<b>Figure (\d+)\.</b>", html)]
    assert numbers == list(range(1, len(numbers) + 1))
