"""How far the faces of two detectors are apart."""

import numpy as np

from groupemo.boxes import iou_matrix


def gaps(ours, theirs):
    """Return 1 - IoU of each face of either with the likest of the other; 1 where there is none."""
    iou = iou_matrix(ours.boxes, theirs.boxes)
    return 1 - np.concatenate([iou.max(axis=1, initial=0), iou.max(axis=0, initial=0)])


def compared(photos, ours, theirs):
    """Return both detectors' faces in each photo, and `gaps` of all."""
    faces = [(ours(photo), theirs(photo)) for photo in photos]
    return faces, np.concatenate([gaps(*both) for both in faces])


def counts(faces):
    """Return how many more faces one finds than the other, a number a photo."""
    return [len(ours) - len(theirs) for ours, theirs in faces]


def told(faces):
    """Return on what was compared; there must be faces."""
    n = sum(len(theirs) for _, theirs in faces)
    assert n, "the package found no face: nothing was compared"
    return f"{len(faces)} photos, {n} faces"
