"""The labeller in a notebook: its messages, and a real JupyterLab in a real browser."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.request import urlopen

import comm
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
