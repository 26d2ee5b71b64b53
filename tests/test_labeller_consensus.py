"""What annotators say together, and labels that go out to a file and come back."""

import json
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groupemo import import_labels, load_labels, save_labels
from groupemo.boxes import iou_matrix
from groupemo.emotions import EMOTIONS
from groupemo.errors import LabelError, OptionError
from groupemo.labeller.actions import IGNORE, LABELS, NOT_A_FACE, Adjudicate, Said
from groupemo.labeller.agreement import agreement_of, self_agreement
from groupemo.labeller.consensus import consensus
from groupemo.labeller.exchange import PhotoAnswers, from_labels, read_file, to_labels
from groupemo.labeller.journal import Entry, PhotoRow
from groupemo.labeller.ordering import draw_repeats, order_photos, uncertainty
from groupemo.labeller.state import SAME_FACE, Face, Sheet, fold
from groupemo.labels import UNSURE
from groupemo.metrics.agreement import agreement

SHA = {"a.jpg": "a" * 64, "b.jpg": "b" * 64}
ALBUM = {sha[:16]: PhotoRow(sha[:16], name, sha, 100, 100) for name, sha in SHA.items()}


def sheet(*faces, complete=False):
    """Return a sheet of (box, label) pairs, or of (box, label, fields)."""
    made = (
        Face(f"d{at:04}", tuple(map(float, box)), label=label, **(rest[0] if rest else {}))
        for at, (box, label, *rest) in enumerate(faces)
    )
    return Sheet(tuple(made), complete)


def photo(sheets, settled=(), name="a.jpg"):
    return PhotoAnswers(name, SHA[name], consensus(sheets, settled))


def told(view):
    return [(common.box, common.labels) for common in view.faces]


LEFT, RIGHT = (0, 0, 20, 20), (50, 0, 70, 20)


def test_boxes_of_one_face_become_their_median():
    view = consensus(
        {
            "A": sheet((LEFT, "happy"), (RIGHT, "sad")),
            "B": sheet(((2, 0, 20, 22), "happy")),
            "C": sheet(((1, 1, 23, 21), "neutral")),
        }
    )
    assert told(view) == [
        ((1.0, 0.0, 20.0, 21.0), {"A": "happy", "B": "happy", "C": "neutral"}),
        ((50.0, 0.0, 70.0, 20.0), {"A": "sad"}),
    ]


def test_the_closest_boxes_are_joined_first():
    mine, theirs = sheet((LEFT, "happy"), ((6, 0, 26, 20), "sad")), sheet(((4, 0, 24, 20), "fear"))
    view = consensus({"A": mine, "B": theirs})
    assert [face.labels for face in view.faces] == [{"A": "happy"}, {"A": "sad", "B": "fear"}]


def test_two_faces_of_one_annotator_are_never_one():
    view = consensus({"A": sheet((LEFT, "happy"), ((0, 0, 20, 21), "sad"))})
    assert len(view.faces) == 2


def test_no_two_faces_have_the_same_box():
    mine = sheet(((0, 0, 20, 20), "happy"), ((0, 0, 20, 19), "sad"))
    theirs = sheet(((0, 0, 20, 22), "happy"), ((0, 0, 20, 23), "sad"))
    first, second = (face.box for face in consensus({"A": mine, "B": theirs}).faces)
    assert first == (0, 0, 20, 21)
    assert second == pytest.approx((0, 0, 20.1, 21))


def test_who_has_called_the_photo_complete_misses_a_face():
    view = consensus(
        {
            "A": sheet((LEFT, "happy"), complete=True),
            "B": sheet((RIGHT, "sad")),
            "C": sheet((RIGHT, "sad"), (LEFT, None), complete=True),  # not labelled: not finished
        }
    )
    assert told(view) == [
        ((0.0, 0.0, 20.0, 20.0), {"A": "happy"}),
        ((50.0, 0.0, 70.0, 20.0), {"A": None, "B": "sad", "C": "sad"}),
    ]
    assert [face.differs for face in view.faces] == [False, True]
    assert view.finished == ("A",)


def test_who_denies_a_face_moves_no_box():
    view = consensus(
        {
            "A": sheet((LEFT, "happy")),
            "B": sheet(((0, 0, 20, 26), NOT_A_FACE), (RIGHT, NOT_A_FACE)),
            "C": sheet(((0, 0, 20, 26), NOT_A_FACE)),
        }
    )
    assert told(view) == [
        ((0.0, 0.0, 20.0, 20.0), {"A": "happy", "B": NOT_A_FACE, "C": NOT_A_FACE}),
        ((50.0, 0.0, 70.0, 20.0), {"B": NOT_A_FACE}),
    ]


