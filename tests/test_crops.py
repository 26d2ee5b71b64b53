import numpy as np
import pytest

from groupemo.crops import crop, cut, gray, has_pixels, resize
from groupemo.errors import OptionError
from groupemo.faces import Faces

IMAGE = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)


def test_a_box_inside_is_cut_as_it_is():
    np.testing.assert_array_equal(cut(IMAGE, [1, 2, 4, 6]), IMAGE[2:6, 1:4])


def test_boxes_are_rounded_to_whole_pixels():
    np.testing.assert_array_equal(cut(IMAGE, [0.6, 2.4, 3.9, 6.0]), IMAGE[2:6, 1:4])


def test_beyond_the_edge_is_the_fill():
    # image 8 x 6; the box sticks out 2 px left, 1 px above, 1 px below
    picture = cut(IMAGE, [-2, -1, 3, 7], fill=9)
    assert picture.shape == (8, 5, 3)
    np.testing.assert_array_equal(picture[1:7, 2:], IMAGE[:, :3])
    assert (picture[:, :2] == 9).all()
    assert (picture[[0, 7]] == 9).all()


@pytest.mark.parametrize("box", [[20, 20, 25, 24], [-9, -9, -4, -5], [2, 20, 7, 24]])
def test_a_box_outside_is_all_fill(box):
    picture = cut(IMAGE, box, fill=5)
    assert picture.shape == (4, 5, 3)
    assert (picture == 5).all()


def test_a_gray_image_gives_gray_cuts():
    assert cut(IMAGE[..., 0], [-1, 0, 3, 3]).shape == (3, 4)


def test_which_boxes_have_pixels():
    boxes = [[0, 0, 1, 1], [7.6, 0, 9, 3], [8, 0, 9, 3], [0.2, 0.2, 0.4, 0.4], [-5, -5, 0.4, 2]]
    assert has_pixels(IMAGE, boxes).tolist() == [True, False, False, False, False]


def test_crop_gives_one_picture_a_face():
    pictures = crop(IMAGE, Faces([[0, 0, 2, 2], [1, 1, 5, 4]]))
    assert [picture.shape for picture in pictures] == [(2, 2, 3), (3, 4, 3)]
    np.testing.assert_array_equal(pictures[1], IMAGE[1:4, 1:5])


def test_no_faces_give_no_pictures():
    assert crop(IMAGE, Faces.empty(), size=4) == []


def test_margin_is_added_on_each_side_and_squares_after():
    image = np.zeros((100, 100, 3), np.uint8)
    image[30:50, 40:50] = 200
    [picture] = crop(image, Faces([[40, 30, 50, 50]]), margin=0.5)
    assert picture.shape == (40, 20, 3)
    [picture] = crop(image, Faces([[40, 30, 50, 50]]), margin=0.5, square=True)
    assert picture.shape == (40, 40, 3)
    assert (picture[10:30, 15:25] == 200).all()
    assert picture.sum() == 200 * 200 * 3


@pytest.mark.parametrize(("size", "shape"), [(5, (5, 5, 3)), ((4, 7), (4, 7, 3))])
def test_crops_of_a_size(size, shape):
    faces = Faces([[0, 0, 2, 2], [0, 0, 8, 6], [0.2, 0.2, 0.4, 0.4]])
    pictures = crop(IMAGE, faces, size=size)
    assert [picture.shape for picture in pictures] == [shape] * 3


@pytest.mark.parametrize("size", [0, -3, (4, 4, 4), (4, 0), 2.5, "big", "ab", (3, 2.5), (1, [2])])
def test_a_size_that_means_nothing(size):
    with pytest.raises(OptionError, match="size is"):
        crop(IMAGE, Faces.empty(), size=size)


@pytest.mark.parametrize("margin", [-0.5, -1, 1e9, float("nan"), float("inf"), "wide"])
def test_a_margin_that_means_nothing(margin):
    with pytest.raises(OptionError, match="margin is"):
        crop(IMAGE, Faces.empty(), margin=margin)


def test_shrinking_averages():
    checks = np.indices((8, 8)).sum(axis=0) % 2 * 200
    assert resize(checks.astype(np.uint8), (2, 2)).tolist() == [[100, 100], [100, 100]]


def test_gray_weighs_the_channels():
    pure = np.eye(3, dtype=np.uint8)[None] * 255
    assert gray(pure).tolist() == [[76, 150, 29]]
    assert gray(gray(pure)).tolist() == [[76, 150, 29]]
