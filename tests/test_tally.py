import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groupemo.errors import ContractError, OptionError
from groupemo.labels import IGNORE, UNSURE
from groupemo.metrics.probabilistic import MIN_PROB
from groupemo.metrics.tally import IGNORED, NONE, Tally, ratio, tally, tally_found

K = 3
CLASSES = ANGRY, HAPPY, SAD = range(K)
NO_FACE, NOT_KNOWN = K + 1, K  # rows
ABSTAINED, MISSED = K, K + 1  # columns


def at(x: float, width: float = 10) -> list[float]:
    """Return a box of height 10 at `x`: scenes here lie on one line."""
    return [x, 0, x + width, 10]


def sure(answer: int) -> list[float]:
    return [0.8 if column == answer else 0.1 for column in range(K)]


ABSTAIN = [np.nan] * K


@st.composite
def photos(draw):
    """Draw a crowded photo: labelled boxes, labels, complete, detected boxes, probs."""
    box = st.tuples(st.integers(0, 20), st.integers(5, 12)).map(lambda b: at(*b))
    labelled = draw(st.lists(st.tuples(box, st.integers(IGNORE, K - 1)), max_size=5))
    row = st.sampled_from([ABSTAIN, [1.0, 0.0, 0.0], sure(HAPPY), sure(SAD)])
    detected = draw(st.lists(st.tuples(box, row), max_size=5))
    return (
        np.array([b for b, _ in labelled]).reshape(-1, 4),
        np.array([label for _, label in labelled], dtype=int),
        draw(st.booleans()),
        np.array([b for b, _ in detected]).reshape(-1, 4),
        np.array([p for _, p in detected]).reshape(-1, K),
    )


def test_a_scene_counted_by_hand():
    # x           0      20      40      60      80      100       120-160     180
    # labelled    angry  happy   happy   sad     unsure  unsure    [ignore]
    # detected    angry  angry   none    -       sad     -         happy       happy
    #                          abstained missed          missed    ignored     phantom
    labelled = [at(0), at(20), at(40), at(60), at(80), at(100), at(120, 40)]
    labels = [ANGRY, HAPPY, HAPPY, SAD, UNSURE, UNSURE, IGNORE]
    detected = [at(0), at(20), at(40), at(80), at(130), at(180)]
    probs = [sure(ANGRY), sure(ANGRY), ABSTAIN, sure(SAD), sure(HAPPY), sure(HAPPY)]

    result, outcome = tally(labelled, labels, True, detected, probs)

    #    angry happy sad abstained missed
    expected = [
        [1, 0, 0, 0, 0],  # angry
        [1, 0, 0, 1, 0],  # happy
        [0, 0, 0, 0, 1],  # sad
        [0, 0, 1, 0, 1],  # unsure
        [0, 1, 0, 0, 0],  # no labelled face
    ]
    assert result.counts.tolist() == expected
    assert result["ignored"] == 1
    assert result["log_loss"] == pytest.approx(-np.log(0.8) - np.log(0.1))
    assert result["clipped"] == 0
    assert outcome.labelled.tolist() == [0, 1, 2, NONE, 3, NONE, IGNORED]
    assert outcome.detected.tolist() == [0, 1, 2, 4, IGNORED, NONE]
    assert outcome.predicted.tolist() == [ANGRY, ANGRY, NONE, SAD, HAPPY, HAPPY]
    np.testing.assert_array_equal(outcome.iou, [1, 1, 1, 1, np.nan, np.nan])


def test_leftovers_of_a_photo_not_labelled_completely_are_ignored():
    # labelled  happy            the second face may be real: nobody labelled it
    # detected  happy  happy
    result, outcome = tally([at(0)], [HAPPY], False, [at(0), at(20)], [sure(HAPPY)] * 2)
    assert result.counts[HAPPY, HAPPY] == result.counts.sum() == 1
    assert result["ignored"] == 1
    assert outcome.detected.tolist() == [0, IGNORED]


def test_a_real_face_inside_a_region_is_found_before_the_region_excuses():
    # A region over the whole line, one labelled face in it, two detections on that face.
    result, outcome = tally(
        [at(0, 100), at(20)], [IGNORE, SAD], True, [at(21), at(20)], [sure(SAD)] * 2
    )
    assert outcome.detected.tolist() == [IGNORED, 1]
    assert result.counts[SAD, SAD] == result.counts.sum() == 1


def test_a_region_nobody_detects_is_not_missed():
    result, _ = tally([at(0)], [IGNORE], True, np.empty((0, 4)), np.empty((0, K)))
    assert not result.counts.any()
    assert result["ignored"] == 0


def test_no_probability_costs_a_finite_loss_and_says_so():
    result, _ = tally([at(0)], [SAD], True, [at(0)], [[1.0, 0.0, 0.0]])
    assert result["log_loss"] == pytest.approx(-np.log(MIN_PROB))
    assert result["clipped"] == 1


def test_of_equal_probabilities_the_first_is_the_answer():
    _, outcome = tally([], [], True, [at(0)], [[0.2, 0.4, 0.4]])
    assert outcome.predicted.tolist() == [HAPPY]