def test_the_last_word_about_a_face_settles_it():
    sheets = {"A": sheet((LEFT, "happy")), "B": sheet((LEFT, "sad"))}
    near = (1.0, 0.0, 20.0, 20.0)
    words = [("Y", Adjudicate(near, "fear")), ("Z", Adjudicate(near, "sad"))]
    [face] = consensus(sheets, words).faces
    assert (face.settled.by, face.settled.label) == ("Z", "sad")
    [face] = consensus(sheets, [*words, ("Z", Adjudicate(near, None))]).faces
    assert face.settled is None
    far = [("Z", Adjudicate((50.0, 50.0, 70.0, 70.0), "sad"))]
    first, alone = consensus(sheets, far).faces
    assert first.settled is None
    assert (alone.settled.label, alone.answers) == ("sad", {})


def test_labels_merge_into_votes_as_anywhere(tmp_path):
    mine = sheet((LEFT, "happy", {"second": "neutral"}), (RIGHT, "contempt"))
    sheets = {
        "A": replace(mine, complete=True),
        "B": sheet(((0, 0, 20, 22), "happy"), (RIGHT, IGNORE)),
        "C": sheet((LEFT, "sad", {"votes": {"sad": 0.5, "happy": 0.5}, "confidence": 1})),
    }
    labels = to_labels([photo(sheets), photo({"A": Sheet(complete=True)}, name="b.jpg")])
    labels = load_labels(save_labels(labels, tmp_path / "labels.csv"))
    merged = labels["a.jpg"]
    assert merged.labels.tolist() == [EMOTIONS.index("happy"), UNSURE]  # contempt, ignore: a tie
    assert merged.votes[0].tolist() == [0, 0, 0, 2.5, 0.5, 0, 0]
    assert merged.complete
    assert labels["b.jpg"].complete
    assert len(labels["b.jpg"]) == 0
    assert labels.annotators == ("A", "B", "C")
    assert labels.sha256 == SHA
    written = labels.written["a.jpg"]
    assert written.extra["second"] == ("neutral", "", "", "", "")
    assert written.extra["answer"] == ("", "", "", "contempt", "")
    assert written.extra["finished_by"] == ('["A"]',) * 5


def test_photos_of_which_nothing_is_said_are_left_out():
    assert len(to_labels([photo({"A": sheet((LEFT, None), (RIGHT, NOT_A_FACE))})])) == 0


def test_a_settled_face_keeps_everybodys_row(tmp_path):
    sheets = {"A": sheet((LEFT, "happy", {"guess_shown": True})), "B": sheet((LEFT, "sad"))}
    word = Adjudicate(tuple(map(float, LEFT)), "sad")
    labels = to_labels([photo(sheets, [("Z", word)])])
    labels = load_labels(save_labels(labels, tmp_path / "labels.csv"))
    [label], [votes] = labels["a.jpg"].labels, labels["a.jpg"].votes
    assert EMOTIONS[label] == "sad"
    assert votes.tolist() == [0, 0, 0, 1, 1, 0, 0]
    written = labels.written["a.jpg"]
    assert written.annotators == ("A", "B")
    assert [EMOTIONS[label] for label in written.labels] == ["happy", "sad"]
    assert written.extra["guess_shown"] == ("yes", "")
    assert written.settlers == ("Z", "Z")
    raw = to_labels([photo(sheets, [("Z", word)])], settled=False)
    assert raw.written["a.jpg"].settlers == ("", "")
    gone = to_labels([photo(sheets, [("Z", Adjudicate(word.box, NOT_A_FACE))])])
    assert len(gone) == 0


def test_a_settled_face_that_nobody_has_is_a_row_of_who_settled_it(tmp_path):
    sheets = {
        "A": sheet((LEFT, NOT_A_FACE), (RIGHT, "sad"), complete=True),
        "B": sheet((RIGHT, "sad"), complete=True),
    }
    word = Adjudicate(tuple(map(float, LEFT)), "contempt")
    labels = to_labels([photo(sheets, [("Z", word)])])
    labels = load_labels(save_labels(labels, tmp_path / "labels.csv"))
    written = labels.written["a.jpg"]
    assert written.annotators == ("Z", "A", "B")
    assert written.extra == {"settled_answer": ("contempt", "", "")}  # finished: who has a row
    assert labels["a.jpg"].votes.sum(axis=1).tolist() == [0, 2]
    assert labels.annotators == ("A", "B")


