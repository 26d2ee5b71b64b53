"""The labeller in a notebook: its messages, and a real JupyterLab in a real browser."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from urllib.request import urlopen

import numpy as np
import pytest
from PIL import Image

import groupemo
from groupemo import EMOTIONS, Faces, load_labels
from groupemo.errors import MissingExtra
from groupemo.labeller.desk import Desk

anywidget = pytest.importorskip("anywidget", reason="needs groupemo[notebook]")
from groupemo.labeller import widget as module  # noqa: E402
from groupemo.labeller.widget import Labeller, show  # noqa: E402

SIZE = (640, 480)
BOXES = [(40 + 150 * column, 60, 140 + 150 * column, 190) for column in range(4)]
"""Four faces a photo, from left to right."""

WHO = {"annotator": "AB", "client": "tab"}


def find_faces(image):
    """Propose the faces of every photo."""
    return Faces(np.array(BOXES, np.float32), np.full(len(BOXES), 0.9, np.float32))


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, shade in enumerate((60, 120)):
        image = np.full((SIZE[1], SIZE[0], 3), shade, np.uint8)
        for index, (left, top, right, bottom) in enumerate(BOXES):
            image[top:bottom, left:right] = 90 + 40 * index
        Image.fromarray(image).save(folder / f"{number + 1}.png")
    return folder


class Page:
    """What stands at the other end of a widget's messages."""

    def __init__(self, labeller):
        self.labeller = labeller
        self.answers = {}
        self.arrived = threading.Condition()
        labeller.comm.publish_msg = self.hear

    def hear(self, msg_type, data=None, metadata=None, buffers=None, **_):
        if msg_type == "comm_msg" and data["method"] == "custom":
            answer = data["content"]
            json.dumps(answer)  # no kernel could send anything else
            with self.arrived:
                self.answers[answer["id"]] = (answer["reply"], buffers)
                self.arrived.notify_all()

    def ask(self, **request):
        request["id"] = f"r{time.monotonic_ns()}"
        data = {"method": "custom", "content": request}
        self.labeller.comm.handle_msg({"content": {"data": data}, "buffers": []})
        return request["id"]

    def wait(self, id):
        with self.arrived:
            assert self.arrived.wait_for(lambda: id in self.answers, 20)
            return self.answers[id]

    def send(self, **message):
        reply, buffers = self.wait(self.ask(message={**WHO, **message}))
        assert not buffers
        return reply

    def label(self, photo, face, label):
        seen = self.send(do="photo", photo=photo)["seq"]
        given = {"do": "act", "kind": "label", "face": face, "label": label, "seen": seen}
        return self.send(**given, photo=photo, id=f"{photo}-{face}-{label}")


@pytest.fixture
def labeller(photos):
    widget = show(Desk(photos, detector=find_faces), "AB")
    yield widget
    widget.close()


@pytest.fixture
def page(labeller):
    return Page(labeller)


def test_messages_go_in_and_labels_come_out(page, labeller, photos):
    opened = page.send(do="open")
    assert [item["name"] for item in opened["items"]] == ["1.png", "2.png"]
    assert opened["settings"]["labels"] == str(photos / "labels.csv")
    photo = opened["items"][0]["id"]
    assert "error" not in page.label(photo, "p1", "happy")
    assert labeller.labels_path == photos / "labels.csv"
    [faces] = load_labels(labeller.labels_path).values()
    assert faces.boxes.tolist() == [list(BOXES[1])]
    assert [EMOTIONS[label] for label in faces.labels] == ["happy"]
    assert labeller.labels().keys() == {"1.png"}


