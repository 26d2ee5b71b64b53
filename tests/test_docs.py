"""docs/: the code of the pages runs and prints what they show; the site stands by itself."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from decimal import ROUND_HALF_UP, Decimal, localcontext
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from conftest import ROOT

from groupemo.samples import fetch_samples

DOCS = ROOT / "docs"


def script(name: str) -> ModuleType:
    """Return one of the scripts in docs/."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec
    assert spec.loader
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


run_pages = script("run_pages")
PAGES = run_pages.pages()


# --- what is made from the code -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("maker", "page"),
    [("make_figures", "reference/figures.md"), ("make_terms", "reference/terms.md")],
)
def test_pages_made_from_the_code_are_up_to_date(maker: str, page: str) -> None:
    assert (DOCS / page).read_text(encoding="utf-8") == script(maker).page(), "run `make docs`"


def test_the_flowcharts_are_up_to_date() -> None:
    flowcharts = script("make_flowcharts")
    for name, chart in flowcharts.CHARTS.items():
        drawn = (DOCS / "explanation" / f"{name}.svg").read_text(encoding="utf-8")
        assert drawn == flowcharts.picture(chart), "run `make docs`"


NUMBER = re.compile(r"(?<![\w.])(?:\d[\d,]*)?\.?\d+(?:e-?\d+)?(?!\w)")


def numbers(text: str) -> list[Decimal]:
    return [Decimal(number.replace(",", "")) for number in NUMBER.findall(text)]


def stands_in(told: Decimal, found: Iterable[Decimal]) -> bool:
    """Return whether a number is one of these, rounded as it is."""
    with localcontext(prec=100, rounding=ROUND_HALF_UP):
        return any(one.quantize(told) == told for one in found)


def figures() -> Iterator[tuple[str, list[Decimal], list[Path]]]:
    """Yield what a line of the page of figures says was seen, its numbers and its reports."""
    page = DOCS / "reference" / "measured.md"
    for line in page.read_text(encoding="utf-8").partition("## In short")[2].splitlines():
        links = re.findall(r"\]\((\S+/reports/\S+\.md)\)", line)
        if links and line.startswith("|"):
            seen = line.split("|")[2].strip()
            yield seen, numbers(seen), [page.parent / link for link in links]


@pytest.mark.parametrize(
    ("seen", "told", "reports"), [pytest.param(*one, id=one[0][:30]) for one in figures()]
)
def test_a_figure_stands_in_the_report_it_is_from(
    seen: str, told: list[Decimal], reports: list[Path]
) -> None:
    assert told, seen
    found = [one for report in reports for one in numbers(report.read_text(encoding="utf-8"))]
    assert [number for number in told if not stands_in(number, found)] == []


def test_figures_that_are_old_are_seen() -> None:
    found = numbers("| yunet | 0.9742 [.95, 1.00] | 3,113 | 7.9e-07 |")
    assert stands_in(Decimal(".974"), found)
    assert stands_in(Decimal("3113"), found)
    assert stands_in(Decimal("7.9e-7"), found)
    assert not stands_in(Decimal(".975"), found)
    assert not stands_in(Decimal("313"), found)


# --- how pages are read -------------------------------------------------------------------------