def come_back(labels):
    """Return the photos' answers after labels went through actions into new sheets."""
    found = from_labels(labels, ALBUM, source="x.csv", batch="", nameless="")
    assert not found.elsewhere
    photos = []
    for number, (key, row) in enumerate(ALBUM.items()):
        sheets = {
            who: fold(Sheet(), [Entry(number + 1, "x", who, 0, key, "", "", action)])
            for (who, where), action in found.sheets.items()
            if where == key
        }
        settled = [(who, action) for who, where, action in found.settled if where == key]
        view = consensus(sheets, settled)
        notes = {who: sheets[who].extra for who in view.finished}
        photos.append(PhotoAnswers(row.name, row.sha256, view, notes))
    return photos


def saved(labels, folder, name):
    return save_labels(labels, folder / name).read_bytes()


tenths = st.integers(0, 400).map(lambda n: n / 10)
sides = st.integers(20, 500).map(lambda n: n / 10)
drawn = st.tuples(tenths, tenths, sides, sides).map(
    lambda t: (t[0], t[1], round(t[0] + t[2], 1), round(t[1] + t[3], 1))
)
some_votes = st.none() | st.sampled_from(
    [{"sad": 1.0}, {"sad": 0.3333, "fear": 0.6667}, {"happy": 0.1, "angry": 0.9}]
)
faces = st.builds(
    lambda box, label, second, confidence, votes, shown: Face(
        "d", box, False, None, label, second, confidence, votes, shown
    ),
    drawn, st.sampled_from([*LABELS, None]), st.none() | st.sampled_from(LABELS),
    st.none() | st.sampled_from([1, 2, 3]), some_votes, st.booleans(),
)  # fmt: skip
sheets = st.builds(
    Sheet, st.lists(faces, max_size=4, unique_by=lambda face: face.box).map(tuple), st.booleans()
)
stories = st.tuples(
    st.dictionaries(st.sampled_from(["AB", "CD", "Zoë", ""]), sheets, max_size=4),
    st.lists(
        st.tuples(
            st.sampled_from(["Y", "Z"]), st.builds(Adjudicate, drawn, st.sampled_from(LABELS))
        ),
        max_size=2,
    ),
)


@given(stories, stories)
def test_what_goes_out_comes_back_to_the_byte(tmp_path_factory, first, second):
    folder = tmp_path_factory.mktemp("labels")
    photos = [photo(*first, name="a.jpg"), photo(*second, name="b.jpg")]
    before = saved(to_labels(photos), folder, "first.csv")
    again = to_labels(come_back(load_labels(folder / "first.csv")))
    assert saved(again, folder, "second.csv") == before


@given(st.dictionaries(st.sampled_from("ABCD"), sheets, max_size=4))
def test_faces_that_are_left_apart_could_not_be_one(sheets):
    seen = {
        common.box: {who for who, face in common.answers.items() if face.is_face}
        for common in consensus(sheets).faces
    }
    for one, other in combinations([box for box in seen if seen[box]], 2):
        assert seen[one] & seen[other] or iou_matrix([one], [other]) < SAME_FACE
    everybody = [(w, f.label) for w, sheet in sheets.items() for f in sheet.faces if f.label]
    found = [(w, a.label) for face in consensus(sheets).faces for w, a in face.answers.items()]
    assert sorted(found) == sorted(everybody)  # nobody's answer is lost


# Files of others


def answers_in(text, tmp_path, **options):
    file = tmp_path / "labels.csv"
    file.write_text(text)
    chosen = {"source": "labels.csv", "batch": "", "nameless": "AB", **options}
    return from_labels(load_labels(file), ALBUM, **chosen)


def test_rows_that_name_nobody_are_whose_who_imports_them(tmp_path):
    text = "image,x,y,w,h,emotion,note\na.jpg,1,2,3,4,happy,grin\nb.jpg,,,,,,\n"
    found = answers_in(text, tmp_path)
    assert found.sheets["AB", SHA["a.jpg"][:16]].faces == (
        Said((1.0, 2.0, 4.0, 6.0), "happy", extra={"note": "grin"}),
    )
    assert found.sheets["AB", SHA["b.jpg"][:16]].complete
    text = "image,x,y,w,h,emotion,annotator\na.jpg,1,2,3,4,happy,\na.jpg,1,2,3,4,sad,AB\n"
    assert {who for who, _ in answers_in(text, tmp_path).sheets} == {"", "AB"}


