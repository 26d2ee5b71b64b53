"""The shared parts of detectors: tiles, merging, views; and tiling on a large photo."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groupemo.boxes import iou_matrix
from groupemo.detectors._base import Found, NativeDetector, nms, shrunk
from groupemo.detectors._tiling import OVERLAP, FixedSize, starts, tiles
from groupemo.detectors.yolo import letterbox
from groupemo.images import read_photo

sides = st.integers(1, 700)


class Marks(FixedSize):
    """Finds every red rectangle's box, also a cut one's."""

    def __init__(self, tile=None):
        super().__init__(0.5, 0, 0.4, tile)

    def _find(self, image):
        red = (image[..., 0] > 128).astype(np.uint8)
        stats = cv2.connectedComponentsWithStats(red, connectivity=4)[2][1:, :4]
        boxes = np.concatenate([stats[:, :2], stats[:, :2] + stats[:, 2:]], axis=1)
        return Found(boxes.astype(float), np.ones(len(boxes)))


class Says(NativeDetector):
    """Says what it was given to say."""

    def __init__(self, found, min_score=0.0, min_size=0, overlap=None):
        super().__init__(min_score, min_size, overlap)
        self.found = found

    def _find(self, image):
        return self.found


def test_tidy_drops_what_is_not_finite_empty_or_outside_and_sorts():
    boxes = np.array(
        [
            [50, 50, 60, 60],  # second by place
            [20, 10, 10, 30],  # empty
            [np.nan, 0, 5, 5],
            [0, -np.inf, 5, 5],
            [200, 0, 300, 40],  # outside the image
            [-10, 5, 20, 30],  # clipped
            [5, 5, 15, 15],  # surest
            [5, 50, 15, 60],  # first by place: further left
            [70, 70, 80, 80],  # below min_score
            [90, 90, 93, 99],  # too narrow
        ]
    )
    scores = np.array([0.5, 1, 1, 1, 1, 0.6, 0.9, 0.5, 0.1, 0.8])
    faces = Says(Found(boxes, scores), 0.2, 5)(np.zeros((100, 100, 3), np.uint8))
    assert faces.boxes.tolist() == [
        [5, 5, 15, 15],
        [0, 5, 20, 30],
        [5, 50, 15, 60],
        [50, 50, 60, 60],
    ]


@settings(deadline=None)
@given(length=st.integers(1, 5000), tile=st.integers(64, 800))
def test_tiles_cover_and_overlap(length, tile):
    first = starts(length, tile)
    assert first[0] == 0
    assert first[-1] + tile >= length
    if length > tile:
        assert first[-1] + tile == length
        assert (np.diff(first) <= tile * (1 - OVERLAP) + 1).all()


@settings(deadline=None)
@given(
    width=st.integers(150, 600),
    height=st.integers(150, 600),
    x=st.integers(0, 500),
    y=st.integers(0, 500),
    w=st.integers(6, 30),
    h=st.integers(6, 30),
)
def test_a_tiled_detector_finds_each_face_once_and_whole(width, height, x, y, w, h):
    # one mark shorter than the overlap of tiles of 150 px, anywhere: found in the whole picture
    # and in one to four tiles, some of which cut it
    image = np.zeros((height, width, 3), np.uint8)
    image[y : y + h, x : x + w] = 255
    np.testing.assert_array_equal(Marks(150)(image).boxes, Marks()(image).boxes)


def test_tiles_alone_find_small_faces_once():
    class Blind(Marks):
        """Sees nothing in pictures longer than a tile."""

        def _find(self, image):
            return super()._find(image) if max(image.shape) <= 100 else Found.nothing()

    image = np.zeros((260, 333, 3), np.uint8)
    corners = [(0, 0), (60, 70), (90, 95), (240, 300), (130, 210)]
    for y, x in corners:
        image[y : y + 20, x : x + 20] = 255
    faces = Blind(100)(image)
    assert sorted(map(tuple, faces.boxes[:, :2][:, ::-1].astype(int))) == sorted(corners)


@settings(deadline=None)
@given(width=sides, height=sides, tall=st.integers(32, 640), wide=st.integers(32, 640))
def test_letterbox_and_back(width, height, tall, wide):
    image = np.zeros((height, width, 3), np.uint8)
    view = letterbox(image, tall, wide)
    assert view.pixels.shape == (tall, wide, 3)
    corners = np.argwhere((view.pixels == 0).all(axis=2))  # the photo within the gray
    (top, left), (bottom, right) = corners.min(axis=0), corners.max(axis=0) + 1
    back = view.to_image(Found(np.array([[left, top, right, bottom]]), np.ones(1))).boxes[0]
    np.testing.assert_allclose(back, [0, 0, width, height], atol=1e-6)


@settings(deadline=None)
@given(width=sides, height=sides, side=st.integers(32, 400))
def test_shrunk_and_back(width, height, side):
    view = shrunk(np.zeros((height, width, 3), np.uint8), side)
    assert max(view.pixels.shape[:2]) == min(side, max(height, width))
    whole = np.array([[0, 0, view.pixels.shape[1], view.pixels.shape[0]]])
    back = view.to_image(Found(whole, np.ones(1))).boxes[0]
    np.testing.assert_allclose(back, [0, 0, width, height])


def plain_nms(boxes, scores, overlap):
    kept, iou = [], iou_matrix(boxes, boxes)
    for row in np.argsort(-scores, kind="stable"):
        if (iou[row, kept] <= overlap).all():
            kept.append(row)
    return kept


@settings(deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(0, 25), overlap=st.sampled_from([0.3, 0.45, 0.7]))
def test_nms_keeps_the_surest(seed, n, overlap):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(-5, 30, (n, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(3, 20, (n, 2))], axis=1)
    scores = rng.choice([-1.0, 0.0, 0.25, 0.5, 0.99999994, 1.0], n)
    assert nms(boxes, scores, overlap).tolist() == plain_nms(boxes, scores, overlap)


def test_tiles_are_cut_where_they_say():
    image = np.arange(90 * 130 * 3, dtype=np.uint32).astype(np.uint8).reshape(90, 130, 3)
    for view in tiles(image, 64):
        x, y = view.offset.astype(int)
        np.testing.assert_array_equal(view.pixels, image[y : y + 64, x : x + 64])


@pytest.mark.data
@pytest.mark.models
@pytest.mark.parametrize("name", ["yolo", "rfb"])
def test_tiling_finds_small_faces_in_a_large_photo(name, shared_data, shared_models):
    from groupemo.detectors.rfb import RFB
    from groupemo.detectors.yolo import Yolo

    still = read_photo(shared_data / "photos" / "azure_faces.jpg")
    small = cv2.resize(still, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    scene = np.full((1800, 2700, 3), 90, np.uint8)  # six faces of 40 to 60 px
    scene[700 : 700 + small.shape[0], 1100 : 1100 + small.shape[1]] = small
    options = {"model": "yolov8-lite-t-face"} if name == "yolo" else {}
    build = Yolo if name == "yolo" else RFB
    whole, tiled = build(**options)(scene), build(tile=640, **options)(scene)
    assert len(tiled) == 6
    assert len(whole) < 6
    near = build(**options)(small).boxes + np.tile([1100, 700], 2)
    assert (iou_matrix(tiled.boxes, near).max(axis=1) > 0.7).all()
