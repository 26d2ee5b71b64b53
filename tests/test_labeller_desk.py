"""The labeller's desk: messages in, replies out, nothing lost and nothing given away."""

import json
import random
import threading
import time
from itertools import count

import numpy as np
import pytest
from PIL import Image

from groupemo import evaluate, load_labels
from groupemo.emotions import EMOTIONS
from groupemo.errors import LabelError, OptionError, OutputError, PhotoError, UnknownPlugin
from groupemo.faces import Faces
from groupemo.labeller import desk as desk_module
from groupemo.labeller import exchange
from groupemo.labeller.desk import Desk
from groupemo.labeller.journal import Journal
from groupemo.labeller.saving import Later
from groupemo.labeller.views import seconds_a_face

BOXES = [[2, 2, 12, 14], [20, 4, 31.26, 18], [40, 4, 52, 18]]
WIDTH, HEIGHT = 60, 40


class Finder:
    """Finds the same three faces in every photo."""

    label = "finder"

    def __init__(self):
        self.photos = 0

    def __call__(self, image):
        self.photos += 1
        return Faces(BOXES, [0.9, 0.8, 0.7])


class Reader:
    """Says one expression of every face, as sure as it is told to be."""

    classes = EMOTIONS

    def __init__(self, word="happy", *, sure=lambda image: 0.6):
        self.label = f"reader-{word}"
        self.word, self.sure = word, sure

    def prepare(self, image, faces):
        return np.full((len(faces), 1), self.sure(image))

    def predict(self, inputs):
        others = (1 - inputs) / (len(EMOTIONS) - 1)
        probs = np.repeat(others, len(EMOTIONS), axis=1)
        probs[:, EMOTIONS.index(self.word)] = inputs[:, 0]
        return probs


def draw(path, shade):
    Image.fromarray(np.full((HEIGHT, WIDTH, 3), shade, np.uint8)).save(path)