def test_labels_of_a_copy_keep_its_name(tmp_path):
    text = "image,x,y,w,h,emotion,sha256\na.jpg,1,2,3,4,sad,{0}\ncopy.jpg,1,2,3,4,happy,{0}\n"
    found = answers_in(text.format(SHA["a.jpg"]), tmp_path)
    assert len(found.sheets) == 2
    assert [row.name for row in found.elsewhere] == ["copy.jpg"]


def test_photos_are_known_by_content_then_by_name(tmp_path):
    text = "image,x,y,w,h,emotion,sha256\nold.jpg,1,2,3,4,sad,{}\nc.jpg,1,2,3,4,sad,\n"
    found = answers_in(text.format(SHA["b.jpg"]), tmp_path)
    assert ("AB", SHA["b.jpg"][:16]) in found.sheets
    assert [row.name for row in found.elsewhere] == ["c.jpg"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"image,x,y,w,h,emotion,sha256\na.jpg,1,2,3,4,sad,{'c' * 64}\n", "another version"),
        ("image,x,y,w,h,emotion\na.jpg,200,2,3,4,sad\n", "lies outside the photo"),
        ("image,x,y,w,h,emotion,second\na.jpg,1,2,3,4,sad,maybe\n", "labels.csv: a.jpg: .*'maybe'"),
        ("image,x,y,w,h,emotion,finished_by\na.jpg,1,2,3,4,sad,{}\n", "expected a JSON list"),
        ("image,x,y,w,h,emotion,finished_by\na.jpg,1,2,3,4,sad,[1]\n", "JSON list of names"),
        ('image,x,y,w,h,emotion,finished_by\na.jpg,1,2,3,4,sad,"[""\\ud800""]"\n', "surrogates"),
        ("image,x,y,w,h,emotion,settled\na.jpg,1,2,3,4,sad,happy\n", "does not say by whom"),
        ("image,x,y,w,h,emotion,finished_by\na.jpg,1,2,3,4,sad,AB\n", "a.jpg: finished_by: 'AB'"),
        ("image,x,y,w,h,emotion,confidence\na.jpg,1,2,3,4,sad,high\n", "labels.csv: a.jpg: .*high"),
    ],
)
def test_what_does_not_fit_the_photos_or_our_columns_is_refused(tmp_path, text, reason):
    with pytest.raises(LabelError, match=reason):
        answers_in(text, tmp_path)


def test_a_text_is_read_as_the_file_it_would_be(tmp_path):
    labels = to_labels([photo({"A": sheet((LEFT, "happy"))})])
    data = {
        "images": [{"id": 1, "file_name": "a.jpg"}],
        "categories": [{"id": 1, "name": "joy"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 20, 20]}],
    }
    read = read_file("mine.json", "coco", text=json.dumps(data))
    np.testing.assert_array_equal(read["a.jpg"].boxes, labels["a.jpg"].boxes)
    (tmp_path / "coco.json").write_text(json.dumps(data))
    assert (
        import_labels(tmp_path / "coco.json", format="coco")["a.jpg"].labels == read["a.jpg"].labels
    )
    with pytest.raises(LabelError, match=r"^mine\.csv, line 1: no column"):
        read_file("mine.csv", text="a,b\n1,2\n")
    with pytest.raises(OptionError, match="format 'yolo'"):
        read_file("mine", "yolo", text="")


# Agreement


def test_agreement_against_numbers_worked_out_by_hand():
    first, second = ("happy", "happy", "sad", "unsure"), ("happy", "sad", "sad", "happy", "fear")
    boxes = [(25 * at, 0, 25 * at + 20, 20) for at in range(5)]
    sheets = {
        "A": sheet(*zip(boxes, first, strict=False), complete=True),
        "B": sheet(*zip(boxes, second, strict=True), complete=True),
    }
    answers = photo(sheets)
    found = agreement_of([answers])
    assert found["annotators"] == ["A", "B"]
    assert found["faces"] == 3
    [pair] = found["pairs"]
    # 2 of 3 the same; by chance (2*1 + 1*2) / 9: kappa = (2/3 - 4/9) / (1 - 4/9)
    assert pair["kappa"] == pytest.approx(0.4)
    # pairs: happy-happy 2, sad-sad 2, happy-sad 1 each way; N = 6, of which 3 and 3
    assert found["alpha"] == pytest.approx(1 - 5 * 2 / (36 - 18))
    # P = 2/3, Pe = 1/2
    assert found["fleiss"] == pytest.approx(1 / 3)
    assert pair["labels"] == ["happy", "sad", "unsure"]
    assert pair["confusion"] == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]
    assert pair["alone"] == {"A": 0, "B": 1}


