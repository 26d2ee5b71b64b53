"""Agreement and the human ceiling, held to counting people one by one."""

from itertools import combinations

import krippendorff
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score, matthews_corrcoef

from groupemo.emotions import EMOTIONS
from groupemo.errors import ContractError
from groupemo.labels import IGNORE, UNSURE, LabelledFaces, Labels
from groupemo.metrics import classification as cls
from groupemo.metrics.agreement import (
    NOT_LABELLED,
    Ballots,
    agreement,
    ballots,
    by_annotator,
    ceilings,
    confusion_between,
    fleiss_kappa,
    human_tally,
    krippendorff_alpha,
)
from groupemo.metrics.tally import Tally
from groupemo.metrics.uncertainty import draw_weights, leave_one_out, weigh

ANGRY, HAPPY, SAD, NEUTRAL = map(EMOTIONS.index, ("angry", "happy", "sad", "neutral"))


def one_photo_a_face(votes):
    votes = np.asarray(votes, float)
    return Ballots(np.arange(len(votes)), len(votes), votes)


def once(cast):
    return np.ones((1, cast.n))


def scene(seed, m=40, n=9, k=4, most=6):
    """Return random votes, some faces with none or one, in photos of unequal size."""
    rng = np.random.default_rng(seed)
    likely = rng.dirichlet(np.full(k, 0.5), size=m)
    votes = np.array([rng.multinomial(rng.integers(most + 1), p) for p in likely], float)
    return Ballots(rng.integers(n, size=m), n, votes)


def people(row):
    """Return the answers that a row of votes counts."""
    return np.repeat(np.arange(len(row)), row.astype(int))


def repeated(cast, times):
    """Return the faces of each photo as often as told."""
    rows = np.repeat(np.arange(len(cast.photo)), times[cast.photo])
    return Ballots(cast.photo[rows], cast.n, cast.votes[rows])


def brute_fleiss(cast):
    faces = [people(row) for row in cast.votes if row.sum() >= 2]
    k = cast.votes.shape[1]
    alike = np.mean([np.mean([a == b for a, b in combinations(f, 2)]) for f in faces])
    shares = np.mean([np.bincount(face, minlength=k) / len(face) for face in faces], axis=0)
    blind = (shares**2).sum()
    return (alike - blind) / (1 - blind)


def library_alpha(cast):
    return krippendorff.alpha(value_counts=cast.votes, level_of_measurement="nominal")


seeds = st.integers(0, 2**32 - 1)


@given(seeds)
def test_fleiss_is_the_pairs_counted_one_by_one(seed):
    cast = scene(seed)
    np.testing.assert_allclose(fleiss_kappa(cast, once(cast)), brute_fleiss(cast), atol=1e-9)


@given(seeds)
def test_alpha_is_the_library_s(seed):
    cast = scene(seed)
    np.testing.assert_allclose(
        krippendorff_alpha(cast, once(cast)), library_alpha(cast), rtol=0, atol=1e-9
    )


@pytest.mark.parametrize(
    ("figure", "reference"), [(fleiss_kappa, brute_fleiss), (krippendorff_alpha, library_alpha)]
)
def test_a_photo_of_weight_two_is_a_photo_twice(figure, reference):
    cast = scene(3)
    times = np.random.default_rng(0).integers(0, 4, size=(20, cast.n))
    np.testing.assert_allclose(
        figure(cast, times.astype(float)),
        [reference(repeated(cast, row)) for row in times],
        atol=1e-9,
    )


