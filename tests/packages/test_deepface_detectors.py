"""groupemo's detectors beside those of the deepface package, at the package's settings.

The package shrinks photos for yunet to 640 pixels, and gives boxes in whole pixels of that. For
ssd it stretches photos to 300 x 300 and takes no mean from the colours, as the net was trained to;
groupemo's `ssd` keeps the shape and takes it.
"""

import numpy as np
import pytest
from beside import compared, counts, told

from groupemo.detectors.deepface_package import DeepFaceDetector
from groupemo.detectors.haar import Haar
from groupemo.detectors.ssd import SSD
from groupemo.detectors.yunet import YuNet
from groupemo.errors import ModelError
from groupemo.images import read_photo


@pytest.fixture
def images(photos, shared_models):
    """Yield the photos, one at a time."""
    return map(read_photo, photos)


def test_the_cascade_is_the_same(images, difference):
    faces, gaps = compared(images, Haar(min_neighbors=10), DeepFaceDetector(align=False))
    difference("opencv beside haar: faces a photo", counts(faces), 0, told(faces))
    difference("opencv beside haar: 1 - IoU of boxes", gaps, 0, told(faces))


def test_yunet_is_the_same_within_a_pixel_of_its_own(images, difference, monkeypatch):
    monkeypatch.setenv("yunet_score_threshold", "0.7")
    theirs = DeepFaceDetector(detector="yunet", align=False)
    faces, gaps = compared(images, YuNet(max_side=640), theirs)
    difference("yunet: faces a photo", counts(faces), 0, told(faces))
    difference("yunet: 1 - IoU of boxes", gaps, 0.25, told(faces))


def test_ssd_finds_much_the_same_faces(images, difference):
    try:
        ours = SSD(min_score=0.9, max_side=300)
    except ModelError as error:
        pytest.skip(str(error).splitlines()[0])
    faces, gaps = compared(images, ours, DeepFaceDetector(detector="ssd", align=False))
    alone = (gaps > 0.5).mean()
    difference("ssd: share of faces that one finds alone", alone, 0.25, told(faces))


def test_a_photo_without_a_face_has_none(shared_models):
    gray = np.full((200, 300, 3), 128, np.uint8)
    assert len(DeepFaceDetector()(gray)) == 0