def test_pictures_come_as_jpeg(page):
    photo = page.send(do="open")["items"][0]["id"]
    reply, [data] = page.wait(page.ask(photo=photo, side=320))
    assert (reply, data[:3]) == ({}, b"\xff\xd8\xff")
    reply, [data] = page.wait(page.ask(photo=photo, box=list(BOXES[0]), side=100))
    assert (reply, data[:3]) == ({}, b"\xff\xd8\xff")


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"message": {"do": "dance", **WHO}}, "no such message"),
        ({"message": {"do": "open"}}, "annotator"),
        ({"message": None}, "no such message"),
        ({"photo": "0" * 16, "side": 100}, "no such photo"),
    ],
)
def test_what_means_nothing_is_refused(page, request_, words):
    reply, buffers = page.wait(page.ask(**request_))
    assert words in reply["error"]
    assert not buffers


def test_slow_pictures_hold_up_no_labels(page, labeller, monkeypatch):
    go = threading.Event()
    monkeypatch.setattr(
        labeller._pictures, "photo", lambda photo, side: b"late" if go.wait(20) else b""
    )
    photo = page.send(do="open")["items"][0]["id"]
    slow = [page.ask(photo=photo, side=100) for _ in range(20)]
    assert "error" not in page.label(photo, "p0", "sad")
    assert not set(slow) & set(page.answers)
    go.set()
    assert [page.wait(id)[1] for id in slow] == [[b"late"]] * 20


def test_a_bug_is_answered_and_logged(page, labeller, monkeypatch, caplog):
    monkeypatch.setattr(labeller._desk, "handle", lambda message: 1 / 0)
    assert "a bug in groupemo" in page.send(do="open")["error"]
    assert "ZeroDivisionError" in caplog.text


def test_the_cell_run_again_takes_over(page, labeller, photos):
    photo = page.send(do="open")["items"][0]["id"]
    page.label(photo, "p0", "fear")
    again = show(Desk(photos, detector=find_faces), "AB")
    assert labeller.comm is None
    assert labeller.labels_path.exists()
    page = Page(again)
    assert page.send(do="open")["items"][0]["labelled"] == 1
    other = show(Desk(photos, labels=photos / "other.csv", detector=find_faces))
    assert again.comm is not None
    for each in (again, other):
        each.close()
        each.close()


def test_a_notebook_gets_a_widget(photos, monkeypatch, capsys):
    IPython = pytest.importorskip("IPython")
    monkeypatch.setattr(IPython, "get_ipython", lambda: type("Shell", (), {"kernel": None})())
    labeller = groupemo.label(photos, annotator="AB", detector=find_faces)
    assert isinstance(labeller, Labeller)
    assert f"labels go to {photos / 'labels.csv'}" in capsys.readouterr().out
    assert not labeller.labels_path.exists()
    labeller.close()


def test_without_anywidget_the_remedy_is_named(photos, monkeypatch):
    monkeypatch.setitem(sys.modules, "anywidget", None)
    monkeypatch.delitem(sys.modules, "groupemo.labeller.widget")
    with pytest.raises(MissingExtra, match=re.escape("pip install 'groupemo[notebook]'")):
        groupemo.label(photos, notebook=True, detector=find_faces)
    assert not (photos / "labels.csv.journal").exists()


def test_every_module_the_page_imports_is_there():
    sources = json.loads(module._script().split(";\n", 1)[0].removeprefix("const SOURCES = "))
    met, ahead = set(), ["app.js"]
    while ahead:
        name = ahead.pop()
        met.add(name)
        imported = re.findall(r'from "\./(.+?)"', sources[name])
        assert len(imported) == len(re.findall(r"^import\b", sources[name], re.M)), name
        ahead += set(imported) - met
    assert met == sources.keys() - {"style.css"}


NOTEBOOK = [
    f"""
import numpy as np
import groupemo

def find_faces(image):
    return groupemo.Faces(np.array({BOXES}, np.float32), np.full({len(BOXES)}, 0.9, np.float32))

labelling = groupemo.label("photos", annotator="AB", detector=find_faces)
labelling
""",
    """
groupemo.evaluate(
    "photos", labelling.labels_path, detectors=[find_faces], backends=["prior"], progress=False
)
""",
    "import time; time.sleep(8); print('rested')",
    "labelling",
]


