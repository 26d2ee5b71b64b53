"""Labels: what a file may say, what is refused and how, and that nothing is lost on the way."""

import hashlib
import pickle
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from groupemo.boxes import iou_matrix
from groupemo.emotions import EMOTIONS
from groupemo.errors import LabelError, OptionError, OutputError
from groupemo.label_csv import load_labels, save_labels
from groupemo.labels import (
    IGNORE,
    UNSURE,
    LabelledFaces,
    Labels,
    label_word,
    parse_label,
)
from groupemo.metrics.agreement import agreement

ANGRY, HAPPY, SAD, NEUTRAL = (EMOTIONS.index(word) for word in ("angry", "happy", "sad", "neutral"))
HEADER = "image,x,y,w,h,emotion"
ROOT = Path(__file__).parents[1]


@pytest.fixture
def load(tmp_path):
    def write_and_load(text, **options):
        path = tmp_path / "labels.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_labels(path, **options)

    return write_and_load


def assert_same(a: Labels, b: Labels) -> None:
    assert list(a) == list(b)
    assert (a.sha256, a.no_face_notes) == (b.sha256, b.no_face_notes)
    for name in a:
        for one, two in [(a[name], b[name]), (a.written[name], b.written[name])]:
            np.testing.assert_array_equal(one.boxes, two.boxes)
            np.testing.assert_array_equal(one.labels, two.labels)
            np.testing.assert_array_equal(one.votes, two.votes)
            assert (one.complete, one.annotators, one.extra) == (
                two.complete,
                two.annotators,
                two.extra,
            )


# --- what a file may say ---


def test_a_row_is_a_face(load):
    labels = load(f"{HEADER}\nb.jpg,10.5,20,30,40,happy\na.jpg,0,0,5,5,SADNESS\nb.jpg,1,2,3,4,fear")
    assert list(labels) == ["b.jpg", "a.jpg"]
    np.testing.assert_array_equal(labels["b.jpg"].boxes, [[10.5, 20, 40.5, 60], [1, 2, 4, 6]])
    assert [label_word(label) for label in labels["b.jpg"].labels] == ["happy", "fear"]
    assert labels["a.jpg"].labels.tolist() == [SAD]
    assert labels["a.jpg"].votes is None
    assert labels["a.jpg"].complete


def test_unsure_and_ignore_are_labels_of_their_own(load):
    labels = load(f"{HEADER}\na.jpg,0,0,5,5,unsure\na.jpg,5,5,5,5,Ignore\na.jpg,9,9,5,5,unknown")
    assert labels["a.jpg"].labels.tolist() == [UNSURE, IGNORE, UNSURE]


def test_a_photo_without_a_face_is_there(load):
    labels = load(f"{HEADER}\nempty.jpg,,,,,\nshort.jpg\n")
    assert list(labels) == ["empty.jpg", "short.jpg"]
    assert [len(faces) for faces in labels.values()] == [0, 0]


def test_a_header_alone_is_no_photos(load):
    assert dict(load(HEADER)) == {}


def test_byte_order_mark_crlf_blank_lines_and_column_case(load):
    plain = load(f"{HEADER}\na.jpg,0,0,5,5,happy\n")
    dressed = load(b"\xef\xbb\xbfImage, X,y,w,h,Emotion\r\n\r\na.jpg,0, 0,5,5, Happy\r\n,,,,,\r\n")
    assert_same(plain, dressed)


@pytest.mark.parametrize("commas", [",", ",,", ", ,"])
def test_empty_columns_without_a_name_are_passed_over(load, commas):
    rows = ("a.jpg,0,0,5,5,happy", "b.jpg,0,0,5,5,sad")
    plain = load("\n".join([HEADER, *rows]))
    assert_same(load("\n".join(f"{line}{commas}" for line in (HEADER, *rows))), plain)
    assert_same(load("\n".join([HEADER + commas, *rows])), plain)
    assert_same(load("\n".join([HEADER, *(row + commas for row in rows)])), plain)
    assert plain["a.jpg"].extra == {}


