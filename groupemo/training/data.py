"""What a net learns from and is validated on."""

from __future__ import annotations

import json
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from groupemo._version import __version__
from groupemo.emotions import EMOTIONS
from groupemo.errors import LabelError, ModelError, OptionError
from groupemo.models.resolver import sha256_of
from groupemo.training.faces_file import FacesFile, leaks, split_by_photo
from groupemo.training.feed import MEMORY, Feed, targets
from groupemo.training.recipe import Recipe
from groupemo.training.run import Run
from groupemo.training.validation import predict

__all__ = ["Data", "Faces"]

Faces = FacesFile | str | Path
"""A file of faces, open or by its path."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Data:
    """Faces to learn from, and others to validate on.

    Parameters
    ----------
    learned, validated : Feed
    left_out : int
        Faces given for validation that are among those learned from, or whose photo is.
    """

    learned: Feed
    validated: Feed
    left_out: int = 0

    @classmethod
    def open(
        cls,
        stack: ExitStack,
        faces: Faces,
        valid: Faces | None,
        recipe: Recipe,
        memory: int = MEMORY,
    ) -> Self:
        """Return the data in files; those opened here are closed with the stack.

        Raises
        ------
        LabelError
            If a file cannot be read.
        OptionError
            If the two do not fit each other, or nothing is left to validate on.
        """
        learned = _open(stack, faces)
        if valid is None:
            rows, others = split_by_photo(learned, recipe.valid_share, recipe.seed)
            return cls(Feed(learned, rows, memory=memory), Feed(learned, others, memory=memory))
        validated = _open(stack, valid)
        _check_alike(learned, validated)
        kept = np.flatnonzero(~leaks(learned, validated))
        if not len(kept):
            raise OptionError(
                f"{validated.path}: every face in it, or its photo, is in {learned.path}, too:"
                " give others to validate on, or none"
            )
        return cls(
            Feed(learned, np.arange(len(learned)), memory=memory),
            Feed(validated, kept, memory=memory),
            len(validated) - len(kept),
        )

    @classmethod
    def of_run(cls, stack: ExitStack, run: Run) -> Self:
        """Return the faces a net learned from and was validated on, as they were then.

        Raises
        ------
        LabelError
            If a file is not there.
        OptionError
            If it holds other faces by now.
        """
        faces, valid = (run.data[name] for name in ("faces", "valid"))
        other = valid["path"] if valid["path"] != faces["path"] else None
        data = cls.open(stack, faces["path"], other, run.recipe)
        for was, feed in ((faces, data.learned), (valid, data.validated)):
            if feed.file.sha256 != was["sha256"]:
                raise OptionError(
                    f"{feed.file.path}: not the faces of {run.folder} any more: the checksum"
                    " differs; put the file back, or train again"
                )
        return data

    def identity(self, recipe: Recipe) -> dict[str, Any]:
        """Return what tells this data, and the recipe's start and teachers, from others.

        Raises
        ------
        ModelError
            If a teacher or the start cannot be read.
        OptionError
            If the start, or what it went on from, learned from faces to validate on.
        """
        return {
            "faces": _about(self.learned),
            "valid": _about(self.validated),
            "left_out": self.left_out,
            "teachers": {path: sha256_of(_net_file(path)) for path in recipe.distil},
            "start": recipe.start and _begun(recipe.start, self.validated),
            "made_with": {"groupemo": __version__, "torch": torch.__version__},
        }

    def targets(self, recipe: Recipe) -> tuple[Floats, Floats]:
        """Return what to answer and what each face weighs, shapes (n, 7) and (n,).

        Raises
        ------
        ModelError
            If a teacher cannot be read, or does not fit the faces.
        """
        shares, weights = targets(self.learned.votes, strays=recipe.strays, balance=recipe.balance)
        if recipe.distil:
            answers = np.mean([_answers(path, self.learned) for path in recipe.distil], axis=0)
            shares = (1 - recipe.distil_share) * shares + recipe.distil_share * answers
        return shares.astype(np.float32), weights


def _open(stack: ExitStack, faces: Faces) -> FacesFile:
    return faces if isinstance(faces, FacesFile) else stack.enter_context(FacesFile(faces))


def _check_alike(learned: FacesFile, validated: FacesFile) -> None:
    for what in ("side", "channels"):
        one, other = getattr(learned, what), getattr(validated, what)
        if one != other:
            raise OptionError(
                f"{validated.path}: {what} is {other}, but {one} in {learned.path}: prepare both"
                " alike"
            )


def _about(feed: Feed) -> dict[str, Any]:
    file = feed.file
    return {
        "path": str(file.path.resolve()),
        "sha256": file.sha256,
        "faces": len(feed),
        "side": file.side,
        "channels": file.channels,
    }


def _begun(start: str, validated: Feed) -> dict[str, Any]:
    """Return what is to be told of the run that learning goes on from.

    "checked" says whether the faces that it, and those before it, learned from are there to
    see that none of them is validated on.
    """
    sha256, run = sha256_of(_net_file(start)), Run.open(start)
    before = run.data.get("start")
    if before and run.recipe.start:
        before = {**before, "checked": False}  # against these faces
        with suppress(ModelError):  # is not there any more
            if sha256_of(_net_file(run.recipe.start)) == before["sha256"]:
                before = _begun(run.recipe.start, validated)
    faces = run.data["faces"]
    return {
        "sha256": sha256,
        "epochs": run.best_epoch,
        "faces": {"name": Path(faces["path"]).name} | {n: faces[n] for n in ("sha256", "faces")},
        "checked": _not_learned(run, validated) and (not before or before["checked"]),
        "recipe": json.loads(run.recipe.to_json()),
        "start": before,
    }


def _not_learned(run: Run, validated: Feed) -> bool:
    """Say whether a run is known not to have learned from faces; raise if it is known to have."""
    with ExitStack() as stack:
        try:
            learned = Data.of_run(stack, run).learned
        except (LabelError, OptionError):
            return False
        seen = int(leaks(learned, validated).sum())
    if seen:
        raise OptionError(
            f"{run.folder}: learned from {seen} of the {len(validated)} faces to validate on: give"
            " others with --valid; or without it the seed and valid_share of that training, so"
            " that it kept the same faces"
        )
    return True


def _answers(teacher: str, learned: Feed) -> NDArray[np.float64]:
    """Return a teacher's probabilities for the faces to learn from; a net sees mirrors, too."""
    path = _net_file(teacher)
    if path.suffix != ".npy":
        run = Run.open(path.parent)
        for what in ("side", "channels"):
            one, other = getattr(learned.file, what), run.data["faces"][what]
            if one != other:
                raise ModelError(
                    f"{path}: learned from faces whose {what} is {other}, but it is {one} in"
                    f" {learned.file.path}: take another teacher"
                )
        return predict(run.load_net(), learned, flip=True)
    try:
        probs = np.load(path, allow_pickle=False).astype(np.float64, casting="same_kind")
    except Exception as error:  # a damaged file may fail in any way while it is read
        raise ModelError(f"{path}: not an array of probabilities: {error}") from error
    whole = (len(learned.file), len(EMOTIONS))
    if probs.shape != whole or (probs < 0).any() or not np.allclose(probs.sum(1), 1, atol=1e-3):
        raise ModelError(f"{path}: shape {probs.shape}: expected {whole}, rows that sum to 1")
    rows: NDArray[np.float64] = probs[learned.rows]
    return rows


def _net_file(other: str) -> Path:
    """Return the file of what is learned from: a run's net, or probabilities."""
    path = Path(other) if other.endswith(".npy") else Path(other) / "best.pt"
    if not path.is_file():
        raise ModelError(
            f"{path}: no such file: start takes the folder of a training, distil such folders and"
            " .npy files"
        )
    return path
