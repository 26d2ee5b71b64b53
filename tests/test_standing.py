"""How runs stand: ranked, each in its part, and beside a person."""

import math

import numpy as np
import pytest
from report_scenes import HAPPY, NEUTRAL, SAD, evaluation, voted

from groupemo import EMOTIONS
from groupemo.figures import FIGURES, MAIN
from groupemo.standing import Person, Standing


@pytest.fixture(scope="module")
def standing(tmp_path_factory):
    return Standing(voted(tmp_path_factory.mktemp("photos")))


def test_runs_are_ranked_in_their_parts(standing):
    assert [(run.number, run.part, run.name) for run in standing.runs] == [
        (1, "candidate", "eye x mind"),
        (2, "candidate", "eye x guess"),
        (3, "floor", "eye x prior"),
        (4, "reference", "labelled x mind"),
        (5, "reference", "labelled x guess"),
        (6, "reference", "labelled x prior"),
    ]
    assert standing.candidates == standing.runs[:2]
    assert standing.floors == standing.runs[2:3]
    assert standing.references == standing.runs[3:]


def test_bins_and_gains_are_those_of_the_scores(standing):
    run = standing.runs[0]
    frame = run.scores.anatomy(MAIN)
    assert {name: n for name, n in run.bins.items() if n} == {
        "correct": 12, "wrong emotion": 12, "missed": 12, "phantom": 6,
    }  # fmt: skip
    assert {gain.name: gain.value for gain in run.gains} == {
        name: frame.loc[name, "gain"] for name in ("wrong emotion", "missed", "phantom")
    }
    values = [gain.value for gain in run.gains]
    assert values == sorted(values, reverse=True)


def test_what_a_person_reaches_by_hand(standing):
    # of 10 people, 8, 6 and 10 say of the happy, sad and neutral face what most others say
    person = standing.person
    for over in ("matched", "end_to_end"):
        found = person.estimate(f"{over}_accuracy")
        assert found.value == pytest.approx(24 / 30)
        assert found.n == 36
        assert math.isnan(found.low)  # photos are alike
    happy, sad, neutral = 2 * 8 / (8 + 10), 2 * 6 / (6 + 2 + 10), 2 * 10 / (10 + 4 + 10)
    known = dict(zip(EMOTIONS, person.classes(), strict=True))
    assert [known[EMOTIONS[c]] for c in (HAPPY, SAD, NEUTRAL)] == pytest.approx(
        [happy, sad, neutral]
    )
    assert np.isnan(known["fear"])
    assert person.estimate(MAIN).value == pytest.approx((happy + sad + neutral) / 3)


def test_a_person_is_known_from_a_run_as_from_its_labels(standing):
    of_run = Person.of(standing.runs[0].scores)
    np.testing.assert_array_equal(of_run.classes(), standing.person.classes())


def test_nothing_is_known_of_a_person_without_votes_or_beyond_expressions(standing, tmp_path):
    alone = Standing(evaluation(tmp_path)).person
    assert np.isnan(alone.classes()).all()
    assert all(math.isnan(alone.estimate(name).value) for name in FIGURES)
    assert math.isnan(standing.person.estimate("detection_recall").value)