PAGE = """\
Text.

```console
$ cat > a.txt <<'END'
> one $ two
> END
$ cat a.txt
one $ two
$ false
$ echo $?
1
```

<!-- not run: it needs a moon -->
```console
$ fly
```

```python
print(6 * 7)
```

```text
42
```

```bash
echo no output is looked at
```

```yaml
- not: run
```
"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "page.md"
    path.write_text(PAGE)
    return path


def test_a_page_is_run_block_by_block(page: Path, tmp_path: Path) -> None:
    ran = [pair for _, pairs in run_pages.run_page(page, tmp_path) for pair in pairs]
    assert [step.command.split("\n")[0] for step, _ in ran] == [
        "cat > a.txt <<'END'", "cat a.txt", "false", "echo $?", "print(6 * 7)",
    ]  # fmt: skip
    assert all(run_pages.same(step.shown, printed) for step, printed in ran)
    assert [block["why"] for block in run_pages.blocks(page)][1] == "it needs a moon"


def test_what_was_printed_is_written_into_the_page(page: Path, tmp_path: Path) -> None:
    page.write_text(PAGE.replace("one $ two\n$ false", "$ false").replace("42", "41"))
    run_pages.write_outputs(page, tmp_path)
    assert page.read_text() == PAGE


@pytest.mark.parametrize("block", ["console\n$ exit 3", "python\n1 / 0", "bash\ngroupemo nothing"])
def test_a_page_that_fails_is_an_error(page: Path, tmp_path: Path, block: str) -> None:
    page.write_text(f"```{block}\n```\n")
    with pytest.raises(run_pages.Failed):
        list(run_pages.run_page(page, tmp_path))


@pytest.mark.parametrize(
    ("shown", "printed", "expected"),
    [
        ("0.87 [0.79, 0.95]\n", " 0.9   [.1, 1]\n", True),
        ("happy 3\n", "sad 3\n", False),
        ("...\ndone\n", "one\ntwo\ndone\n", True),
        ("...\ndone\n", "one\ndone, nearly\n", False),
        ("", "a warning\n", False),
    ],
)
def test_outputs_are_the_same_but_for_numbers(shown: str, printed: str, expected: bool) -> None:
    assert run_pages.same(shown, printed) is expected


KINDS = {"console", "python", "bash", "text", "toml", "yaml"}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_every_block_of_a_page_is_of_a_kind_that_is_known(path: Path) -> None:
    fences = re.findall(r"^```(.*)$", path.read_text(encoding="utf-8"), re.M)
    opened = {fence for fence in fences[0::2] if not fence.startswith("{")}
    assert opened <= KINDS
    assert set(fences[1::2]) == {""}
    made = [block["text"] for block in run_pages.blocks(path) if block["kind"] == "console"]
    assert all(text.startswith("$ ") for text in made)


# --- the pages themselves -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with what the pages speak of; skip where the sample photos are not."""
    samples = tmp_path_factory.mktemp("samples")
    fetched = fetch_samples(folder=samples)
    if fetched.unreachable:
        name, reason = next(iter(fetched.unreachable.items()))
        pytest.skip(f"{len(fetched.unreachable)} sample photos out of reach: {name}: {reason}")
    folder = tmp_path_factory.mktemp("pages")
    run_pages.furnish(folder, samples, ROOT / "labels" / "samples.csv")
    return folder


@pytest.fixture(scope="module")
def tutorial(place: Path) -> list[tuple[str, str, str]]:
    """Run the tutorial, whose results other pages speak of."""
    return list(outputs(run_pages.TUTORIAL, place))


def outputs(page: Path, folder: Path) -> Iterator[tuple[str, str, str]]:
    """Yield each command of a page, what is shown and what it printed."""
    for _, ran in run_pages.run_page(page, folder):
        yield from ((step.command, step.shown, printed) for step, printed in ran)


@pytest.mark.slow
@pytest.mark.models
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_code_of_a_page_prints_what_the_page_shows(
    path: Path, place: Path, tutorial: list[tuple[str, str, str]]
) -> None:
    ran = tutorial if path == run_pages.TUTORIAL else list(outputs(path, place))
    for command, shown, printed in ran:
        remedy = f"if that is right: python docs/run_pages.py {path.stem}"
        assert run_pages.same(shown, printed), f"{command}\nprinted:\n{printed}\n{remedy}"


# --- the site -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the site, built strictly: a warning, such as of a link to nowhere, is an error."""
    pytest.importorskip("sphinx", reason="needs groupemo[docs]")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-c", DOCS, ROOT, folder]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return folder


@pytest.mark.slow
def test_the_site_needs_no_network(site: Path) -> None:
    """Only links that a reader follows may lead elsewhere."""
    loads = re.compile(r"""<(?:script|img|iframe|source)[^>]+src=["'](?:https?:)?//""")
    styles = re.compile(
        r"""<link[^>]+rel=["'](?:stylesheet|preload|icon)["'][^>]+href=["']https?:"""
    )
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not loads.search(text), page
        assert not styles.search(text), page
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(?:@import|url\()\s*[\"']?https?:", sheet.read_text()), sheet


@pytest.mark.slow
def test_the_site_holds_every_public_name(site: Path) -> None:
    import groupemo

    pages = (site / "docs" / "reference" / "api").glob("*.html")
    text = "".join(page.read_text(encoding="utf-8") for page in pages)
    names = [name for name in groupemo.__all__ if not name.startswith("_")]
    assert not [name for name in names if f'id="groupemo.{name}"' not in text]


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1400])
def test_no_page_is_wider_than_the_screen(site: Path, browser: Any, width: int) -> None:
    screen = browser.new_page(viewport={"width": width, "height": 900})
    wide = []
    for page in sorted(site.rglob("docs/**/*.html")):
        screen.goto(page.as_uri())
        if screen.evaluate("document.documentElement.scrollWidth") > width:
            wide.append(page.relative_to(site))
    screen.close()
    assert not wide
