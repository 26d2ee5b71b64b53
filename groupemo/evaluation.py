"""How right the answers are: analyses against labels. No models run here but through `evaluate`.

`score` judges one detector x backend, `Evaluation` holds the grid of them, and
`evaluate` runs the models first. Everything is a sum of tallies, one a photo.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from groupemo.ablation import ablation
from groupemo.analysis import Analysis, AnalysisWriter, iter_analyses, read_again
from groupemo.comparison import Comparisons, compare, compare_all
from groupemo.detectors.labelled import LABELLED
from groupemo.engine import key_of
from groupemo.environment import versions
from groupemo.errors import AnalysisError, LabelError, OptionError, PhotoError
from groupemo.figures import FIGURES, HEADLINE, MAIN
from groupemo.files import write_atomically
from groupemo.images import MAX_PIXELS, Photo, digest, find_photos
from groupemo.label_csv import load_labels, save_labels
from groupemo.labels import Labels
from groupemo.matching import check_min_iou
from groupemo.metrics.agreement import confusion_between
from groupemo.metrics.classification import cohen_kappa
from groupemo.metrics.tally import Tally
from groupemo.metrics.uncertainty import DRAWS
from groupemo.pipeline import load_engines, stream
from groupemo.plugins import DEFAULT_BACKEND, DEFAULT_DETECTOR, Backend, Detector
from groupemo.scores import Scores, judge_run

if TYPE_CHECKING:
    import pandas as pd

    from groupemo.slices import Slices

__all__ = ["Evaluation", "evaluate", "load_evaluation", "score"]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The grid: every detector x backend on the same labelled photos.

    Built by `evaluate`, `load_evaluation`, or from any analyses::

        Evaluation.of(labels, load_analyses("run.jsonl"), min_iou=0.3)
    """

    labels: Labels
    scores: tuple[Scores, ...]
    min_iou: float
    left_out: tuple[str, ...] = ()
    manifest: Mapping[str, Any] = field(default_factory=dict)
    photos: Mapping[str, Photo] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        labels: Labels | str | Path,
        analyses: Iterable[Analysis],
        *,
        min_iou: float = 0.5,
        partial: bool = False,
        manifest: Mapping[str, Any] | None = None,
        photos: Iterable[Photo] = (),
    ) -> Evaluation:
        """Judge analyses of any number of detectors and backends against labels.

        Parameters
        ----------
        labels : Labels or path
        analyses : iterable of Analysis
        min_iou : float
            Least IoU for a detection to have found a labelled face.
        partial : bool
            Leave out photos that only the labels or only the analyses have,
            instead of refusing them; `left_out` names them.
        manifest : Mapping, optional
            What is to be said of the run.
        photos : iterable of Photo, optional
            Where the pixels are; by default where the analyses were made from.

        Raises
        ------
        LabelError, AnalysisError
            If labels and analyses are not of the same photos.
        """
        truth = labels if isinstance(labels, Labels) else load_labels(labels)
        runs: dict[tuple[str, str], dict[str, Analysis]] = {}
        for analysis in analyses:
            runs.setdefault(analysis.pair, {})[analysis.photo] = analysis
        if not runs:
            raise AnalysisError("no analyses to judge: nothing was analyzed")
        names, left_out = _common_photos(truth, runs, partial)
        scores = [judge_run(truth, run, names, min_iou) for run in runs.values()]
        known = {photo.name: photo for photo in photos}
        for name in names:
            path = next((run[name].path for run in runs.values() if run[name].path), None)
            if name not in known and path is not None:
                known[name] = Photo(name, Path(path))
        return cls(truth.only(names), tuple(scores), min_iou, left_out, manifest or {}, known)

    def __getitem__(self, pair: tuple[str, str]) -> Scores:
        for scores in self.scores:
            if scores.pair == tuple(pair):
                return scores
        known = ", ".join(" x ".join(scores.pair) for scores in self.scores)
        raise OptionError(f"no scores for {' x '.join(pair)}; known: {known}")

    def __repr__(self) -> str:
        runs = ", ".join(" x ".join(scores.pair) for scores in self.scores)
        return f"<Evaluation of {runs} on {len(self.labels)} photos>"

    def table(self, *, intervals: bool = True) -> pd.DataFrame:
        """Return one row for each detector x backend.

        Columns are those of `Scores.overall`; with `intervals`, each headline
        figure is followed by `_low` and `_high`, its 95 % interval over photos.
        """
        import pandas as pd

        rows = []
        for scores in self.scores:
            row: dict[str, Any] = {"detector": scores.detector, "backend": scores.backend}
            bounds = scores.estimates() if intervals else {}
            for name, value in scores.overall().items():
                if name in FIGURES and name not in HEADLINE:
                    continue
                row[name] = value
                if name in bounds:
                    row[f"{name}_low"], row[f"{name}_high"] = bounds[name].low, bounds[name].high
            row["seconds_per_photo"] = scores.per_photo()["seconds"].mean()
            rows.append(row)
        return pd.DataFrame(rows).set_index(["detector", "backend"])

    def figures(self) -> pd.DataFrame:
        """Return every figure of every pair, a row each: tidy, for plots and papers.

        Columns: detector, backend, figure, over, value, low, high (the 95 % interval
        over photos), n and unit (what it stands on), undefined (why it has no value;
        empty where it has one).
        """
        import pandas as pd

        rows = [
            {
                "detector": scores.detector,
                "backend": scores.backend,
                "figure": name,
                "over": each.figure.over,
                "value": each.value,
                "low": each.low,
                "high": each.high,
                "n": each.n,
                "unit": each.figure.unit,
                "undefined": each.figure.undefined if np.isnan(each.value) else "",
            }
            for scores in self.scores
            for name, each in scores.estimates().items()
        ]
        return pd.DataFrame(rows)

    def compare(
        self,
        a: tuple[str, str],
        b: tuple[str, str],
        *,
        other: Evaluation | None = None,
        figures: Iterable[str] = FIGURES,
        draws: int = DRAWS,
        seed: int = 0,
    ) -> pd.DataFrame:
        """Return how much better `a` is than `b` on the same photos, figure by figure.

        See `groupemo.compare`, which says it in a sentence, too.

        Parameters
        ----------
        a, b : tuple of str
            Detector and backend of each.
        other : Evaluation, optional
            The one that `b` is of, if not this one: before a model was changed, say.
        figures : iterable of str
            All unless told otherwise.
        draws : int
        seed : int

        Returns
        -------
        pd.DataFrame
            A row a figure: a, b, difference (a - b), low, high (its 95 % interval), p.

        Raises
        ------
        OptionError
            If a pair is unknown.
        AnalysisError, LabelError
            If the two evaluations are not of the same photos and labels.
        """
        against = (other or self)[b]
        return compare(self[a], against, figures=figures, draws=draws, seed=seed).frame()

    def comparisons(self, figure: str = MAIN, *, draws: int = DRAWS, seed: int = 0) -> Comparisons:
        """Return every run against every other by one figure; see `comparison.compare_all`."""
        return compare_all(self.scores, figure, draws=draws, seed=seed)

    def agreement(self, detector: str | None = None) -> pd.DataFrame:
        """Return how far the backends agree with each other, and with the labels.

        Cohen's kappa of each two, on the found faces of a known expression that both
        answer: 1 where they always agree, 0 where no more than by chance.

        Parameters
        ----------
        detector : str, optional
            Whose faces; by default the first's.

        Raises
        ------
        OptionError
            If there is no run of that detector.
        AnalysisError
            If its backends were not given the same faces.
        """
        import pandas as pd

        finder = detector or self.scores[0].detector
        runs = [scores for scores in self.scores if scores.detector == finder]
        if not runs:
            raise OptionError(f"no scores of the detector {finder!r}")
        k, names = len(self.labels.classes), [*(scores.backend for scores in runs), "labels"]
        said = _said(runs)
        pairs = np.zeros((len(names), len(names), k + 2, k + 2), dtype=np.int64)
        for i, j in np.ndindex(len(names), len(names)):
            pairs[i, j, :k, :k] = confusion_between(said[i], said[j], k)
        return pd.DataFrame(cohen_kappa(Tally(pairs)), index=names, columns=names)

    def ablation(
        self,
        detector: str,
        backend: str,
        figure: str = MAIN,
        *,
        draws: int = DRAWS,
        seed: int = 0,
    ) -> pd.DataFrame:
        """Return how much a pair loses by its detector, its crops and its classifier.

        See `groupemo.ablation.ablation`. It needs the same backend on the labelled
        faces: a run with the detector "labelled".

        Raises
        ------
        OptionError
            If there is no such pair, figure, or run on the labelled faces.
        """
        found = self[detector, backend]
        if (LABELLED, backend) not in [scores.pair for scores in self.scores]:
            raise OptionError(
                f"no run of {backend} on the labelled faces: evaluate with"
                f" detectors=[{detector!r}, {LABELLED!r}]"
                f" (--detector {detector} --detector {LABELLED})"
            )
        labelled = self[LABELLED, backend]
        return ablation(self.labels, found, labelled, figure, draws=draws, seed=seed)

    def slices(self, detector: str, backend: str, by: str, **options: Any) -> Slices:
        """Return a pair's figures on each group of faces, with intervals, and the worst gap.

        `by` is size, sharpness, brightness, contrast, yaw, roll, score, emotion, photo,
        or any column of the label file; see `groupemo.slices.slices`.
        """
        from groupemo.slices import PIXELS, slices, tones

        scores = self[detector, backend]
        if by in PIXELS:
            options.setdefault("measured", tones(scores, self.photos))
        return slices(scores, by, **options)

    def faces(self) -> pd.DataFrame:
        """Return `Scores.faces` of every pair, with columns detector and backend first."""
        import pandas as pd

        return pd.concat([_with_pair(scores, scores.faces()) for scores in self.scores],
                         ignore_index=True)  # fmt: skip

    def false_positives(self, *, crops: bool = True) -> pd.DataFrame:
        """Return the phantom faces and the wrong emotions of every pair.

        Parameters
        ----------
        crops : bool
            Add a column `crop`: the face as an RGB array, None where the photo
            is out of reach.

        Returns
        -------
        pd.DataFrame
            Columns detector, backend, and those of `Scores.faces`; `outcome` is
            "phantom" or "wrong emotion".
        """
        import pandas as pd

        faces = self.faces()
        wrong = faces[faces["outcome"].isin(["phantom", "wrong emotion"])].reset_index(drop=True)
        if crops:
            wrong["crop"] = pd.Series(
                _crops(wrong, {one.photo: one for one in self.scores[0].analyses()}, self.photos),
                dtype=object,
            )
        return wrong

    def save(self, folder: str | Path) -> Path:
        """Write labels, analyses, tables and manifest to a folder, each file whole or not at all.

        `load_evaluation` reads them back. Analyses that other runs have left in
        the folder stay there: they were slow to make.
        """
        target = Path(folder)
        labels = save_labels(self.labels, target / "labels.csv")
        analyses = target / "analyses.jsonl"
        _keep((one for scores in self.scores for one in scores.analyses()), analyses)
        tables = {
            "table": self.table(),
            "per_class": _stacked(self.scores, Scores.per_class),
            "per_photo": _stacked(self.scores, Scores.per_photo),
            "faces": self.faces(),
        }
        for name, frame in tables.items():
            text = frame.to_csv(index=name != "faces")
            write_atomically(target / f"{name}.csv", text.encode())
        told = {
            **self.manifest,
            "runs": [key_of(next(scores.analyses()))[1:] for scores in self.scores],
            "min_iou": self.min_iou,
            "photos": len(self.labels),
            "left_out": self.left_out,
            "labels_sha256": digest(labels.read_bytes()),
            "analyses_bytes": analyses.stat().st_size,
        }
        write_atomically(target / "manifest.json", json.dumps(told, indent=2).encode())
        return target

    def _repr_html_(self) -> str:
        from groupemo.report.inline import evaluation_html

        return evaluation_html(self)


