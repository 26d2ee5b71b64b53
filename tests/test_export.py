import dataclasses
import importlib.util

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from report_scenes import analysis, unread

from groupemo import EMOTIONS
from groupemo.analysis import Failure
from groupemo.errors import MissingExtra, OutputError
from groupemo.export import annotate, faces_table, photos_table, write_tables
from groupemo.testing import make_scene


@pytest.fixture
def party(tmp_path):
    scene = make_scene(["happy", "sad"], name="party.png")
    (tmp_path / scene.name).write_bytes(scene.encoded())
    return scene


@pytest.fixture
def one(party, tmp_path):
    return analysis(party, tmp_path, party.labelled.boxes, ["happy", None])


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


def test_faces_table_has_a_row_a_face(one):
    table = faces_table(iter([one]))
    assert list(table.columns) == [
        "photo", "detector", "backend", "face", "x", "y", "w", "h", "score", "emotion",
        *EMOTIONS, "abstained",
    ]  # fmt: skip
    assert table.loc[0, ["photo", "x", "y", "w", "h", "emotion"]].tolist() == [
        "party.png", 24, 24, 48, 48, "happy",
    ]  # fmt: skip
    assert table["happy"][0] == pytest.approx(0.7)
    assert table["abstained"].tolist() == [False, True]
    assert table.loc[1, list(EMOTIONS)].isna().all()


def test_photos_table_counts_faces_and_answers(one):
    table = photos_table([one, unread("gone.jpg")]).set_index("photo")
    assert table.loc["party.png", ["faces", "abstained", "count_happy", "count_sad"]].tolist() == [
        2, 1, 1, 0,
    ]  # fmt: skip
    assert table.loc["party.png", ["mean_happy", "seconds"]].tolist() == pytest.approx([0.7, 0.75])
    assert table.loc["gone.jpg", "failure"] == "read: cut off <b>here</b>"
    assert table.loc["gone.jpg", "faces"] == 0
    assert np.isnan(table.loc["gone.jpg", "mean_happy"])


def test_no_analyses_give_tables_without_rows():
    assert len(faces_table([])) == len(photos_table(iter([]))) == 0


def test_tables_are_written_as_they_are(one, tmp_path):
    paths = write_tables(iter([one]), tmp_path / "out", xlsx=True)
    assert [path.name for path in paths] == ["faces.csv", "photos.csv", "groupemo.xlsx"]
    pd.testing.assert_frame_equal(pd.read_csv(paths[0]), faces_table([one]), check_dtype=False)
    photos = photos_table([one]).drop(columns="failure")
    read = pd.read_csv(paths[1]).drop(columns="failure")
    pd.testing.assert_frame_equal(read, photos, check_dtype=False)
    sheet = pd.read_excel(paths[2], sheet_name="faces")
    pd.testing.assert_frame_equal(sheet, faces_table([one]), check_dtype=False)


def test_a_name_that_looks_like_a_formula_stays_text_in_a_workbook(party, tmp_path):
    object.__setattr__(party, "name", "=1+1.png")
    odd = analysis(party, tmp_path, party.labelled.boxes, ["happy", "sad"])
    path = write_tables([odd], tmp_path, xlsx=True)[2]
    assert pd.read_excel(path, sheet_name="photos")["photo"].tolist() == ["=1+1.png"]


def test_a_missing_extra_says_what_to_install_and_writes_nothing(one, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"groupemo\[xlsx\]"):
        write_tables([one], tmp_path / "out", xlsx=True)
    assert not (tmp_path / "out").exists()


def test_a_single_pair_gives_a_picture_a_photo(one, tmp_path):
    done = annotate([one], tmp_path / "drawn")
    assert [path.name for path in done.written] == ["party.png.jpg"]
    assert pixels(done.written[0]).shape == (one.height, one.width, 3)
    assert not done.skipped


def test_several_pairs_give_a_picture_each_even_from_an_iterator(one, party, tmp_path):
    other = analysis(party, tmp_path, party.labelled.boxes[:1], ["sad"], ("eye", "mind (x/y)"))
    done = annotate(iter([one, other]), tmp_path / "drawn")
    assert [path.name for path in done.written] == [
        "party.png.eye.mind.jpg",
        "party.png.eye.mind-x-y.jpg",
    ]


