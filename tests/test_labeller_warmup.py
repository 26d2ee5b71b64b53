"""The labeller's warm-up: which faces there are, and what is kept of it."""

import csv
import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from groupemo import Faces, load_labels
from groupemo.emotions import EMOTIONS
from groupemo.labeller.desk import Desk
from groupemo.labeller.pictures import Pictures
from groupemo.labeller.warmup import FACES, SampleFaces

ROOT = Path(__file__).parent.parent


@pytest.fixture
def folder(samples, tmp_path):
    """A folder with a photo that is no sample."""
    photos = tmp_path / "photos"
    photos.mkdir()
    from PIL import Image

    Image.new("RGB", (60, 40)).save(photos / "own.png")
    return photos


@pytest.fixture
def desk(folder):
    with Desk(folder, detector=lambda image: Faces([[2, 2, 12, 14]], [0.9])) as desk:
        yield desk


def ask(desk, do, who="AB", **fields):
    message = {"do": do, "annotator": who, "client": "tab", **fields}
    return json.loads(json.dumps(desk.handle(message)))


def answers(faces, label="happy"):
    return [{"photo": face["photo"], "box": face["box"], "label": label} for face in faces]


def rows(path, columns):
    with open(path) as file:
        return {tuple(row[column] for column in columns) for row in csv.DictReader(file)}


def test_the_faces_are_clear_ones_of_the_labels_in_the_repository():
    labels = ROOT / "labels" / "samples.csv"
    with open(FACES) as file:
        columns = next(csv.reader(file))
    assert rows(FACES, columns) <= rows(labels, columns), (
        "the labels have changed: take the rows of warmup.csv from them anew"
    )
    for faces in load_labels(FACES).values():
        assert (faces.labels >= 0).all()
        assert ((faces.votes > 0).sum(axis=1) == 1).all()  # all say the same
        assert (faces.votes.sum(axis=1) >= 2).all()
        assert (faces.boxes[:, 2:] - faces.boxes[:, :2] >= 60).all()


def test_ten_faces_are_drawn_of_every_expression_there_is(samples):
    found = SampleFaces()
    assert found
    drawn = found.draw("AB 0")
    assert Counter(face.label for face in drawn) == {
        "happy": 4, "neutral": 4, "angry": 1, "surprise": 1,
    }  # fmt: skip
    assert drawn == found.draw("AB 0")
    assert drawn != found.draw("AB 1")
    assert (drawn[0].width, drawn[0].height, sum(drawn[0].votes.values())) == (400, 200, 2)


def test_photos_that_are_to_be_labelled_are_left_out(samples, tmp_path):
    photos = tmp_path / "party"
    photos.mkdir()
    for name in ("made_0.png", "made_1.png"):
        shutil.copy(samples / name, photos / f"copy_{name}")
    with Desk(photos, detector=lambda image: Faces.empty()) as desk:
        assert ask(desk, "open")["warm_ups"] is None
        assert "samples pull" in ask(desk, "warm_up")["error"]


def test_it_is_kept_who_said_what_when_and_nothing_of_it_is_a_label(desk, folder):
    assert ask(desk, "open")["warm_ups"] == 0
    faces = ask(desk, "warm_up")["faces"]
    assert faces == ask(desk, "warm_up")["faces"]
    given = answers(faces)
    reply = ask(desk, "warmed_up", id="w1", answers=given)
    assert reply == ask(desk, "warmed_up", id="w1", answers=given)  # sent again, kept once
    assert reply["warm_ups"] == 1
    assert faces != ask(desk, "warm_up")["faces"]
    opened = ask(desk, "open")
    assert (opened["warm_ups"], opened["progress"]["labelled"]) == (1, 0)
    assert opened["history"] == {"undo": False, "redo": False}
    assert ask(desk, "undo", id="u1")["nothing"]
    [entry] = desk._records.journal.entries()
    assert (entry.annotator, entry.photo) == ("AB", "")
    assert [(one.label, one.expected) for one in entry.action.answers] == [
        ("happy", face["label"]) for face in faces
    ]
    assert desk.export() is None
    assert not desk.said()
    desk.close()
    with Desk(folder, detector=lambda image: Faces.empty()) as again:
        assert ask(again, "open")["warm_ups"] == 1
        assert ask(again, "open", "CD")["warm_ups"] == 0


def test_its_pictures_can_be_had(desk):
    face = ask(desk, "warm_up")["faces"][0]
    pictures = Pictures(desk.pictured)
    assert pictures.face(face["photo"], face["box"], 64).startswith(b"\xff\xd8")
    assert face["photo"] not in desk.photos
    assert ask(desk, "photo", photo=face["photo"])["kind"] == "unknown"


@pytest.mark.parametrize(
    "change",
    [
        {"photo": "0" * 16},
        {"photo": 7},
        {"box": [0, 0, 9, 9]},
        {"box": "all"},
        {"label": "bored"},
        {"label": None},
    ],
)
def test_what_is_no_answer_is_refused(desk, change):
    [first, *_] = answers(ask(desk, "warm_up")["faces"])
    assert "error" in ask(desk, "warmed_up", id="w1", answers=[{**first, **change}])
    assert ask(desk, "open")["warm_ups"] == 0


@pytest.mark.parametrize("given", [None, [], [7], [{}] * 11, {"photo": 1}])
def test_what_is_no_list_of_answers_is_refused(desk, given):
    assert "error" in ask(desk, "warmed_up", id="w1", answers=given)
    assert set(EMOTIONS) >= {face["label"] for face in ask(desk, "warm_up")["faces"]}
