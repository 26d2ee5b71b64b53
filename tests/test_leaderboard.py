"""The leaderboard's figures, its pages, and how workers are asked."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))

import leaderboard
from board import contenders, crews, judging, pages, parts, picture, scenes, standings

PHOTOS = [f"{number}.jpg" for number in range(6)]


def contender(found, correct, seconds, phantom=0, ours=False, preset=False):
    """Return what is measured of a tool: per photo counts of ten faces, and laps of two photos."""
    counts = {
        name: {"labelled": 10, "found": found + at % 2, "phantom": phantom, "known": 8,
               "correct": correct}
        for at, name in enumerate(PHOTOS)
    }  # fmt: skip
    laps = [
        {"photos": PHOTOS[start : start + 2], "seconds": seconds * (1 + start / 100)}
        for start in (0, 2, 4)
    ]
    return {
        "title": "call(photo)", "ours": ours, "preset": preset, "twin": "", "laps": laps,
        "counts": counts, "processes": 1, "megabytes": 100.0, "versions": {"numpy": "2.0"},
    }  # fmt: skip


@pytest.fixture
def results():
    speed = {
        "contenders": {
            "groupemo": contender(8, 6, 0.1, ours=True),
            "groupemo fast": contender(7, 5, 0.05, ours=True, preset=True),
            "groupemo best": contender(9, 7, 0.4, ours=True, preset=True),
            "deepface": contender(4, 2, 0.8, phantom=1),
            "fer": contender(3, 2, 0.5, phantom=2) | {"twin": "groupemo best"},
        },
        "absent": {"fer mtcnn": "there is no environment <b>"},
        "stand_in": True,
    }
    loops = {"groupemo: fer, batch": [0.1, 0.11], "fer, keras loop": [3.0, 3.0]}
    told = {
        "speed": speed,
        "classifier": {"faces": 64, "seconds": loops, "absent": {}},
        "cold": {"photo": "0.jpg", "absent": {},
                 "seconds": {"groupemo": [0.5, 0.5, 0.6], "deepface": [1.0, 1.0, 1.2]}},
        "growth": {"rows": [{"photos": 1000, "workers": 2, "seconds": 50.0, "megabytes": 500.0}]},
        "faces": {"side": [9, 9], "seconds": {"groupemo": {"1": 0.02, "30": 0.05}},
                  "answered": {"groupemo": {"1": 1.0, "30": 28.5}}, "absent": {}},
        "share": {"share": 0.96, "kinds": {"decoding": 0.06, "opencv": 0.9}},
        "detectors": {"photos": 6, "edges": [24, 48], "absent": ["no x"], "rows": {"yunet": {
            "ap50": [0.8, 0.7, 0.9], "precision": [0.9, 0.8, 1.0], "recall": [0.8, 0.7, 0.9],
            "sizes": [0.5, 0.6, 0.7], "milliseconds": 30.0}}},
        "naive": {"groupemo": {"megabytes": 590.0, "seconds": 20.0},
                  "naive": {"megabytes": 8400.0, "seconds": 200.0}},
    }  # fmt: skip
    about = {"made": "2026-01-01", "took": 9.0, "load": 0.1, "machine": "one", "command": "it"}
    return {name: each | about for name, each in told.items()}


def test_standings_are_sums_by_sums(results):
    ours, *_, peer = standings.standings(results["speed"])
    seconds = 0.1 * (1 + 1.02 + 1.04)
    assert ours.recall.value == pytest.approx(51 / 60)
    assert ours.found.value == pytest.approx(51 / seconds)
    assert ours.correct.value == pytest.approx(36 / seconds)
    assert ours.times.value == 1
    assert ours.milliseconds == pytest.approx(1000 * seconds / 6)
    assert peer.precision.value == pytest.approx(21 / 33)
    assert peer.times.value == pytest.approx(51 / 21 * 5)
    assert ours.recall.low < ours.recall.value < ours.recall.high


def test_a_ratio_is_paired_over_rounds():
    noise = np.array([1.0, 3.0, 0.5, 2.0, 1.5])
    paired = standings.quicker(0.1 * noise, 0.5 * noise)
    assert paired.value == pytest.approx(5)
    assert standings.quicker([0.1] * 5, 0.5 * noise).high > 6


def test_goals_are_judged_on_the_point_estimate(results):
    goals = {goal.what: goal for goal in standings.goals(results)}
    assert goals["faces found a second, against fer mtcnn"].met is None
    assert goals["faces found a second, against deepface"].met
    assert goals["recall and precision, against each peer's"].met
    assert goals["a preset with more recall and more correct faces a second"].met
    share = goals["base install by `pip install deepface fer ultralytics`, MB"]
    assert (share.seen, share.met) == ("0.07", True)
    results["speed"]["contenders"]["fer"] = contender(9, 8, 0.01)
    goals = {goal.what: goal for goal in standings.goals(results)}
    above = goals["a preset with more recall and more correct faces a second"]
    assert (above.met, above.seen) == (False, "not for fer")


def test_pages_hold_every_part_and_escape_what_others_said(results, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{pages.OPEN}\nold\n{pages.CLOSE}\nafter\n")
    leaderboard.write_pages(results, tmp_path / "leaderboard.json", readme)
    told = (tmp_path / "leaderboard.md").read_text()
    html = (tmp_path / "leaderboard.html").read_text()
    for title in ("In short", "On group photos", "The classifier alone", "Detectors"):
        assert f"## {title}" in told
        assert f">{title}</h2>" in html
    assert "28.5" not in told
    assert "50 (28)" in told
    assert "| fer | **groupemo best** | 0.350 | 0.950 | 3.4 " in told
    assert "environment <b>" not in html
    assert 'src="data:image/svg+xml;base64,' in html
    assert "http" not in html.replace("http-equiv", "").split("<style>")[0]
    text = readme.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "| **groupemo** | 85.0%" in text
    assert (tmp_path / "leaderboard.png").read_bytes().startswith(b"\x89PNG")


def test_a_readme_without_its_place_is_refused(results):
    with pytest.raises(ValueError, match="leaderboard"):
        pages.in_readme("nothing", results["speed"])


def test_pages_are_made_of_any_part_alone(results, tmp_path):
    for name, part in results.items():
        leaderboard.write_pages({name: part}, tmp_path / "one.json", None)


def test_pictures_are_the_same_again(results):
    each = standings.standings(results["speed"])
    first, second = (picture.as_bytes(picture.draw(each, dark=True), "svg") for _ in range(2))
    assert first == second
    assert picture.DARK[picture.PAPER].encode() in first


def test_a_part_measured_anew_leaves_the_others(results):
    merged = leaderboard.merged(results, "cold", {"seconds": {}})
    assert list(merged) == list(results)
    assert merged["cold"] == {"seconds": {}}
    assert merged["speed"] is results["speed"]


def test_parts_are_named_or_refused(capsys):
    assert leaderboard.parse([]).parts == list(parts.AT_ONCE)
    assert leaderboard.parse(["--naive", "--only", "cold"]).parts == ["cold", "naive"]
    assert leaderboard.parse(["--pages"]).parts == []
    with pytest.raises(SystemExit):
        leaderboard.parse(["--only", "cold,speeed"])
    assert "no part named speeed" in capsys.readouterr().err


def test_rounds_walk_through_all_photos():
    photos = [Path(name) for name in map(str, range(60))]
    rounds = [parts.round_of(photos, number) for number in range(6)]
    assert {len(each) for each in rounds} == {20}
    assert sorted(path for each in rounds[:3] for path in each) == sorted(photos)
    assert rounds[3] == rounds[0]


def test_contenders_have_names_of_their_own():
    each = contenders.contenders()
    names = [one.name for one in each]
    assert len(set(names)) == len(names)
    assert {one.twin for one in each} - {""} <= set(names)
    assert set(parts.LONE) | set(pages.IN_SHORT) <= set(names)


FAKE = """
import sys, json
sys.path.insert(0, {folder!r})
import worker
class Tool:
    distributions, classes = ("pytest", "no-such-distribution"), ["happy", "sad"]
    ways = dict(batch=len)
    def __init__(self, broken=False, workers=1, **options):
        print("a library that prints")
        if broken:
            raise RuntimeError("no weights")
    def answers(self, photos):
        for photo in photos:
            if photo == "bad.jpg":
                raise ValueError("cannot read it")
            yield worker.answer([[0, 0, 2, 2]], [0.5], [[0.75, 0.25]])
