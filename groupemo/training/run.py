"""The folder of a training: what it was made with, how it went, and the net.

::

    recipe.json   the recipe
    data.json     the faces, by checksum; how many were left out of validation
    history.csv   a row an epoch
    curves.png    the same, drawn
    best.pt       the averaged net of the best epoch
    last.pt       everything that going on needs
    .lock         kept by the process at work in the folder
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any, Self

from torch import nn

from groupemo.errors import ModelError, OptionError
from groupemo.files import write_atomically
from groupemo.training import checkpoints
from groupemo.training.architectures import build
from groupemo.training.recipe import Recipe

__all__ = ["COLUMNS", "Run", "new_net"]

COLUMNS = (
    "epoch", "loss", "valid_loss", "valid_accuracy", "valid_uar", "valid_ece", "lr", "seconds",
)  # fmt: skip
"""Of the history. `loss` is what was minimized, with augmentation and dropout; `valid_loss`
cross-entropy against votes, at the temperature that fits it best; both in nats. `lr` is that of the
epoch's last step."""

Row = dict[str, float]


def new_net(recipe: Recipe, *, side: int, channels: int, mean: float, std: float) -> nn.Module:
    """Return the net a recipe asks for, with random weights; errors are those of `build`."""
    options: dict[str, Any] = {
        "width": recipe.width,
        "dropout": recipe.dropout,
        "drop_path": recipe.drop_path,
    }
    return build(recipe.architecture, side=side, channels=channels, mean=mean, std=std, **options)


