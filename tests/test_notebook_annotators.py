"""Made annotators stand in for people who are missing, and disputed faces are shown."""

import re

import numpy as np
import pytest

import groupemo
from groupemo import EMOTIONS, Labels, load_labels, notebook
from groupemo.errors import LabelError
from groupemo.images import find_photos
from groupemo.labeller.desk import Desk
from groupemo.metrics.agreement import agreement
from groupemo.notebook import disputes, training_within_reach, with_stand_ins
from groupemo.notebook.annotators import MADE
from groupemo.testing import FakeDetector, make_scene, write_scenes

pytest.importorskip("anywidget", reason="needs groupemo[notebook]")
from groupemo.labeller.widget import show

WORDS = ["happy", "sad", "neutral", "surprise"]


@pytest.fixture
def scenes():
    return [make_scene(WORDS, name=f"photo_{at}.png") for at in range(3)]


@pytest.fixture
def known(scenes, tmp_path):
    (tmp_path / "photos").mkdir()
    return write_scenes(scenes, tmp_path / "photos")


@pytest.fixture
def labelling(scenes, known, tmp_path):
    """A labeller whose detector finds the faces, but for the last of each photo, and a curtain."""
    widget = show(Desk(tmp_path / "photos", detector=FakeDetector.of(scenes)))
    yield widget
    widget.close()


@pytest.fixture(autouse=True)
def finder(monkeypatch, scenes):
    """Let the made annotators' desk propose faces without a model."""
    from groupemo.notebook import annotators

    class Found(Desk):
        def __init__(self, photos, **options):
            super().__init__(photos, detector=Partial(scenes), **options)

    monkeypatch.setattr(annotators, "Desk", Found)


class Partial(FakeDetector):
    """Misses the last face of each photo."""

    def __init__(self, scenes):
        super().__init__({scene.name: scene.faces for scene in scenes})
        self._found = FakeDetector.of(scenes)

    def __call__(self, image):
        return self._found(image)[:-1]


def say(labelling, who, photo, row, word):
    me = {"annotator": who, "client": who}
    items = labelling.desk.handle({"do": "open", **me})["items"]
    [id] = [item["id"] for item in items if item["name"] == photo]
    state = labelling.desk.handle({"do": "photo", "photo": id, **me})
    while state["pending"]:
        state = labelling.desk.handle({"do": "photo", "photo": id, **me})
    face = state["faces"][row]["id"]
    act = {"do": "act", "kind": "label", "face": face, "label": word, "seen": state["seq"]}
    reply = labelling.desk.handle({**act, **me, "photo": id, "id": f"{who}-{id}-{row}"})
    assert "error" not in reply


def test_nobody_has_labelled_so_two_made_ones_do(labelling, known, capsys):
    labels = with_stand_ins(labelling, known, slips=0)
    assert labels.annotators == MADE
    assert "no people" in capsys.readouterr().out
    for name, faces in known.items():
        found = labels[name]
        assert len(found) == len(faces)  # the face that no detector found was drawn
        order = np.argsort(found.boxes[:, 0])
        assert found.labels[order].tolist() == faces.labels[np.argsort(faces.boxes[:, 0])].tolist()
        assert found.complete
    assert agreement(labels).kappa[0, 1] == 1
    assert not labelling.labels_path.exists()  # nothing of theirs is left behind


def test_slips_are_the_same_each_time_and_cost_agreement(labelling, known):
    first, second = (with_stand_ins(labelling, known, slips=0.5) for _ in range(2))
    assert [faces.labels.tolist() for faces in first.written.values()] == [
        faces.labels.tolist() for faces in second.written.values()
    ]
    assert agreement(first).kappa[0, 1] < 1
    assert set(np.concatenate([f.labels for f in first.written.values()]).tolist()) <= {
        EMOTIONS.index(word) for word in WORDS
    }


def test_a_person_is_joined_by_one_on_their_photos(labelling, known, capsys):
    say(labelling, "AB", "photo_1.png", 0, "fear")
    labels = with_stand_ins(labelling, known, slips=0)
    assert labels.annotators == ("AB", "made-1")
    assert list(labels) == ["photo_1.png"]
    assert "labelled by AB, made-1;" in capsys.readouterr().out
    assert load_labels(labelling.labels_path).annotators == ("AB",)


def test_two_people_are_left_alone(labelling, known, capsys):
    for who in ("AB", "CD"):
        say(labelling, who, "photo_0.png", 1, "sad")
    labels = with_stand_ins(labelling, known)
    assert labels.annotators == ("AB", "CD")
    assert capsys.readouterr().out == "labelled by AB, CD\n"


def test_of_photos_that_nobody_knows_nothing_is_said(labelling, capsys):
    labels = with_stand_ins(labelling, Labels({}))
    assert not labels
    assert capsys.readouterr().out == "labelled by nobody\n"


def test_a_refusal_is_an_error(labelling, known, monkeypatch):
    monkeypatch.setattr("groupemo.notebook.annotators.MADE", ("a;b", "made-2"))
    with pytest.raises(LabelError, match="a;b: annotator"):
        with_stand_ins(labelling, known)


def test_disputed_faces_are_shown_with_who_said_what(labelling, known, tmp_path):
    say(labelling, "AB", "photo_0.png", 0, "happy")
    say(labelling, "CD", "photo_0.png", 0, "sad")
    for who in ("AB", "CD"):
        say(labelling, who, "photo_0.png", 1, "sad")
    labels = labelling.labels()
    shown = disputes(labels, tmp_path / "photos")
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", shown.html))
    assert "1 face on which annotators differ" in text
    assert "AB: happy CD: sad" in text
    blurred = re.findall('data:image/jpeg;base64,[^"]+', shown.html)
    notebook.show_faces()
    sharp = re.findall('data:image/jpeg;base64,[^"]+', disputes(labels, tmp_path / "photos").html)
    notebook.show_faces(False)
    assert len(blurred) == len(sharp) == 1
    assert blurred != sharp
    assert repr(shown) == "<1 face on which annotators differ>"
    elsewhere = [photo.path for photo in find_photos(tmp_path / "photos")][1:]
    assert "data:image" not in disputes(labels, elsewhere).html


def test_what_training_needs_is_named_where_it_is_missing(monkeypatch, capsys):
    monkeypatch.setattr("groupemo.notebook.extras.find_spec", lambda name: name != "kornia" or None)
    assert not training_within_reach()
    said = capsys.readouterr().out
    assert said == "training is left out: kornia not installed: pip install 'groupemo[train]'\n"
    monkeypatch.setattr("groupemo.notebook.extras.find_spec", lambda name: True)
    assert training_within_reach()
    assert not capsys.readouterr().out


def test_labels_of_all_samples_can_be_had():
    assert "situation_room.jpg" in notebook.sample_labels()


def test_the_label_file_is_named_as_seen_from_here(known, scenes, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    labeller = groupemo.label("photos", notebook=True, detector=FakeDetector.of(scenes))
    labeller.close()
    assert capsys.readouterr().out == "labels go to photos/labels.csv\n"
    assert repr(labeller).startswith("<Labeller of 3 photos")