worker.TOOLS.update(fake=Tool, groupemo=Tool)
worker.main()
"""


@pytest.fixture
def fake(tmp_path, monkeypatch):
    script = tmp_path / "fake.py"
    script.write_text(FAKE.format(folder=str(ROOT / "benchmarks" / "board")))
    monkeypatch.setattr(crews, "WORKER", script)
    return contenders.Contender("fake", "fake()", "fake", {})


def test_a_crew_shares_photos_and_keeps_their_order(fake):
    photos = [Path(f"{number}.jpg") for number in range(7)]
    with crews.crew(fake, {}, 2) as crew:
        answers, classes, seconds = crew.answers(photos)
        assert len(answers) == 7
        assert (answers[0]["probs"], classes) == ([[0.75, 0.25]], ["happy", "sad"])
        assert seconds > 0
        megabytes, versions = crew.peak()
        assert megabytes > 1
        assert list(versions) == ["pytest"]
        crew.keep(1)
        assert len(crew.answers(photos)[0]) == 7


def test_a_worker_that_fails_says_why(fake):
    with crews.crew(fake, {}) as crew:
        with pytest.raises(contenders.NotHere, match="fake: ValueError: cannot read it"):
            crew.answers([Path("bad.jpg")])
        assert len(crew.answers([Path("good.jpg")])[0]) == 1


def test_who_fails_leaves_the_field_with_the_reason(fake):
    broken = contenders.Contender("broken", "", "fake", {"broken": True})
    elsewhere = contenders.Contender("elsewhere", "", "fake", {}, environment="no-such")
    with crews.Field({}) as field:
        for one in (broken, elsewhere, fake):
            with field.noting(one.name):
                field.enter(one)
        for one in field.turn(1):
            with field.noting(one.contender.name):
                one.answers([Path("0.jpg")])
        assert [one.contender.name for one in field.crews] == ["fake"]
    assert field.absent["broken"] == "broken: RuntimeError: no weights"
    assert "no environment no-such" in field.absent["elsewhere"]


def test_an_environment_that_is_not_there_is_named():
    one = contenders.Contender("x", "", "fer", {}, environment="no-such")
    with pytest.raises(contenders.NotHere, match="--python no-such=PATH"):
        contenders.interpreter(one, {})
    assert contenders.interpreter(one, {"no-such": "/python"}) == "/python"


@pytest.mark.data
def test_every_race_is_run_and_shown(fake, shared_data, monkeypatch, tmp_path):
    each = [
        replace(fake, name=name, tool=tool, crews=(1, 2), options={"broken": name == "fer"})
        for name, tool in (("groupemo", "groupemo"), ("deepface", "fake"), ("fer", "fake"))
    ]
    monkeypatch.setattr(parts, "contenders", lambda: each)
    monkeypatch.setattr(parts, "lay_out_weights", lambda: False)
    monkeypatch.setattr(parts, "COUNTS", (1, 2, 3, 4))
    monkeypatch.setattr(parts, "CROPS", 4)
    monkeypatch.setattr(parts, "OWN_NETS", ("groupemo",))
    monkeypatch.setitem(parts.WAYS, "fake", ("batch",))
    options = parts.Options(shared_data, photos=4, rounds=2, pythons={}, quick=True)
    races = ("speed", "classifier", "cold", "growth", "faces")
    about = {"made": "2026-01-01", "took": 1.0, "load": 0.0, "machine": "m", "command": "c"}
    results = {name: parts.run(name, options)[0] | about for name in races}

    speed = results["speed"]
    assert list(speed["contenders"]) == ["groupemo", "deepface"]
    assert list(speed["absent"]) == ["fer", *contenders.NOT_RUN]
    mine = speed["contenders"]["groupemo"]
    assert [len(lap["photos"]) for lap in mine["laps"]] == [4, 4]
    assert len(mine["counts"]) == 4
    assert sum(photo["phantom"] for photo in mine["counts"].values()) == 4
    assert mine["processes"] in (1, 2)
    assert list(results["classifier"]["seconds"]) == [
        "groupemo: groupemo, batch",
        "deepface, batch",
    ]
    assert {name: len(each) for name, each in results["cold"]["seconds"].items()} == {
        "groupemo": 2, "deepface": 2,
    }  # fmt: skip
    counted = [(row["workers"], row["photos"]) for row in results["growth"]["rows"]]
    assert counted == [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3)]
    assert results["faces"]["answered"]["deepface"]["30"] == 1
    kept = json.loads(json.dumps(results))
    leaderboard.write_pages(kept, tmp_path / "leaderboard.json", None)
    assert "no weights" in (tmp_path / "leaderboard.md").read_text()


@pytest.mark.data
def test_faces_are_counted_against_both_label_files(shared_data):
    photos = judging.photos_of(shared_data, 2)
    truth = judging.Truth(photos, shared_data)
    name = photos[0].name
    boxes = truth.boxes[name].boxes
    answer = {
        "boxes": [*boxes[:2].tolist(), [1, 1, 4, 4], [5, 5, 5, 9]],
        "scores": [1.0] * 4,
        "probs": [[0.1, 0.9], [float("nan")] * 2, [0.9, 0.1], [0.9, 0.1]],
    }
    nothing = {"boxes": [], "scores": [], "probs": []}
    counts = truth.counts({name: answer, photos[1].name: nothing}, ["happy", "neutral"])
    assert counts[name]["labelled"] == (truth.boxes[name].labels == -1).sum()
    assert counts[name]["found"] == 1
    assert counts[name]["phantom"] == 1
    assert counts[photos[1].name]["found"] == 0
    assert counts[name]["known"] >= counts[name]["correct"]


def test_composed_photos_hold_as_many_faces_as_they_say(tmp_path):
    faces = [np.full((scenes.CELL, scenes.CELL, 3), 250, np.uint8)] * 30
    composed = scenes.compose(faces, tmp_path)
    import cv2

    for count, paths in composed.items():
        picture = cv2.imread(str(paths[0]), cv2.IMREAD_GRAYSCALE)
        cells = (picture > 200).sum() / scenes.CELL**2
        assert round(cells) == count
        assert len(paths) == scenes.COPIES


def test_the_kept_results_make_the_kept_pages(tmp_path):
    kept = ROOT / "reports" / "leaderboard.json"
    if not kept.exists():
        pytest.skip("no results are kept")
    results = json.loads(kept.read_text())
    leaderboard.write_pages(results, tmp_path / "leaderboard.json", None)
    page = (tmp_path / "leaderboard.md").read_text()
    assert page == (ROOT / "reports" / "leaderboard.md").read_text()
