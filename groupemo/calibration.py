"""Calibrations: fitted on one labelled run, kept as a small JSON file, applied to any other.

Three ways to apply one::

    calibration(probs)                       # rows of probabilities
    calibration.apply(analyses)              # saved analyses; no model runs
    "groupemo:calibration=cal.json"          # a backend's spec: any backend takes this option

The last two give the same analyses, provenance included: the label names the
file, and `models` has its SHA-256. What a calibration was fitted on is kept in
it, so that nobody need be fooled by figures on the photos it was fitted on.
"""

from __future__ import annotations

import json
import stat
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from groupemo.analysis import Analysis
from groupemo.emotions import EMOTIONS, align_probs, parse_emotion
from groupemo.errors import ContractError, LabelError, ModelError, OptionError
from groupemo.faces import Faces
from groupemo.files import write_atomically
from groupemo.images import digest
from groupemo.metrics.answers import Answers
from groupemo.metrics.probabilistic import log_loss
from groupemo.metrics.scaling import METHODS, TEMPERATURES, Method, fit_scaling, scaled
from groupemo.plugins import Backend, Loaded, checked_probs, with_option

if TYPE_CHECKING:
    from groupemo.scores import Scores

__all__ = [
    "MIN_FACES",
    "MIN_PHOTOS",
    "CalibratedBackend",
    "Calibration",
    "FittedOn",
    "answers_of",
    "calibrated",
    "fit_calibration",
    "load_calibration",
    "photos_fitted_on",
]

FORMAT = 1

MOST = 1e6
"""Greatest scale or bias, up or down; a fit stays far below."""

MIN_FACES = 30
"""Fewer faces to fit are warned of, and fewer than ten a number that is fitted.

Ten a number: Peduzzi et al., Journal of Clinical Epidemiology 49, 1996.
"""

MIN_PHOTOS = 5
"""Fewer photos to fit are warned of: faces of one photo are alike."""

MOST_BYTES = 100_000_000
"""A greater file is not read: this holds the checksums of a million photos."""

_REMEDY = "make it again with `groupemo calibrate`"
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FittedOn:
    """What a calibration was fitted on, and what it gained there.

    Parameters
    ----------
    detector, backend : str
        The labels of the run.
    models : Mapping of str to str
        The backend's model files and their SHA-256.
    faces : int
        Found and answered faces of a known class.
    log_loss_before, log_loss_after : float
        Mean over these faces, in nats. The second flatters: it is of the faces
        that were fitted.
    photos : tuple of str
        SHA-256 of the photos that had such faces.

    Raises
    ------
    ContractError
        If a field has a value that means nothing.
    """

    detector: str
    backend: str
    models: Mapping[str, str]
    faces: int
    log_loss_before: float
    log_loss_after: float
    photos: tuple[str, ...] = field(repr=False)

    def __post_init__(self) -> None:
        if self.faces < 1:
            raise ContractError(f"fitted_on.faces is {self.faces}, expected 1 or more")
        for name in ("log_loss_before", "log_loss_after"):
            nats = getattr(self, name)
            if not _is_number(nats) or nats < 0:
                raise ContractError(f"fitted_on.{name} is {nats}, expected nats, 0 or more")
        for name, values in (("models", self.models.values()), ("photos", self.photos)):
            if not all(isinstance(value, str) for value in values):
                raise ContractError(f"fitted_on.{name} holds what is no checksum")


