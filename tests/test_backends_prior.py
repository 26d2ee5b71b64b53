"""The baseline: one answer for all, and it keeps the contract."""

import numpy as np

from groupemo.backends.prior import FER2013_TRAINING, Prior
from groupemo.emotions import EMOTIONS
from groupemo.faces import Faces
from groupemo.testing import check_backend


def test_the_contract_holds():
    check_backend("prior")


def test_every_face_gets_the_shares_of_fer2013():
    prior = Prior()
    rows = prior.predict(prior.prepare(np.zeros((9, 9, 3), np.uint8), Faces([[0, 0, 5, 5]] * 3)))
    assert sum(FER2013_TRAINING.values()) == 28709
    assert EMOTIONS[rows[0].argmax()] == "happy"
    np.testing.assert_allclose(
        rows, np.tile([v / 28709 for v in FER2013_TRAINING.values()], (3, 1))
    )
