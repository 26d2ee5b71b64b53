import warnings

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics as sk

from groupemo.errors import OptionError
from groupemo.metrics import classification as ours
from groupemo.metrics.tally import SUMS, Tally, tally

K = 3
NONE = K  # the class scikit-learn is given where there is no face or no answer
OVER = ["matched", "end_to_end"]

#  angry happy sad abstained missed
SCENE = Tally(
    [
        [3, 1, 0, 1, 1],  # angry: 6 labelled, 4 found and answered
        [1, 4, 0, 0, 2],  # happy: 7 labelled, 5 found and answered
        [0, 0, 0, 0, 0],  # sad: none labelled, never answered for a known face
        [5, 5, 5, 5, 5],  # unsure: counts in no score of this module
        [0, 2, 1, 3, 0],  # phantoms
    ]
)


def small_counts() -> st.SearchStrategy[np.ndarray]:
    """Draw tables with many empty cells."""
    cells = arrays(np.int64, (K + 2, K + 2), elements=st.sampled_from([0, 0, 0, 1, 2, 7]))
    return cells.map(lambda counts: np.where(np.arange(25).reshape(5, 5) == 24, 0, counts))


def pairs(counts: np.ndarray, over: str) -> tuple[list[int], list[int]]:
    """Return the true and the answered class of every face, one by one, as scikit-learn wants."""
    truth, answer = [], []
    for row in [0, 1, 2, 4]:
        for column in range(5):
            if over == "end_to_end" or max(row, column) < K:
                truth += [min(row, NONE)] * counts[row, column]
                answer += [min(column, NONE)] * counts[row, column]
    return truth, answer


@pytest.mark.parametrize(
    ("over", "precision", "recall", "f1", "accuracy"),
    [
        ("matched", [3 / 4, 4 / 5, np.nan], [3 / 4, 4 / 5, np.nan], [3 / 4, 4 / 5, np.nan], 7 / 9),
        ("end_to_end", [3 / 4, 4 / 7, 0], [3 / 6, 4 / 7, np.nan], [6 / 10, 8 / 14, 0], 7 / 13),
    ],
)
def test_a_table_scored_by_hand(over, precision, recall, f1, accuracy):
    np.testing.assert_allclose(ours.precision(SCENE, over), precision)
    np.testing.assert_allclose(ours.recall(SCENE, over), recall)
    np.testing.assert_allclose(ours.f1(SCENE, over), f1)
    np.testing.assert_allclose(ours.accuracy(SCENE, over), accuracy)


def test_supports_and_answers_by_hand():
    assert ours.support(SCENE, "matched").tolist() == [4, 5, 0]
    assert ours.support(SCENE, "end_to_end").tolist() == [6, 7, 0]
    assert ours.answered(SCENE, "matched").tolist() == [4, 5, 0]
    assert ours.answered(SCENE, "end_to_end").tolist() == [4, 7, 1]


def test_averages_by_hand():
    # Sad has no labelled face: its end-to-end F1 of 0 (a phantom) is in neither average.
    f1, support = ours.f1(SCENE, "end_to_end"), ours.support(SCENE, "end_to_end")
    assert ours.macro(f1, support) == pytest.approx((6 / 10 + 8 / 14) / 2)
    assert ours.weighted(f1, support) == pytest.approx((6 * 6 / 10 + 7 * 8 / 14) / 13)
    assert ours.balanced_accuracy(SCENE, "matched") == pytest.approx((3 / 4 + 4 / 5) / 2)


def test_confusion_is_a_slice():
    assert ours.confusion(SCENE, "matched").tolist() == SCENE.counts[:3, :3].tolist()
    assert ours.confusion(SCENE, "end_to_end").tolist() == SCENE.counts[[0, 1, 2, 4]].tolist()
    with pytest.raises(OptionError, match="over is 'all'"):
        ours.confusion(SCENE, "all")


@given(small_counts(), st.sampled_from(OVER))
def test_per_class_scores_equal_scikit_learn(counts, over):
    truth, answer = pairs(counts, over)
    assume(truth)  # scikit-learn refuses an empty list
    expected = sk.precision_recall_fscore_support(
        truth, answer, labels=range(K), zero_division=np.nan
    )
    result = Tally(counts)
    for score, want in zip(
        (ours.precision, ours.recall, ours.f1, ours.support), expected, strict=True
    ):
        np.testing.assert_allclose(score(result, over), want, rtol=1e-12)


@given(small_counts(), st.sampled_from(OVER), st.sampled_from(["macro", "weighted"]))
def test_averages_equal_scikit_learn(counts, over, average):
    result = Tally(counts)
    support = ours.support(result, over)
    labelled = np.flatnonzero(support)
    truth, answer = pairs(counts, over)
    for score, theirs in (
        (ours.precision, sk.precision_score),
        (ours.recall, sk.recall_score),
        (ours.f1, sk.f1_score),
    ):
        got = getattr(ours, average)(score(result, over), support)
        if not len(labelled):
            assert np.isnan(got)
            continue
        want = theirs(truth, answer, labels=labelled, average=average, zero_division=np.nan)
        assert got == pytest.approx(want, nan_ok=True)


