"""The bootstrap over photos, held to one that draws and adds photo by photo."""

import numpy as np
import pytest

from groupemo.metrics import classification as cls
from groupemo.metrics import detection as det
from groupemo.metrics.tally import Tally
from groupemo.metrics.uncertainty import bootstrap, draw_weights, interval


def tallies(*tables):
    """Return one tally a photo; two classes, so tables are 4 x 4."""
    return Tally.stack([Tally(table, loss=np.sum(table)) for table in tables])


def table(right=0, wrong=0, missed=0, phantom=0):
    """Return a photo's counts: faces of class 0 answered 0 or 1, missed; phantoms answered 0."""
    counts = np.zeros((4, 4), int)
    counts[0, 0], counts[0, 1], counts[0, 3], counts[3, 0] = right, wrong, missed, phantom
    return counts


def test_weights_are_1_on_average_and_never_0():
    weights = draw_weights(7, draws=4000)
    assert weights.shape == (4000, 7)
    assert weights.min() > 0
    np.testing.assert_allclose(weights.sum(axis=1), 7000, atol=7)
    np.testing.assert_allclose(weights.mean(axis=0), 1000, rtol=0.06)
    # a photo's share of a uniform draw has the variance (n - 1) / n^2 / (n + 1)
    np.testing.assert_allclose((weights / 7000).var(axis=0), 6 / 49 / 8, rtol=0.1)
    np.testing.assert_array_equal(weights, draw_weights(7, draws=4000))
    assert (weights != draw_weights(7, draws=4000, seed=1)).any()


@pytest.mark.parametrize("statistic", [det.detection_recall, det.detection_f1, cls.cross_entropy])
def test_drawing_is_adding_the_photos_drawn(statistic):
    photos = tallies(table(3, 1), table(0, 2, 4), table(5, 0, 0, 2), table(1, 1, 1, 1))
    weights = draw_weights(4, draws=30)
    drawn = statistic(bootstrap(photos, weights))
    for row, value in zip(weights, drawn, strict=True):
        chosen = np.repeat(np.arange(4), row)
        once = Tally(photos.counts[chosen].sum(axis=0), photos.loss[chosen].sum())
        np.testing.assert_allclose(value, statistic(once))


def test_the_interval_of_a_share_is_near_the_textbook_one():
    # 400 photos of one face each: the cluster bootstrap is the plain one, and the
    # interval that of a binomial share, .8 +- 1.96 * sqrt(.8 * .2 / 400) = .0392
    photos = tallies(*[table(1)] * 320, *[table(0, 1)] * 80)
    drawn = cls.accuracy(bootstrap(photos, draw_weights(400)), "matched")
    np.testing.assert_allclose(interval(drawn), (0.8 - 0.0392, 0.8 + 0.0392), atol=0.005)


@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_photos_have_no_interval(n):
    photos = Tally(np.zeros((n, 4, 4)) + table(3, 1))
    drawn = det.detection_recall(bootstrap(photos, draw_weights(n)))
    assert drawn.shape == (0,)
    assert np.isnan(interval(drawn)).all()


def test_a_class_in_one_photo_is_in_every_draw():
    # class 1 has one face in twelve photos, answered 0; class 0 is always right
    rare = np.zeros((4, 4), int)
    rare[1, 0] = 1
    photos = tallies(rare, *[table(1)] * 11)

    def macro_f1(counts):
        return cls.macro(cls.f1(counts, "matched"), cls.support(counts, "matched"))

    drawn = macro_f1(bootstrap(photos, draw_weights(12)))
    assert drawn.max() <= 0.5, "never the F1 of class 0 alone"
    low, high = interval(drawn)
    assert low < macro_f1(Tally(photos.counts.sum(axis=0))) < high


def test_draws_that_are_not_defined_are_left_out():
    assert interval([np.nan, 0.25, 0.25, np.nan]) == (0.25, 0.25)
    assert np.isnan(interval([np.nan, np.nan])).all()