@dataclass(frozen=True, eq=False)
class Calibration:
    """How probabilities p become softmax(scale * ln p + bias); see `groupemo.metrics.scaling`.

    Parameters
    ----------
    method : {"temperature", "vector"}
    classes : tuple of str, length k
        Of `EMOTIONS`, two or more: the columns.
    scale, bias : np.ndarray, shape=(k,)
        Within `MOST`, up and down. Of a temperature: one scale above 0, no bias.
    fitted_on : FittedOn
    file : str
        Where it was read from; empty for one just fitted.
    sha256 : str
        Of the file.

    Raises
    ------
    ContractError
        If a field has a value that means nothing.
    """

    method: Method
    classes: tuple[str, ...]
    scale: Floats
    bias: Floats
    fitted_on: FittedOn
    file: str = ""
    sha256: str = ""

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ContractError(f"method is {self.method!r}, expected one of {', '.join(METHODS)}")
        k = len(self.classes)
        if k < 2 or any(word not in EMOTIONS for word in self.classes) or len({*self.classes}) < k:
            raise ContractError(
                f"classes is {list(self.classes)}, expected two or more of {', '.join(EMOTIONS)}"
            )
        for name in ("scale", "bias"):
            object.__setattr__(self, name, self._numbers(name))
        if self.method == "temperature":
            if self.scale[0] <= 0 or np.ptp(self.scale) > 0:
                raise ContractError("scale is not one number above 0, as a temperature has")
            if self.bias.any():
                raise ContractError("bias is not 0, as a temperature has none")

    def _numbers(self, name: str) -> Floats:
        values, k = getattr(self, name), len(self.classes)
        if len(values) != k or not all(map(_is_number, values)):
            raise ContractError(
                f"{name} is not {k} numbers, one a class, from {-MOST:g} to {MOST:g}"
            )
        array = np.array(values, dtype=np.float64)
        array.setflags(write=False)
        return array

    def __call__(self, probs: Floats) -> Floats:
        """Return calibrated rows, shape (f, k), columns as in `classes`; NaN rows stay NaN."""
        return scaled(probs, self.scale, self.bias)

    def apply(self, analyses: Iterable[Analysis]) -> Iterator[Analysis]:
        """Yield saved analyses with calibrated probabilities, under a backend label that says so.

        Warns where the backend's weights are not those it was fitted on.

        Raises
        ------
        ContractError
            If the backend has other classes.
        OptionError
            If its answers are calibrated already.
        """
        for one in analyses:
            before = one.provenance.get("backend", {})
            self._check(one.backend, one.classes, before)
            told = self._told(one.backend, before)
            yield replace(
                one,
                probs=self._aligned(one.probs, one.classes),
                classes=self.classes,
                backend=told["label"],
                provenance={**one.provenance, "backend": told},
            )

    def to_json(self) -> str:
        """Return the text of its file."""
        told = {
            "format": FORMAT,
            "method": self.method,
            "classes": self.classes,
            "scale": self.scale.tolist(),
            "bias": self.bias.tolist(),
            "fitted_on": vars(self.fitted_on),
        }
        return json.dumps(told, indent=2, allow_nan=False) + "\n"

    def save(self, path: str | Path) -> Path:
        """Write it to a file, whole or not at all, and return its path."""
        return write_atomically(path, self.to_json().encode())

    @property
    def name(self) -> str:
        """What a label calls it: its file, or its method where it has none."""
        return self.file or self.method

    def _check(self, backend: str, classes: Sequence[str], told: Mapping[str, Any]) -> None:
        """Refuse a backend this does not fit; warn of one that it may not fit."""
        if {parse_emotion(word) for word in classes} & {*EMOTIONS} != {*self.classes}:
            raise ContractError(
                f"calibration {self.name}: it is for the classes {', '.join(self.classes)}; backend"
                f" {backend!r} answers {', '.join(classes)}: fit one on its own analyses"
            )
        if _is_calibrated(told):
            raise OptionError(f"backend {backend!r} is calibrated already: use it without")
        if told.get("models", {}) != self.fitted_on.models:
            warnings.warn(
                f"calibration {self.name} was fitted on {self.fitted_on.backend!r}, whose weights"
                f" are not those of {backend!r}",
                stacklevel=3,
            )

    def _aligned(self, probs: Floats, classes: Sequence[str]) -> Floats:
        return self(align_probs(probs, classes, self.classes))

    def _told(self, backend: str, told: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a result says of a backend, and its new label, once this is added."""
        checksum = self.sha256 or digest(self.to_json().encode())
        models = {**told.get("models", {}), Path(self.name).name: checksum}
        return with_option({**told, "label": backend, "models": models}, "calibration", self.name)


class CalibratedBackend:
    """A backend whose answers go through a calibration; `calibrated` makes one."""

    def __init__(
        self, loaded: Loaded[Backend], calibration: Calibration, told: Mapping[str, Any]
    ) -> None:
        self.label: str = told["label"]
        self.models: Mapping[str, str] = told["models"]
        self.classes = calibration.classes
        self._loaded, self._calibration = loaded, calibration

    def prepare(self, image: NDArray[np.uint8], faces: Faces, /) -> NDArray[Any]:
        """Return the backend's own inputs, one row a face."""
        return self._loaded.plugin.prepare(image, faces)

    def predict(self, inputs: NDArray[Any], /) -> Floats:
        """Return calibrated probabilities, shape (n, k); a NaN row where the backend abstained."""
        plugin = self._loaded.plugin
        probs = checked_probs(plugin.predict(inputs), len(inputs), plugin, self._loaded.label)
        return self._calibration._aligned(probs, plugin.classes)


def calibrated(loaded: Loaded[Backend], path: str | Path) -> Loaded[Backend]:
    """Return a loaded backend with the calibration in a file: the option `calibration=FILE`.

    Raises
    ------
    ModelError
        If the file is no calibration.
    ContractError
        If the backend has other classes.
    """
    calibration = load_calibration(path)
    calibration._check(loaded.label, loaded.plugin.classes, loaded.provenance)
    told = calibration._told(loaded.label, loaded.provenance)
    plugin = CalibratedBackend(loaded, calibration, told)
    return replace(loaded, plugin=plugin, label=told["label"], provenance=told)


def fit_calibration(scores: Scores, *, method: Method = "temperature") -> Calibration:
    """Fit a calibration on a run judged against labels (`groupemo.score`).

    Fit it on one set of photos and judge it on another: on its own photos it
    looks better than it is. Warns of what is too little to fit (`MIN_FACES`,
    `MIN_PHOTOS`), and of a temperature at its bound.

    Parameters
    ----------
    scores : Scores
        Its found and answered faces of a known class are what is fitted; see
        `groupemo.metrics.scaling`.
    method : {"temperature", "vector"}

    Raises
    ------
    LabelError
        If these faces are not of two classes or more.
    OptionError
        If the method is unknown, or the run is calibrated already.
    """
    answers, classes = answers_of(scores)
    first = scores.photos[0].analysis.provenance.get("backend", {})
    if _is_calibrated(first):
        raise OptionError(f"backend {scores.backend!r} is calibrated already: fit the run without")
    scale, bias = fit_scaling(answers, method)
    rows = np.unique(answers.photo)
    _warn_of_little(scores, answers, len(rows), 2 * len(classes) if method == "vector" else 1)
    if method == "temperature":
        _warn_of_bound(1 / float(scale[0]))
    after = scaled(answers.probs, scale, bias)
    fitted_on = FittedOn(
        detector=scores.detector,
        backend=scores.backend,
        models=first.get("models", {}),
        faces=len(answers),
        log_loss_before=float(log_loss(answers.probs, answers.labels).mean()),
        log_loss_after=float(log_loss(after, answers.labels).mean()),
        photos=tuple(scores.photos[row].analysis.sha256 for row in rows),
    )
    return Calibration(method, classes, scale, bias, fitted_on)


def _warn_of_little(scores: Scores, answers: Answers, photos: int, numbers: int) -> None:
    least = max(MIN_FACES, 10 * numbers)
    if len(answers) < least or photos < MIN_PHOTOS:
        warnings.warn(
            f"{scores.detector} x {scores.backend}: {len(answers)} faces in {photos} photos are few"
            f" to fit a calibration on: it may fit these alone; label {least} faces and"
            f" {MIN_PHOTOS} photos or more",
            stacklevel=3,
        )


def _warn_of_bound(temperature: float) -> None:
    if not np.isclose(temperature, TEMPERATURES).any():
        return
    why = "surer is always better" if temperature < 1 else "the answers tell nothing"
    warnings.warn(
        f"the temperature is at its bound, {temperature:g}: on these faces {why}, which is no"
        " measure of how sure answers may be; label more photos",
        stacklevel=3,
    )


def _is_calibrated(told: Mapping[str, Any]) -> bool:
    return "calibration" in told.get("options", {})


def answers_of(scores: Scores) -> tuple[Answers, tuple[str, ...]]:
    """Return the faces a calibration is fitted on, and the classes the backend can answer.

    A face labelled with a class that the backend does not know is left out: no
    scaling can help it.

    Raises
    ------
    LabelError
        If these faces are not of two classes or more.
    """
    known = {parse_emotion(word) for one in scores.analyses() for word in one.classes}
    columns = [at for at, word in enumerate(scores.classes) if word in known]
    answers = scores.answers
    kept = np.isin(answers.labels, columns)
    labels = np.searchsorted(columns, answers.labels[kept])
    if len(set(labels.tolist())) < 2:
        raise LabelError(
            f"{scores.detector} x {scores.backend}: {len(labels)} found and answered faces of"
            f" {len(set(labels.tolist()))} classes: a calibration needs labelled faces of two"
            " classes or more"
        )
    classes = tuple(scores.classes[at] for at in columns)
    probs = answers.probs[kept][:, columns]
    return replace(answers, photo=answers.photo[kept], labels=labels, probs=probs), classes


def load_calibration(path: str | Path) -> Calibration:
    """Return the calibration in a file that `Calibration.save` or `groupemo calibrate` wrote.

    Raises
    ------
    ModelError
        If it is missing or is no calibration; names the file, the field and the remedy.
    """
    try:
        data = _read(Path(path))
        record = _checked(json.loads(data), _FIELDS, "")
        if record.pop("format") != FORMAT:
            raise ContractError(f"format is not {FORMAT}")
        told = _checked(record.pop("fitted_on"), _FITTED_ON_FIELDS, "fitted_on.")
        fitted_on = FittedOn(**{**told, "photos": tuple(told["photos"])})
        classes = tuple(record.pop("classes"))
        return Calibration(
            **record, classes=classes, fitted_on=fitted_on, file=str(path), sha256=digest(data)
        )
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}; {_REMEDY}") from error
    except (ContractError, ValueError, TypeError, RecursionError) as error:
        raise ModelError(f"{path}: not a calibration: {error}; {_REMEDY}") from error


