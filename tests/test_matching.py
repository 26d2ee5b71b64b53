from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groupemo.boxes import iou_matrix
from groupemo.errors import OptionError
from groupemo.matching import in_regions, match

small_boxes = st.lists(
    st.tuples(*[st.integers(0, 6)] * 2, *[st.integers(1, 5)] * 2).map(
        lambda b: [b[0], b[1], b[0] + b[2], b[1] + b[3]]
    ),
    max_size=5,
)


def best_by_trying_all(iou: np.ndarray, min_iou: float) -> tuple[int, float]:
    """Return the pairs and total IoU of the best of all pairings."""
    if iou.shape[0] > iou.shape[1]:
        iou = iou.T
    best = (0, 0.0)
    for columns in permutations(range(iou.shape[1]), iou.shape[0]):
        picked = iou[np.arange(iou.shape[0]), list(columns)]
        kept = picked[picked >= min_iou]
        best = max(best, (len(kept), float(kept.sum())))
    return best


@given(small_boxes, small_boxes, st.sampled_from([0.1, 0.3, 0.5, 1.0]))
def test_no_other_pairing_is_better(labelled, detected, min_iou):
    iou = iou_matrix(labelled, detected)
    matching = match(labelled, detected, min_iou=min_iou)
    pairs, total = best_by_trying_all(iou, min_iou)
    assert len(matching.pairs) == pairs
    assert matching.iou.sum() == pytest.approx(total)


@given(small_boxes, small_boxes, st.sampled_from([0.1, 0.3, 0.5, 1.0]))
def test_every_box_is_paired_once_or_left_over(labelled, detected, min_iou):
    matching = match(labelled, detected, min_iou=min_iou)
    faces = np.concatenate([matching.pairs[:, 0], matching.missed])
    finds = np.concatenate([matching.pairs[:, 1], matching.spurious])
    assert sorted(faces) == list(range(len(labelled)))
    assert sorted(finds) == list(range(len(detected)))
    assert (matching.iou >= min_iou).all()
    np.testing.assert_array_equal(
        matching.iou, iou_matrix(labelled, detected)[tuple(matching.pairs.T)]
    )


def test_one_pair_more_outweighs_a_better_fit():
    # labelled:  A = 0..10            detected:  P = 0..9    fits A (0.90) and B (0.44)
    #            B = 0..4                        Q = 0..30   fits A alone (0.33)
    # A-P alone has the greater total, 0.90; A-Q with B-P has 0.78 and is two pairs.
    labelled = [[0, 0, 10, 1], [0, 0, 4, 1]]
    detected = [[0, 0, 9, 1], [0, 0, 30, 1]]
    matching = match(labelled, detected, min_iou=0.3)
    assert matching.pairs.tolist() == [[0, 1], [1, 0]]
    assert matching.iou.tolist() == [10 / 30, 4 / 9]


def test_equal_numbers_of_pairs_go_to_the_better_fit():
    # One face, found twice: the closer box gets it, the other one is left over.
    matching = match([[0, 0, 10, 10]], [[0, 0, 10, 6], [0, 0, 10, 9]])
    assert matching.pairs.tolist() == [[0, 1]]
    assert matching.spurious.tolist() == [0]


@pytest.mark.parametrize(("min_iou", "pairs"), [(0.5, 1), (0.500001, 0)])
def test_the_least_iou_is_included(min_iou, pairs):
    assert len(match([[0, 0, 2, 1]], [[0, 0, 1, 1]], min_iou=min_iou).pairs) == pairs


@pytest.mark.parametrize(("m", "n"), [(0, 0), (0, 2), (2, 0)])
def test_empty_sides_have_no_pairs(m, n):
    box = [0, 0, 4, 4]
    matching = match([box] * m, [box] * n)
    assert matching.pairs.shape == (0, 2)
    assert matching.pairs.dtype == np.int64
    assert (len(matching.missed), len(matching.spurious)) == (m, n)


@pytest.mark.parametrize("min_iou", [0, -0.5, 1.01, float("nan")])
def test_a_meaningless_min_iou_is_refused(min_iou):
    with pytest.raises(OptionError, match="min_iou is"):
        match([], [], min_iou=min_iou)


def test_a_region_holds_what_lies_mostly_inside():
    # region 0..10 wide; detections: inside, half inside, a third inside, beside it
    detected = [[2, 0, 4, 1], [9, 0, 11, 1], [9, 0, 12, 1], [11, 0, 12, 1]]
    region = [[0, 0, 10, 1]]
    assert in_regions(detected, region, min_share=0.5).tolist() == [True, True, False, False]
    assert not in_regions(detected, [], min_share=0.5).any()
    assert in_regions([], region, min_share=0.5).shape == (0,)
