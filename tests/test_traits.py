"""Measures of faces, held to sums written out in NumPy and to faces drawn by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groupemo.boxes import xywh_to_xyxy
from groupemo.traits import SIDE, pose, relative_size, size, tone

WHOLE = [[0, 0, SIDE, SIDE]]


def picture(luma):
    """Return gray levels, shape (h, w), as an RGB image."""
    return np.repeat(np.asarray(luma, dtype=np.uint8)[..., None], 3, axis=2)


def noise(seed=0, side=SIDE):
    return picture(np.random.default_rng(seed).integers(0, 256, (side, side)))


def test_size_is_the_side_of_the_square_of_that_area():
    boxes = xywh_to_xyxy([[5, 5, 30, 30], [0, 0, 9, 16]])
    np.testing.assert_allclose(size(boxes), [30, 12])
    np.testing.assert_allclose(relative_size(boxes, 90, 40), [0.5, 0.2])
    assert size(np.empty((0, 4))).shape == (0,)


@given(st.integers(0, 99))
def test_tone_is_what_numpy_says(seed):
    image = noise(seed)
    level = image[..., 0].astype(float)
    around = np.pad(level, 1, mode="reflect")
    laplacian = (
        around[:-2, 1:-1] + around[2:, 1:-1] + around[1:-1, :-2] + around[1:-1, 2:] - 4 * level
    )
    got = tone(image, WHOLE)
    np.testing.assert_allclose(got["sharpness"], laplacian.var(), rtol=1e-9)
    np.testing.assert_allclose(got["brightness"], level.mean() / 255, rtol=1e-9)
    np.testing.assert_allclose(got["contrast"], level.std() / 255, rtol=1e-9)


def test_tone_of_faces_drawn_by_hand():
    # left: all one gray, right: black and white stripes of two pixels, all in one photo
    image = np.full((SIDE, 2 * SIDE, 3), 51, np.uint8)
    image[:, SIDE:] = picture(np.tile([0, 0, 255, 255], (SIDE, SIDE // 4)))
    got = tone(image, [[0, 0, SIDE, SIDE], [SIDE, 0, 2 * SIDE, SIDE]])
    assert got["sharpness"][0] == 0 < got["sharpness"][1]
    np.testing.assert_allclose(got["brightness"], [0.2, 0.5])
    np.testing.assert_allclose(got["contrast"], [0, 0.5])


def test_a_blurred_face_is_less_sharp_at_any_size():
    sharp = noise(side=2 * SIDE)
    level = sharp[..., 0].astype(float)
    blurred = picture(
        sum(np.roll(level, shift, axis) for shift in (-1, 0, 1) for axis in (0, 1)) / 6
    )
    whole = [[0, 0, 2 * SIDE, 2 * SIDE]]
    assert tone(blurred, whole)["sharpness"] < tone(sharp, whole)["sharpness"]
    small = [[0, 0, 12, 12]]  # few pixels, stretched over the square, hold little detail
    assert tone(sharp, small)["sharpness"] < tone(noise(), WHOLE)["sharpness"]


def test_only_pixels_in_the_image_are_measured():
    image = np.full((40, 40, 3), 255, np.uint8)
    got = tone(image, [[-30, -30, 20, 20], [50, 50, 60, 60], [10.2, 10.2, 10.4, 10.4]])
    np.testing.assert_array_equal(got["brightness"], [1, np.nan, np.nan])
    np.testing.assert_array_equal(got["contrast"], [0, np.nan, np.nan])
    np.testing.assert_array_equal(got["sharpness"], [0, np.nan, np.nan])
    assert all(values.shape == (0,) for values in tone(image, np.empty((0, 4))).values())


def face(nose_x, turn=0.0, scale=1.0):
    """Return landmarks: eyes at -10 and 10, nose below; turned by degrees, clockwise."""
    points = np.array([[-10, 0], [10, 0], [nose_x, 12], [-8, 20], [8, 20]], float)
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    return scale * points @ np.array([[c, s], [-s, c]]) + 100


@pytest.mark.parametrize(("nose_x", "yaw"), [(0, 0), (5, 0.5), (10, 1), (-10, -1), (-15, -1.5)])
@pytest.mark.parametrize("turn", [0, 30, -45, 170])
def test_pose_of_faces_drawn_by_hand(nose_x, yaw, turn):
    got = pose([face(nose_x, turn), face(nose_x, turn, scale=3)])
    np.testing.assert_allclose(got["yaw"], [yaw, yaw], atol=1e-9)
    np.testing.assert_allclose(got["roll"], [turn, turn], atol=1e-9)


def test_eyes_in_one_point_have_no_pose():
    got = pose(np.zeros((1, 5, 2)))
    assert np.isnan(got["yaw"][0])
    assert np.isnan(got["roll"][0])
    assert pose(np.empty((0, 5, 2)))["yaw"].shape == (0,)