def test_votes_beyond_all_people_are_refused():
    most = LabelledFaces([[0, 0, 5, 5]], [SAD], votes=[[1e9] * 7])
    assert most.votes.sum() == 7e9
    for votes in (1.1e9, 1e308, np.inf, np.nan, -1):
        with pytest.raises(LabelError, match=r"votes\[0\] is .*: expected numbers from 0 to 1e"):
            LabelledFaces([[0, 0, 5, 5]], [SAD], votes=[[votes] * 7])


def test_a_column_has_a_name():
    with pytest.raises(LabelError, match="an extra column has no name"):
        LabelledFaces([[0, 0, 5, 5]], [SAD], extra={"": ["x"]})


def test_complete_and_sha256_are_a_photos_own(load):
    sha = "AB" * 32
    labels = load(f"{HEADER},sha256,complete\na.jpg,0,0,5,5,sad,{sha},no\na.jpg,9,9,5,5,sad,,\n")
    assert labels.sha256 == {"a.jpg": sha.lower()}
    assert not labels["a.jpg"].complete


def test_votes_are_read_and_can_stand_for_the_word(load):
    labels = load(
        f"{HEADER},votes_joy,votes_angry\n"
        "a.jpg,0,0,5,5,sad,2,1\na.jpg,5,5,5,5,,3,1\na.jpg,9,9,5,5,,2,2\na.jpg,15,9,5,5,fear,,"
    )
    faces = labels["a.jpg"]
    assert [label_word(label) for label in faces.labels] == ["sad", "happy", "unsure", "fear"]
    np.testing.assert_array_equal(faces.votes[:, HAPPY], [2, 3, 2, 0])
    np.testing.assert_array_equal(faces.votes[:, ANGRY], [1, 1, 2, 0])


@pytest.mark.parametrize(
    ("rule", "word"), [("drop", "unsure"), ("anger", "angry"), ("neutral", "neutral")]
)
def test_contempt_is_dropped_or_merged_on_request(load, rule, word):
    labels = load(f"{HEADER}\na.jpg,0,0,5,5,contempt", contempt=rule)
    assert label_word(labels["a.jpg"].labels[0]) == word


def test_contempt_votes_follow_the_same_rule(load):
    text = f"{HEADER},votes_happy,votes_contempt\na.jpg,0,0,5,5,,1,2"
    assert load(text, contempt="drop")["a.jpg"].votes.sum() == 1
    assert load(text, contempt="sad")["a.jpg"].labels.tolist() == [SAD]


# --- several annotators ---

#           anna     bob      cleo
# box 1     happy    happy    sad      -> happy, votes 2 : 1
# box 2     happy    sad               -> unsure, votes 1 : 1
# box 3     ignore   ignore   neutral  -> ignore
# box 4                       angry    -> angry
THREE = f"""{HEADER},annotator,comment
a.jpg,0,0,5,5,happy,anna,clear
a.jpg,0,0,5,5,happy,bob,
a.jpg,0,0,5,5,sad,cleo,dark
a.jpg,10,0,5,5,happy,anna,
a.jpg,10,0,5,5,sad,bob,
a.jpg,20,0,5,5,ignore,anna,
a.jpg,20,0,5,5,ignore,bob,
a.jpg,20,0,5,5,neutral,cleo,
a.jpg,30,0,5,5,angry,cleo,
b.jpg,,,,,,anna,nobody there
c.jpg,,,,,,,
"""


def test_annotators_of_one_box_become_votes(load):
    labels = load(THREE)
    faces = labels["a.jpg"]
    assert labels.annotators == ("anna", "bob", "cleo")
    assert [label_word(x) for x in faces.labels] == ["happy", "unsure", "ignore", "angry"]
    np.testing.assert_array_equal(faces.votes[0, [HAPPY, SAD]], [2, 1])
    np.testing.assert_array_equal(faces.votes.sum(axis=1), [3, 2, 1, 1])
    assert faces.annotators == ("anna; bob; cleo", "anna; bob", "anna; bob; cleo", "cleo")
    assert faces.extra["comment"] == ("clear; dark", "", "", "")


