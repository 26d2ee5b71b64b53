import base64
import io
import json
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files
from types import SimpleNamespace

import numpy as np
import pytest
from gallery_scenes import HOSTILE, grid, one_of_each
from PIL import Image
from report_scenes import analysis

from groupemo import Evaluation, LabelledFaces, Labels
from groupemo.metrics.anatomy import BINS
from groupemo.report import pictures
from groupemo.report.gallery import gallery
from groupemo.report.grid import Grid
from groupemo.report.mistakes import KINDS
from groupemo.report.page import render
from groupemo.testing import make_scene, write_scenes


@pytest.fixture(scope="module")
def whole():
    return grid()


def made(evaluation, **options):
    return gallery(Grid(evaluation), **options)


def errors(found):
    return [(card.error.kind, card.error.text) for card in found.cards]


def pixels(source):
    with Image.open(io.BytesIO(base64.b64decode(source.split(",")[1]))) as picture:
        return np.asarray(picture, dtype=int)


def html(found):
    content = SimpleNamespace(gallery=found)
    return render("gallery.html", data=found, content=content)


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.words, self.script = [], [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.tags[-1][0] == "script" and not self.script:
            self.script = data
        else:
            self.words.append(data)

    def all(self, tag, css=""):
        return [attrs for name, attrs in self.tags if name == tag and css in attrs.get("class", "")]


def test_each_kind_of_mistake_has_its_card(tmp_path):
    found = made(one_of_each(tmp_path))
    assert errors(found) == [
        ("wrong emotion", "labelled sad, answered happy (0.70)"),
        ("phantom", "no labelled face, answered sad (score 0.50)"),
        ("duplicate", "a face found before, answered surprise (score 0.58)"),
        ("localisation", "labelled neutral, box too far off (IoU 0.33)"),
        ("missed", "labelled fear, not found"),
        ("abstained", "labelled angry, no answer"),
    ]
    assert [card.error.short.split(" \u2192 ")[0] for card in found.cards] == [
        "sad", "no face", "again", "neutral", "fear", "angry",
    ]  # fmt: skip
    boxes = {card.error.kind: card.error.box for card in found.cards}
    assert boxes["missed"] == (240, 24, 288, 72)
    assert boxes["localisation"] == (192, 24, 240, 72)
    assert [card.error.face for card in found.cards if card.error.face] == [(168, 24, 216, 72)]
    assert [photo["name"] for photo in found.photos] == ["party.png"]
    assert {card.photo for card in found.cards} == {0}


def test_one_mistake_of_several_runs_is_one_card(tmp_path):
    grid = one_of_each(tmp_path, [("eye", "mind"), ("eye", "mood")])
    found = made(grid)
    assert len(found.cards) == len(KINDS)
    assert {len(card.runs) for card in found.cards} == {2}
    assert [group.total for group in found.groups] == [1] * len(KINDS)


def test_the_surest_come_first_and_no_run_has_more_than_its_share(tmp_path):
    scene = make_scene(["sad"] * 40, face=24)
    labels = write_scenes([scene], tmp_path)
    boxes = scene.labelled.boxes[:20]
    runs = [
        analysis(scene, tmp_path, boxes, ["happy"] * 20, ("eye", "mind")),
        analysis(scene, tmp_path, boxes[::-1], ["fear"] * 20, ("eye", "mood")),
    ]
    rng = np.random.default_rng(0)
    runs = [
        replace(run, probs=run.probs + 0.3 * rng.random((20, 1)) * (run.probs > 0.5))
        for run in runs
    ]
    found = made(Evaluation.of(labels, runs))
    wrong, missed = found.groups
    assert (len(wrong.cards), wrong.total) == (20, 40)
    assert (len(missed.cards), missed.total) == (6, 20)
    for run in (0, 1):
        sure = [c.error.sure for c in wrong.cards if c.runs[0].backend == runs[run].backend]
        probs = np.sort(runs[run].probs.max(axis=1))[::-1][:10]
        np.testing.assert_allclose(sure, probs)
    assert [card.runs[0].backend for card in wrong.cards[:4]] == ["mind", "mood"] * 2
    assert sum(kind.most for kind in KINDS.values()) == 32
    page = " ".join(Tags(html(found)).words)
    assert "Of 40 by all runs 20 are pictured, surest first" in page


def test_runs_that_answer_the_same_for_every_face_are_left_out(whole):
    found = made(whole)
    assert {run.backend for run in found.runs} == {"mind", "mood"}
    assert "labelled" in {run.detector for run in found.runs}
    assert found.skipped == 3
    assert "the same answer are not shown" in html(found)


def test_the_page_starts_with_a_run_that_has_mistakes(tmp_path):
    scene = make_scene(["happy", "sad"])
    labels = write_scenes([scene], tmp_path)
    runs = [
        analysis(scene, tmp_path, scene.labelled.boxes, words, ("eye", name))
        for name, words in (("a", ["happy", "sad"]), ("b", ["happy", "happy"]))
    ]
    found = made(Evaluation.of(labels, runs))
    assert [run.backend for run in found.runs] == ["a", "b"]
    assert found.first.backend == "b"
    options = [one for one in Tags(html(found)).all("option") if "selected" in one]
    assert [one["value"] for one in options] == ["2"]


def test_the_cards_are_the_mistakes_of_the_scores(whole):
    evaluation = whole
    found = made(evaluation)
    for run in found.runs:
        faces = run.scores.faces()
        shown = Counter(card.error.kind for card in found.cards if run in card.runs)
        strays = (faces["outcome"] == "phantom").sum()
        wrong = (faces["outcome"] == "wrong emotion").sum()
        assert shown["wrong emotion"] == wrong or shown["wrong emotion"] >= 10
        assert shown["phantom"] + shown["duplicate"] + shown["localisation"] <= strays
        rows = faces[faces["outcome"] == "wrong emotion"]
        known = set(zip(rows["photo"], rows["labelled"], rows["answered"], strict=True))
        assert known >= {
            (card.error.photo, card.error.labelled, card.error.answered)
            for card in found.cards
            if card.error.kind == "wrong emotion" and run in card.runs
        }


def test_faces_are_blurred_in_parts_and_photos_unless_shown(tmp_path):
    evaluation = one_of_each(tmp_path)
    hidden, shown = (gallery(Grid(evaluation, show_faces=show)) for show in (False, True))
    middle = (slice(48, 112), slice(48, 112))
    for before, after in zip(shown.cards, hidden.cards, strict=True):
        if before.error.kind not in ("phantom", "localisation"):
            sharp, soft = (pixels(one.source)[middle].std(axis=(0, 1)).mean()
                           for one in (before, after))  # fmt: skip
            assert soft < 0.7 * sharp, before.error.kind
    for face in evaluation.labels["party.png"].boxes.astype(int):
        region = (slice(face[1], face[3]), slice(face[0], face[2]))
        sharp, soft = (pixels(one.photos[0]["source"])[region].std() for one in (shown, hidden))
        assert soft < 0.7 * sharp


def test_a_face_that_only_another_run_found_is_blurred_too(tmp_path):
    scene = make_scene(["happy", "sad"])
    write_scenes([scene], tmp_path)
    labels = Labels({scene.name: LabelledFaces.empty()})
    boxes = scene.labelled.boxes
    one = analysis(scene, tmp_path, boxes[:1], ["happy"], ("eye", "mind"))
    other = analysis(scene, tmp_path, boxes[1:], ["happy"], ("eye", "prior:sad=1"))
    x1, y1, x2, y2 = boxes[1].astype(int)
    sharp, soft = (
        pixels(made(Evaluation.of(labels, runs)).photos[0]["source"])[y1:y2, x1:x2].std()
        for runs in ([one], [one, other])
    )
    assert soft < 0.7 * sharp


def test_each_photo_is_read_once_and_only_where_it_is_shown(monkeypatch, whole):
    evaluation, read = whole, []
    plain = pictures.read_again

    def reading(one, photo):
        read.append(one.photo)
        return plain(one, photo)

    monkeypatch.setattr(pictures, "read_again", reading)
    found = made(evaluation)
    assert sorted(read) == sorted({card.error.photo for card in found.cards})


def test_the_budget_holds_and_parts_come_before_photos(whole):
    evaluation = whole
    full = made(evaluation)
    parts = sum(map(len, {(c.error.photo, c.error.part): c.source for c in full.cards}.values()))
    assert full.closed == 0
    budget = parts + len(full.photos[0]["source"])
    tight = made(evaluation, budget=budget)
    assert all(card.source for card in tight.cards)
    assert [photo["name"] for photo in tight.photos] == [full.photos[0]["name"]]
    assert tight.closed == len(full.photos) - 1
    assert f"{tight.closed} of the photos do not open" in html(tight)
    opened = [card.error.photo for card in tight.cards if card.photo is not None]
    assert set(opened) == {full.photos[0]["name"]}
    bare = made(evaluation, budget=0)
    assert [card.source for card in bare.cards] == [""] * len(full.cards)
    page = html(bare)
    assert page.count("not pictured") == len(full.cards)
    assert "<dialog" not in page


def test_photos_out_of_reach_are_said_to_be(tmp_path):
    evaluation = one_of_each(tmp_path)
    (tmp_path / "party.png").unlink()
    found = made(evaluation)
    assert {(card.source, card.photo) for card in found.cards} == {(None, None)}
    assert found.closed == 0
    page = html(found)
    assert page.count("photo out of reach") == len(KINDS)
    assert not Tags(page).all("img")


def test_nothing_wrong_is_said(tmp_path):
    scene = make_scene(["happy"])
    labels = write_scenes([scene], tmp_path)
    right = analysis(scene, tmp_path, scene.labelled.boxes, ["happy"])
    page = html(made(Evaluation.of(labels, [right])))
    assert "No wrong expression" in page
    assert "<form" not in page


def test_a_photo_comes_with_all_boxes_and_what_became_of_them(tmp_path):
    [photo] = made(one_of_each(tmp_path)).photos
    assert photo["size"] == [312, 168]
    assert [face[4] for face in photo["faces"]] == ["happy", "sad", "neutral", "fear", "angry"]
    [seen] = photo["runs"]
    assert [BINS[code] for code in seen["faces"]] == [
        "correct", "wrong emotion", "localisation", "missed", "abstained",
    ]  # fmt: skip
    assert [(BINS[row[4]], row[5]) for row in seen["found"]] == [
        ("correct", "happy 70%"),
        ("wrong emotion", "happy 70%"),
        ("localisation", "neutral 70%"),
        ("abstained", "no answer"),
        ("duplicate", "surprise 70%"),
        ("phantom", "sad 70%"),
    ]
    assert pixels(photo["source"]).shape == (168, 312, 3)


def test_large_photos_become_smaller(tmp_path):
    scene = make_scene(["happy"] * 8, face=300)
    labels = write_scenes([scene], tmp_path)
    [photo] = made(Evaluation.of(labels, [analysis(scene, tmp_path, [], [])])).photos
    assert photo["size"][0] == 1950
    assert max(pixels(photo["source"]).shape) == pictures.PHOTO_SIDE


def test_names_of_photos_are_shown_and_never_run(whole):
    found = made(whole)
    page = html(found)
    assert page.count("<script") == page.count("</script") == 1
    assert "<img src=x" not in page
    tags = Tags(page)
    assert any(attrs["alt"].startswith(f"{HOSTILE}: ") for attrs in tags.all("img")[:-1])
    assert HOSTILE in tags.words
    data = json.loads(tags.script, parse_constant=pytest.fail)
    assert HOSTILE in [photo["name"] for photo in data["photos"]]
    assert not re.search("[<>&']", tags.script)
    isolated = [i for i, (tag, _) in enumerate(tags.tags) if tag == "bdi"]
    assert len(isolated) == len(found.cards)


def test_without_scripts_every_picture_is_there_and_no_filter(whole):
    found = made(whole)
    tags = Tags(html(found))
    assert "hidden" in tags.all("form")[0]
    cards = tags.all("li", "shot")
    assert len(cards) == len(found.cards)
    assert not any("hidden" in card for card in cards)
    assert not [attrs for attrs in tags.all("button") if attrs["type"] == "submit"]


def test_colors_are_those_of_the_page():
    style = files("groupemo.report").joinpath("templates/style.css").read_text()
    light = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", style.split("}")[0]))
    for name, kind in KINDS.items():
        variable = re.search(rf"\.b-{name.replace(' ', '-')} {{ --mark: var\(--([\w-]+)\)", style)
        assert light[variable[1]] == kind.color, name