@dataclass(frozen=True)
class Run:
    """A training, finished or not.

    Parameters
    ----------
    folder : Path
    recipe : Recipe
    data : mapping
        "faces" and "valid": how many, side, channels and `sha256` of each; "left_out": the faces
        not validated on because they are among those trained on.
    history : list of dict
        A row an epoch, of `COLUMNS`.
    """

    folder: Path
    recipe: Recipe
    data: Mapping[str, Any]
    history: list[Row]

    @classmethod
    def open(cls, folder: str | Path) -> Self:
        """Return the run in a folder.

        Raises
        ------
        ModelError
            If there is none, or a file in it cannot be read.
        """
        where = Path(folder)
        try:
            recipe = Recipe.from_json((where / "recipe.json").read_text(encoding="utf-8"))
            data = json.loads((where / "data.json").read_text(encoding="utf-8"))
            rows = _parse((where / "history.csv").read_text(encoding="utf-8"))
            _check(data)
        except (OSError, ValueError, KeyError, TypeError, RecursionError, OptionError) as error:
            raise ModelError(f"{where}: not the folder of a training: {error}") from error
        return cls(where, recipe, data, rows)

    @property
    def best_epoch(self) -> int:
        """The epoch with the least validation loss, the first of equals; 0 before the first."""
        best = min(self.history, key=lambda row: row["valid_loss"], default={"epoch": 0})
        return int(best["epoch"])

    @property
    def best(self) -> Row:
        """The row of the best epoch; empty before the first."""
        return self.history[self.best_epoch - 1] if self.history else {}

    def load_net(self) -> nn.Module:
        """Return the averaged net of the best epoch, in eval mode, on the processor.

        Raises
        ------
        ModelError
            If no epoch is done, or the file is damaged or of another epoch.
        """
        if not self.history:
            raise ModelError(f"{self.folder}: no epoch is done: give the training's command again")
        path = self.folder / "best.pt"
        faces = self.data["faces"]
        net = new_net(
            self.recipe, side=faces["side"], channels=faces["channels"], mean=0.5, std=0.25
        )
        try:
            kept = checkpoints.load(path)
            net.load_state_dict(kept["net"])
        except (AttributeError, KeyError, ModelError, RuntimeError, TypeError) as error:
            reason = shorten(str(error).removeprefix(f"{path}: "), 160, placeholder=" ...")
            raise ModelError(
                f"{path}: not the net of this training ({reason}): {self._remedy()}"
            ) from error
        if kept.get("epoch") != self.best_epoch:
            raise ModelError(
                f"{path}: of epoch {kept.get('epoch')}, but of those in history.csv"
                f" {self.best_epoch} is the best: the training goes on, or was stopped amid saving:"
                " wait for it, or give its command again"
            )
        return net.eval()

    def give_weights(self, net: nn.Module, *, side: int, channels: int) -> None:
        """Put this run's weights into a net that goes on from here.

        Parameters
        ----------
        net : torch.nn.Module
            Of the same architecture; what it does at random while learning may differ.
        side, channels : int
            Of the faces it is to learn from.

        Raises
        ------
        ModelError
            If it has none.
        OptionError
            If the net or the faces are of another kind.
        """
        for what, wanted in (("side", side), ("channels", channels)):
            if (has := self.data["faces"][what]) != wanted:
                raise OptionError(
                    f"{self.folder}: learned from faces with {what} {has}, not {wanted}: start"
                    " from another run, or prepare the faces as those were"
                )
        try:
            net.load_state_dict(self.load_net().state_dict())
        except RuntimeError as error:
            raise OptionError(
                f"{self.folder}: its net is {self.recipe.architecture} of width"
                f" {self.recipe.width}: start from another run, or ask for the same net"
            ) from error

    def _remedy(self) -> str:
        """Say how to come by the net of the best epoch where best.pt is lost."""
        again = "give the training's command again"
        if self.best_epoch == len(self.history) or not (self.folder / "last.pt").exists():
            return again
        return (
            f"epoch {self.best_epoch} is past, and its net kept nowhere else: remove last.pt, too,"
            f" and {again}, to begin anew"
        )

    def begin(self) -> None:
        """Write the recipe and the data; refuse a folder that holds another run.

        Raises
        ------
        OptionError
            If the folder holds another recipe's run, or one on other faces.
        OutputError
            If nothing can be written there.
        """
        if any((self.folder / name).exists() for name in ("history.csv", "last.pt")):
            there = Run.open(self.folder)
            self._refuse("another recipe", self.recipe.differences(there.recipe))
            mine, others = _compared(self.data), _compared(there.data)
            self._refuse("other faces", _differences(mine, others))
            return
        write_atomically(self.folder / "recipe.json", self.recipe.to_json().encode())
        write_atomically(
            self.folder / "data.json", (json.dumps(self.data, indent=2) + "\n").encode()
        )
        self.write_history()

    def write_history(self) -> None:
        """Write history.csv."""
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.history)
        write_atomically(self.folder / "history.csv", text.getvalue().encode())

    def _refuse(self, what: str, differences: Sequence[str]) -> None:
        if differences:
            raise OptionError(
                f"{self.folder}: holds a training with {what}: {'; '.join(differences)}."
                " Choose another folder, or go on with what that one was begun with"
            )


def _check(data: Any) -> None:
    """Raise KeyError or TypeError if this does not tell which faces were used."""
    kinds = {"path": str, "sha256": str, "faces": int, "side": int, "channels": int}
    for name in ("faces", "valid"):
        for part, kind in kinds.items():
            if not isinstance(data[name][part], kind):
                raise TypeError(f"data.json: {name}.{part} is {data[name][part]!r}")


def _compared(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what tells data from other data: of a start its net alone."""
    return {**data, "start": (data.get("start") or {}).get("sha256")}


def _differences(mine: Mapping[str, Any], there: Mapping[str, Any], of: str = "") -> list[str]:
    told = []
    for name in sorted({*mine, *there} - {"path", "made_with"}):
        one, other = mine.get(name), there.get(name)
        if isinstance(one, dict) and isinstance(other, dict):
            told += _differences(one, other, f"{of}{name}.")
        elif one != other:
            shown = (str(each)[:12] for each in (one, other))  # of a checksum
            told.append("{}{} is {}, there {}".format(of, name, *shown))
    return told


def _parse(text: str) -> list[Row]:
    rows = csv.DictReader(io.StringIO(text))
    parsed = [{name: float(row[name]) for name in COLUMNS} for row in rows]
    return [{**row, "epoch": int(row["epoch"])} for row in parsed]