def test_one_annotator_alone(load):
    labels = load(THREE, annotator="anna")
    assert list(labels) == ["a.jpg", "b.jpg"]
    assert labels["a.jpg"].labels.tolist() == [HAPPY, HAPPY, IGNORE]
    assert labels["a.jpg"].votes is None
    with pytest.raises(LabelError, match=r"no annotator 'dora'.*anna, bob, cleo"):
        labels = load(THREE, annotator="dora")


def test_what_each_annotator_wrote_is_saved(load, tmp_path):
    labels = load(THREE)
    saved = save_labels(labels, tmp_path / "again.csv")
    assert_same(load_labels(saved), labels)
    assert saved.read_text() == THREE
    assert labels.no_face_notes["b.jpg"] == [{"annotator": "anna", "comment": "nobody there"}]


def test_one_annotator_cannot_label_a_box_twice():
    faces = LabelledFaces([[0, 0, 5, 5]] * 2, [HAPPY, SAD], annotators=["anna", "anna"])
    with pytest.raises(LabelError, match=r"a.jpg: annotator 'anna' labels the box 0, 0, 5, 5"):
        Labels({"a.jpg": faces})


def test_minus_zero_is_zero():
    faces = LabelledFaces(
        [[-0.0, 0, 5, 5], [0, 0, 5, 5]], [HAPPY, HAPPY], annotators=["anna", "bob"]
    )
    assert len(faces.merged()) == 1