@given(photos())
def test_rows_sum_to_labelled_faces(photo):
    labels = photo[1]
    result, _ = tally(*photo)
    want = [(labels == c).sum() for c in (*CLASSES, UNSURE)]
    assert result.counts[:-1].sum(axis=1).tolist() == want


@given(photos())
def test_columns_but_missed_sum_to_detections(photo):
    result, _ = tally(*photo)
    assert result.counts[:, :MISSED].sum() + result["ignored"] == len(photo[3])
    assert result.counts[NO_FACE, MISSED] == 0


@given(photos(), st.sampled_from([0.3, 0.5, 0.9]))
def test_outcome_and_counts_tell_the_same(photo, min_iou):
    labels = photo[1]
    result, outcome = tally(*photo, min_iou=min_iou)
    counts = np.zeros_like(result.counts)
    for label, detection in zip(labels, outcome.labelled, strict=True):
        if label != IGNORE and detection == NONE:
            counts[NOT_KNOWN if label == UNSURE else label, MISSED] += 1
    for answer, face in zip(outcome.predicted, outcome.detected, strict=True):
        label = None if face < 0 else labels[face]
        row = NO_FACE if label is None else NOT_KNOWN if label == UNSURE else label
        if face != IGNORED:
            counts[row, ABSTAINED if answer == NONE else answer] += 1
    assert result.counts.tolist() == counts.tolist()
    for face, detection in enumerate(outcome.labelled):
        assert detection < 0 or outcome.detected[detection] == face
    assert (np.isnan(outcome.iou) == (outcome.detected < 0)).all()


@given(st.lists(photos(), max_size=4))
def test_tallies_add(scenes):
    tallies = [tally(*photo)[0] for photo in scenes]
    total = sum(tallies, Tally.zero(K))
    assert total.counts.sum(axis=0)[:MISSED].sum() + total["ignored"] == sum(
        len(photo[3]) for photo in scenes
    )
    assert total["log_loss"] == pytest.approx(sum(float(each["log_loss"]) for each in tallies))
    if tallies:
        stacked = Tally.stack(tallies)
        assert stacked.counts.sum(axis=0).tolist() == total.counts.tolist()
        assert stacked["clipped"].sum() == total["clipped"]
        assert stacked.k == K


def test_given_faces_count_as_ones_found_on_the_spot():
    photo = np.array([0, 2, 0, 2, 2, 0])
    labels = np.array([ANGRY, HAPPY, SAD, UNSURE, SAD, HAPPY])
    probs = np.array([sure(ANGRY), sure(SAD), ABSTAIN, sure(HAPPY), sure(SAD), sure(HAPPY)])
    votes = np.array([[4, 1, 0], [0, 0, 0], [0, 0, 3], [1, 1, 0], [1, 0, 2], [0, 2, 0]])
    given = tally_found(labels, probs, photo, 3, votes)
    boxes = np.array([at(20 * face) for face in range(len(labels))])
    for one in range(3):
        here = photo == one
        expected, _ = tally(boxes[here], labels[here], True, boxes[here], probs[here],
                            votes=votes[here])  # fmt: skip
        np.testing.assert_array_equal(given.counts[one], expected.counts)
        np.testing.assert_allclose(given.sums[one], expected.sums)
        np.testing.assert_allclose(given.overlap[one], expected.overlap)
    silent = tally_found(labels, probs, photo, 3)
    np.testing.assert_array_equal(silent.counts, given.counts)
    assert not silent["voted"].any()


def test_tallies_of_other_classes_do_not_add():
    with pytest.raises(ContractError, match="3 classes to one of 7"):
        Tally.zero(3) + Tally.zero(7)


@pytest.mark.parametrize("counts", [[1, 2, 3], np.zeros((3, 4)), np.zeros((2, 2))])
def test_counts_of_another_shape_are_refused(counts):
    with pytest.raises(ContractError, match="counts have shape"):
        Tally(counts)


def test_a_missed_phantom_is_refused():
    with pytest.raises(ContractError, match="cannot be missed"):
        Tally(np.ones((5, 5)))


def test_rows_that_do_not_line_up_are_refused():
    with pytest.raises(ContractError, match=r"labels have shape \(2,\), expected \(1,\)"):
        tally([at(0)], [SAD, SAD], True, [at(0)], [sure(SAD)])
    with pytest.raises(ContractError, match=r"probs have shape \(2, 3\), expected \(1, k\)"):
        tally([at(0)], [SAD], True, [at(0)], [sure(SAD)] * 2)


@pytest.mark.parametrize("label", [K, -3])
def test_a_label_that_is_no_class_is_refused(label):
    with pytest.raises(ContractError, match=f"label {label} is none of 3 classes"):
        tally([at(0)], [label], True, [at(0)], [sure(SAD)])


def test_a_meaningless_min_iou_is_refused():
    with pytest.raises(OptionError, match="min_iou is 0"):
        tally([at(0)], [SAD], True, [at(0)], [sure(SAD)], min_iou=0)


def test_ratio_by_nothing_is_nan():
    np.testing.assert_array_equal(ratio([1, 0, 3], [2, 0, 0]), [0.5, np.nan, np.nan])
    assert isinstance(ratio(1, 2), float)