def test_agreement_is_that_of_the_label_file_and_not_of_what_was_settled(tmp_path):
    first, second = ("happy", "happy", "sad", "unsure"), ("happy", "sad", "sad", "happy")
    boxes = [(25.0 * at, 0.0, 25.0 * at + 20, 20.0) for at in range(4)]
    sheets = {
        "A": sheet(*zip(boxes, first, strict=True)),
        "B": sheet(*zip(boxes, second, strict=True)),
    }
    settled = [("Z", Adjudicate(boxes[at], "happy")) for at in (1, 3)]
    found = agreement_of([photo(sheets, settled)])
    assert found["pairs"][0]["kappa"] == pytest.approx(0.4)
    for words in ((), settled):
        file = save_labels(to_labels([photo(sheets, words)]), tmp_path / "labels.csv")
        same = agreement(load_labels(file))
        assert same.annotators == ("A", "B")
        assert same.settled == len(words)
        assert found["alpha"] == pytest.approx(same.alpha)
        assert found["fleiss"] == pytest.approx(same.fleiss)
        assert found["pairs"][0]["kappa"] == pytest.approx(same.kappa[0, 1])
        assert found["pairs"][0]["faces"] == same.shared[0, 1] == 3


def test_agreement_of_nobody():
    empty = {"annotators": [], "faces": 0, "alpha": None, "fleiss": None, "pairs": []}
    assert agreement_of([]) == empty
    alone = agreement_of([photo({"A": sheet((LEFT, "happy"))})])
    assert alone == {**empty, "annotators": ["A"]}


def test_agreement_with_oneself():
    pairs = [("happy", "happy"), ("sad", "happy"), ("sad", "sad"), ("unsure", "unsure")]
    found = self_agreement(pairs)
    # on the three with expressions: 2/3 the same, by chance (1*2 + 2*1) / 9
    assert found == {"faces": 4, "same": 3, "kappa": pytest.approx(0.4)}
    assert self_agreement([]) == {"faces": 0, "same": 0, "kappa": None}


# Order


def test_orders():
    photos = list("abcdefgh")
    assert order_photos(photos, "name", seed=0, uncertain={}) == photos
    shuffled = order_photos(photos, "shuffle", seed=3, uncertain={})
    assert sorted(shuffled) == photos
    assert shuffled != photos
    assert shuffled == order_photos(photos[::-1], "shuffle", seed=3, uncertain={})
    assert shuffled != order_photos(photos, "shuffle", seed=4, uncertain={})
    uncertain = {"c": 0.1, "e": 0.9, "a": float("-inf")}
    assert order_photos(photos, "active", seed=0, uncertain=uncertain) == list("ecabdfgh")
    with pytest.raises(OptionError, match="order is 'best': expected one of name, shuffle, active"):
        order_photos(photos, "best", seed=0, uncertain={})


def test_uncertainty_is_entropy_of_one_and_divergence_of_several():
    sure, other, unsure = np.eye(7)[3], np.eye(7)[4], np.full(7, 1 / 7)
    none = np.full(7, np.nan)
    assert uncertainty([np.array([sure, unsure])]) == pytest.approx(np.log(7) / 2)
    assert uncertainty([np.array([sure]), np.array([other])]) == pytest.approx(np.log(2))
    assert uncertainty([np.array([unsure]), np.array([unsure])]) == pytest.approx(0)
    assert uncertainty([np.array([sure, none]), np.array([other, sure])]) == pytest.approx(
        np.log(2)
    )
    assert uncertainty([np.array([none])]) == uncertainty([]) == -np.inf
    assert uncertainty([np.empty((0, 7))]) == -np.inf


def test_repeats_are_drawn_photo_by_photo():
    photos = [f"photo {number}" for number in range(1000)]
    drawn = draw_repeats(photos, 0.2, seed=5)
    assert 150 < len(drawn) < 250
    assert set(draw_repeats(photos[:500], 0.2, seed=5)) == set(drawn) & set(photos[:500])
    assert drawn != sorted(drawn)
    assert draw_repeats(photos, 0, seed=5) == []
    assert len(draw_repeats(photos, 1, seed=5)) == 1000
