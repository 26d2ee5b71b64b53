"""How far people agree on FER+, held to its votes and to what is known of them."""

import runpy
from statistics import multimode

import numpy as np
import pytest
from conftest import ROOT

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def benchmark():
    return runpy.run_path(str(ROOT / "benchmarks" / "human.py"))


@pytest.fixture(scope="module")
def votes_and_labels(benchmark, shared_data):
    return benchmark["read_votes"](shared_data / "fer2013")


def rounded(figures):
    return {name: round(float(np.squeeze(value)), 3) for name, value in figures.items()}


def test_ten_people_answered_for_each_face(votes_and_labels):
    votes, labels = votes_and_labels
    assert votes.shape == (3579, 10)
    assert len(labels) == 3579
    assert (votes.sum(axis=1) == 10).all()


def test_agreement_and_one_annotator(benchmark, votes_and_labels):
    votes, _ = votes_and_labels
    once = np.ones((1, len(votes)))
    everything = rounded(benchmark["agreed"](votes, once))
    assert everything["Fleiss' kappa"] == 0.557
    assert everything["Krippendorff's alpha"] == 0.558
    assert everything["as models are judged: accuracy"] == 0.758
    assert everything["entropy of the votes, nats"] == 0.562
    seven = rounded(benchmark["agreed"](votes[:, :7], once))
    assert seven["Krippendorff's alpha"] == 0.619
    assert seven["one annotator: accuracy"] == 0.783
    assert seven["one annotator: macro-F1"] == 0.657
    assert seven["one annotator: Cohen's kappa"] == 0.716


def test_one_annotator_counted_person_by_person(benchmark, votes_and_labels):
    votes, _ = votes_and_labels
    right = judged = 0.0
    for row in votes:
        people = np.repeat(np.arange(10), row.astype(int)).tolist()
        for at, answer in enumerate(people):
            others = multimode(people[:at] + people[at + 1 :])
            if len(others) == 1 and others[0] < 7:
                judged += 1
                right += others[0] == answer
    seen = benchmark["agreed"](votes, np.ones((1, len(votes))))
    np.testing.assert_allclose(seen["as models are judged: accuracy"], right / judged, atol=1e-9)


def test_fewer_annotators_agree_less_with_all_ten(benchmark, votes_and_labels):
    votes, _ = votes_and_labels
    some = {count: rounded(benchmark["fewer"](votes, count)) for count in (3, 5, 7)}
    assert [one["same majority"] for one in some.values()] == [0.799, 0.852, 0.892]
    assert [one["same words"] for one in some.values()] == [0.448, 0.596, 0.752]
    # one person of ten answers as the majority as often as the majority has votes
    top = votes.max(axis=1)
    unique = (votes == top[:, None]).sum(axis=1) == 1
    single = benchmark["fewer"](votes, 1)["same majority"]
    np.testing.assert_allclose(single, (top * unique).mean() / 10, atol=1e-12)


def test_fer2013_labels_against_the_majority(benchmark, votes_and_labels):
    """The data's own notes say: about 62 % of all faces."""
    own = benchmark["fer2013"](*votes_and_labels)
    assert own["faces"] == 3372
    assert round(own["accuracy"], 3) == 0.654
    assert round(own["accuracy"] * own["faces"] / 3579, 2) == 0.62
