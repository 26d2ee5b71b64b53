"""Model card, data sheet and figures of a trained net, all computed from its files.

The model card follows Mitchell et al., "Model Cards for Model Reporting" (FAT* 2019),
the data sheet Gebru et al., "Datasheets for Datasets" (Communications of the ACM 64,
2021). The figures are those of `groupemo.training.assessment`; figures.json has them for
programs. None has a date or a place in it: the same training gives the same files.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from groupemo._version import __version__
from groupemo.emotions import EMOTIONS
from groupemo.figures import Estimate
from groupemo.files import write_atomically
from groupemo.markdown import escaped
from groupemo.training.architectures import ARCHITECTURES
from groupemo.training.assessment import LEAST_ANSWERED, TARGET, Assessment, assess
from groupemo.training.data import Data
from groupemo.training.faces_file import leaks
from groupemo.training.feed import Feed
from groupemo.training.locking import locked
from groupemo.training.onnx_export import Exported, answer
from groupemo.training.recipe import Recipe, flat
from groupemo.training.run import Run
from groupemo.training.sources import FER2013_KINDS

if TYPE_CHECKING:
    import jinja2

__all__ = ["FacesFacts", "write_cards"]

NONE = (None, ())
"""What a field of a recipe has that has no value."""

FEW = 500
"""A class with fewer labelled faces to learn from is named as rare."""

DASH = "\N{EN DASH}"


@dataclass(frozen=True)
class FacesFacts:
    """What is to be said of faces a net learned from, or was validated on.

    Parameters
    ----------
    name, sha256 : str
        Of the file.
    faces, photos : int
        Used of it.
    side, channels : int
    mean, std : float
        Of pixel / 255.
    labelled : dict of str to int
        Faces with this label.
    unlabelled : int
        Faces without a label.
    shares : dict of str to float
        Of all votes, each face weighing the same.
    voters : float
        Mean sum of a face's votes.
    provenance : mapping
        As `groupemo.training.sources.read_source` gives it.
    """

    name: str
    sha256: str
    faces: int
    photos: int
    side: int
    channels: int
    mean: float
    std: float
    labelled: Mapping[str, int]
    unlabelled: int
    shares: Mapping[str, float]
    voters: float
    provenance: Mapping[str, Any]

    @classmethod
    def of(cls, feed: Feed) -> FacesFacts:
        """Return the facts of the faces of a feed."""
        file, votes = feed.file, feed.votes.astype(np.float64)
        labels = feed.labels
        counts = np.bincount(labels[labels >= 0], minlength=len(EMOTIONS))
        shares = (votes / votes.sum(axis=1, keepdims=True)).mean(axis=0)
        return cls(
            name=file.path.name,
            sha256=file.sha256,
            faces=len(feed),
            photos=len(np.unique(feed.photos)),
            side=file.side,
            channels=file.channels,
            mean=file.mean,
            std=file.std,
            labelled=dict(zip(EMOTIONS, counts.tolist(), strict=True)),
            unlabelled=int((labels < 0).sum()),
            shares=dict(zip(EMOTIONS, shares.tolist(), strict=True)),
            voters=float(votes.sum(axis=1).mean()),
            provenance={"sources": [], "options": {}, "left_out": {}, **file.provenance},
        )

    @property
    def rare(self) -> dict[str, int]:
        """Classes with fewer than `FEW` labelled faces."""
        return {name: n for name, n in self.labelled.items() if n < FEW}

    @property
    def is_fer2013(self) -> bool:
        """Whether they are those of FER2013."""
        return self.provenance.get("kind") in FER2013_KINDS

    @property
    def is_ferplus(self) -> bool:
        """Whether, moreover, the votes are those of FER+: FER2013's own labels are one a face."""
        return self.is_fer2013 and self.voters > 1


def write_cards(run: Run, files: Sequence[Exported]) -> tuple[Path, Path, Path]:
    """Write card.md, datasheet.md and figures.json to the folder of a training.

    Parameters
    ----------
    run : Run
        Its files of faces have to be where they were.
    files : sequence of Exported
        What `export_run` returned; the figures are those of the first.

    Returns
    -------
    card, datasheet, figures : Path

    Raises
    ------
    LabelError, OptionError
        If the faces are not there, or are others by now, or another process is at
        work in the folder.
    ModelError, OutputError
        If the exported file cannot be run, or nothing can be written.
    """
    with ExitStack() as stack:
        data = Data.of_run(stack, run)
        about = {
            "name": run.folder.resolve().name,
            "version": __version__,
            "run": run,
            "net": files[0],
            "files": files,
            "parameters": sum(each.numel() for each in run.load_net().parameters()),
            "architecture": ARCHITECTURES[run.recipe.architecture],
            **_recipe(run),
            "starts": [*_starts(run)],
            "assessed": _assessed(files[0], data.validated),
            "learned": FacesFacts.of(data.learned),
            "valid": FacesFacts.of(data.validated),
            "shared": int(leaks(data.learned, data.validated).sum()),
            "split": data.learned.file is data.validated.file,
        }
    texts = {
        name: _templates().get_template(name).render(about) for name in ("card.md", "datasheet.md")
    }
    texts["figures.json"] = _figures(about)
    with locked(run.folder):
        card, datasheet, figures = (
            write_atomically(run.folder / name, text.encode()) for name, text in texts.items()
        )
    return card, datasheet, figures


