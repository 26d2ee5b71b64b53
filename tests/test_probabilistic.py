"""Scores of probabilities, held to scikit-learn's and SciPy's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import distance
from sklearn import metrics as sk

from groupemo.metrics import probabilistic as prob


@st.composite
def faces(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    f, k = draw(st.integers(1, 30)), draw(st.integers(2, 8))
    probs = rng.dirichlet(np.ones(k), size=f)
    return probs, rng.integers(0, k, f), rng.multinomial(10, rng.dirichlet(np.ones(k)), size=f)


@given(faces())
def test_each_row_equals_an_independent_implementation(case):
    probs, labels, votes = case
    k = probs.shape[1]
    kinds = range(k)
    assert prob.log_loss(probs, labels).mean() == pytest.approx(
        sk.log_loss(labels, probs, labels=kinds), abs=1e-12
    )
    assert prob.top_k(probs, labels).mean() == pytest.approx(
        sk.top_k_accuracy_score(labels, probs, k=2, labels=kinds) if k > 2 else 1
    )
    assert prob.brier(probs, labels).mean() == pytest.approx(
        sum(np.mean((probs[:, c] - (labels == c)) ** 2) for c in kinds), abs=1e-12
    )
    np.testing.assert_allclose(prob.entropy(votes), stats.entropy(votes, axis=1), atol=1e-12)
    np.testing.assert_allclose(
        prob.kl_divergence(probs, votes), stats.entropy(votes, probs, axis=1), atol=1e-12
    )
    np.testing.assert_allclose(
        prob.soft_cross_entropy(probs, votes),
        stats.entropy(votes, axis=1) + stats.entropy(votes, probs, axis=1),
        atol=1e-12,
    )
    np.testing.assert_allclose(
        prob.jensen_shannon(probs, votes),
        distance.jensenshannon(votes, probs, axis=1) ** 2,
        atol=1e-12,
    )


def test_by_hand():
    #  face       answered        labelled     votes
    #  1st     .5  .5   0         1st          1 0 0     told with half a chance
    #  2nd      0  .5  .5         1st          0 0 2     never: clipped
    probs = np.array([[0.5, 0.5, 0], [0, 0.5, 0.5]])
    labels, votes = np.array([0, 0]), np.array([[1, 0, 0], [0, 0, 2]])
    np.testing.assert_allclose(prob.log_loss(probs, labels), [np.log(2), -np.log(prob.MIN_PROB)])
    assert prob.clipped(probs, labels).tolist() == [False, True]
    assert prob.brier(probs, labels).tolist() == [0.5, 1.5]
    assert prob.top_k(probs, labels).tolist() == [True, False]
    assert prob.top_k(probs, labels, k=1).tolist() == [True, False]  # the first of equals
    np.testing.assert_allclose(prob.kl_divergence(probs, votes), [np.log(2)] * 2)


def test_no_face_gives_no_row_and_no_votes_no_number():
    nobody, none = np.empty((0, 7)), np.empty(0, dtype=np.int64)
    for figure in (prob.log_loss, prob.brier, prob.top_k, prob.clipped):
        assert figure(nobody, none).shape == (0,)
    assert np.isnan(prob.entropy(np.zeros((1, 7)))).all()
