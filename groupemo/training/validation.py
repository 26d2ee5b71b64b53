"""What a net answers, and how right that is against people's votes."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from groupemo.metrics import probabilistic
from groupemo.metrics.agreement import majority
from groupemo.metrics.answers import Answers
from groupemo.metrics.calibration import expected_calibration_error
from groupemo.metrics.classification import accuracy, balanced_accuracy
from groupemo.metrics.tally import Tally
from groupemo.training.feed import Feed, as_input

__all__ = ["judge", "predict"]


@torch.no_grad()
def predict(net: nn.Module, feed: Feed, *, flip: bool = False) -> NDArray[np.float64]:
    """Return a net's probabilities for every face, shape (n, 7), computed in float32.

    Parameters
    ----------
    net : torch.nn.Module
        In eval mode; returns logits.
    feed : Feed
    flip : bool
        Whether to average each face's answer with that for its mirror image.
    """
    device = next(net.parameters()).device
    rows = []
    for faces in feed.in_order():
        inputs = as_input(faces, device).contiguous(memory_format=torch.channels_last)
        probs = net(inputs).softmax(1)
        if flip:
            probs = (probs + net(inputs.flip(3)).softmax(1)) / 2
        rows.append(probs.double().cpu().numpy())
    return np.concatenate(rows)


def judge(probs: NDArray[np.float64], votes: NDArray[np.float32]) -> dict[str, float]:
    """Return how right probabilities are.

    Parameters
    ----------
    probs, votes : np.ndarray, shape=(n, 7)

    Returns
    -------
    dict
        "loss", cross-entropy against the shares of votes, nats, over all faces; over
        those whose majority is unique "accuracy", "uar" (the mean recall of the
        classes that occur) and "ece" (expected calibration error, 15 bins). NaN
        where there is no such face.
    """
    labels = majority(votes)
    known = labels >= 0
    probs_known, labels_known = probs[known], labels[known]
    k = votes.shape[1]
    counts = np.zeros((k + 2, k + 2), np.int64)
    np.add.at(counts, (labels_known, probs_known.argmax(1)), 1)
    tally = Tally(counts)
    answers = Answers(np.zeros(len(labels_known), np.int64), 1, labels_known, probs_known)
    return {
        "loss": float(probabilistic.soft_cross_entropy(probs, votes.astype(np.float64)).mean()),
        "accuracy": float(accuracy(tally, "matched")),
        "uar": float(balanced_accuracy(tally, "matched")),
        "ece": float(expected_calibration_error(answers, np.ones((1, 1)))[0]),
    }
