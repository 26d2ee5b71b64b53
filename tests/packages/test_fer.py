"""groupemo's fer backend beside the fer package."""

import numpy as np
import pytest

from groupemo.backends.fer import Fer
from groupemo.detectors.yunet import YuNet
from groupemo.faces import Faces
from groupemo.images import read_photo


@pytest.fixture(scope="module")
def package():
    from fer.fer import FER

    return FER(use_tflite=False)


def test_the_first_face_has_the_same_probabilities(package, photos, difference):
    native, gaps = Fer(), []
    for photo in photos:
        image = read_photo(photo)
        x1, y1, x2, y2 = YuNet()(image).boxes[0].round().astype(int)
        faces = Faces([[x1, y1, x2, y2]])
        [theirs] = package.detect_emotions(image[..., ::-1], [(x1, y1, x2 - x1, y2 - y1)])
        assert [*theirs["emotions"]] == [*native.classes]
        ours = native.predict(native.prepare(image, faces))[0]
        gaps.append(ours - np.array([*theirs["emotions"].values()]))
    difference("probabilities", gaps, 0.006, f"{len(gaps)} photos, the first face of each")