def write_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


class Notebook:
    """A notebook in a JupyterLab, in a browser."""

    def __init__(self, page):
        self.page = page
        self.cells = page.locator(".jp-Notebook .jp-CodeCell")

    def run(self, cell):
        self.cells.nth(cell).locator(".jp-InputPrompt").click()
        self.page.keyboard.press("Control+Enter")

    def labeller(self, cell=0):
        return self.cells.nth(cell).locator(".groupemo-labeller")

    def enter(self, cell=0):
        """Give the keyboard to the labeller, by a click beside the photo."""
        view = self.labeller(cell).locator(".view")
        self.labeller(cell).locator(".box").first.wait_for()
        view.click(position={"x": 4, "y": 4})

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)

    def wait(self, words, cell=0):
        """Wait until the labeller says something, in its bar or below the photo."""
        self.labeller(cell).get_by_text(words).first.wait_for(timeout=30_000)


@pytest.fixture(scope="module")
def jupyterlab(tmp_path_factory):
    """Return the folder and the address of a JupyterLab."""
    pytest.importorskip("jupyterlab")
    home = tmp_path_factory.mktemp("jupyter")
    (home / "work").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    folders = {"CONFIG": "config", "DATA": "data", "RUNTIME": "runtime"}
    lab = {"SETTINGS": "settings", "WORKSPACES": "workspaces"}
    own = {f"JUPYTER_{name}_DIR": str(home / at) for name, at in folders.items()}
    own |= {f"JUPYTERLAB_{name}_DIR": str(home / at) for name, at in lab.items()}
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
        *("--ServerApp.ip=127.0.0.1", f"--port={port}", "--IdentityProvider.token=token"),
        *(f"--notebook-dir={home / 'work'}", "--LabApp.extension_manager=readonly"),
        "--LabApp.expose_app_in_browser=True",
    ]
    with (
        (home / "log").open("w") as log,
        subprocess.Popen(command, env=os.environ | own, stdout=log, stderr=log) as server,
    ):
        try:
            wait_for(f"http://127.0.0.1:{port}/api?token=token", server)
            yield home, f"http://127.0.0.1:{port}/lab/tree"
        finally:
            server.terminate()


def wait_for(address, server):
    until = time.monotonic() + 60
    while server.poll() is None and time.monotonic() < until:
        try:
            with urlopen(address):
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail("JupyterLab does not start")


