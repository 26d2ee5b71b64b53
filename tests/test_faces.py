"""`Faces`: what it holds, what it refuses, and that picking and clipping keep rows together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from groupemo.errors import ContractError
from groupemo.faces import Faces

PIXELS = st.floats(-500, 500, width=32)
SIDES = st.floats(1, 500, width=32)


@st.composite
def some_faces(draw):
    n = draw(st.integers(0, 8))
    corners = draw(hnp.arrays(np.float32, (n, 2), elements=PIXELS))
    sides = draw(hnp.arrays(np.float32, (n, 2), elements=SIDES))
    scores = draw(hnp.arrays(np.float32, n, elements=st.floats(-5, 5, width=32)))
    marks = draw(st.none() | hnp.arrays(np.float32, (n, 5, 2), elements=PIXELS))
    return Faces(np.concatenate([corners, corners + sides], axis=1), scores, marks)


def assert_rows(picked, faces, rows):
    np.testing.assert_array_equal(picked.boxes, faces.boxes[rows])
    np.testing.assert_array_equal(picked.scores, faces.scores[rows])
    if faces.landmarks is None:
        assert picked.landmarks is None
    else:
        np.testing.assert_array_equal(picked.landmarks, faces.landmarks[rows])


@given(some_faces())
def test_shapes_and_types_hold(faces):
    n = len(faces)
    assert (faces.boxes.shape, faces.boxes.dtype) == ((n, 4), np.float32)
    assert (faces.scores.shape, faces.scores.dtype) == ((n,), np.float32)
    assert faces.landmarks is None or faces.landmarks.shape == (n, 5, 2)


@given(some_faces(), st.data())
def test_a_mask_picks_rows(faces, data):
    mask = data.draw(hnp.arrays(bool, len(faces)))
    assert_rows(faces[mask], faces, np.flatnonzero(mask))


@given(some_faces(), st.data())
def test_integers_and_slices_pick_rows(faces, data):
    rows = data.draw(st.lists(st.integers(0, max(len(faces) - 1, 0)), max_size=len(faces)))
    picked = np.array(rows, dtype=int) if len(faces) else np.empty(0, int)
    assert_rows(faces[picked], faces, picked)
    assert_rows(faces[1::2], faces, np.arange(len(faces))[1::2])
    assert len(faces[:0]) == 0


def test_one_integer_picks_one_face():
    faces = Faces([[0, 0, 1, 1], [0, 0, 2, 2]])
    assert faces[1].boxes.tolist() == [[0, 0, 2, 2]]
    assert faces[-1].boxes.tolist() == [[0, 0, 2, 2]]


def test_iterating_ends():
    assert [len(face) for face in Faces([[0, 0, 1, 1], [0, 0, 2, 2]])] == [1, 1]


@given(some_faces(), st.integers(1, 400), st.integers(1, 400))
def test_clipping_keeps_inside_what_it_keeps(faces, width, height):
    cut = faces.clipped(width, height)
    assert (cut.boxes >= 0).all()
    assert (cut.boxes <= [width, height, width, height]).all()
    x1, y1, x2, y2 = faces.boxes.T
    overlaps = (x1 < width) & (y1 < height) & (x2 > 0) & (y2 > 0)
    assert len(cut) == overlaps.sum()
    np.testing.assert_array_equal(cut.scores, faces.scores[overlaps])
    if faces.landmarks is not None:
        np.testing.assert_array_equal(cut.landmarks, faces.landmarks[overlaps])
    again = cut.clipped(width, height)
    assert_rows(again, cut, np.arange(len(cut)))


def test_empty_is_a_value_like_any_other():
    empty = Faces.empty()
    assert len(empty) == 0
    assert empty.boxes.shape == (0, 4)
    assert len(empty[empty.scores > 0.5]) == 0
    assert len(empty.clipped(3, 3)) == 0
    assert len(Faces([])) == 0
    assert Faces([], [], []).landmarks.shape == (0, 5, 2)


def test_scores_are_1_where_the_detector_gives_none():
    assert Faces([[0, 0, 1, 1]]).scores.tolist() == [1.0]


def test_arrays_are_copied_and_cannot_be_written():
    boxes = np.array([[0, 0, 1, 1]], np.float32)
    faces = Faces(boxes)
    boxes[:] = 7
    assert faces.boxes.tolist() == [[0, 0, 1, 1]]
    with pytest.raises(ValueError, match="read-only"):
        faces.boxes[0] = 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[0, 0, 5, 5], [9, 9, 5, 20]],), r"boxes\[1\] is \[9.0, 9.0, 5.0, 20.0\].*x, y, w, h"),
        (([[0, 0, 5, 0]],), r"boxes\[0\] is \[0.0, 0.0, 5.0, 0.0\]"),
        (([[0, 0, np.nan, 5]],), r"boxes\[0\] is \[0.0, 0.0, nan, 5.0\]: not finite"),
        (([[0, 0, np.inf, 5]],), "not finite"),
        (([[0, 0, 1e300, 5]],), "not finite"),
        (([0, 0, 5, 5],), r"shape \(4,\), expected \(n, 4\)"),
        (([[0, 0, 5]],), r"shape \(1, 3\)"),
        (([[0, 0, 5, 5], [1, 1]],), "boxes"),
        (("face",), "boxes"),
        (([[0, 0, 5, 5]], [0.5, 0.5]), r"scores have shape \(2,\), expected \(1,\)"),
        (([[0, 0, 5, 5]], [np.nan]), r"scores\[0\] is nan"),
        (([[0, 0, 5, 5]], None, [[1, 2]]), r"landmarks have shape \(1, 2\)"),
        (([[0, 0, 5, 5]], None, np.full((1, 5, 2), np.inf)), r"landmarks\[0\]"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_name(arguments, message):
    with pytest.raises(ContractError, match=message):
        Faces(*arguments)