def _read(path: Path) -> bytes:
    """Return what is in a file, unless it would not end or not fit."""
    told = path.stat()
    if not stat.S_ISREG(told.st_mode):
        raise ContractError("no regular file")
    if told.st_size > MOST_BYTES:
        raise ContractError(f"{told.st_size} bytes, expected {MOST_BYTES} at most")
    return path.read_bytes()


def photos_fitted_on(analyses: Iterable[Analysis]) -> int | None:
    """Return on how many of these photos their own calibration was fitted.

    Parameters
    ----------
    analyses : iterable of Analysis
        Of one detector x backend.

    Returns
    -------
    int or None
        0 where the backend is not calibrated; None where the calibration's file
        is out of reach, or is another by now.
    """
    run = list(analyses)
    told = run[0].provenance.get("backend", {}) if run else {}
    file = told.get("options", {}).get("calibration")
    if file is None:
        return 0
    try:
        calibration = load_calibration(file)
    except ModelError:
        return None
    if told.get("models", {}).get(Path(file).name) != calibration.sha256:
        return None
    return len({one.sha256 for one in run} & {*calibration.fitted_on.photos})


def _is_number(value: Any) -> bool:
    """Say whether a value is a number within `MOST`; NaN is not, nor is True."""
    kinds = (int, float, np.integer, np.floating)
    if isinstance(value, bool) or not isinstance(value, kinds):
        return False
    return bool(-MOST <= value <= MOST)


_FIELDS: Mapping[str, type] = {
    "format": int, "method": str, "classes": list, "scale": list, "bias": list, "fitted_on": dict,
}  # fmt: skip

_FITTED_ON_FIELDS: Mapping[str, type] = {
    "detector": str, "backend": str, "models": dict, "faces": int, "log_loss_before": float,
    "log_loss_after": float, "photos": list,
}  # fmt: skip


def _checked(record: Any, fields: Mapping[str, type], where: str) -> dict[str, Any]:
    """Return the fields of a JSON object, each of its very type: True is no int."""
    if not isinstance(record, dict):
        raise ContractError(f"expected an object, got {type(record).__name__}")
    for name, kind in fields.items():
        if type(record.get(name)) is not kind:
            told = "missing" if name not in record else f"no {kind.__name__}"
            raise ContractError(f"{where}{name} is {told}")
    return {name: record[name] for name in fields}