@pytest.fixture
def folder(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(3):
        draw(photos / f"{number}.png", 40 * number)
    return photos


@pytest.fixture
def start(folder):
    """Return a function that opens a desk; whatever is open at the end is closed."""
    desks = []

    def start(photos=folder, **options):
        desks.append(Desk(photos, **{"detector": Finder(), **options}))
        return desks[-1]

    yield start
    for desk in desks:
        desk._records.journal.close()


class Tab:
    """A tab of somebody's browser."""

    numbers = count()

    def __init__(self, desk, who="AB", client=None):
        self.desk, self.who = desk, who
        self.client = client or f"tab-{next(self.numbers)}"

    def ask(self, do, **fields):
        message = {"do": do, "annotator": self.who, "client": self.client, **fields}
        reply = self.desk.handle(json.loads(json.dumps(message)))
        return json.loads(json.dumps(reply, allow_nan=False))

    def open(self, **fields):
        return self.ask("open", **fields)

    def state(self, photo=0, again=0):
        return self.ask("photo", photo=self.desk.order[photo], again=again)

    def act(self, kind, photo=0, *, seen=10**6, again=0, id=None, **fields):
        id = id or f"act-{next(self.numbers)}"
        place = {"photo": self.desk.order[photo], "again": again}
        return self.ask("act", id=id, seen=seen, kind=kind, **place, **fields)

    def label(self, face, label, photo=0, **fields):
        reply = self.act("label", photo, face=face, label=label, **fields)
        assert "error" not in reply, reply
        return reply

    def step(self, do, **fields):
        return self.ask(do, **{"id": f"step-{next(self.numbers)}", **fields})

    def finish(self, photo=0, words=("happy", "sad", "neutral"), again=0):
        self.state(photo, again)
        for face, word in enumerate(words):
            self.label(f"p{face}", word, photo, again=again)
        return self.act("complete", photo, complete=True, again=again)


@pytest.fixture
def desk(start):
    return start()


@pytest.fixture
def tab(desk):
    tab = Tab(desk)
    for photo in range(3):
        tab.state(photo)  # waits for the detector
    return tab


def labels_of(state):
    return {face["id"]: face["label"] for face in state["faces"]}


def test_a_folder_is_opened(tab):
    reply = tab.open()
    assert [item["name"] for item in reply["items"]] == ["0.png", "1.png", "2.png"]
    item = reply["items"][0]
    assert {"width": WIDTH, "height": HEIGHT, "faces": 3, "labelled": 0}.items() <= item.items()
    assert (item["pending"], item["error"], item["disagree"]) == (False, None, None)
    assert reply["classes"] == list(EMOTIONS)
    assert reply["history"] == {"undo": False, "redo": False}
    assert reply["settings"]["detector"] == "finder"
    assert reply["settings"]["labels"].endswith("labels.csv")
    assert reply["progress"]["faces"] == 9


def test_proposals_are_kept_to_a_tenth_of_a_pixel(tab):
    faces = tab.state()["faces"]
    assert faces[1] == {
        "id": "p1", "box": [20, 4, 31.3, 18], "proposed": True, "score": 0.8,
        "label": None, "second": None, "confidence": None, "votes": None,
    }  # fmt: skip


def test_a_photo_is_labelled(tab):
    reply = tab.act("label", face="p0", label="happy", second="surprise", confidence=2, seen=0)
    assert reply["seq"] == reply["photo"]["seq"] == 1
    face = reply["photo"]["faces"][0]
    assert (face["label"], face["second"], face["confidence"]) == ("happy", "surprise", 2)
    tab.label("p1", "sad", votes={"sad": 3, "fear": 1})
    reply = tab.act("add", face="dnew1", box=[10, 20, 20.04, 30])
    assert reply["item"] == {**reply["item"], "faces": 4, "labelled": 2, "complete": False}
    reply = tab.act("move", face="dnew1", box=[10, 20, 25, 30])
    reply = tab.act("delete", face="p2")
    reply = tab.label("dnew1", "unsure")
    reply = tab.act("complete", complete=True)
    assert [face["box"] for face in reply["photo"]["faces"]][-1] == [10, 20, 25, 30]
    assert reply["photo"]["faces"][1]["votes"] == {"fear": 0.25, "sad": 0.75}
    item = {"faces": 3, "labelled": 3, "unsure": 1, "complete": True}
    assert item.items() <= reply["item"].items()
    progress = {"labelled": 3, "faces": 9, "complete": 1, "photos": 3}
    assert progress.items() <= reply["progress"].items()


def test_undo_goes_where_it_happened_without_limit_and_after_a_restart(start, desk, tab):
    words = ["happy", "sad", "neutral"]
    for photo in range(3):
        tab.finish(photo, words)
    done = [tab.state(photo) for photo in range(3)]
    desk.close()
    tab = Tab(start())
    photos = [tab.step("undo")["photo"]["photo"] for _ in range(12)]
    assert photos == [photo for photo in tab.desk.order[::-1] for _ in range(4)]
    assert tab.step("undo") == {"nothing": True, "history": {"undo": False, "redo": True}}
    assert all(not any(labels_of(tab.state(photo)).values()) for photo in range(3))
    tab.desk.close()
    tab = Tab(start())
    for _ in range(12):
        last = tab.step("redo")
    assert last["history"] == {"undo": True, "redo": False}
    assert tab.step("redo")["nothing"]
    now = [tab.state(photo) for photo in range(3)]
    assert [s["faces"] for s in now] == [s["faces"] for s in done]
    assert all(state["complete"] for state in now)


def test_an_action_sent_again_is_acknowledged_and_not_done_again(start, desk, tab):
    first = tab.label("p0", "happy", id="once")
    tab.label("p0", "sad")
    again = tab.label("p0", "happy", id="once")
    assert again["seq"] == first["seq"]
    assert labels_of(again["photo"])["p0"] == "sad"
    undone = tab.step("undo", id="undo-once")
    assert tab.step("undo", id="undo-once")["seq"] == undone["seq"]
    assert labels_of(tab.state())["p0"] == "happy"
    desk.close()
    tab = Tab(start())
    assert tab.label("p0", "happy", id="once")["seq"] == first["seq"]
    assert tab.step("undo", id="once")["error"] == "id: once is that of another action"
    assert Tab(tab.desk, "CD").act("label", face="p0", label="sad", id="once")["kind"] == "refused"


def test_two_tabs_of_one_annotator_do_not_overwrite_each_other(desk, tab):
    other = Tab(desk)
    seen = tab.state()["seq"]
    tab.label("p0", "happy", seen=seen)
    tab.label("p0", "sad", seen=seen)  # a tab is in no conflict with itself
    refused = other.act("label", face="p0", label="fear", seen=seen)
    assert refused["kind"] == "conflict"
    assert labels_of(refused["photo"])["p0"] == "sad"
    assert refused["item"]["labelled"] == 1
    assert other.act("complete", complete=True, seen=seen)["kind"] == "conflict"
    assert other.label("p1", "fear", seen=seen)
    now = other.ask("changes", since=seen)
    assert now["photos"] == [[desk.order[0], 0]]
    assert now["waiting"] == 0
    assert tab.ask("changes", since=now["seq"])["photos"] == []
    assert other.label("p0", "fear", seen=refused["photo"]["seq"])
    assert labels_of(tab.state()) == {"p0": "fear", "p1": "fear", "p2": None}


def test_undo_of_what_another_tab_did_unknown_to_this_one_is_a_conflict(desk, tab):
    other = Tab(desk)
    seen = other.ask("changes", since=0)["seq"]
    tab.label("p0", "happy")
    refused = other.step("undo", seen=seen)
    assert refused["kind"] == "conflict"
    assert refused["photo"]["photo"] == desk.order[0]
    assert "seq" in other.step("undo", seen=refused["seq"])


def test_what_another_tab_has_undone_is_not_undone_once_more(desk, tab):
    other = Tab(desk)
    tab.label("p0", "happy")
    seen = tab.label("p1", "sad")["seq"]
    other.step("undo", seen=seen)
    refused = tab.step("undo", seen=seen)  # meant the same
    assert refused["kind"] == "conflict"
    assert labels_of(refused["photo"]) == {"p0": "happy", "p1": None, "p2": None}
    assert "seq" in tab.step("undo", seen=refused["seq"])


@pytest.mark.parametrize("same_process", [True, False])
def test_two_annotators_at_once_lose_and_mix_nothing(start, desk, tab, same_process):
    desks = {"AB": desk, "CD": desk if same_process else start()}
    refused = []

    def label(who):
        chance, mine = random.Random(who), Tab(desks[who], who)
        for _ in range(100):
            word, face = chance.choice(EMOTIONS), f"p{chance.randrange(3)}"
            reply = mine.act("label", chance.randrange(3), face=face, label=word)
            refused.extend([reply] if "error" in reply else [])

    threads = [threading.Thread(target=label, args=[who]) for who in desks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused == []
    entries = desk._records.journal.entries()
    assert [entry.seq for entry in entries] == list(range(1, 201))
    for who in desks:
        chance = random.Random(who)
        wanted = {}
        for _ in range(100):
            word, face = chance.choice(EMOTIONS), f"p{chance.randrange(3)}"
            wanted[chance.randrange(3), face] = word
        for photo in range(3):
            found = labels_of(Tab(desk, who).state(photo))
            assert found == {face: wanted.get((photo, face)) for face in found}


# Blindness


def test_annotators_see_nothing_of_each_other_or_of_guesses(start):
    desk = start(backends=[Reader("disgust")], order="active", repeat=1.0)
    theirs, mine = Tab(desk, "CD"), Tab(desk, "AB")
    for photo in range(3):
        theirs.finish(photo, ["fear", "contempt", "surprise"])
    wait_for(lambda: len(desk._records.journal.guesses()) == 3)
    replies = [
        mine.open(),
        *(mine.state(photo) for photo in range(3)),
        mine.label("p0", "happy"),
        mine.step("undo"),
        mine.step("redo"),
        mine.act("complete", complete=True),
        mine.ask("changes", since=0),
        mine.ask("agreement"),
        mine.ask("disagreements"),
        mine.ask("adjudicate", id="x", photo=desk.order[0], box=[2, 2, 12, 14], label="happy"),
        mine.ask("export"),
    ]
    for reply in replies:
        reply.pop("classes", None)
        reply.pop("settings", None)
        text = json.dumps(reply)
        assert not any(word in text for word in ("fear", "contempt", "surprise", "CD", "disgust"))
    assert [reply["error"] for reply in replies[-3:-1]] == [
        "AB does not adjudicate here: open as an adjudicator first"
    ] * 2
    assert mine.ask("agreement") == {"blind": True, "self": {"faces": 0, "same": 0, "kappa": None}}


def wait_for(truth, seconds=10):
    end = time.monotonic() + seconds
    while not truth():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_guess_is_recorded_before_it_is_shown_and_marks_later_labels(start):
    desk = start(backends=[Reader("disgust", sure=lambda image: 0.7)])
    tab = Tab(desk)
    wait_for(lambda: len(desk._records.journal.guesses()) == 3)
    tab.label("p0", "happy")
    guesses = tab.ask("guess", photo=desk.order[0])["guesses"]
    assert list(guesses) == ["p0", "p1", "p2"]
    assert guesses["p0"]["reader-disgust"] == pytest.approx([0.05, 0.7, *[0.05] * 5])
    tab.ask("guess", photo=desk.order[0])
    kinds = [type(entry.action).__name__ for entry in desk._records.journal.entries()]
    assert kinds == ["Label", "Guess"]
    tab.label("p1", "sad", guess_shown=False)
    tab.label("p2", "sad", photo=1)
    Tab(desk, "CD").label("p2", "sad")
    assert tab.step("undo")["item"]["id"] == desk.order[1]  # a guess shown cannot be undone
    tab.step("redo")
    path = desk.export()
    written = load_labels(path).written
    assert written["0.png"].extra["guess_shown"] == ("", "yes", "")
    assert written["1.png"].extra["guess_shown"] == ("",)


def test_without_backends_there_is_no_guess(desk, tab):
    assert tab.ask("guess", photo=desk.order[0])["error"].startswith("no backend guesses here")


def test_the_most_uncertain_photo_comes_first(start, folder):
    draw(folder / "3.png", 50)
    sure = Reader("sad", sure=lambda image: 0.9 if image[0, 0, 0] == 50 else 0.99)
    desk = start(backends=[sure], order="active")
    wait_for(lambda: len(desk._records.journal.guesses()) == 4)
    items = Tab(desk).open()["items"]
    assert [item["name"] for item in items] == ["3.png", "0.png", "1.png", "2.png"]


# Adjudication


def test_disagreements_are_settled_under_a_name_that_labels_nothing(start, desk, tab):
    tab.finish()
    other = Tab(desk, "CD")
    other.finish(words=["happy", "fear", "not_a_face"])
    assert tab.open(role="adjudicator")["kind"] == "refused"
    judge = Tab(desk, "Z")
    opened = judge.open(role="adjudicator")
    assert opened["items"][0]["disagree"] == 2
    assert opened["progress"]["faces"] == 2
    faces = judge.ask("disagreements")["faces"]
    assert [face["answers"] for face in faces] == [
        {"AB": "sad", "CD": "fear"},
        {"AB": "neutral", "CD": "not_a_face"},
    ]
    assert [face["label"] for face in judge.state()["faces"]] == ["happy", None, None]
    assert judge.act("label", face="p0", label="happy")["kind"] == "refused"
    assert judge.open()["kind"] == "refused"
    place = {"photo": desk.order[0], "box": faces[0]["box"]}
    reply = judge.step("adjudicate", **place, label="sad")
    assert (reply["item"]["disagree"], reply["progress"]["labelled"]) == (1, 1)
    assert judge.step("adjudicate", photo=desk.order[0], box=faces[1]["box"], label="not_a_face")
    assert judge.ask("disagreements")["faces"][0]["adjudicated"] == "sad"
    judge.step("undo")
    judge.step("redo")
    first = desk.export().read_bytes()
    labels = load_labels(desk.labels)
    assert [EMOTIONS[label] for label in labels["0.png"].labels] == ["happy", "sad"]
    assert labels["0.png"].votes[1].tolist() == [0, 0, 1, 0, 1, 0, 0]
    found = judge.ask("agreement")
    assert (found["blind"], found["annotators"], found["faces"]) == (False, ["AB", "CD"], 2)
    assert found["pairs"][0]["alone"] == {"AB": 1, "CD": 0}
    desk.close()
    for part in desk.labels.parent.glob("labels.csv.journal*"):
        part.unlink()
    again = start()  # from the file alone
    assert again.export().read_bytes() == first
    assert Tab(again, "Z").ask("disagreements")["faces"]


def test_a_settled_face_is_open_again_where_the_annotators_come_to_agree_otherwise(desk, tab):
    other, judge = Tab(desk, "CD"), Tab(desk, "Z")
    tab.finish(words=["happy", "sad", "neutral"])
    other.finish(words=["sad", "sad", "neutral"])
    judge.open(role="adjudicator")
    [face] = judge.ask("disagreements")["faces"]
    place = {"photo": desk.order[0], "box": face["box"]}

    def left():
        item = judge.open(role="adjudicator")["items"][0]
        return item["disagree"], [
            each["adjudicated"] for each in judge.ask("disagreements")["faces"]
        ]

    judge.step("adjudicate", **place, label="fear")
    other.label("p1", "angry")  # another face
    other.label("p1", "sad")
    assert left() == (0, ["fear"])
    tab.label("p0", "sad")
    assert left() == (1, ["fear"])
    shown = judge.state()["faces"][0]
    assert (shown["label"], shown["answers"]) == (None, {"AB": "sad", "CD": "sad", "Z": "fear"})
    judge.step("adjudicate", **place, label="fear")  # seen, and meant
    assert left() == (0, [])
    for one in (tab, other):
        one.act("delete", face="p0")
    assert left() == (1, ["fear"])
    judge.step("adjudicate", **place, label=None)
    assert left() == (0, [])
    assert len(judge.state()["faces"]) == 2


@pytest.mark.parametrize("box", [[-50, -50, -10, -10], [0, 0, 1e6, 1e6], [2, 15, 12, 19]])
def test_where_nobody_has_a_face_there_is_nothing_to_settle(desk, tab, box):
    tab.finish()
    judge = Tab(desk, "Z")
    judge.open(role="adjudicator")
    reply = judge.step("adjudicate", photo=desk.order[0], box=box, label="happy")
    assert (reply["kind"], reply["error"][:31]) == ("unknown", "there is no face there any more")
    assert len(load_labels(desk.export())["0.png"]) == 3


def test_a_settled_face_deleted_from_the_file_by_hand_is_open_again(start, desk, tab):
    tab.finish()
    Tab(desk, "CD").finish(words=["happy", "fear", "neutral"])
    judge = Tab(desk, "Z")
    judge.open(role="adjudicator")
    [face] = judge.ask("disagreements")["faces"]
    judge.step("adjudicate", photo=desk.order[0], box=face["box"], label="sad")
    desk.close()
    rows = desk.labels.read_text().splitlines(keepends=True)
    desk.labels.write_text("".join(row for row in rows if ",Z," not in row))
    again = start(take_in=desk.labels)
    assert [EMOTIONS[label] for label in again.said()["0.png"].labels] == ["happy", "neutral"]
    text = "".join(rows).replace(",AB,", ",Z,")
    refused = Tab(again, "EF").ask("import", name="x.csv", text=text, format="csv")
    assert "'Z' would both label and adjudicate" in refused["error"]


# The repeat


def test_finished_photos_come_up_again_without_their_labels(start):
    desk = start(repeat=1.0)
    tab = Tab(desk)
    wait_for(lambda: not tab.ask("changes", since=0)["waiting"])
    assert len(tab.open()["items"]) == 3
    tab.finish(words=["happy", "sad", "not_a_face"])
    items = tab.open()["items"]
    assert [(item["id"], item["again"]) for item in items[3:]] == [(desk.order[0], 1)]
    assert items[3]["labelled"] == 0
    assert labels_of(tab.state(again=1)) == {"p0": None, "p1": None}
    assert tab.act("add", face="dnew1", box=[1, 1, 9, 9], again=1)["kind"] == "refused"
    tab.label("p0", "happy", again=1)
    reply = tab.label("p1", "fear", again=1)
    assert {"labelled": 5, "faces": 11}.items() <= reply["progress"].items()
    assert tab.ask("agreement")["self"] == {"faces": 2, "same": 1, "kappa": pytest.approx(1 / 3)}
    assert labels_of(tab.state()) == {"p0": "happy", "p1": "sad", "p2": "not_a_face"}
    assert [EMOTIONS[label] for label in desk.said()["0.png"].labels] == ["happy", "sad"]
    assert tab.step("undo")["photo"]["again"] == 1


# Files


def test_the_label_file_is_what_evaluate_takes(start, folder, desk, tab):
    for photo in range(3):
        tab.finish(photo, ["happy", "happy", "sad"])
    Tab(desk, "CD").finish(0, ["happy", "sad", "sad"])
    desk.close()
    found = evaluate(folder, desk.labels, detectors=[Finder()], backends=[Reader()], progress=False)
    assert sum(map(len, found.labels.values())) == 9
    figures = found.scores[0].overall()
    assert figures["detection_recall"] == figures["detection_precision"] == 1
    assert figures["matched_accuracy"] == pytest.approx(5 / 8)  # of one face the votes tie
    assert load_labels(desk.labels).annotators == ("AB", "CD")


def test_it_is_written_a_short_while_after_the_last_action(desk, tab, monkeypatch):
    desk._later._quiet = 0.05
    tab.label("p0", "fear")
    wait_for(desk.labels.exists)
    assert EMOTIONS[load_labels(desk.labels)["0.png"].labels[0]] == "fear"


def test_it_may_be_written_from_anywhere_at_any_time(desk, tab):
    tab.finish()
    busy = [threading.Thread(target=lambda: [desk.export() for _ in range(20)]) for _ in range(2)]
    for thread in busy:
        thread.start()
    for number in range(20):
        assert "error" not in tab.ask("export")
        tab.label("p0", EMOTIONS[number % 7])
    for thread in busy:
        thread.join(60)
        assert not thread.is_alive()
    tab.ask("export")
    assert load_labels(desk.labels)["0.png"].labels[0] == 19 % 7


def test_where_nothing_is_said_nothing_is_written(desk, tab):
    assert tab.ask("export") == {"path": None, "faces": 0, "photos": 0}
    desk.close()
    assert not desk.labels.exists()


def test_a_photo_with_a_face_left_unlabelled_is_not_complete(desk, tab):
    tab.label("p0", "happy")
    tab.act("complete", complete=True)
    assert not load_labels(desk.export())["0.png"].complete


def test_a_file_changed_by_hand_is_neither_overwritten_nor_ignored(start, desk, tab):
    for photo in range(2):
        tab.finish(photo)
    desk.export()
    rows = desk.labels.read_text().splitlines()
    changed = "\n".join([rows[0], rows[1].replace("happy", "fear"), *rows[2:4]]) + "\n"
    desk.labels.write_text(changed)  # a word changed, a photo's rows gone
    refused = tab.ask("export")
    assert "changed by hand" in refused["error"]
    assert f"--import {desk.labels}" in refused["error"]
    desk._export_quietly()
    assert "changed by hand" in tab.ask("changes", since=0)["trouble"]
    assert desk.labels.read_text() == changed
    desk._later.stop()
    desk._records.journal.close()
    with pytest.raises(LabelError, match="changed by hand"):
        start()
    again = start(take_in=desk.labels)
    tab = Tab(again)
    assert list(labels_of(tab.state()).values()) == ["fear", "sad", "neutral"]
    assert not any(labels_of(tab.state(1)).values())
    assert len(load_labels(again.export())) == 1
    tab.step("undo")  # nothing is lost
    assert labels_of(tab.state(1)) == {"p0": "happy", "p1": "sad", "p2": "neutral"}


def test_labels_that_were_there_first_are_taken_in_once(start, folder):
    text = "image,x,y,w,h,emotion,note\n0.png,2,2,10,12,happy,grin\n9.png,1,2,3,4,sad,\n"
    (folder / "labels.csv").write_text(text)
    desk = start(annotator="AB")
    tab = Tab(desk)
    state = tab.state()
    assert [face["label"] for face in state["faces"]] == ["happy"]
    assert state["complete"]
    assert tab.open()["history"] == {"undo": False, "redo": False}
    desk.close()
    labels = load_labels(desk.labels)
    assert list(labels) == ["0.png", "9.png"]  # photos that are not here stay
    assert labels.written["0.png"].extra["note"] == ("grin",)
    seq = desk._records.ledger.seq
    assert start()._records.ledger.seq == seq


def test_labels_that_name_nobody_are_told_of_and_can_be_had(start, folder):
    file = folder / "labels.csv"
    file.write_text("image,x,y,w,h,emotion\n0.png,2,2,10,12,sad\n")
    with start() as desk:
        [note] = Tab(desk).open()["notes"]
    assert f"--import {file}" in note
    with start(take_in=file, annotator="AB") as desk:
        tab = Tab(desk)
        assert tab.open()["notes"] == []
        assert labels_of(tab.state()) == {"i2-0": "sad"}


def test_what_an_annotator_imports_leaves_others_alone(desk, tab):
    other = Tab(desk, "CD")
    other.label("p0", "fear")
    tab.label("p0", "happy")
    text = (
        "image,x,y,w,h,emotion,annotator\n0.png,2,2,10,12,sad,\n0.png,2,2,10,12,sad,CD\n"
        "1.png,2,2,10,12,angry,CD\n"
    )
    reply = tab.ask("import", name="old.csv", text=text, format="csv")
    assert reply == {"photos": 2, "faces": 2, "kept": 1}
    assert labels_of(other.state())["p0"] == "fear"
    assert "angry" in labels_of(other.state(1)).values()
    assert [face["label"] for face in tab.state()["faces"]] == ["sad"]
    assert tab.ask("import", name="old.csv", text=text, format="csv")["faces"] == 0
    tab.step("undo")
    assert labels_of(tab.state())["p0"] == "happy"
    assert tab.ask("import", name="a.csv", text="x\n", format="csv")["kind"] == "refused"
    assert tab.ask("import", name="a.csv", text=7, format="csv")["kind"] == "refused"
    assert "yolo" in tab.ask("import", name="a", text="", format="yolo")["error"]


@pytest.mark.parametrize("name", ["A" * 41, "A;B", '"A\nB"', "A\u200bB"])
def test_names_under_which_nobody_could_go_on_are_not_taken_in(start, folder, desk, tab, name):
    head, row = "image,x,y,w,h,emotion,annotator\n", "0.png,1,1,9,9,sad,"
    text = f"{head}{row}{name}\n"
    reply = tab.ask("import", name="old.csv", text=text, format="csv")
    assert reply["kind"] == "refused"
    assert "change it in the file" in reply["error"]
    settled = f"{head[:-1]},settled,settled_by\n{row}CD,sad,{name}\n"
    reply = tab.ask("import", name="old.csv", text=settled, format="csv")
    assert reply["kind"] == "refused"
    (folder / "old.csv").write_text(text, encoding="utf-8")
    with pytest.raises(LabelError, match=r"old\.csv: annotator: .*change it in the file"):
        start(take_in=folder / "old.csv")
    assert desk.export() is None


def test_a_name_is_the_same_however_its_accents_are_written(start, folder):
    one, other = "Jos\u00e9", "Jose\u0301"
    rows = f"image,x,y,w,h,emotion,annotator\n0.png,1,1,9,9,sad,{other}\n"
    (folder / "labels.csv").write_text(rows, encoding="utf-8")
    desk = start(annotator=other)
    for who in (one, other):
        assert "sad" in labels_of(Tab(desk, who).state()).values()
    Tab(desk, other).finish(1)
    assert load_labels(desk.export()).annotators == (one,)
    twice = f"{rows}0.png,1,1,9,9,fear,{one}\n"
    reply = Tab(desk).ask("import", name="old.csv", text=twice, format="csv")
    assert "the same row twice" in reply["error"]


def test_a_yolo_folder_is_taken_in_at_the_start(start, tmp_path):
    (tmp_path / "yolo").mkdir()
    (tmp_path / "yolo" / "classes.txt").write_text("joy\n")
    (tmp_path / "yolo" / "1.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    desk = start(take_in=tmp_path / "yolo", format="yolo", annotator="AB")
    [face] = Tab(desk).state(1)["faces"]
    assert (face["box"], face["label"]) == ([15, 10, 45, 30], "happy")


def test_a_full_disk_is_said_and_nothing_is_changed(desk, tab):
    database = desk._records.journal._database
    tab.label("p0", "happy")
    [pages] = database.execute("PRAGMA page_count").fetchone()
    database.execute(f"PRAGMA max_page_count = {pages}")
    for number in range(200):
        reply = tab.act("add", face=f"dnew{number}", box=[number / 10, 0, 30, 30], id=f"n{number}")
        if "error" in reply:
            break
    assert reply["kind"] == "failed"
    assert "full" in reply["error"]
    assert len(tab.state()["faces"]) == 3 + number
    database.execute("PRAGMA max_page_count = 100000")
    again = tab.act("add", face=f"dnew{number}", box=[number / 10, 0, 30, 30], id=f"n{number}")
    assert len(again["photo"]["faces"]) == 4 + number


def test_a_place_that_cannot_be_written(start):
    with pytest.raises(OutputError, match=r"/proc/labels\.csv\.journal: cannot be written"):
        start(labels="/proc/labels.csv")


def test_a_label_file_that_cannot_be_written_costs_no_label(start, desk, tab):
    tab.finish()
    desk.labels.mkdir()
    with pytest.raises((OutputError, LabelError), match=r"labels\.csv: cannot be"):
        desk.close()
    desk.labels.rmdir()
    assert labels_of(Tab(start()).state())["p0"] == "happy"


def test_a_label_file_on_a_full_disk_is_named(desk, tab, monkeypatch):
    def full(labels, path):
        raise OutputError(f"{path}: cannot be written: No space left on device")

    tab.finish()
    monkeypatch.setattr("groupemo.labeller.exchange.save_labels", full)
    reply = tab.ask("export")
    assert reply["error"] == f"{desk.labels}: cannot be written: No space left on device"


# Photos


@pytest.mark.parametrize(
    ("text", "photo"),
    [
        (None, "0.png"),
        ("no labels\n", "0.png"),
        ("image,x,y,w,h,emotion\n{},900,0,9,9,sad\n", "0.png"),
    ],
)
def test_a_start_that_fails_leaves_nothing_behind(start, tmp_path, text, photo):
    file, labels = tmp_path / "old.csv", tmp_path / "new" / "labels.csv"
    if text:
        file.write_text(text.format(photo))
    with pytest.raises(LabelError, match=r"old.csv|outside"):
        start(labels=labels, take_in=file)
    assert not list(labels.parent.glob("*"))


def test_a_start_that_fails_spares_what_is_there(start, desk, tab, tmp_path):
    tab.label("p0", "happy")
    desk.close()
    journal = desk.labels.with_name("labels.csv.journal")
    for _ in range(2):
        with pytest.raises(LabelError, match=r"old\.csv"):
            start(take_in=tmp_path / "old.csv")
        assert start().order
        assert journal.exists()


def test_a_journal_that_somebody_else_has_open_is_not_discarded(tmp_path):
    mine, theirs = Journal(tmp_path / "journal"), Journal(tmp_path / "journal")
    mine.discard()
    theirs.add_file("0" * 64)
    theirs.close()
    assert Journal(tmp_path / "journal").knows_file("0" * 64)


def test_the_newest_labels_stand_when_two_processes_write_them(start, desk, tab, monkeypatch):
    other = start()
    tab.label("p0", "happy")
    save, held = exchange.save_labels, []

    def save_late(labels, path):
        """Let the other one write newer labels before these stand there."""
        if not held:
            held.append(labels)
            tab.label("p1", "sad")
            other.export()
        return save(labels, path)

    monkeypatch.setattr(exchange, "save_labels", save_late)
    assert len(load_labels(desk.export())["0.png"]) == 2


def test_a_photo_that_cannot_be_read_ends_nothing(start, folder):
    (folder / "1.png").write_text("no picture")
    (folder / "2.png").write_bytes(b"")
    desk = start()
    tab = Tab(desk)
    items = {item["name"]: item for item in tab.open()["items"]}
    assert items["0.png"]["error"] is None
    assert "1.png: not a picture" in items["1.png"]["error"]
    assert "2.png: the file is empty" in items["2.png"]["error"]
    state = tab.ask("photo", photo=items["1.png"]["id"])
    assert (state["faces"], state["pending"]) == ([], False)
    reply = tab.ask(
        "act", id="x", photo=items["1.png"]["id"], seen=0, kind="complete", complete=True
    )
    assert "not a picture" in reply["error"]
    tab.finish()
    assert tab.ask("changes", since=0)["waiting"] == 0


def test_a_detector_that_fails_leaves_faces_to_be_drawn(start):
    class Fails(Finder):
        def __call__(self, image):
            raise SystemExit("no licence")

    desk = start(detector=Fails())
    tab = Tab(desk)
    assert not tab.state()["pending"]
    assert tab.act("add", face="dnew1", box=[1, 1, 9, 9])["item"]["faces"] == 1
    wait_for(lambda: tab.ask("changes", since=0)["waiting"] == 0)
    assert "0.png: SystemExit: no licence" in tab.open()["notes"][0]


def test_nothing_is_proposed_where_somebody_has_called_the_photo_complete(start):
    class Fails(Finder):
        def __call__(self, image):
            raise RuntimeError("no memory")

    desk = start(detector=Fails())
    tab = Tab(desk)
    for photo in (0, 1):
        assert not tab.state(photo)["pending"]
        tab.act("add", photo, face=f"dnew{photo}", box=[1, 1, 9, 9])
        tab.label(f"dnew{photo}", "sad", photo)
    tab.act("complete", complete=True)
    desk.close()
    first = desk.labels.read_bytes()
    again = start()
    tab = Tab(again)
    assert [(face["id"], face["label"]) for face in tab.state()["faces"]] == [("dnew0", "sad")]
    assert [len(tab.state(photo)["faces"]) for photo in range(3)] == [1, 4, 3]
    again.close()
    assert desk.labels.read_bytes() == first


def test_what_a_file_calls_complete_has_proposals_for_others(start, folder):
    rows = "image,x,y,w,h,emotion,annotator,complete\n0.png,1,1,9,9,sad,AB,yes\n"
    (folder / "labels.csv").write_text(rows)
    desk = start()
    assert [len(Tab(desk, who).state()["faces"]) for who in ("AB", "CD")] == [1, 3]


def test_the_photo_that_is_looked_at_is_done_next(start, folder, monkeypatch):
    for number in range(3, 9):
        draw(folder / f"{number}.png", 20 * number + 5)
    go, started = threading.Event(), threading.Event()
    shades = []

    class Waits(Finder):
        def __call__(self, image):
            shades.append(int(image[0, 0, 0]))
            started.set()
            go.wait(10)
            return super().__call__(image)

    monkeypatch.setattr(desk_module, "PATIENCE", 0.01)
    desk = start(detector=Waits())
    started.wait(10)
    assert Tab(desk).state(6)["pending"]
    go.set()
    wait_for(lambda: len(shades) == 9)
    assert shades[1:4] == [125, 145, 165]


def test_nothing_is_proposed_for_a_photo_that_has_changed_meanwhile(start, folder):
    waiting = threading.Event()

    class Patient(Finder):
        def __call__(self, image):
            waiting.wait(10)
            return super().__call__(image)

    desk = start(detector=Patient())
    draw(folder / "2.png", 200)
    waiting.set()
    tab = Tab(desk)
    assert [len(tab.state(photo)["faces"]) for photo in range(3)] == [3, 3, 0]
    assert "2.png: the file has changed" in tab.open()["notes"][0]


def test_proposals_are_made_once(start, desk, tab):
    desk.close()
    finder = Finder()
    again = start(detector=finder)
    assert not any(item["pending"] for item in Tab(again).open()["items"])
    again.close()
    assert finder.photos == 0


def test_photos_are_known_by_their_content(start, folder, desk, tab):
    tab.finish()
    tab.finish(1)
    desk.close()
    (folder / "0.png").rename(folder / "party.png")
    draw(folder / "1.png", 99)
    (folder / "copy.png").write_bytes((folder / "party.png").read_bytes())
    again = start()
    opened = Tab(again).open()
    names = {item["name"]: item for item in opened["items"]}
    assert names["copy.png"]["labelled"] == 3
    assert names["1.png"]["labelled"] == 0
    assert "party.png is the same picture as copy.png: shown once" in opened["notes"]
    assert any("1 labelled photos have changed since" in note for note in opened["notes"])
    assert list(load_labels(again.export())) == ["copy.png"]


def test_a_notebook_may_change_its_folder(start, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder.parent)
    desk = start(folder.name)
    tab = Tab(desk)
    assert labels_of(tab.state())
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    tab.label("p0", "happy")
    assert desk.export() == folder / "labels.csv"
    assert desk.photos[desk.order[0]].load()
    assert not list(elsewhere.iterdir())


def test_links_out_of_the_folder_are_left_out(start, folder, tmp_path):
    draw(tmp_path / "secret.png", 200)
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "inside.png").symlink_to(folder / "0.png")
    opened = Tab(start()).open()
    assert [item["name"] for item in opened["items"]] == ["0.png", "1.png", "2.png"]
    assert opened["notes"] == [
        "link.png is a link that leads out of the folder: left out",
        "inside.png is the same picture as 0.png: shown once",
    ]


def test_a_folder_without_photos(start, tmp_path):
    with pytest.raises(PhotoError, match="no such file or folder"):
        start(tmp_path / "nowhere", labels=tmp_path / "labels.csv")
    assert not list(tmp_path.glob("labels.csv*"))


# Messages


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ([], "unknown"),
        ({}, "unknown"),
        ({"do": ["open"]}, "unknown"),
        ({"do": "__init__"}, "unknown"),
        ({"annotator": ""}, "refused"),
        ({"annotator": "A;B"}, "refused"),
        ({"annotator": " A"}, "refused"),
        ({"annotator": "A\nB"}, "refused"),
        ({"annotator": "A" * 41}, "refused"),
        ({"annotator": 7}, "refused"),
        ({"client": "a b"}, "refused"),
        ({"client": None}, "refused"),
        ({"photo": "../0.png"}, "unknown"),
        ({"photo": ["x"]}, "unknown"),
        ({"again": 2}, "refused"),
        ({"again": True}, "refused"),
        ({"seen": -1}, "refused"),
        ({"seen": "0"}, "refused"),
        ({"id": "'; DROP TABLE actions"}, "refused"),
        ({"kind": "import"}, "refused"),
        ({"kind": {}}, "refused"),
        ({"face": "p9"}, "unknown"),
        ({"label": "joyful"}, "refused"),
        ({"further": 1}, "refused"),
        ({"kind": "add", "face": "p0", "box": [0, 0, 9, 9], "label": ...}, "refused"),
        ({"kind": "add", "face": "dnew1", "box": [0, 0, 61, 9], "label": ...}, "refused"),
        ({"kind": "add", "face": "dnew1", "box": [2, 2, 12, 14], "label": ...}, "refused"),
        ({"kind": "move", "box": [20, 4, 31.3, 18], "label": ...}, "refused"),
        ({"do": "open", "role": "owner"}, "refused"),
        ({"do": "changes", "since": None}, "refused"),
    ],
)
def test_a_message_that_is_wrong_is_answered_and_changes_nothing(desk, tab, message, kind):
    right = {
        "do": "act", "annotator": "AB", "client": "tab", "id": "x", "photo": desk.order[0],
        "seen": 0, "kind": "label", "face": "p0", "label": "happy",
    }  # fmt: skip
    if isinstance(message, dict):
        message = {k: v for k, v in ({**right, **message} if message else {}).items() if v != ...}
    before = tab.state()
    reply = desk.handle(message)
    assert (reply["kind"], bool(reply["error"])) == (kind, True)
    assert tab.state() == before
    assert "error" not in desk.handle(right)