def _assessed(net: Exported, valid: Feed) -> Assessment:
    faces = np.concatenate([*valid.in_order()])
    probs = answer(net.path, faces)
    return assess(probs, valid.labels, valid.votes, valid.photos, temperature=net.temperature)


def _figures(about: Mapping[str, Any]) -> str:
    """Return the assessment, and of what net and faces it is, as JSON."""
    net: Exported = about["net"]
    told = {
        "groupemo": __version__,
        "net": {
            "file": net.path.name,
            "sha256": net.sha256,
            "temperature": net.temperature,
            "metadata": dict(net.metadata),
        },
        **{
            name: {"file": faces.name, "sha256": faces.sha256, "faces": faces.faces}
            for name, faces in (("learned", about["learned"]), ("validated", about["valid"]))
        },
        **about["assessed"].to_dict(),
    }
    return json.dumps(told, indent=2, allow_nan=False) + "\n"


def _recipe(run: Run) -> dict[str, Sequence[tuple[str, ...]]]:
    """Return the fields that are not as by default, with their default, and those that are.

    Of teachers and the start, names and checksums; what has no value is "none" here, and left
    out there.
    """
    values = flat(run.recipe)
    if run.recipe.start:
        values["start"] = f"{_named(run.recipe.start)} ({run.data['start']['sha256']})"
    if run.recipe.distil:
        teachers = run.data["teachers"].items()
        values["distil"] = ", ".join(f"{_named(path)} ({sha256})" for path, sha256 in teachers)
    defaults = flat(Recipe())
    same = [name for name, value in values.items() if value == defaults[name]]
    return {
        "changed": _changes(values),
        "unchanged": [(name, _setting(values[name])) for name in same if values[name] not in NONE],
    }


def _starts(run: Run) -> Iterator[dict[str, Any]]:
    """Yield what the card says of the training this one went on from, and so on to the first."""
    told = run.data.get("start")
    while told:
        recipe = Recipe().changed(told["recipe"])
        values = flat(recipe)
        if recipe.start:
            values["start"] = _named(recipe.start)
        values["distil"] = tuple(_named(each) for each in recipe.distil)
        yield {**told, "total": recipe.epochs, "changed": _changes(values)}
        told = told["start"]


def _named(path: str) -> str:
    """Return a folder's or file's own name, without where it lies."""
    return Path(path).resolve().name


def _changes(values: Mapping[str, object]) -> list[tuple[str, str, str]]:
    """Return the fields that are not as by default: name, value, default."""
    defaults = flat(Recipe())
    return [
        (name, _setting(value), _setting(defaults[name]))
        for name, value in values.items()
        if value != defaults[name]
    ]


def _setting(value: object) -> str:
    """Return a value as `--set` takes it."""
    if value in NONE:
        return "none"
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


@cache
def _templates() -> jinja2.Environment:
    import jinja2

    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("groupemo.training"),
        autoescape=False,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {
        "n": "{:,}".format,
        "num": _number,
        "percent": _percent,
        "span": _span,
        "figure": _figure,
        "md": escaped,
        "code": _code,
    }
    templates.globals |= {
        "CLASSES": EMOTIONS,
        "TARGET": f"{TARGET:.0%}".replace("%", " %"),
        "LEAST": LEAST_ANSWERED,
        "FEW": FEW,
        "NAN": math.nan,
    }
    return templates


def _number(value: float, places: int = 3) -> str:
    return DASH if math.isnan(value) else f"{value:.{places}f}"


def _percent(share: float) -> str:
    return DASH if math.isnan(share) else f"{100 * share:.1f} %"


def _span(figure: Estimate) -> str:
    return DASH if math.isnan(figure.low) else f"{figure.low:.3f} to {figure.high:.3f}"


def _figure(figure: Estimate) -> str:
    value = _number(figure.value)
    return value if math.isnan(figure.low) else f"{value} [{figure.low:.3f}, {figure.high:.3f}]"


def _code(text: object) -> str:
    """Return text between backticks, fit for a table."""
    line = " ".join(str(text).split()).replace("`", "'").replace("|", "\\|")
    return f"`{line}`"
