"""Every metric of groupemo beside an implementation that is not groupemo's.

`cases` makes runs, `judging` turns a run into rows without groupemo's metrics, and
each of the other modules lists its `CHECKS`: what groupemo says of a run, and what
somebody else's code says of the same rows.
"""

from __future__ import annotations

import math

from crosschecks import (
    agreement,
    breakdown,
    calibration,
    classification,
    detection,
    group,
    oracle,
    probabilities,
    uncertainty,
)
from crosschecks.cases import Case, Check, as_it_is, made, real, repeated

__all__ = ["CHECKS", "Case", "Check", "as_it_is", "made", "real", "repeated", "worst"]

CHECKS: tuple[Check, ...] = (
    *classification.CHECKS,
    *probabilities.CHECKS,
    *calibration.CHECKS,
    *detection.CHECKS,
    *breakdown.CHECKS,
    *oracle.CHECKS,
    *group.CHECKS,
    *agreement.CHECKS,
    *uncertainty.CHECKS,
)


def worst(check: Check, cases: list[Case]) -> float:
    """Return the largest difference over the cases a check can be asked of; NaN for none."""
    asked = [case for case in cases if check.repeats or (case.times == 1).all()]
    found = [check.difference(case) for case in asked]
    return max((each for each in found if not math.isnan(each)), default=math.nan)