# --- what is refused ---


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"the file is empty"),
        (" \n\n", r"the file is empty"),
        ("image,x,y,width,h,label\n", r"line 1: no column 'w', 'emotion': found .*'width'"),
        (f"{HEADER},X\n", r"line 1: the column 'x' stands there twice"),
        (f"{HEADER}\na.jpg,0,0,5,5,sad,more", r"line 2: 'more' stands in column 7, which line 1"),
        (f"{HEADER},,age,\na.jpg,0,0,5,5,sad,x,9,", r"line 2: 'x' stands in column 7, which"),
        (f"{HEADER},,age,\na.jpg,0,0,5,5,sad,,9,x", r"line 2: 'x' stands in column 9, which"),
        (f"{HEADER}\na.jpg,0,ten,5,5,sad", r"line 2, column 'y': 'ten' is not a number"),
        (f"{HEADER}\na.jpg,0,,5,5,sad", r"line 2, column 'y': '' is not a number"),
        (f"{HEADER}\na.jpg,nan,0,5,5,sad", r"line 2, column 'x': 'nan' is not finite"),
        (f"{HEADER}\na.jpg,0,0,5,-inf,sad", r"line 2, column 'h': '-inf' is not finite"),
        (f"{HEADER}\na.jpg,0,0,0,5,sad", r"line 2, column 'w': '0' is not above 0"),
        (f"{HEADER}\na.jpg,0,0,5,-5,sad", r"line 2, column 'h': '-5' is not above 0"),
        (f"{HEADER}\na.jpg,1e300,0,5,5,sad", r"line 2, column 'x': 1e\+300, .* no box"),
        (f"{HEADER}\na.jpg,1e9,0,0.1,5,sad", r"line 2, column 'x': 1e\+09, .* no box"),
        (f"{HEADER}\n,0,0,5,5,sad", r"line 2, column 'image': the photo's name is missing"),
        (f"{HEADER}\na.jpg,0,0,5,5,", r"column 'emotion': the word is missing: write 'unsure'"),
        (f"{HEADER}\n\na.jpg,0,0,5,5,hapy", r"line 3, column 'emotion': unknown .*mean 'happy'"),
        (f"{HEADER}\na.jpg,0,0,5,5,unsur", r"column 'emotion': .*did you mean 'unsure'"),
        (f"{HEADER}\na.jpg,0,0,5,5,xyzzy", r"'xyzzy': known: angry, .*, unsure, ignore"),
        (f"{HEADER}\na.jpg,0,0,5,5,contempt", r"'contempt' has no class .*contempt='drop'"),
        (f"{HEADER},votes_hapy\n", r"line 1, column 'votes_hapy': unknown .*mean 'happy'"),
        (f"{HEADER},votes_contempt\n", r"column 'votes_contempt': 'contempt' has no class"),
        (f"{HEADER},votes_sad\na,0,0,5,5,sad,-1", r"column 'votes_sad': '-1' is below 0"),
        (f"{HEADER},votes_sad\na,0,0,5,5,,1e308", r"column 'votes_sad': '1e308' is above 1e\+09"),
        (f"{HEADER},votes_sad\na,0,0,5,5,,0", r"column 'emotion': the word is missing"),
        (f"{HEADER},sha256\na,0,0,5,5,sad,12", r"column 'sha256': '12' is not 64 hexadecimal"),
        (f"{HEADER},complete\na,0,0,5,5,sad,oui", r"column 'complete': 'oui': expected yes"),
        (f"{HEADER}\na,0,0,5,5,sad\nb\na,0,0,5,5,fear", r"lines 2 and 4: the same row twice"),
        (f"{HEADER}\na,,,,,\na,,,,,", r"lines 2 and 3: the same row twice"),
        (f"{HEADER}\na,0,0,5,5,sad\na,,,,,", r"line 3: says that 'a' holds no face, but line 2"),
        (
            f"{HEADER},complete\na,0,0,5,5,sad,yes\na,9,9,5,5,sad,no",
            r"lines 2 and 3, column 'complete': two values for 'a'",
        ),
        (
            f"{HEADER},sha256\na,0,0,5,5,sad,{'0' * 64}\na,9,9,5,5,sad,{'1' * 64}",
            r"lines 2 and 3, column 'sha256': two values for 'a'",
        ),
        (f'{HEADER}\n"a,0,0,5,5,sad', r"line 2: not CSV"),
        (b"\xff\xd8\xff\xe0 a photo", r"not UTF-8 text \(byte 0 is 0xff\)"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(load, text, message):
    with pytest.raises(LabelError, match=rf"labels\.csv.*{message}"):
        load(text)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(LabelError, match=r"none\.csv: cannot read the labels: No such file"):
        load_labels(tmp_path / "none.csv")
    with pytest.raises(LabelError, match=r"cannot read the labels: Is a directory"):
        load_labels(tmp_path)


@pytest.mark.parametrize("rule", ["keep", "", "contempt"])
def test_a_rule_for_contempt_without_meaning_is_refused(load, rule):
    with pytest.raises(OptionError, match=r"contempt=.*expected 'refuse', 'drop' or one of angry"):
        load(HEADER, contempt=rule)


def test_labels_cannot_be_written_where_there_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"labels\.csv"):
        save_labels(Labels({}), tmp_path / "file" / "labels.csv")


# --- the round trip ---

coordinates = st.floats(-100, 30_000, width=32)
sides = st.floats(0.125, 5_000, width=32)
texts = st.text("aé,;\"'\r\n =", max_size=6).map(str.strip)


@st.composite
def labelled_faces(draw):
    m = draw(st.integers(0, 4))
    corners = draw(
        st.lists(st.tuples(coordinates, coordinates), min_size=m, max_size=m, unique=True)
    )
    boxes = [(x, y, x + draw(sides), y + draw(sides)) for x, y in corners]
    labels = draw(st.lists(st.integers(IGNORE, len(EMOTIONS) - 1), min_size=m, max_size=m))
    votes = draw(
        st.lists(st.lists(st.floats(0, 100), min_size=7, max_size=7), min_size=m, max_size=m)
    )
    column = st.lists(texts, min_size=m, max_size=m)
    return LabelledFaces(
        np.array(boxes).reshape(-1, 4),
        labels,
        votes if m and draw(st.booleans()) else None,
        draw(st.booleans()),
        draw(column),
        {"Comment": draw(column)} if m else None,
    )


