"""Arithmetic on boxes, by law and by hand."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from groupemo.boxes import (
    area,
    clip,
    iou_matrix,
    nonempty,
    scale,
    square,
    xywh_to_xyxy,
    xyxy_to_xywh,
)

WHOLE, WHOLE_SIDES = st.integers(-3000, 3000), st.integers(0, 3000)


@st.composite
def xywh(draw, elements=WHOLE, sides=WHOLE_SIDES):
    n = draw(st.integers(0, 6))
    corners = draw(hnp.arrays(np.float32, (n, 2), elements=elements))
    return np.concatenate([corners, draw(hnp.arrays(np.float32, (n, 2), elements=sides))], axis=1)


boxes = xywh().map(xywh_to_xyxy)
real = xywh(st.floats(-1e4, 1e4, width=32), st.floats(0.125, 1e4, width=32)).map(xywh_to_xyxy)


@given(xywh())
def test_there_and_back_is_the_same_for_whole_pixels(given_boxes):
    np.testing.assert_array_equal(xyxy_to_xywh(xywh_to_xyxy(given_boxes)), given_boxes)


@given(boxes)
def test_area_is_w_times_h(some):
    w, h = xyxy_to_xywh(some)[:, 2:].astype(float).T
    np.testing.assert_array_equal(area(some), w * h)
    np.testing.assert_array_equal(nonempty(some), (w > 0) & (h > 0))


def test_a_box_turned_inside_out_has_no_area():
    assert area([[5, 5, 0, 0]]).tolist() == [0]


@given(real, real)
def test_iou_is_symmetric_and_in_0_to_1(a, b):
    iou = iou_matrix(a, b)
    assert iou.shape == (len(a), len(b))
    assert ((iou >= 0) & (iou <= 1 + 1e-12)).all()
    np.testing.assert_allclose(iou, iou_matrix(b, a).T, rtol=1e-12)


@given(real)
def test_iou_with_itself_is_1(a):
    np.testing.assert_allclose(np.diag(iou_matrix(a, a)), 1)


@given(real, real, st.integers(-50, 50))
def test_iou_does_not_depend_on_place(a, b, shift):
    np.testing.assert_allclose(iou_matrix(a + shift, b + shift), iou_matrix(a, b), atol=0.05)


def test_iou_by_hand():
    # aa..     2 x 2, and 2 x 2 moved right by one: 2 shared of 6
    # .bb.
    assert iou_matrix([[0, 0, 2, 2]], [[1, 0, 3, 2]])[0, 0] == 2 / 6
    assert iou_matrix([[0, 0, 2, 2]], [[2, 0, 4, 2]])[0, 0] == 0, "touching is not overlapping"
    assert iou_matrix([[0, 0, 0, 0]], [[0, 0, 0, 0]])[0, 0] == 0, "no area, no overlap"
    assert iou_matrix([[0, 0, 4, 4]], [[1, 1, 2, 2]])[0, 0] == 1 / 16
    assert iou_matrix([], [[0, 0, 1, 1]]).shape == (0, 1)


@given(boxes, st.integers(1, 2000), st.integers(1, 2000))
def test_clipping_is_inside_and_idempotent(some, width, height):
    cut = clip(some, width, height)
    assert ((cut >= 0) & (cut <= [width, height, width, height])).all()
    np.testing.assert_array_equal(clip(cut, width, height), cut)
    assert (area(cut) <= area(some)).all()


@given(real, st.floats(0.25, 4))
def test_scaling_keeps_the_centre(some, factor):
    grown = scale(some, factor)
    np.testing.assert_allclose(
        grown[:, :2] + grown[:, 2:], some[:, :2] + some[:, 2:], rtol=1e-5, atol=0.05
    )
    np.testing.assert_allclose(
        grown[:, 2:] - grown[:, :2], (some[:, 2:] - some[:, :2]) * factor, rtol=1e-4, atol=0.05
    )


@given(real)
def test_squares_are_square_and_hold_the_box(some):
    grown = square(some)
    w, h = xyxy_to_xywh(grown)[:, 2:].T
    np.testing.assert_allclose(w, h, rtol=1e-4, atol=0.02)
    assert (grown[:, :2] <= some[:, :2] + 0.01).all()
    assert (grown[:, 2:] >= some[:, 2:] - 0.01).all()


def test_no_boxes_are_boxes():
    for function in (xywh_to_xyxy, xyxy_to_xywh, square):
        assert function([]).shape == (0, 4)
    assert clip([], 5, 5).shape == (0, 4)
    assert scale([], 2).shape == (0, 4)
    assert area([]).shape == (0,)
