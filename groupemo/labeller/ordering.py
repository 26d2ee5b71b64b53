"""In which order photos come to an annotator."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from groupemo.errors import OptionError
from groupemo.metrics.probabilistic import entropy

__all__ = ["ORDERS", "draw_repeats", "order_photos", "uncertainty"]

ORDERS = ("name", "shuffle", "active")


def order_photos(
    photos: Sequence[str], order: str, *, seed: int, uncertain: Mapping[str, float]
) -> list[str]:
    """Return photos, given in the order of their names, in the order asked for.

    Parameters
    ----------
    photos : sequence of str
        Their ids.
    order : {"name", "shuffle", "active"}
        `shuffle` hangs on `seed` and the photos alone; `active` puts the most uncertain
        first, and photos of which nothing is known last, by name.
    uncertain : mapping of str to float
        `uncertainty` of each photo, as far as it is known.

    Raises
    ------
    OptionError
        If there is no such order.
    """
    if order not in ORDERS:
        raise OptionError(f"order is {order!r}: expected one of {', '.join(ORDERS)}")
    if order == "shuffle":
        return random.Random(seed).sample(sorted(photos), len(photos))
    if order == "active":
        return sorted(photos, key=lambda photo: -uncertain.get(photo, -math.inf))
    return list(photos)


def uncertainty(backends: Sequence[NDArray[np.float64]]) -> float:
    """Return how uncertain backends are about the faces of one photo, in nats.

    One backend: the mean entropy of its answers. Several: the mean Jensen-Shannon
    divergence between their answers to a face, the entropy of the mean answer less the
    mean entropy (Lin, Divergence Measures Based on the Shannon Entropy, 1991): high where
    backends are sure of different expressions, which one more label can settle.

    Parameters
    ----------
    backends : sequence of np.ndarray, shape=(n, 7)
        Each one's probabilities for the same faces; faces that one abstained from are
        left out.

    Returns
    -------
    float
        At least 0; -inf where no face has answers.
    """
    if not backends:
        return -math.inf
    probs = np.stack(backends)
    probs = probs[:, ~np.isnan(probs).any(axis=(0, 2))]
    if not probs.shape[1]:
        return -math.inf
    each = np.stack([entropy(rows) for rows in probs])
    found = each if len(probs) == 1 else entropy(probs.mean(axis=0)) - each.mean(axis=0)
    return float(max(found.mean(), 0))


def draw_repeats(photos: Sequence[str], share: float, *, seed: int) -> list[str]:
    """Return the photos to be shown again, in an order of their own.

    Each photo is drawn or not by itself, with probability `share`, so that a photo stays
    drawn whatever others come or go.
    """
    drawn = ((random.Random(f"{seed} {photo}").random(), photo) for photo in photos)
    return [photo for chance, photo in sorted(drawn) if chance < share]