def test_the_example_of_fleiss():
    # ten subjects, fourteen raters, five categories; kappa .210
    votes = [
        [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
    ]  # fmt: skip
    cast = one_photo_a_face(votes)
    assert round(float(fleiss_kappa(cast, once(cast))[0]), 3) == 0.210


def test_alpha_by_hand():
    # three faces, classes a b:  aa, ab, bbb        a: 3 votes, b: 4, N = 7
    # pairs that differ, over T - 1:  0, 2/1, 0     D = 2
    # 1 - (7 - 1) 2 / (49 - 9 - 16) = 1 - 12 / 24
    cast = one_photo_a_face([[2, 0], [1, 1], [0, 3]])
    np.testing.assert_allclose(krippendorff_alpha(cast, once(cast)), 0.5, atol=1e-12)


@pytest.mark.parametrize("figure", [fleiss_kappa, krippendorff_alpha])
@pytest.mark.parametrize(
    "votes",
    [np.zeros((0, 3)), [[1, 0, 0], [0, 1, 0]], [[3, 0, 0], [2, 0, 0]], [[0.5, 1.5, 0]]],
    ids=["no face", "one vote each", "one class", "shares, not people"],
)
def test_agreement_that_is_not_defined_is_nan(figure, votes):
    cast = one_photo_a_face(votes)
    assert np.isnan(figure(cast, once(cast))).all()


@pytest.mark.parametrize("figure", [fleiss_kappa, krippendorff_alpha])
def test_photos_without_weight_are_as_if_they_were_not_there(figure):
    cast = one_photo_a_face([[2, 0], [1, 1], [0, 3], [0, 2]])
    assert np.isnan(figure(cast, np.zeros((2, 4)))).all()
    assert np.isnan(figure(cast, np.array([[0.0, 0.0, 0.3, 1.7]]))).all(), "one class is left"
    for out, drawn in enumerate(figure(cast, leave_one_out(4))):
        left = one_photo_a_face(np.delete(cast.votes, out, axis=0))
        np.testing.assert_allclose(drawn, figure(left, once(left))[0], atol=1e-12)


# --- the ceiling ---------------------------------------------------------------------------


def brute_answers(cast):
    """Yield photo, truth, answer and share of every annotator of every face."""
    k = cast.votes.shape[1]
    for photo, row in zip(cast.photo, cast.votes, strict=True):
        answers = people(row)
        for at in range(len(answers) if len(answers) > 1 else 0):
            others = np.bincount(np.delete(answers, at), minlength=k)
            winners = np.flatnonzero(others == others.max())
            truth = winners[0] if len(winners) == 1 else k
            yield photo, truth, answers[at], 1 / len(answers)


@given(seeds)
def test_the_human_is_every_annotator_judged_by_the_others(seed):
    cast = scene(seed)
    k = cast.votes.shape[1]
    expected = np.zeros((cast.n, k + 2, k + 2))
    for photo, truth, answer, share in brute_answers(cast):
        expected[photo, truth, answer] += share
    np.testing.assert_allclose(human_tally(cast).counts, expected, atol=1e-9)


def test_the_human_by_hand():
    # face 0, votes a a b, in photo 0:  an a is judged by {a, b}: a tie; b by {a, a}: wrong
    # face 1, votes a b, in photo 2:    a is judged by {b}, b by {a}: wrong both
    # face 2, votes b b b b, photo 2:   right
    # face 3, one vote, photo 1:        nobody to agree with
    cast = Ballots(np.array([0, 2, 2, 1]), 3, np.array([[2.0, 1], [1, 1], [0, 4], [1, 0]]))
    human = human_tally(cast)
    a, b, unsure = range(3)
    expected = np.zeros((3, 4, 4))
    expected[0, unsure, a], expected[0, a, b] = 2 / 3, 1 / 3
    expected[2, b, a], expected[2, a, b], expected[2, b, b] = 1 / 2, 1 / 2, 1
    np.testing.assert_allclose(human.counts, expected, atol=1e-12)
    total = weigh(human, np.ones((1, 3)))
    # judged: 1/3 + 1 + 1 faces; right: 1
    np.testing.assert_allclose(cls.accuracy(total, "matched"), 3 / 7, atol=1e-12)
    assert human["voted"].tolist() == [1, 0, 2]


def test_the_ceilings_are_a_model_s_figures_of_a_person():
    cast = scene(7, m=200)
    rows = [row for row in brute_answers(cast) if row[1] < cast.votes.shape[1]]
    _, truth, answer, share = map(np.array, zip(*rows, strict=True))
    figures = ceilings(weigh(human_tally(cast), once(cast)))
    expected = {
        "matched_accuracy": accuracy_score(truth, answer, sample_weight=share),
        "matched_macro_f1": f1_score(truth, answer, average="macro", sample_weight=share),
        "matched_weighted_f1": f1_score(truth, answer, average="weighted", sample_weight=share),
        "matched_kappa": cohen_kappa_score(truth, answer, sample_weight=share),
        "matched_mcc": matthews_corrcoef(truth, answer, sample_weight=share),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(figures[name], value, atol=1e-9, err_msg=name)
    compared = cast.compared.votes
    shares = compared / compared.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        bits = -np.nansum(shares * np.log(shares), axis=1)
    np.testing.assert_allclose(figures["matched_soft_cross_entropy"], bits.mean(), atol=1e-9)


def test_what_a_word_has_not_is_nan_in_every_draw():
    human = weigh(human_tally(scene(1)), draw_weights(9, draws=5))
    for name in ("log_loss", "clipped", "brier", "top2", "iou"):
        assert np.isnan(human[name]).all()
    assert np.isnan(human.overlap).all()
    assert not human["kl"].any()
    assert np.isfinite(ceilings(human)["matched_accuracy"]).all()


def test_without_votes_there_is_no_ceiling():
    for cast in (one_photo_a_face(np.zeros((0, 3))), one_photo_a_face([[1, 0, 0]])):
        figures = ceilings(weigh(human_tally(cast), once(cast)))
        assert all(np.isnan(drawn).all() for drawn in figures.values())


def test_votes_that_do_not_line_up_are_refused():
    with pytest.raises(ContractError, match=r"photo \(2,\) and votes \(3, 4\)"):
        Ballots(np.zeros(2, np.int64), 1, np.zeros((3, 4)))


# --- labels --------------------------------------------------------------------------------


def face(at):
    return [10 * at, 0, 10 * at + 8, 8]


@pytest.fixture
def labels():
    """Return two photos.

    ::

        face          p0     p1       p2      q0
        ann           happy  angry    sad     happy
        ben           happy  neutral  unsure  sad
        somebody             neutral
        anonymous                             5 x sad, 1 x happy beside ann's row
    """
    rows = [
        (0, HAPPY, "ann"), (1, ANGRY, "ann"), (2, SAD, "ann"),
        (0, HAPPY, "ben"), (1, NEUTRAL, "ben"), (2, UNSURE, "ben"), (1, NEUTRAL, ""),
    ]  # fmt: skip
    votes = np.zeros((2, 7))
    votes[0, [HAPPY, SAD]] = 1, 5
    return Labels(
        {
            "p.jpg": LabelledFaces(
                [face(at) for at, _, _ in rows],
                [label for _, label, _ in rows],
                annotators=[who for _, _, who in rows],
            ),
            "none.jpg": LabelledFaces.empty(),
            "q.jpg": LabelledFaces(
                [face(0)] * 2, [HAPPY, SAD], votes=votes, annotators=["ann", "ben"]
            ),
        }
    )


def test_who_labelled_what(labels):
    annotators, table = by_annotator(labels)
    assert annotators == ("ann", "ben")
    assert table.tolist() == [[HAPPY, HAPPY], [ANGRY, NEUTRAL], [SAD, UNSURE], [HAPPY, SAD]]


def test_the_ballots_of_labels(labels):
    cast = ballots(labels)
    assert (cast.n, cast.photo.tolist()) == (3, [0, 0, 0, 2])
    assert [people(row).tolist() for row in cast.votes] == [
        [HAPPY, HAPPY],
        [ANGRY, NEUTRAL, NEUTRAL],
        [SAD],
        [HAPPY, *[SAD] * 6],
    ]


def test_agreement_of_labels(labels):
    seen = agreement(labels)
    assert (seen.annotators, seen.faces) == (("ann", "ben"), 3)
    assert seen.shared.tolist() == [[4, 3], [3, 3]]
    # of p0, p1, q0 they agree on p0 alone
    ann, ben = [HAPPY, ANGRY, HAPPY], [HAPPY, NEUTRAL, SAD]
    np.testing.assert_allclose(seen.kappa[0, 1], cohen_kappa_score(ann, ben), atol=1e-12)
    np.testing.assert_allclose(seen.kappa, seen.kappa.T)
    cast = ballots(labels)
    np.testing.assert_allclose(seen.alpha, library_alpha(cast), atol=1e-9)
    np.testing.assert_allclose(seen.fleiss, brute_fleiss(cast), atol=1e-9)
    doubt = [0, np.log(3) - 2 / 3 * np.log(2), np.log(7) - 6 / 7 * np.log(6)]
    np.testing.assert_allclose(seen.entropy, np.mean(doubt), atol=1e-12)


@pytest.mark.parametrize(
    "photos",
    [{}, {"p": LabelledFaces.empty()}, {"p": LabelledFaces([face(0)], [IGNORE], annotators=["a"])}],
    ids=["no photo", "no face", "one annotator"],
)
def test_labels_without_two_answers_have_no_agreement(photos):
    seen = agreement(Labels(photos))
    assert seen.faces == 0
    assert np.isnan([seen.fleiss, seen.alpha, seen.entropy]).all()
    assert np.isnan(seen.kappa).all()


@given(seeds)
def test_kappa_of_two_annotators_is_scikit_learn_s(seed):
    rng = np.random.default_rng(seed)
    first, second = rng.integers(NOT_LABELLED, 4, size=(2, 60))
    both = (first >= 0) & (second >= 0)
    counts = confusion_between(first, second, 4)
    expected = cohen_kappa_score(first[both], second[both])
    padded = Tally(np.pad(counts, (0, 2)))
    np.testing.assert_allclose(cls.cohen_kappa(padded), expected, atol=1e-9)
    np.testing.assert_array_equal(counts.T, confusion_between(second, first, 4))