def score(
    labels: Labels | str | Path,
    analyses: Iterable[Analysis],
    *,
    min_iou: float = 0.5,
    partial: bool = False,
) -> Scores:
    """Judge saved analyses of one detector and one backend. No model runs.

    Parameters are those of `Evaluation.of`, which takes several pairs at once.

    Raises
    ------
    AnalysisError
        If the analyses are of more than one detector x backend.
    """
    grid = Evaluation.of(labels, analyses, min_iou=min_iou, partial=partial)
    if len(grid.scores) > 1:
        pairs = ", ".join(" x ".join(scores.pair) for scores in grid.scores)
        raise AnalysisError(f"analyses of several pairs ({pairs}): use Evaluation.of()")
    return grid.scores[0]


def evaluate(
    photos: Any,
    labels: Labels | str | Path,
    *,
    detectors: Sequence[str | Detector] = (DEFAULT_DETECTOR,),
    backends: Sequence[str | Backend] = (DEFAULT_BACKEND,),
    min_iou: float = 0.5,
    partial: bool = False,
    workers: int | None = None,
    out: str | Path | None = None,
    progress: bool | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Evaluation:
    """Find faces, read expressions, and judge both against hand labels.

    Parameters
    ----------
    photos : path, folder, glob, array, file-like object or a list of these
    labels : Labels or path
        Faces labelled by hand; see `load_labels`.
    detectors, backends : sequence of str or object
        The grid: every detector with every backend. The detector "labelled" gives
        the labelled faces themselves: what is lost with it is not the detector's.
    min_iou : float
        Least IoU for a detection to have found a labelled face.
    partial : bool
        Leave out photos without labels, and labels without a photo, instead of
        refusing them; `Evaluation.left_out` names both.
    workers : int, optional
        Threads; by default one for each core.
    out : path, optional
        Folder that keeps the analyses as they come: run again, and only what is
        missing is done. `Evaluation.save` writes the tables beside them.
    progress : bool, optional
        Show a progress bar; by default only on a terminal or in a notebook.
    max_pixels : int
        Larger photos are refused.

    Returns
    -------
    Evaluation

    Raises
    ------
    PhotoError, LabelError
        If photos and labels are not of the same photos.
    UnknownPlugin, OptionError, ModelError, MissingExtra
        If a plugin cannot be had.
    """
    began, clock = datetime.now(UTC), time.perf_counter()
    check_min_iou(min_iou)
    truth = labels if isinstance(labels, Labels) else load_labels(labels)
    found = find_photos(photos)
    kept = [photo for photo in found if photo.name in truth]
    if not partial:
        _refuse_one_sided(truth, {photo.name for photo in found}, "photos")
    if not kept:
        raise PhotoError("none of the photos has labels: are the names those in the label file?")
    engines = load_engines(detectors, backends, workers, max_pixels, truth)
    jsonl = None if out is None else Path(out) / "analyses.jsonl"
    analyses = list(stream(kept, engines, jsonl, progress))
    if jsonl is not None:
        analyses = _asked_for(jsonl, {photo.name for photo in kept}, engines[0].pairs)
    manifest = {
        "began": began.isoformat(timespec="seconds"),
        "seconds": round(time.perf_counter() - clock, 2),
        "photos": len(kept),
        "versions": versions(),
        "plugins": _plugins(analyses),
    }
    evaluation = Evaluation.of(
        truth, analyses, min_iou=min_iou, partial=partial, manifest=manifest, photos=kept
    )
    unlabelled = {photo.name for photo in found} - set(truth)
    return replace(evaluation, left_out=tuple(sorted({*evaluation.left_out, *unlabelled})))


def load_evaluation(folder: str | Path) -> Evaluation:
    """Return what `Evaluation.save` wrote.

    Raises
    ------
    LabelError, AnalysisError
        If a file is missing or is not what was written.
    """
    source = Path(folder)
    if not (source / "manifest.json").exists():
        raise AnalysisError(
            f"{source}: no saved evaluation here: Evaluation.save(folder) or"
            " `groupemo evaluate --out FOLDER` makes one"
        )
    manifest, runs, min_iou, left_out = _read_manifest(source / "manifest.json")
    labels = _saved_labels(source / "labels.csv", manifest)
    analyses = _saved_analyses(source / "analyses.jsonl", labels, runs, manifest)
    evaluation = Evaluation.of(labels, analyses, min_iou=min_iou, manifest=manifest)
    return replace(evaluation, left_out=left_out)


def _read_manifest(
    path: Path,
) -> tuple[dict[str, Any], list[tuple[str, str]], float, tuple[str, ...]]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        told["analyses_bytes"] = int(told.get("analyses_bytes", 0))
        runs = [(detector, backend) for detector, backend in told.pop("runs")]
        left_out = [str(name) for name in list(told.pop("left_out"))]
        return told, runs, float(told.pop("min_iou")), tuple(left_out)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise AnalysisError(f"{path}: not the manifest of a saved evaluation: {reason}") from error


def _saved_labels(path: Path, manifest: dict[str, Any]) -> Labels:
    """Return the labels beside a manifest, if they are those it tells of, and drop their checksum.

    Manifests of earlier versions have none: of these the photos are counted.
    """
    labels = load_labels(path)
    data = path.read_bytes()
    same = manifest.pop("labels_sha256", digest(data)) == digest(data)
    if not same or len(labels) != manifest.get("photos", len(labels)):
        raise AnalysisError(
            f"{path}: not the labels that were saved here: cut short or changed since; evaluate"
            " once more with out= (--out) on this folder, which runs no model on what is there"
        )
    return labels


def _saved_analyses(
    path: Path, labels: Labels, runs: list[tuple[str, str]], manifest: dict[str, Any]
) -> list[Analysis]:
    """Return the analyses a manifest tells of, and drop how long their file was.

    It only grows. Cut short it may have a line for each photo and run still, some of an
    earlier answer. Manifests of earlier versions do not tell its length.
    """
    analyses = _asked_for(path, set(labels), runs)
    cut = path.stat().st_size < manifest.pop("analyses_bytes")
    if cut or len(analyses) < len(labels) * len(runs):
        raise AnalysisError(
            f"{path}: holds {len(analyses)} of the {len(labels)} photos x {len(runs)} runs of the"
            f" manifest{', some of earlier answers' * cut}: it was cut short, or is of another run;"
            " evaluate once more with out= (--out) on this folder, and what is missing is done"
        )
    return analyses


def _keep(analyses: Iterable[Analysis], path: Path) -> None:
    """Append the analyses a file does not hold already; what other runs left stays."""
    held = {key_of(one): one.to_json() for one in iter_analyses(path)} if path.exists() else {}
    with AnalysisWriter(path) as file:
        for one in analyses:
            if held.get(key_of(one)) != one.to_json():
                file.append(one)


def _asked_for(path: Path, names: set[str], pairs: list[tuple[str, str]]) -> list[Analysis]:
    """Return the latest analyses of these photos and pairs: a file may hold other runs as well."""
    latest = {
        key: one for one in iter_analyses(path)
        if (key := key_of(one))[0] in names and key[1:] in pairs
    }  # fmt: skip
    return [latest[key] for key in sorted(latest, key=lambda key: pairs.index(key[1:]))]


def _common_photos(
    labels: Labels, runs: Mapping[tuple[str, str], Mapping[str, Analysis]], partial: bool
) -> tuple[list[str], tuple[str, ...]]:
    """Return the photos that labels and all runs have, and those that only some have."""
    if not partial:
        for pair, run in runs.items():
            _refuse_one_sided(labels, set(run), f"analyses of {' x '.join(pair)}")
    everywhere = set(labels).intersection(*runs.values())
    anywhere = set(labels).union(*runs.values())
    if not everywhere:
        raise AnalysisError("labels and analyses have no photo in common: do the names agree?")
    return [name for name in labels if name in everywhere], tuple(sorted(anywhere - everywhere))


def _refuse_one_sided(labels: Labels, names: set[str], what: str) -> None:
    sides = (
        (set(labels) - names, LabelError, f"labelled but not among the {what}"),
        (names - set(labels), PhotoError, f"among the {what} but not labelled"),
    )
    for lone, kind, where in sides:
        if lone:
            some = ", ".join(sorted(lone)[:5]) + (" ..." if len(lone) > 5 else "")
            raise kind(
                f"{len(lone)} of {len(names | set(labels))} photos are {where}: {some}; give both"
                " sides, or leave them out knowingly with partial=True (--partial)"
            )


def _plugins(analyses: Iterable[Analysis]) -> dict[str, dict[str, Any]]:
    """Return the provenance of every detector and backend, by kind and label."""
    told: dict[str, dict[str, Any]] = {"detectors": {}, "backends": {}}
    for one in analyses:
        told["detectors"][one.detector] = one.provenance["detector"]
        told["backends"][one.backend] = one.provenance["backend"]
    return told


def _said(runs: Sequence[Scores]) -> NDArray[np.int64]:
    """Return the answers of each run, and then the labels, shape (runs + 1, n).

    A column is a face that the detector of all these runs found, and whose expression is known.
    """
    columns = [np.zeros((len(runs) + 1, 0), dtype=np.int64)]
    for same in zip(*(scores.photos for scores in runs), strict=True):
        found, labels = same[0].outcome.detected, same[0].labelled.labels
        if any(not np.array_equal(one.outcome.detected, found) for one in same):
            raise AnalysisError(f"{same[0].analysis.photo}: the backends were given other faces")
        rows = np.flatnonzero(found >= 0)
        said = [*(one.outcome.predicted[rows] for one in same), labels[found[rows]]]
        columns.append(np.stack(said)[:, labels[found[rows]] >= 0])
    return np.concatenate(columns, axis=1)


def _with_pair(scores: Scores, frame: pd.DataFrame) -> pd.DataFrame:
    frame.insert(0, "detector", scores.detector)
    frame.insert(1, "backend", scores.backend)
    return frame


def _stacked(many: Sequence[Scores], table: Callable[[Scores], pd.DataFrame]) -> pd.DataFrame:
    import pandas as pd

    return pd.concat({scores.pair: table(scores) for scores in many}, names=["detector", "backend"])


def _crops(
    faces: pd.DataFrame, analyses: Mapping[str, Analysis], photos: Mapping[str, Photo]
) -> list[NDArray[np.uint8] | None]:
    """Return each row's face; every photo is read once, and is the one that was analyzed."""
    crops: list[NDArray[np.uint8] | None] = [None] * len(faces)
    for name, rows in faces.groupby("photo").groups.items():
        try:
            image = read_again(analyses[str(name)], photos.get(str(name)))
        except PhotoError:
            continue
        for row in rows:
            x, y, w, h = faces.loc[row, ["x", "y", "w", "h"]].astype(float)
            crops[row] = image[int(y) : int(np.ceil(y + h)), int(x) : int(np.ceil(x + w))].copy()
    return crops