@given(faces=st.lists(labelled_faces(), max_size=3))
def test_saving_and_loading_changes_nothing(faces, tmp_path_factory):
    labels = Labels({f"photo {row}, é.jpg": one for row, one in enumerate(faces)})
    path = save_labels(labels, tmp_path_factory.mktemp("labels") / "labels.csv")
    assert_same(load_labels(path), labels)


def test_numbers_are_written_as_people_write_them(load, tmp_path):
    text = f"{HEADER}\na.jpg,237.4,218,67.1,118.9,happy\na.jpg,0.1,0.7,0.2,1000.3,sad\n"
    assert save_labels(load(text), tmp_path / "a.csv").read_text() == text


def test_saving_is_whole_or_not_at_all(load, tmp_path, monkeypatch):
    path = save_labels(load(f"{HEADER}\na.jpg,0,0,5,5,sad\n"), tmp_path / "labels.csv")
    before = path.read_text()

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full_disk)
    with pytest.raises(OutputError, match="No space left"):
        save_labels(Labels({}), path)
    assert path.read_text() == before
    assert [file.name for file in tmp_path.iterdir()] == ["labels.csv"]


# --- the types ---


def test_indexing_keeps_the_type_and_all_fields():
    faces = LabelledFaces(
        [[0, 0, 5, 5], [1, 1, 9, 9]],
        [HAPPY, UNSURE],
        np.eye(7)[:2],
        complete=False,
        annotators=["anna", "bob"],
        extra={"comment": ["one", "two"]},
    )
    second = faces[faces.labels == UNSURE]
    assert (len(second), second.annotators, second.complete) == (1, ("bob",), False)
    assert second.extra == {"comment": ("two",)}
    assert second.votes.tolist() == [np.eye(7)[1].tolist()]
    assert len(faces[[]]) == len(LabelledFaces.empty()) == 0
    assert faces[1].boxes.tolist() == [[1, 1, 9, 9]]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"boxes": [[5, 5, 5, 9]]}, r"boxes\[0\] is \[5\.0, 5\.0, 5\.0, 9\.0\]: .*x2 > x1"),
        ({"boxes": [[0, 0, np.inf, 9]]}, r"boxes\[0\]"),
        ({"boxes": [[0, 0, 5]]}, r"boxes have shape \(1, 3\)"),
        ({"labels": [7]}, r"labels\[0\] is 7: expected 0 to 6, -1 \(unsure\) or -2 \(ignore\)"),
        ({"labels": [-3]}, r"labels\[0\] is -3"),
        ({"labels": [0, 0]}, r"labels have shape \(2,\), expected \(1,\)"),
        ({"votes": [[1, 2]]}, r"votes have shape \(1, 2\)"),
        ({"votes": [[0, 0, 0, 0, 0, 0, -1]]}, r"votes\[0\]"),
        ({"annotators": []}, r"annotators has 0 values for 1 faces"),
        ({"extra": {"note": ["a", "b"]}}, r"note has 2 values for 1 faces"),
        ({"extra": {"emotion": ["a"]}}, r"'emotion' has a meaning of its own"),
        ({"extra": {"votes_sad": ["a"]}}, r"'votes_sad' has a meaning of its own"),
    ],
)
def test_labelled_faces_are_checked_when_built(fields, message):
    with pytest.raises(LabelError, match=message):
        LabelledFaces(**{"boxes": [[0, 0, 5, 5]], "labels": [0], **fields})


def test_boxes_are_cut_at_the_photos_edge_and_refused_outside():
    faces = LabelledFaces([[-5, 10, 20, 130], [50, 50, 60, 60]], [HAPPY, SAD])
    cut = faces.check_inside(100, 100, "a.jpg")
    assert cut.boxes.tolist() == [[0, 10, 20, 100], [50, 50, 60, 60]]
    with pytest.raises(LabelError, match=r"a\.jpg: .*= 50, 50, 10, 10 lies outside .*50 x 100"):
        faces.check_inside(50, 100, "a.jpg")


