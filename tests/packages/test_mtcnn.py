"""groupemo's mtcnn detector beside the mtcnn package.

Both are the cascade of 2016 with its own weights. The pyramid of one shrinks by 0.707 and is
interpolated, that of the other by 0.709 and is averaged; so boxes differ by some pixels, and
faces near the threshold are found by one alone.
"""

import numpy as np
from beside import compared, told

from groupemo.detectors.mtcnn import MTCNN
from groupemo.detectors.mtcnn_package import MTCNNPackage
from groupemo.images import read_photo

SURE = 0.95


def test_both_cascades_find_the_same_faces(photos, difference):
    theirs = MTCNNPackage(min_score=SURE)
    faces, gaps = compared(map(read_photo, photos), MTCNN(min_score=SURE), theirs)
    alone = gaps > 0.5
    difference("mtcnn: share of faces that one finds alone", alone.mean(), 0.1, told(faces))
    difference("mtcnn: 1 - IoU of the others", gaps[~alone], 0.3, told(faces))
    difference("mtcnn: its median", np.median(gaps[~alone]), 0.12, told(faces))


def test_landmarks_are_in_the_same_order(photos, difference):
    photo = read_photo(next(path for path in photos if path.stem == "azure_faces"))
    [(ours, theirs)], _gaps = compared([photo], MTCNN(), MTCNNPackage(min_score=0.9))
    assert len(ours) == len(theirs)
    nearest = np.abs(ours.landmarks[:, None, 2] - theirs.landmarks[None, :, 2]).sum(-1).argmin(1)
    sides = (ours.boxes[:, 2:] - ours.boxes[:, :2]).min(axis=1)
    apart = np.abs(ours.landmarks - theirs.landmarks[nearest]) / sides[:, None, None]
    difference("mtcnn: landmarks, in sides of the box", apart, 0.1, f"1 photo, {len(ours)} faces")
