"""What a net answers, and how right that is against people's votes."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from groupemo.figures import FIGURES
from groupemo.metrics.scaling import fit_temperature, scaled
from groupemo.training.assessment import GivenFaces
from groupemo.training.feed import Feed, as_input

__all__ = ["judge", "logits_of", "predict"]

JUDGED = {
    "loss": "matched_soft_cross_entropy",
    "accuracy": "matched_accuracy",
    "uar": "matched_balanced_accuracy",
    "ece": "matched_ece",
}


TEMPERATURES = (0.2, 5.0)
"""Least and greatest at which a net is validated: where all answers are right, less is always
better, and no epoch would be told from another."""


def logits_of(net: nn.Module, inputs: torch.Tensor, *, flip: bool) -> torch.Tensor:
    """Return a net's logits, shape (n, k): with `flip` the mean over each input and its mirror.

    Parameters
    ----------
    net : torch.nn.Module
    inputs : torch.Tensor, shape=(n, c, s, s)
    flip : bool
    """
    seen = torch.cat([inputs, inputs.flip(3)]) if flip else inputs
    logits: torch.Tensor = net(seen)
    return logits.reshape(2, -1, logits.shape[1]).mean(0) if flip else logits


@torch.no_grad()
def predict(net: nn.Module, feed: Feed, *, flip: bool = False) -> NDArray[np.float64]:
    """Return a net's probabilities for every face, shape (n, 7), computed in float32.

    Parameters
    ----------
    net : torch.nn.Module
        In eval mode; returns logits.
    feed : Feed
    flip : bool
        See `logits_of`.
    """
    device = next(net.parameters()).device
    rows = []
    for faces in feed.in_order():
        inputs = as_input(faces, device).contiguous(memory_format=torch.channels_last)
        probs = logits_of(net, inputs, flip=flip).softmax(1)
        rows.append(probs.double().cpu().numpy())
    return np.concatenate(rows)


def judge(
    probs: NDArray[np.float64], labels: NDArray[np.int64], votes: NDArray[np.float32]
) -> dict[str, float]:
    """Return how right probabilities are.

    Parameters
    ----------
    probs, votes : np.ndarray, shape=(n, 7)
    labels : np.ndarray, shape=(n,)
        -1 for none.

    Returns
    -------
    dict
        "loss", cross-entropy against the shares of votes, nats, over all faces, at the
        temperature, within `TEMPERATURES`, where that is least: how sure a net is, is set
        right when it is exported, and should not decide which epoch is the best (Berta et al.
        2025, "Rethinking Early Stopping: Refine, Then Calibrate"). Over those with a label
        "accuracy", "uar" (the mean recall of the classes that occur) and "ece" (expected
        calibration error, 15 bins, as the probabilities are). NaN where there is no such face.
    """
    one_photo = np.zeros(len(labels), np.int64)
    shares = votes / votes.sum(axis=1, keepdims=True)
    k, low, high = probs.shape[1], *TEMPERATURES
    temperature = min(max(fit_temperature(probs, shares), low), high)
    calibrated = scaled(probs, np.full(k, 1 / temperature), np.zeros(k))
    return {
        name: GivenFaces(labels, calibrated if name == "loss" else probs, votes, one_photo, 1)
        .estimate(FIGURES[figure])
        .value
        for name, figure in JUDGED.items()
    }
