"""Panoptic quality on faces, and the ablation that says whose the loss is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groupemo.labels import IGNORE, UNSURE
from groupemo.metrics.joint import panoptic_per_class, panoptic_quality
from groupemo.metrics.tally import Tally, tally

K = 3


def at(x: float, width: float = 10) -> list[float]:
    """Return a box 10 high at `x`: scenes here lie on one line."""
    return [x, 0, x + width, 10]


def rows(*answers):
    """Return surely given answers, one a face; None abstains."""
    return np.array([[np.nan] * K if a is None else np.eye(K)[a] for a in answers]).reshape(-1, K)


def pixels(box, photo):
    """Return the pixels of a box as a mask; photos of 60 x 10 lie below each other."""
    mask = np.zeros((40, 60), dtype=bool)
    x1, y1, x2, y2 = box
    mask[10 * photo + y1 : 10 * photo + y2, x1:x2] = True
    return mask


def panoptic_by_masks(truth, answers):
    """Return PQ of each class as panopticapi counts it: by masks, class by class.

    Both are lists of (class, mask). A class with nothing to count is NaN.
    """
    quality = []
    for name in range(K):
        faces = [mask for label, mask in truth if label == name]
        found = [mask for label, mask in answers if label == name]
        overlaps = [(a & b).sum() / (a | b).sum() for a in faces for b in found]
        hits = [iou for iou in overlaps if iou > 0.5]
        false_positives, false_negatives = len(found) - len(hits), len(faces) - len(hits)
        whole = len(hits) + false_positives / 2 + false_negatives / 2
        quality.append(sum(hits) / whole if whole else np.nan)
    return np.array(quality)


@st.composite
def rooms(draw):
    """Draw up to four photos with a face or none in each of six places, and what is found there."""
    place = st.tuples(
        st.sampled_from([None, 0, 1, 2]),  # labelled
        st.sampled_from([None, 0, 1, 2]),  # answered
        st.sampled_from([0, 1, 4, 6]),  # pixels the detection begins to the right
    )
    return draw(st.lists(st.lists(place, min_size=6, max_size=6), min_size=1, max_size=4))


def test_panoptic_quality_by_hand():
    # labelled  0 (10 x 10)  0     1     2    2        unsure
    # detected  8 x 10       10    10    10   -        10        phantom   phantom
    # answered  0            1     1     .             1         1         .
    #
    # class 0: TP 1 with IoU .8, FN 1 (taken for 1)                .8 / 1.5
    # class 1: TP 1 with IoU 1, FP 2 (a face of 0, a phantom)       1 / 2
    # class 2: FN 2 (abstained, missed)                             0 / 1
    labelled = [at(0), at(20), at(40), at(60), at(80), at(100)]
    detected = [at(0, 8), at(20), at(40), at(60), at(100), at(120), at(140)]
    counts, _ = tally(
        labelled, [0, 0, 1, 2, 2, UNSURE], True, detected, rows(0, 1, 1, None, 1, 1, None)
    )
    pq, sq, rq = panoptic_per_class(counts)
    assert pq == pytest.approx([0.8 / 1.5, 1 / 2, 0])
    assert sq == pytest.approx([0.8, 1, np.nan], nan_ok=True)
    assert rq == pytest.approx([1 / 1.5, 1 / 2, 0])
    assert panoptic_quality(counts) == pytest.approx((0.8 / 1.5 + 1 / 2) / 3)


def test_what_is_not_judged_costs_nothing():
    # A face found and read; a region found; in the second photo, not wholly labelled, a stray.
    first, _ = tally([at(0), at(20)], [1, IGNORE], True, [at(0), at(20)], rows(1, 0))
    second, _ = tally([], [], False, [at(0)], rows(2))
    assert panoptic_quality(first + second) == 1


def test_only_classes_with_labelled_faces_are_averaged():
    counts, _ = tally([at(0)], [1], True, [at(0), at(20)], rows(1, 2))
    assert panoptic_per_class(counts)[0] == pytest.approx([np.nan, 1, 0], nan_ok=True)
    assert panoptic_quality(counts) == 1


def test_nothing_at_all_is_undefined():
    assert np.isnan(panoptic_quality(Tally.zero(K)))
    assert np.isnan(panoptic_per_class(Tally.zero(K))).all()
    phantom, _ = tally([], [], True, [at(0)], rows(2))
    assert np.isnan(panoptic_quality(phantom))


@given(rooms())
def test_panoptic_quality_equals_the_count_by_masks(photos):
    total, truth, answers = Tally.zero(K), [], []
    for row, places in enumerate(photos):
        faces = [(at(10 * x), label) for x, (label, _, _) in enumerate(places) if label is not None]
        found = [(at(10 * x + off, 10 - off), answer)
                 for x, (_, answer, off) in enumerate(places) if answer is not None]  # fmt: skip
        truth += [(label, pixels(box, row)) for box, label in faces]
        answers += [(answer, pixels(box, row)) for box, answer in found]
        boxes, labels = [box for box, _ in faces], [label for _, label in faces]
        probs = rows(*(answer for _, answer in found))
        total += tally(boxes, labels, True, [box for box, _ in found], probs)[0]
    want = panoptic_by_masks(truth, answers)
    assert panoptic_per_class(total)[0] == pytest.approx(want, abs=1e-9, nan_ok=True)
    labelled_classes = sorted({label for label, _ in truth})
    mean = want[labelled_classes].mean() if labelled_classes else np.nan
    assert panoptic_quality(total) == pytest.approx(mean, abs=1e-9, nan_ok=True)


def test_stacked_tallies_score_as_one_by_one():
    tables = np.arange(50).reshape(2, 5, 5)
    tables[:, -1, -1] = 0
    overlap = [[1.0, 2.0, 3.0], [0.5, 0.0, 9.0]]
    many = Tally(tables, overlap=overlap)
    one_by_one = [Tally(table, overlap=each) for table, each in zip(tables, overlap, strict=True)]
    assert panoptic_quality(many).tolist() == [panoptic_quality(each) for each in one_by_one]