def test_told_whether_to_name_pairs_it_takes_one_analysis_at_a_time(one, tmp_path):
    folder, seen = tmp_path / "drawn", []

    def stream():
        yield one
        seen.append((folder / "party.png.jpg").exists())

    annotate(stream(), folder, pair_in_name=False)
    assert seen == [True]


def test_photos_out_of_reach_are_skipped_with_their_reason(one, tmp_path):
    (tmp_path / "party.png").unlink()
    done = annotate([one, unread("gone.jpg")], tmp_path / "drawn")
    assert done.written == ()
    assert list(done.skipped) == ["party.png", "gone.jpg"]
    assert "cannot be read" in done.skipped["party.png"]
    assert done.skipped["gone.jpg"] == "cut off <b>here</b>"


def test_a_photo_whose_detection_failed_is_drawn_without_faces(party, tmp_path):
    failed = analysis(party, tmp_path, [], [], failure=Failure("detect", "no"))
    assert len(annotate([failed], tmp_path / "drawn").written) == 1


def test_names_cannot_leave_the_folder(party, tmp_path):
    one = analysis(party, tmp_path, party.labelled.boxes, ["happy", "sad"])
    for name in ("../../x.jpg", "/etc/x.jpg", "a/../../../x.jpg", ".."):
        object.__setattr__(one, "photo", name)
        done = annotate([one], tmp_path / "deep" / "drawn")
        assert done.written[0].resolve().is_relative_to(tmp_path / "deep" / "drawn"), name


def test_the_photo_itself_is_never_replaced(tmp_path):
    scene = make_scene(["happy"], name="a.jpg")
    (tmp_path / "a.jpg").write_bytes(scene.encoded())
    one = analysis(scene, tmp_path, scene.labelled.boxes, ["happy"])
    with pytest.raises(OutputError, match="replace the photo itself"):
        annotate([one], tmp_path)
    assert (tmp_path / "a.jpg").read_bytes() == scene.encoded()


def test_faces_are_blurred_on_request(one, party, tmp_path):
    plain = annotate([one], tmp_path / "plain").written[0]
    blurred = annotate([one], tmp_path / "blurred", blur=True).written[0]
    inside = (slice(34, 62), slice(34, 62))
    apart = [
        np.abs(pixels(path)[inside].astype(int) - party.image[inside]).max()
        for path in (plain, blurred)
    ]
    assert apart[0] < 80 < apart[1]


ODD_NAMES = [
    "two\rrows.jpg",
    "two\nrows.jpg",
    'quo"te, comma.jpg',
    "bell\x07\x1b[31m.jpg",
    "=1+1.jpg",
]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_photo_of_any_name_is_one_row(tmp_path, name):
    write_tables([unread(name)], tmp_path)
    assert pd.read_csv(tmp_path / "photos.csv")["photo"].tolist() == [name]


@pytest.mark.skipif(not importlib.util.find_spec("openpyxl"), reason="needs groupemo[xlsx]")
def test_a_sheet_spells_out_what_it_cannot_hold(tmp_path):
    write_tables([unread("bell\x07.jpg")], tmp_path, xlsx=True)
    sheet = pd.read_excel(tmp_path / "groupemo.xlsx", sheet_name="photos")
    assert sheet["photo"].tolist() == ["bell\\x07.jpg"]


def named(one, name):
    return dataclasses.replace(one, photo=name)


@pytest.mark.parametrize("pair_in_name", [True, False])
def test_the_longest_name_is_drawn_to(one, tmp_path, pair_in_name):
    long = [named(one, "é" * 125 + f"{i}.jpg") for i in range(2)]
    drawn = annotate(long, tmp_path / "drawn", pair_in_name=pair_in_name)
    assert not drawn.skipped
    assert len(list((tmp_path / "drawn").iterdir())) == 2


def test_two_photos_are_never_drawn_to_one_file(one, tmp_path):
    drawn = annotate([named(one, "a.png"), named(one, "a.png.jpg")], tmp_path / "drawn")
    assert [path.name for path in drawn.written] == ["a.png.jpg"]
    assert "shows a.png already" in drawn.skipped["a.png.jpg"]