@pytest.mark.parametrize("name", ["José", "محمد", "می\u200cنو", "👩\u200d🌾", "__proto__", "=1+1"])
def test_names_may_be_of_any_letters(desk, tab, name):
    other = Tab(desk, name)
    other.label("p0", "happy")
    assert load_labels(desk.export()).annotators == (name,)
    assert labels_of(other.state())["p0"] == "happy"


def test_a_deleted_face_stays_deleted_and_its_id_is_not_used_again(tab):
    tab.act("add", face="dnew1", box=[1, 20, 9, 30])
    tab.act("delete", face="dnew1")
    assert tab.act("label", face="dnew1", label="sad")["kind"] == "unknown"
    assert tab.act("add", face="dnew1", box=[1, 20, 9, 30])["kind"] == "refused"


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"detector": "owl"}, UnknownPlugin),
        ({"backends": ["owl"]}, UnknownPlugin),
        ({"order": "best"}, OptionError),
        ({"order": "active"}, OptionError),
        ({"repeat": 1.5}, OptionError),
        ({"annotator": "A;B"}, OptionError),
        ({"annotator": " "}, OptionError),
        ({"take_in": "nowhere.csv"}, LabelError),
        ({"take_in": "nowhere.csv", "format": "xls"}, OptionError),
    ],
)
def test_options_that_mean_nothing(start, options, error):
    with pytest.raises(error):
        start(**options)


def test_the_pace_is_the_median_without_pauses():
    times = np.cumsum([0, 2, 2, 2, 1, 3, 600, 2, 40])
    assert seconds_a_face(times.tolist()) == 2
    assert seconds_a_face(times[:4].tolist()) is None


def test_later_calls_when_it_is_quiet_and_in_time_when_it_is_not():
    calls = []
    later = Later(lambda: calls.append(1), quiet=0.01)
    later.ask()
    wait_for(lambda: calls)
    assert later.stop() is False
    busy = Later(lambda: calls.append(2), quiet=60, at_most=0.05)
    wait_for(lambda: busy.ask() or 2 in calls)
    busy.stop()
    patient = Later(lambda: calls.append(3), quiet=60, at_most=60)
    patient.ask()
    assert patient.stop() is True
    assert 3 not in calls
