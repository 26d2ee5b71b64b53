"""The notebooks with sliders, opened in a real JupyterLab: a slider moves, the table follows."""

import re
import shutil

import nbformat
import pytest
from conftest import ROOT

pytest.importorskip("anywidget", reason="needs groupemo[notebook]")
from test_labeller_widget import Notebook, jupyterlab  # noqa: F401 - a fixture

NEEDED = {
    "02_detectors": ["low = "],
    "03_backends": ["backends = ", "evaluation = ", "sliders = "],
    "04_false_positives": ["eager = ", "yunet = "],
}
"""The cells that make what the sliders show, after the first two."""

SECONDS = 120


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.models
@pytest.mark.parametrize("name", NEEDED)
def test_a_slider_moves_and_the_table_follows(name, browser, jupyterlab):  # noqa: F811
    home, address = jupyterlab
    path = ROOT / "notebooks" / f"{name}.ipynb"
    shutil.copy(path, home / "work")
    code = [cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    wanted = [place for place, source in enumerate(code)
              if place < 2 or any(source.startswith(word) for word in NEEDED[name])]  # fmt: skip
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    page.goto(f"{address}/{path.name}?reset&token=token")
    notebook = Notebook(page)
    notebook.cells.first.wait_for(timeout=60_000)
    page.get_by_text("| Idle").first.wait_for(timeout=60_000)
    page.evaluate("jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    script = """async (wanted) => {
        const panel = jupyterapp.shell.currentWidget;
        const cells = panel.content.widgets.filter((cell) => cell.model.type === "code");
        for (const place of wanted) {
            panel.content.activeCellIndex = panel.content.widgets.indexOf(cells[place]);
            await jupyterapp.commands.execute("notebook:run-cell");
        }
        cells[wanted.at(-1)].node.scrollIntoView();
    }"""
    page.set_default_timeout(1000 * SECONDS)
    page.evaluate(script, wanted)
    cell = notebook.cells.filter(has=page.locator(".widget-slider")).first
    table = page.locator("table")  # a progress bar has none
    shown = cell.locator(".widget-html-content").filter(has=table)
    shown.wait_for(timeout=1000 * SECONDS)
    before = shown.inner_text()
    assert re.search(r"\d+ photos, IoU at least 0\.5", before)
    handle = cell.locator(".noUi-handle").nth(0 if name == "02_detectors" else 1)
    handle.focus()
    for _ in range(9):
        page.keyboard.press("PageUp")
    page.wait_for_function(
        "([element, before]) => element.innerText !== before", arg=[shown.element_handle(), before]
    )
    assert "n " in shown.inner_text()
    context.close()
