"""`groupemo stress`: what it prints, what it writes, what it refuses."""

import json

import pandas as pd
import pytest
from test_cli import groupemo

from groupemo.cli import EXIT_CODES
from groupemo.label_csv import save_labels
from groupemo.plugins import BACKENDS
from groupemo.testing import FakeBackend, make_scene, write_scenes

SCENES = [make_scene(["happy", "sad", "happy"], name=f"p{number}.png") for number in range(4)]
HAPPY, SAD = [0, 0, 0, 1, 0, 0, 0], [0, 0, 0, 0, 1, 0, 0]


@pytest.fixture(autouse=True)
def fakes(monkeypatch):
    """One backend that says happy of every face, and one that says sad on stand-in weights."""
    monkeypatch.setenv("COLUMNS", "100")
    cheerful, gloomy = FakeBackend(HAPPY, label="cheerful"), FakeBackend(SAD, label="g (stand-in)")
    monkeypatch.setitem(BACKENDS._registered, "cheerful", lambda: cheerful)
    monkeypatch.setitem(BACKENDS._registered, "gloomy", lambda: gloomy)


@pytest.fixture
def asked(tmp_path):
    """Return the words of a command, up to its options."""
    save_labels(write_scenes(SCENES, tmp_path / "photos"), tmp_path / "labels.csv")
    return ["stress", tmp_path / "labels.csv", "--photos", tmp_path / "photos",
            "--out", tmp_path / "out"]  # fmt: skip


def test_it_prints_and_writes(asked, tmp_path):
    ran = groupemo(*asked, "-b", "cheerful", "-b", "gloomy", "--kind", "size=12,48", "--kind",
                   "shift")  # fmt: skip
    lines = [" ".join(line.split()) for line in ran.stdout.splitlines()]
    assert "cheerful 12 0.67 0.50" in lines  # 8 of 12 are happy; no interval: photos are alike
    assert "g* 12 0.33 0.50" in lines
    blind = "no better than chance no better than chance"
    assert f"side of the face, pixels, below {blind}" in lines
    assert f"shift of the box, sides, above {blind}" in lines
    assert any(line.startswith("4 photos, labelled boxes.") for line in lines)
    assert "* stand-in weights: not the published model" in lines
    assert lines[-1] == f"report: {tmp_path / 'out' / 'stress.md'}"
    table = pd.read_csv(tmp_path / "out" / "stress.csv")
    assert set(table["kind"]) == {"undisturbed", "size", "shift"}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "half_lives.csv",
        "manifest.json",
        "stress.csv",
        "stress.md",
        "stress.png",
    ]


def test_json_is_one_value_without_infinities(asked):
    told = json.loads(groupemo(*asked, "-b", "cheerful", "--kind", "blur=0.1", "--json").stdout)
    assert [row["kind"] for row in told["curves"]] == ["undisturbed"] * 3 + ["blur"] * 3
    assert told["curves"][0]["level"] is None
    assert told["half_lives"] == [
        {"backend": "cheerful", "kind": "blur", "side": "above", "harshest": 0.1,
         "outcome": "no better than chance", "level": None, "low": None, "high": None}
    ]  # fmt: skip
    assert told["report"].endswith("stress.md")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--kind", "fog"], "'fog': expected one or more of size, blur, jpeg"),
        (["--kind", "size=1000"], "size: level 1000: expected side of the face, pixels, 4 to 512"),
        (["--backend", "nonesuch"], "no backend named 'nonesuch'"),
    ],
)
def test_what_means_nothing_is_said_in_one_line(asked, words, told):
    ran = groupemo(*asked, "-b", "cheerful", *words, code=1)
    assert told in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
    assert 1 in EXIT_CODES


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--kind", "size=large"], "expected KIND, or KIND=LEVEL,LEVEL"),
        (["--kind", "size", "--kind", "size=12"], "size is given twice"),
    ],
)
def test_wrong_usage(asked, words, told):
    ran = groupemo(*asked, "-b", "cheerful", *words, code=2)
    assert told in " ".join(ran.stderr.replace("│", " ").split())


def test_without_photos_it_is_wrong_usage(tmp_path):
    assert "--photos" in groupemo("stress", tmp_path / "labels.csv", code=2).stderr
