"""Words of emotions, and putting columns in order."""

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from groupemo.emotions import CONTEMPT, EMOTIONS, SYNONYMS, align_probs, parse_emotion
from groupemo.errors import ContractError, LabelError

WORDS = (*EMOTIONS, CONTEMPT)


@st.composite
def answers(draw):
    """Classes in any order, contempt perhaps among them, and rows of probabilities or NaN."""
    classes = draw(st.permutations(WORDS).map(lambda words: words[: draw(st.integers(2, 8))]))
    n = draw(st.integers(0, 5))
    weights = draw(hnp.arrays(np.float64, (n, len(classes)), elements=st.integers(0, 100)))
    weights[weights.sum(axis=1) == 0] = 1
    rows = weights / weights.sum(axis=1, keepdims=True)
    rows[draw(hnp.arrays(bool, n))] = np.nan
    return classes, rows


@given(answers())
def test_aligned_rows_sum_to_1_or_are_nan(answered):
    classes, rows = answered
    aligned = align_probs(rows, classes)
    assert aligned.shape == (len(rows), 7)
    sums = aligned.sum(axis=1)
    assert (np.isclose(sums, 1) | np.isnan(aligned).all(axis=1)).all()


@given(answers())
def test_a_row_is_nan_where_it_abstained_or_only_dropped_classes_were_named(answered):
    classes, rows = answered
    contempt = rows[:, classes.index(CONTEMPT)] if CONTEMPT in classes else np.zeros(len(rows))
    expected = np.isnan(rows).any(axis=1) | (contempt == 1)
    np.testing.assert_array_equal(np.isnan(align_probs(rows, classes)).any(axis=1), expected)


@given(answers())
def test_each_class_keeps_its_share(answered):
    classes, rows = answered
    aligned = align_probs(rows, classes)
    kept = [name for name in classes if name != CONTEMPT]
    mass = rows[:, [classes.index(name) for name in kept]].sum(axis=1)
    for name in kept:
        share = aligned[:, EMOTIONS.index(name)] * mass
        wanted = np.where(mass > 0, rows[:, classes.index(name)], np.nan)
        np.testing.assert_allclose(share, wanted, atol=1e-12)


@given(st.permutations(EMOTIONS), answers())
def test_a_permutation_there_and_back_changes_nothing(order, answered):
    rows = align_probs(answered[1], answered[0])
    there = align_probs(rows, EMOTIONS, order)
    np.testing.assert_allclose(align_probs(there, order, EMOTIONS), rows, rtol=1e-12)


def test_a_missing_class_gets_0():
    assert align_probs([[0.4, 0.6]], ["sad", "happy"]).tolist() == [[0, 0, 0, 0.6, 0.4, 0, 0]]


def test_the_input_is_not_written():
    rows = np.array([[0.5, 0.25, 0.25]])
    align_probs(rows, ["happy", "sad", "contempt"])
    assert rows.tolist() == [[0.5, 0.25, 0.25]]


@pytest.mark.parametrize(
    ("rows", "classes", "message"),
    [
        ([[1, 0]], ["happy", "joy"], "same emotion twice"),
        ([[1]], ["contempt"], "share none"),
        ([[1, 0, 0]], ["happy", "sad"], r"shape \(1, 3\)"),
        ([[1, 0, 0], [1, 0, 0]], ["happy", "sad"], r"shape \(2, 3\)"),
    ],
)
def test_columns_that_mean_nothing_are_refused(rows, classes, message):
    with pytest.raises(ContractError, match=message):
        align_probs(rows, classes)


@pytest.mark.parametrize("word", WORDS)
def test_a_known_word_means_itself_in_any_spelling(word):
    assert parse_emotion(word) == word
    assert parse_emotion(f"  {word.upper()} ") == word


def test_every_synonym_means_a_known_word():
    assert {parse_emotion(word) for word in SYNONYMS} <= set(WORDS)
    assert not set(SYNONYMS) & set(WORDS)


@pytest.mark.parametrize(("word", "near"), [("hapy", "happy"), ("suprise", "surprise")])
def test_an_unknown_word_is_named_with_the_nearest(word, near):
    with pytest.raises(LabelError, match=f"{word!r}: did you mean {near!r}"):
        parse_emotion(word)


@given(st.text(max_size=20))
def test_any_text_is_a_word_or_a_label_error(word):
    with contextlib.suppress(LabelError):
        assert parse_emotion(word) in WORDS