@pytest.fixture
def notebook(browser, jupyterlab, photos, request):
    """Open a new notebook; `request.param` are settings of how kernels are spoken to."""
    home, address = jupyterlab
    work = home / "work" / re.sub(r"\W+", "-", request.node.name)
    work.mkdir()
    photos = photos.rename(work / "photos")
    cells = [
        {"cell_type": "code", "id": f"c{number}", "source": source.strip()}
        | {"metadata": {}, "outputs": [], "execution_count": None}
        for number, source in enumerate(NOTEBOOK)
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    write_json(
        work / "test.ipynb",
        {"nbformat": 4, "nbformat_minor": 5, "metadata": kernel, "cells": cells},
    )
    settings = home / "settings" / "@jupyterlab" / "apputils-extension"
    write_json(settings / "notification.jupyterlab-settings", {"fetchNews": "false"})
    write_json(settings / "kernels-settings.jupyterlab-settings", getattr(request, "param", {}))
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    faults = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(f"{address}/{work.name}/test.ipynb?reset&token=token")
    notebook = Notebook(page)
    notebook.photos = photos
    notebook.cells.first.wait_for(timeout=60_000)
    page.get_by_text("| Idle").first.wait_for(timeout=60_000)
    notebook.run(0)
    yield notebook
    context.close()
    assert not faults


def given(photos):
    """Return the labels of each photo in the label file."""
    labels = load_labels(photos / "labels.csv")
    return {name: [EMOTIONS[label] for label in faces.labels] for name, faces in labels.items()}


@pytest.mark.slow
@pytest.mark.browser
def test_labels_of_a_notebook_are_evaluated_in_it(notebook):
    page, cells = notebook.page, notebook.cells
    labeller = notebook.labeller()
    labeller.locator(".box").first.wait_for()
    notebook.press("4", "4", "Enter", "Escape")  # the notebook has the keyboard
    notebook.enter()
    notebook.press("a", "b", "d", "d", "x", "z", "m", "y", "Control+b")
    labeller.locator(".box").nth(1).click()
    notebook.press("Delete", "d", "d", "Control+z")  # the box goes, and had the focus
    notebook.wait("Undone: Face 2 of 4")
    notebook.press("k", "4", "4", "5", "7", "Enter")
    labeller.locator(".photo-name", has_text="2.png").wait_for()
    notebook.press("1")
    notebook.wait("5 of 8 faces")
    assert cells.count() == len(NOTEBOOK)
    assert page.locator("#jp-left-stack").is_visible()
    assert page.evaluate("jupyterapp.shell.currentWidget.content.mode") == "command"
    labeller.locator("[data-do=keys]").dispatch_event("click")
    notebook.press("Escape")
    notebook.press("2", "2", "2", "Enter")  # the keyboard is still the labeller's
    notebook.wait("8 of 8 faces")
    labeller.locator(".saved[data-state=saved]").wait_for()
    notebook.run(1)
    table = cells.nth(1).locator("table")
    table.wait_for(timeout=60_000)
    assert "n 8" in table.inner_text()
    assert given(notebook.photos) == {
        "1.png": ["happy", "happy", "sad", "neutral"],
        "2.png": ["angry", *["disgust"] * 3],
    }
    scheme = "element => getComputedStyle(element).colorScheme"
    assert labeller.evaluate(scheme) == "light"
    dark = "jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})"
    page.evaluate(dark)
    page.wait_for_function("document.body.dataset.jpThemeLight === 'false'")
    page.wait_for_timeout(500)
    assert labeller.evaluate(scheme) == "dark"


@pytest.mark.slow
@pytest.mark.browser
def test_two_views_and_a_restarted_kernel_lose_nothing(notebook):
    notebook.enter()
    notebook.press("4")
    notebook.wait("1 of 8 faces")
    notebook.run(3)
    notebook.enter(3)
    notebook.press("5")
    notebook.wait("2 of 8 faces")
    notebook.labeller(3).locator(".saved[data-state=saved]").wait_for()
    restart = "jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"
    notebook.page.evaluate(restart)
    notebook.wait("The kernel does not answer", 3)
    notebook.press("6")
    notebook.wait("not saved: the kernel is busy or was restarted, 1 waiting", 3)
    notebook.cells.nth(3).click()
    notebook.page.evaluate("jupyterapp.commands.execute('notebook:clear-cell-output')")
    notebook.labeller(3).wait_for(state="detached")
    notebook.run(0)
    notebook.wait("3 of 8 faces")
    notebook.run(1)
    notebook.cells.nth(1).locator(".jp-OutputArea-output").first.wait_for()
    assert given(notebook.photos) == {"1.png": ["happy", "sad", "surprise"]}


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize(
    ("notebook", "waits"),
    [({}, False), ({"commsOverSubshells": "disabled"}, True)],
    indirect=["notebook"],
    ids=["beside the cell", "after the cell"],
)
def test_labels_given_while_a_cell_runs_are_saved(notebook, waits):
    notebook.labeller().locator(".box").first.wait_for()
    notebook.run(2)
    notebook.enter()
    notebook.press("4")
    rested = notebook.cells.nth(2).get_by_text("rested", exact=True)
    if waits:
        notebook.wait("not saved: the kernel is busy or was restarted, 1 waiting")
    else:
        notebook.wait("1 of 8 faces")
    assert not rested.count()
    rested.wait_for()
    notebook.wait("1 of 8 faces")
    notebook.labeller().locator(".saved[data-state=saved]").wait_for()
