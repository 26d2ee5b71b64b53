"""Whether confidences are true, what abstaining gains, and what scaling makes of them."""

from __future__ import annotations

from functools import partial

import hotcoco.metrics
import numpy as np
from mapie.metrics.calibration import expected_calibration_error
from scipy import optimize, special
from sklearn.calibration import calibration_curve

from crosschecks.cases import CLIP, FORMULA, Case, Check, figure
from crosschecks.judging import K
from groupemo.metrics import calibration as cal
from groupemo.metrics import scaling


def answered(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Return labels (f,) and probabilities (f, k)."""
    rows = case.matched
    labels = np.array([row.truth for row in rows], dtype=int)
    return labels, np.array([row.probs for row in rows]).reshape(-1, K)


def sureness(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Return whether each answer is right, and its confidence."""
    labels, probs = answered(case)
    return probs.argmax(axis=1) == labels, probs.max(axis=1, initial=0)


def mapie_error(case: Case) -> float:
    right, confidence = sureness(case)
    if not len(right):
        return np.nan
    return expected_calibration_error(right, confidence, num_bins=16, split_strategy="uniform")


def hotcoco_error(case: Case) -> float:
    right, confidence = sureness(case)
    if not len(right):
        return np.nan
    return hotcoco.metrics.calibration_error(confidence, right, n_bins=15)[0]


def curve_error(true: np.ndarray, probs: np.ndarray, strategy: str) -> float:
    """Return the calibration error of scikit-learn's curve."""
    if not len(true):
        return np.nan
    share, mean = calibration_curve(true, probs, n_bins=15, strategy=strategy)
    even = np.linspace(0, 1, 16)
    edges = np.percentile(probs, 100 * even) if strategy == "quantile" else even
    count = np.bincount(np.searchsorted(edges[1:-1], probs))
    return float((count[count > 0] * abs(share - mean)).sum() / len(true))


def adaptive_error(case: Case) -> float:
    return curve_error(*sureness(case), "quantile")


def classwise_error(case: Case) -> float:
    labels, probs = answered(case)
    return np.mean([curve_error(labels == c, probs[:, c], "uniform") for c in range(K)])


def diagram(case: Case) -> np.ndarray:
    right, confidence = sureness(case)
    if not len(right):
        return np.zeros((2, 0))
    return np.array(calibration_curve(right, confidence, n_bins=15))


def our_diagram(case: Case) -> np.ndarray:
    ours = cal.reliability(case.scores.answers)
    return np.array([ours.accuracy, ours.confidence])[:, ours.count > 0]


def mean_risk(case: Case) -> float:
    """Return the mean over faces of the share of wrong answers among those as sure or surer."""
    right, confidence = sureness(case)
    return np.mean([1 - right[confidence >= each].mean() for each in confidence] or [np.nan])


def slope(logs: np.ndarray, labels: np.ndarray, scale: float) -> float:
    """Return the derivative of the cross-entropy by 1 / T."""
    probs = special.softmax(scale * logs, axis=1)
    return float(((probs * logs).sum(axis=1) - logs[np.arange(len(labels)), labels]).mean())


def temperature(case: Case) -> float:
    """Return where SciPy finds the slope to be 0, or the end it falls towards."""
    labels, probs = answered(case)
    logs = np.log(np.maximum(probs, CLIP))
    least, most = 0.01, 100.0
    if not len(labels):
        return np.nan
    if slope(logs, labels, least) > 0 or slope(logs, labels, most) < 0:
        return most if slope(logs, labels, least) > 0 else least
    return 1 / optimize.brentq(partial(slope, logs, labels), least, most, xtol=1e-14, rtol=1e-14)


def our_temperature(case: Case) -> float:
    answers = case.scores.answers
    return 1 / scaling.fit_scaling(answers, "temperature")[0][0] if len(answers) else np.nan


def vector_loss(logs: np.ndarray, labels: np.ndarray, at: np.ndarray) -> float:
    """Return the cross-entropy with scales and biases `at` and the prior on them, a face."""
    logits = at[:K] * logs + at[K:]
    costs = special.logsumexp(logits, axis=1) - logits[np.arange(len(labels)), labels]
    prior = (((at[:K] - 1) ** 2).sum() + (at[K:] ** 2).sum()) / 2
    return float(costs.sum() + prior) / len(labels)


def least_vector_loss(case: Case) -> float:
    labels, probs = answered(case)
    if not len(labels):
        return np.nan
    loss = partial(vector_loss, np.log(np.maximum(probs, CLIP)), labels)
    start = np.repeat([1.0, 0.0], K)
    return optimize.minimize(loss, start, method="BFGS", options={"gtol": 1e-8}).fun


def our_vector_loss(case: Case) -> float:
    labels, probs = answered(case)
    if not len(labels):
        return np.nan
    found = np.concatenate(scaling.fit_scaling(case.scores.answers, "vector"))
    return vector_loss(np.log(np.maximum(probs, CLIP)), labels, found)


CHECKS = (
    figure(
        "matched_ece",
        "MAPIE expected_calibration_error",
        mapie_error,
        note="15 bins; MAPIE counts their 16 edges",
    ),
    figure("matched_ece", "hotcoco calibration_error", hotcoco_error, note="15 bins"),
    figure(
        "matched_adaptive_ece",
        "scikit-learn calibration_curve, quantile",
        adaptive_error,
        note="15 bins, cut on the photos as they are: not asked of drawn ones",
        repeats=False,
    ),
    figure(
        "matched_classwise_ece",
        "scikit-learn calibration_curve, each class",
        classwise_error,
        note="15 bins",
    ),
    figure("matched_aurc", FORMULA, mean_risk),
    Check(
        "reliability diagram",
        "scikit-learn calibration_curve",
        our_diagram,
        diagram,
        repeats=False,
    ),
    Check("temperature", "SciPy brentq on the slope", our_temperature, temperature, repeats=False),
    Check(
        "least loss a face of vector scaling",
        "SciPy minimize, BFGS",
        our_vector_loss,
        least_vector_loss,
        repeats=False,
    ),
)
