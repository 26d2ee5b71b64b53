import io

import numpy as np
import pytest
from PIL import Image
from report_scenes import analysis, answers

from groupemo.analysis import read_again
from groupemo.drawing import (
    COLORS,
    UNANSWERED,
    blur_faces,
    captions,
    draw_analysis,
    draw_boxes,
    encode_jpeg,
    ink_on,
)
from groupemo.errors import PhotoError
from groupemo.images import Photo
from groupemo.testing import make_scene


def noise(height=120, width=160):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_blur_changes_the_widened_box_and_only_that():
    image = noise()
    before = image.copy()
    blurred = blur_faces(image, [[50, 40, 90, 80]])
    changed = (blurred != image).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert (columns.min(), rows.min(), columns.max(), rows.max()) == (44, 34, 95, 85)
    assert changed[34:86, 44:96].mean() > 0.99
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("side", [40, 300, 1000])
def test_blur_leaves_fewer_than_five_cells_across_a_face_of_any_size(side):
    stripes = np.zeros((side * 2, side * 2, 3), np.uint8)
    stripes[:, (np.arange(side * 2) // max(1, side // 16)) % 2 == 0] = 255  # 16 stripes a face
    half = side // 2
    face = slice(half, half + side)
    blurred = blur_faces(stripes, [[half, half, half + side, half + side]])
    assert stripes[face, face].std() > 120
    assert blurred[face, face].std() < 30


def test_blur_bears_boxes_outside_and_tiny_ones():
    image = noise()
    np.testing.assert_array_equal(blur_faces(image, [[500, 500, 600, 600]]), image)
    np.testing.assert_array_equal(blur_faces(image, np.empty((0, 4))), image)
    blur_faces(image, [[-50, -50, 3, 3], [0, 0, 0.4, 0.4], [159, 119, 400, 400]])


@pytest.mark.parametrize("shape", [(1, 1), (40, 60), (600, 800), (1500, 2000)])
def test_boxes_and_captions_stay_legible_and_inside(shape):
    image = np.full((*shape, 3), 128, np.uint8)
    height, width = shape
    box = [0.4 * width, 0.4 * height, 0.8 * width, 0.9 * height]
    drawn = draw_boxes(image, [box], ["happy 93%"], ["#e69f00"])
    assert drawn.shape == image.shape
    assert (image == 128).all()
    if width > 1:
        rows = np.flatnonzero((drawn == (230, 159, 0)).all(axis=2).any(axis=1))
        assert rows.min() < box[1]  # the caption stands above the box
        thick = (drawn[int(height * 0.65)] == (230, 159, 0)).all(axis=1).sum() / 2
        assert thick >= max(2, width / 500)


def test_a_caption_without_room_above_goes_below():
    image = np.zeros((200, 200, 3), np.uint8)
    drawn = draw_boxes(image, [[20, 0, 120, 90]], ["sad 50%"], ["#0072b2"])
    rows = np.flatnonzero((drawn == (0, 114, 178)).all(axis=2).any(axis=1))
    assert rows.max() > 95


def test_captions_of_neighbours_do_not_cover_each_other_or_their_faces():
    image = np.zeros((300, 400, 3), np.uint8)
    boxes = [[100, 100, 130, 140], [135, 100, 165, 140]]
    hues = ["#e69f00", "#d55e00"]
    together = draw_boxes(image, boxes, ["happy 100%", "angry 100%"], hues)
    for box, text, hue in zip(boxes, ("happy 100%", "angry 100%"), hues, strict=True):
        ink = tuple(int(hue[i : i + 2], 16) for i in (1, 3, 5))
        alone = draw_boxes(image, [box], [text], [hue])
        areas = [(each == ink).all(axis=2).sum() for each in (together, alone)]
        assert areas[0] > 0.9 * areas[1]  # edges may touch


def test_captions_say_the_answer_or_that_there_is_none():
    texts, hues = captions(answers("happy", None), tuple(COLORS))
    assert texts == ["happy 70%", "no answer"]
    assert hues == [COLORS["happy"], UNANSWERED]


def test_ink_is_readable_on_every_color():
    def luminance(color):
        channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for color in [*COLORS.values(), UNANSWERED]:
        ink = 1.0 if ink_on(color) == "white" else 0.0
        light, dark = sorted((luminance(color), ink), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, color


def test_jpeg_is_no_longer_than_asked():
    small = Image.open(io.BytesIO(encode_jpeg(noise(), 80)))
    assert (small.format, small.size) == ("JPEG", (80, 60))
    assert Image.open(io.BytesIO(encode_jpeg(noise()))).size == (160, 120)


def test_an_analysis_is_drawn_on_its_photo_blurred_on_request(tmp_path):
    scene = make_scene(["happy", "sad"])
    (tmp_path / scene.name).write_bytes(scene.encoded())
    one = analysis(scene, tmp_path, scene.labelled.boxes, ["happy", None])
    image = read_again(one)
    np.testing.assert_array_equal(image, scene.image)
    inside = (slice(34, 62), slice(34, 62))
    assert (draw_analysis(image, one)[inside] == image[inside]).all()
    assert (draw_analysis(image, one, blur=True)[inside] != image[inside]).any()


def test_a_photo_that_is_gone_or_changed_is_refused(tmp_path):
    scene, other = make_scene(["happy"], name="a.png"), make_scene(["sad"], name="a.png")
    one = analysis(scene, tmp_path, scene.labelled.boxes, ["happy"])
    with pytest.raises(PhotoError, match=r"a\.png: cannot be read"):
        read_again(one)
    (tmp_path / "a.png").write_bytes(other.encoded())
    with pytest.raises(PhotoError, match="changed since"):
        read_again(one)
    np.testing.assert_array_equal(read_again(one, Photo("a.png", scene.encoded())), scene.image)
