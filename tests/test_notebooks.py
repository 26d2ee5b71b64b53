"""The notebooks: what is stored is small and whole, and every one runs on a fresh kernel."""

import importlib.util
import re
from concurrent.futures import ThreadPoolExecutor

import nbformat
import pytest
from conftest import ROOT

SPEC = importlib.util.spec_from_file_location("run_notebooks", ROOT / "notebooks" / "run.py")
run = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(run)

PATHS = run.notebooks()
BADGE = (
    "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
    "(https://colab.research.google.com/github/groupemo/groupemo/blob/main/notebooks/{})"
)
INSTALL = """try:
    import groupemo
except ModuleNotFoundError:  # in Colab, say
    %pip install -q "groupemo[notebook] @ git+https://github.com/groupemo/groupemo"
    import groupemo"""
COLAB = """
import sys, types
from pathlib import Path

class Files:
    def upload(self):
        return {"party.jpg": next(Path("photos").glob("*.jpg")).read_bytes()}

class Output:
    _widgets = types.SimpleNamespace(_installed_url=None)  # what anywidget looks at

    def eval_js(self, code):
        assert "takePicture" in code
        return {"problem": "NotFoundError: no camera"}

    def enable_custom_widget_manager(self):
        pass

class Drive:
    def mount(self, folder):
        Path(folder).mkdir(parents=True)

import google  # a namespace: protobuf lives there, too

colab = google.colab = sys.modules["google.colab"] = types.ModuleType("google.colab")
for name, part in {"files": Files(), "output": Output(), "drive": Drive()}.items():
    setattr(colab, name, part)
    sys.modules[f"google.colab.{name}"] = part
"""
"""What a notebook meets in Colab: the user chooses a file, and has no camera."""

PLUGINS = ("07_your_own_model",)
"""Those that define functions and classes, because it is what they teach."""

NOISE = ("Warning:", "/tmp/", "/work/", "/home/", "/root/", "object at 0x")
"""Of warnings, and of this machine."""

LINES = 20
"""Of a cell of code at most: logic belongs in groupemo."""


def outputs(notebook):
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def noise(notebook):
    """Return what nobody should find in a notebook: warnings, errors, folders of this machine."""
    for output in outputs(notebook):
        if output.output_type == "error" or output.get("name") == "stderr":
            yield output.get("text", output.get("evalue"))
        yield from (word for word in NOISE if word in str(output))


@pytest.fixture(params=PATHS, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture
def stored(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook


def test_there_are_notebooks():
    assert len(PATHS) >= 5


def test_it_begins_as_all_do(path, stored):
    first, second, third, *_ = stored.cells
    assert first.source.startswith("# ")
    assert BADGE.format(path.name) in first.source
    assert (second.cell_type, second.source) == ("code", INSTALL)
    assert third.cell_type == "code"


def test_it_is_stored_executed_small_and_quiet(path, stored):
    assert path.stat().st_size < 800_000
    assert not list(noise(stored))
    counts = [cell.execution_count for cell in stored.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    assert any(
        "image/png" in output.get("data", {}) or "<img" in str(output) for output in outputs(stored)
    )
    assert "widgets" not in stored.metadata


def test_it_has_no_logic_of_its_own(path, stored):
    for source in (cell.source for cell in stored.cells if cell.cell_type == "code"):
        assert len(source.splitlines()) <= LINES, source
        assert path.stem in PLUGINS or not re.search(r"^(def|class) ", source, re.M), source


def test_it_ends_with_exercises_and_the_way_on(stored):
    last = stored.cells[-1].source
    assert "## Try" in last
    assert last.count("<details>") == last.count("</details>") > 0
    assert re.search(r"\(\d\d_\w+\.ipynb\)\.?$", last)


def test_its_links_lead_somewhere(stored):
    text = "\n".join(cell.source for cell in stored.cells if cell.cell_type == "markdown")
    for target in re.findall(r"\]\((\d\d_[\w.]+)\)", text):
        assert (run.FOLDER / target).exists(), target
    for target in re.findall(r"github\.com/groupemo/groupemo/blob/main/([\w./]+)", text):
        assert (ROOT / target).exists(), target


def test_pictures_are_made_small_and_widgets_left_out():
    data = {"text/plain": "bar", run.WIDGET: {"model_id": "x"}}
    bar = nbformat.v4.new_output("display_data", data)
    both = nbformat.v4.new_output("display_data", {**data, "text/html": "<b>1</b>"})
    cell = nbformat.v4.new_code_cell("1", outputs=[bar, both], metadata={"execution": {}})
    notebook = run.tidy(nbformat.v4.new_notebook(cells=[cell], metadata={"widgets": {"a": 1}}))
    [kept] = outputs(notebook)
    assert kept.data == {"text/plain": "bar", "text/html": "<b>1</b>"}
    assert "widgets" not in notebook.metadata
    assert notebook.cells[0].metadata == {}


@pytest.mark.slow
@pytest.mark.models
@pytest.mark.timeout(900)
def test_all_run_on_fresh_kernels_quietly():
    jobs = [(path, preamble) for path in PATHS for preamble in ("", COLAB)]
    with ThreadPoolExecutor(2) as pool:
        done = pool.map(lambda job: list(noise(run.execute(*job))), jobs)
        loud = {(path.stem, bool(colab)): found
                for (path, colab), found in zip(jobs, done, strict=True) if found}  # fmt: skip
    assert not loud