@given(small_counts(), st.sampled_from(OVER))
def test_accuracies_equal_scikit_learn_over_labelled_faces(counts, over):
    result = Tally(counts)
    faces = [(t, a) for t, a in zip(*pairs(counts, over), strict=True) if t != NONE]
    if not faces:
        assert np.isnan(ours.accuracy(result, over))
        assert np.isnan(ours.balanced_accuracy(result, over))
        return
    truth, answer = zip(*faces, strict=True)
    assert ours.accuracy(result, over) == pytest.approx(sk.accuracy_score(truth, answer))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn tells of answers that are never the truth
        balanced = sk.balanced_accuracy_score(truth, answer)
    assert ours.balanced_accuracy(result, over) == pytest.approx(balanced)


@given(small_counts())
def test_micro_f1_equals_scikit_learn(counts):
    result = Tally(counts)
    for over in OVER:
        truth, answer = pairs(counts, over)
        got = ours.micro_f1(result, over)
        if not {*truth, *answer} - {NONE}:
            assert np.isnan(got)
            continue
        want = sk.f1_score(truth, answer, labels=range(K), average="micro", zero_division=np.nan)
        assert got == pytest.approx(want)


@given(small_counts())
def test_agreement_with_the_labels_equals_scikit_learn(counts):
    truth, answer = pairs(counts, "matched")
    mcc, kappa = ours.matthews(Tally(counts)), ours.cohen_kappa(Tally(counts))
    one_sided = min(len(set(truth)), len(set(answer))) < 2
    # A correlation with what never changes is undefined; scikit-learn calls it 0.
    assert np.isnan(mcc) if one_sided else mcc == pytest.approx(sk.matthews_corrcoef(truth, answer))
    if len({*truth, *answer}) < 2:
        assert np.isnan(kappa)
    else:
        assert kappa == pytest.approx(sk.cohen_kappa_score(truth, answer), abs=1e-12)


def test_agreement_by_hand():
    #          angry happy         right 3 of 4; by chance (2 * 3 + 2 * 1) / 16 = 1/2
    # angry      2     0           kappa (3/4 - 1/2) / (1 - 1/2)
    # happy      1     1           mcc (3 * 4 - 8) / sqrt((16 - 10) (16 - 8))
    counts = np.zeros((5, 5), dtype=int)
    counts[:2, :2] = [[2, 0], [1, 1]]
    assert ours.cohen_kappa(Tally(counts)) == pytest.approx(1 / 2)
    assert ours.matthews(Tally(counts)) == pytest.approx(4 / np.sqrt(48))
    assert ours.micro_f1(SCENE, "end_to_end") == pytest.approx(2 * 7 / (13 + 12))


@given(st.lists(st.tuples(st.integers(0, K - 1), st.integers(0, 2**32)), min_size=1, max_size=8))
def test_cross_entropy_equals_scikit_learn(faces):
    boxes = [[20 * i, 0, 20 * i + 10, 10] for i in range(len(faces))]
    truth = [label for label, _ in faces]
    probs = np.stack([np.random.default_rng(seed).dirichlet(np.ones(K)) for _, seed in faces])
    result, _ = tally(boxes, truth, True, boxes, probs)
    want = sk.log_loss(truth, probs, labels=range(K))
    assert ours.mean_over_answered(result, "log_loss") == pytest.approx(want)


def test_nothing_to_score_is_nan():
    # No photo; and one with nothing but a missed face. Warnings are errors here.
    only_missed = Tally(np.eye(5, k=4, dtype=int))
    assert np.isnan(ours.mean_over_answered(Tally.zero(K), "log_loss"))
    assert np.isnan(ours.accuracy(Tally.zero(K), "end_to_end"))
    assert np.isnan(ours.accuracy(only_missed, "matched"))
    assert ours.accuracy(only_missed, "end_to_end") == 0
    assert ours.f1(only_missed, "end_to_end")[0] == 0
    assert np.isnan(ours.precision(only_missed, "end_to_end")[0])


@pytest.mark.parametrize("over", OVER)
@given(st.lists(small_counts(), min_size=1, max_size=4))
def test_stacked_tallies_score_as_one_by_one(over, tables):
    tallies = [Tally(table, [float(table.sum())] * len(SUMS)) for table in tables]
    many = Tally.stack(tallies)
    for score in (
        ours.precision, ours.recall, ours.f1, ours.accuracy, ours.balanced_accuracy, ours.micro_f1,
    ):  # fmt: skip
        want = [score(each, over) for each in tallies]
        np.testing.assert_allclose(score(many, over), want)
    for score in (ours.matthews, ours.cohen_kappa):
        np.testing.assert_allclose(score(many), [score(each) for each in tallies])
    np.testing.assert_allclose(
        ours.mean_over_answered(many, "brier"),
        [ours.mean_over_answered(each, "brier") for each in tallies],
    )