def test_only_the_photos_named(load):
    labels = load(f"{HEADER},sha256\na.jpg,0,0,5,5,sad,{'0' * 64}\nb.jpg,,,,,,\n")
    assert list(labels.only(["b.jpg", "a.jpg"])) == ["b.jpg", "a.jpg"]
    assert dict(labels.only(["b.jpg"]).sha256) == {}
    with pytest.raises(LabelError, match=r"no labels for the photo 'c\.jpg' among 2: did you mean"):
        labels.only(["a.jpg", "c.jpg"])


def test_labels_travel_between_processes(load):
    labels = load(THREE)
    assert_same(pickle.loads(pickle.dumps(labels)), labels)


def test_label_words_and_back():
    for label in (*range(len(EMOTIONS)), UNSURE, IGNORE):
        assert parse_label(label_word(label)) == label


def test_importing_labels_is_light():
    code = "import sys, groupemo.labels; print({'cv2', 'pandas', 'PIL'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"


# --- real files ---


@pytest.mark.data
@pytest.mark.parametrize(
    ("folder", "photos", "counts"),
    [
        (
            "group_emotion_real9",
            9,
            {"happy": 75, "neutral": 29, "surprise": 7, "angry": 3, "sad": 2},
        ),
        ("collages", 90, {"angry": 337, "sad": 302, "fear": 295, "happy": 267, "neutral": 239}),
    ],
)
def test_published_labels_load_as_they_are(shared_data, tmp_path, folder, photos, counts):
    labels = load_labels(shared_data / folder / "labels.csv")
    words = [label_word(label) for faces in labels.values() for label in faces.labels]
    assert len(labels) == photos
    assert {word: words.count(word) for word in set(words)} == counts
    assert_same(load_labels(save_labels(labels, tmp_path / "again.csv")), labels)


# --- the sample photos' labels ---


@pytest.fixture(scope="module")
def samples():
    return load_labels(ROOT / "labels" / "samples.csv")


def test_sample_labels_are_complete_and_tied_to_their_photos(samples):
    assert len(samples) >= 11
    assert set(samples.sha256) == set(samples)
    assert all(faces.complete for faces in samples.values())
    for faces in samples.values():
        ious = iou_matrix(faces.boxes, faces.boxes) - np.eye(len(faces))
        assert ious.max(initial=0) < 0.5, "one face labelled twice?"


def test_the_readme_says_what_is_in_the_label_files():
    text = (ROOT / "labels" / "README.md").read_text()
    words = {}
    for name in ("samples.csv", "wider_groups.csv"):
        labels = load_labels(ROOT / "labels" / name)
        words[name] = [label_word(label) for faces in labels.values() for label in faces.labels]
        assert f"| `{name}` | {len(labels)} | {len(words[name])} |" in text
        told = agreement(labels)
        pair = tuple(map(told.annotators.index, "AB"))
        numbers = f"{told.shared[pair]} | {told.kappa[pair]:.2f} | {told.alpha:.2f}"
        assert f"| `{name}` | {numbers} |" in text
    for word in (*EMOTIONS, "unsure", "ignore"):
        counts = " | ".join(str(each.count(word)) for each in words.values())
        assert f"| {word} | {counts} |" in text


def test_every_sample_photo_is_labelled(samples):
    listed = tomllib.loads((ROOT / "groupemo" / "models" / "samples.toml").read_text())
    assert samples.sha256 == {photo["file"]: photo["sha256"] for photo in listed.values()}


@pytest.mark.data
@pytest.mark.parametrize(
    ("file", "folder", "n"),
    [("samples.csv", "photos", 11), ("wider_groups.csv", "wider_groups/photos", 60)],
)
def test_label_files_fit_their_photos(shared_data, file, folder, n):
    labels = load_labels(ROOT / "labels" / file)
    found = {name: shared_data / folder / name for name in labels}
    found = {name: path for name, path in found.items() if path.is_file()}
    assert len(found) == n
    for name, path in found.items():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == labels.sha256[name]
        with Image.open(path) as picture:
            inside = labels[name].check_inside(*picture.size, name)
        np.testing.assert_array_equal(inside.boxes, labels[name].boxes)
