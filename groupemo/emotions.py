"""The seven perceived expressions, their words in the wild, and the order of columns.

Conventions
-----------
`EMOTIONS` is the order of FER2013, which DeepFace and FER share. Every label
and every column of probabilities inside groupemo is in this order. Contempt is
a known word with no column: what becomes of it is the caller's choice.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from groupemo.errors import ContractError, LabelError

__all__ = ["CONTEMPT", "EMOTIONS", "SYNONYMS", "align_probs", "parse_emotion"]

EMOTIONS: tuple[str, ...] = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""The classes, in the order every array in groupemo uses."""

CONTEMPT = "contempt"
"""An eighth word that some data sets use; it has no column of its own."""

SYNONYMS: Mapping[str, str] = MappingProxyType(
    {
        "anger": "angry",
        "annoyed": "angry",
        "ang": "angry",
        "an": "angry",
        "disgusted": "disgust",
        "dis": "disgust",
        "di": "disgust",
        "afraid": "fear",
        "fearful": "fear",
        "scared": "fear",
        "fea": "fear",
        "fe": "fear",
        "happiness": "happy",
        "joy": "happy",
        "joyful": "happy",
        "smile": "happy",
        "smiling": "happy",
        "hap": "happy",
        "ha": "happy",
        "sadness": "sad",
        "sa": "sad",
        "surprised": "surprise",
        "surprize": "surprise",
        "sur": "surprise",
        "su": "surprise",
        "calm": "neutral",
        "neutrality": "neutral",
        "no emotion": "neutral",
        "none": "neutral",
        "neu": "neutral",
        "ne": "neutral",
        "contemptuous": CONTEMPT,
        "con": CONTEMPT,
    }
)
"""Words of other data sets and packages -> ours."""


def parse_emotion(word: str) -> str:
    """Return groupemo's word for `word`.

    Parameters
    ----------
    word : str
        Any spelling known to `SYNONYMS`, in any case.

    Returns
    -------
    str
        One of `EMOTIONS`, or `CONTEMPT`.

    Raises
    ------
    LabelError
        If the word is unknown; the message names the nearest known word.

    Examples
    --------
    >>> parse_emotion("Happiness")
    'happy'
    """
    plain = word.strip().lower().replace("_", " ")
    known = {emotion: emotion for emotion in (*EMOTIONS, CONTEMPT)} | dict(SYNONYMS)
    if plain in known:
        return known[plain]
    near = difflib.get_close_matches(plain, known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise LabelError(f"unknown emotion {word!r}: {hint}known: {', '.join((*EMOTIONS, CONTEMPT))}")


def align_probs(
    probs: ArrayLike, classes: Sequence[str], target: Iterable[str] = EMOTIONS
) -> NDArray[np.float64]:
    """Put the columns of `probs` in the order of `target`.

    A class that only `classes` has (contempt) is dropped and the row scaled to
    sum to 1 again; a class that only `target` has gets 0. A row whose whole
    mass lay on dropped classes becomes NaN: the backend abstained as far as
    the target's classes go.

    Parameters
    ----------
    probs : array_like, shape=(n, k)
        Probabilities, one row a face; a NaN row means abstained.
    classes : sequence of str, length k
        What the columns mean, in any known spelling.
    target : iterable of str
        The wanted classes, in the wanted order.

    Returns
    -------
    np.ndarray, shape=(n, len(target))
        Rows that sum to 1, or are NaN.

    Raises
    ------
    ContractError
        If there is not a column a class, two columns mean the same class or none is wanted.

    Examples
    --------
    >>> align_probs([[0.25, 0.75]], ["joy", "anger"], ["angry", "happy"])
    array([[0.75, 0.25]])
    """
    rows = np.asarray(probs, dtype=np.float64)
    rows = rows if rows.size else rows.reshape(0, len(classes))
    if rows.ndim != 2 or rows.shape[1] != len(classes):
        raise ContractError(f"probs have shape {rows.shape}, expected (n, {len(classes)})")
    names = [parse_emotion(name) for name in classes]
    wanted = list(target)
    if len(set(names)) != len(names):
        raise ContractError(f"classes {tuple(classes)} name the same emotion twice")
    if not set(names) & set(wanted):
        raise ContractError(f"classes {tuple(classes)} share none with {tuple(wanted)}")
    if names == wanted:
        return rows
    aligned = np.zeros((len(rows), len(wanted)))
    for column, name in enumerate(wanted):
        if name in names:
            aligned[:, column] = rows[:, names.index(name)]
    mass = aligned.sum(axis=1, keepdims=True)
    scaled = np.full_like(aligned, np.nan)
    np.divide(aligned, mass, out=scaled, where=mass > 0)
    return scaled
