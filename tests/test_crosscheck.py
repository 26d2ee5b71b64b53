"""Every metric beside an independent implementation, on a few random scenes."""

import dataclasses
import sys

import numpy as np
import pytest
from conftest import ROOT

from groupemo.figures import FIGURES

sys.path.insert(0, str(ROOT / "benchmarks"))
import crosschecks

SCENES = 8


@pytest.fixture(scope="module")
def cases():
    runs = [crosschecks.made(1000 + seed) for seed in range(SCENES)]
    return [
        case for run in runs for case in (crosschecks.as_it_is(run), crosschecks.repeated(run, 1))
    ]


@pytest.mark.parametrize(
    "check", crosschecks.CHECKS, ids=lambda check: f"{check.metric}: {check.implementation}"
)
def test_metric_equals_an_independent_implementation(check, cases):
    assert crosschecks.worst(check, cases) <= check.within


def test_a_wider_difference_is_explained():
    assert all(check.note for check in crosschecks.CHECKS if check.within > 1e-9)


def test_every_figure_is_checked():
    assert not set(FIGURES) - {name for check in crosschecks.CHECKS for name in check.covers}


def test_a_check_can_fail(cases):
    whole = crosschecks.CHECKS[0]
    off = dataclasses.replace(whole, ours=lambda case: np.asarray(whole.ours(case)) + 1e-6)
    undefined = dataclasses.replace(whole, ours=lambda case: np.asarray(whole.ours(case)) * np.nan)
    assert crosschecks.worst(off, cases) == pytest.approx(1e-6)
    assert crosschecks.worst(undefined, cases) == np.inf


def test_scenes_have_something_of_everything(cases):
    rows = [row for case in cases for row in case.rows]
    labelled = {row.truth for row in rows}
    answers = {row.answer for row in rows}
    assert labelled >= {-1, *range(8)}
    assert answers == set(range(9))
    assert any(not photo.complete for case in cases for photo in case.photos)
    assert any(-2 in photo.labels for case in cases for photo in case.photos)
