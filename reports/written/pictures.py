"""What is drawn for the report: photos with blurred faces, plots, and files kept elsewhere."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from html import escape
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray
from PIL import Image

from groupemo import plots
from groupemo.boxes import clip, iou_matrix, scale
from groupemo.detectors.labelled import LABELLED
from groupemo.drawing import COLORS, blur_faces, data_uri, draw_analysis, draw_boxes
from groupemo.emotions import EMOTIONS
from groupemo.evaluation import Evaluation
from groupemo.faces import Faces
from groupemo.images import read_photo
from groupemo.labels import label_word
from groupemo.metrics.anatomy import BINS
from groupemo.metrics.tally import IGNORED
from groupemo.plugins import get_detector
from groupemo.report.mistakes import KINDS, Mistake, mistakes, surest, view
from groupemo.report.pictures import Shot, take
from groupemo.samples import list_samples
from groupemo.scores import Judged, Scores
from groupemo.standing import Run
from reports.written.demo import CHOSEN, Demo
from reports.written.tables import Missing

__all__ = ["Pictures"]

FILES = {
    "way": "docs/explanation/way.svg",
    "individuals": "docs/explanation/individuals.svg",
    "matching": "docs/explanation/matching.svg",
    "training": "docs/explanation/training.svg",
    "stress": "reports/stress.png",
    "detectors": "reports/detectors.png",
    "leaderboard": "reports/leaderboard.svg",
    "curves": "groupemo/nets/curves.png",
    "coverage": "docs/coverage.svg",
    "label": "docs/howto/label.png",
}
"""Pictures that other parts of the project make."""

PIXELS, LARGE = 900, 1700
"""Of the longer side of a photo, and of a plot that another part of the project drew."""

FOUND, DOUBLE, PHANTOM, MISSED = "#56b4e9", "#f0e442", "#cc79a7", "#d55e00"

ALIKE = 3
"""Faces of one photo, at most, among those shown side by side."""


class Pictures:
    """Pictures by name, as HTML.

    Parameters
    ----------
    root : Path
        The project's folder.
    demo : Demo
    """

    def __init__(self, root: Path, demo: Demo) -> None:
        self.root = root
        self.demo = demo
        self._made: dict[str, Callable[[], str]] = {
            "answers": self._answers,
            "boxes": self._boxes,
            "candidates": self._candidates,
            "voices": self._voices,
            "wrong": lambda: self._cards("wrong emotion"),
            "phantoms": lambda: self._cards("phantom", "duplicate"),
            "missed": lambda: self._cards("missed", "localisation"),
            "comparison": lambda: _drawn(plots.plot_comparison(self._some_detectors)),
            "anatomy": lambda: _drawn(plots.plot_anatomy(self._one_backend)),
            "confusion": lambda: _drawn(plots.plot_confusion(demo.best.scores)),
            "reliability": lambda: _drawn(plots.plot_reliability(demo.best.scores)),
            "ranking": lambda: _drawn(plots.plot_precision_recall(self._one_a_detector)),
            "valence": lambda: _drawn(plots.plot_valence(demo.best.scores)),
        }

    def __contains__(self, name: str) -> bool:
        return name in self._made or (name in FILES and (self.root / FILES[name]).exists())

    def __getitem__(self, name: str) -> str:
        if name in self._made:
            return self._made[name]()
        if name not in self:
            known = ", ".join([*self._made, *FILES])
            raise Missing(
                f"no picture {name!r} ({FILES.get(name, 'no such name')}); known: {known}"
            )
        return _file(self.root / FILES[name])

    # --- the demo's photos -----------------------------------------------------------------------

    @cached_property
    def _group(self) -> Judged:
        """The showable photo in which the best run answers most faces."""
        run = self.demo.best.scores.only(self.demo.showable)
        return max(run.photos, key=lambda one: len(one.analysis))

    def _answers(self) -> str:
        one = self._group
        image = self._pixels(one)
        return _image(draw_analysis(_blurred(image, [one]), one.analysis))

    def _boxes(self) -> str:
        """Return the worked photo with the boxes of two detectors, side by side."""
        both = [
            self.demo.run(name, self.demo.best.backend).scores.only([self.demo.worked])
            for name in CHOSEN
        ]
        judged = [one.photos[0] for one in both]
        image = _blurred(self._pixels(judged[0]), judged)
        shown = (
            f"<div>{_image(_with_bins(image, scores.photos[0], scores.bins[0]))}"
            f"<p>{escape(scores.detector)}</p></div>"
            for scores in both
        )
        return f'<div class="row">{"".join(shown)}</div>'

    @cached_property
    def doubles(self) -> tuple[int, int]:
        """How many boxes YuNet has on the worked photo before doubles are left out, and after."""
        return tuple(len(faces) for faces in self._searched)

    @cached_property
    def _searched(self) -> list[Faces]:
        image = self._pixels(self._worked)
        return [get_detector("yunet", overlap=1.0)(image), get_detector("yunet")(image)]

    @property
    def _worked(self) -> Judged:
        return self.demo.best.scores.only([self.demo.worked]).photos[0]

    def _candidates(self) -> str:
        """Return the middle of the worked photo with YuNet's boxes before and after suppression."""
        judged = self._worked
        image = _blurred(self._pixels(judged), [judged])
        words = ("before", "after")
        shown = (
            f"<div>{_image(draw_boxes(image, faces.boxes, colors=[FOUND] * len(faces)))}"
            f"<p>{word}: {len(faces)} boxes</p></div>"
            for word, faces in zip(words, self._searched, strict=True)
        )
        return f'<div class="row">{"".join(shown)}</div>'

    def _pixels(self, judged: Judged) -> NDArray[np.uint8]:
        name = judged.analysis.photo
        photo = self.demo.standing.evaluation.photos.get(name)
        if photo is None:
            raise Missing(f"the photo {name} is not where the demo read it; run `make demo`")
        return read_photo(photo)

    def credit(self, name: str = "") -> str:
        """Return who a photo is by, and its terms; the worked photo's where none is named."""
        wanted = name or self.demo.worked
        one = next(each for each in list_samples() if each.file == wanted)
        return f"{one.about.partition(':')[0]}; {one.licence.partition(' (')[0]}"

    @property
    def answers_credit(self) -> str:
        """Of the photo with the answers."""
        return self.credit(self._group.analysis.photo)

    # --- faces ----------------------------------------------------------------------------------

    def _voices(self, faces: int = 6) -> str:
        """Return faces on which backends differ most, with the probabilities of each."""
        detector = self.demo.best.detector
        names = [name for name in self.demo.backends if not name.startswith("prior")]
        runs = [self.demo.run(detector, name).scores.only(self.demo.showable) for name in names]
        rows = []
        for judged in zip(*(run.photos for run in runs), strict=True):
            one = judged[0]
            for row in np.flatnonzero(one.outcome.detected >= 0).tolist():
                label = int(one.labelled.labels[one.outcome.detected[row]])
                said = {int(each.outcome.predicted[row]) for each in judged}
                if label >= 0 and len(said) > 1:
                    rows.append(
                        (len(said), float(one.analysis.faces.scores[row]), row, label, judged)
                    )
        rows.sort(key=lambda each: (-each[0], -each[1]))
        chosen, taken = [], {}
        for _, _, row, label, judged in rows:
            name = judged[0].analysis.photo
            taken[name] = taken.get(name, 0) + 1
            if taken[name] <= ALIKE:
                chosen.append((row, label, judged))
        cards = (self._voice(names, *each) for each in chosen[:faces])
        return f'<div class="cards wide">{"".join(cards)}</div>'

    def _voice(self, names: Sequence[str], row: int, label: int, judged: Sequence[Judged]) -> str:
        one = judged[0]
        box = one.analysis.faces.boxes[row]
        image = _blurred(self._pixels(one), judged)
        x1, y1, x2, y2 = clip(scale([box], 1.8), image.shape[1], image.shape[0])[0].astype(int)
        picture = data_uri(np.ascontiguousarray(image[y1:y2, x1:x2]), 200)
        lines = "".join(
            f"<tr><td>{escape(name)}</td><td>{_bars(each.probs[row])}</td>"
            f"<td>{label_word(int(each.probs[row].argmax()))} {each.probs[row].max():.2f}</td></tr>"
            for name, each in zip(names, judged, strict=True)
        )
        return (
            f'<div class="card"><img src="{picture}" alt="a blurred face"><div>'
            f"<p>labelled <b>{label_word(label)}</b></p><table>{lines}</table></div></div>"
        )

    def _cards(self, *kinds: str, most: int = 8) -> str:
        """Return the surest errors of some kinds, each face once, as small pictures with words."""
        chosen: list[Mistake] = []
        for one in (each for each in surest(self._mistakes) if each.kind in kinds):
            near = [each.box for each in chosen if each.photo == one.photo]
            if len(chosen) < most and not (near and iou_matrix([one.box], near).max() > 0):
                chosen.append(one)
        cards = (self._card(one) for one in chosen)
        return f'<div class="cards">{"".join(cards)}</div>' if chosen else "<p>None.</p>"

    def _card(self, error: Mistake) -> str:
        made = [run for run, errors in zip(self._judges, self._mistakes, strict=True)
                if error in errors]  # fmt: skip
        judged = self._by_name[error.photo]
        photo = self.demo.standing.evaluation.photos.get(error.photo)
        [taken] = take([Shot(judged.analysis, photo, [error.part], self._hidden(error.photo))])
        if taken is None:
            raise Missing(f"the photo {error.photo} is not where the demo read it; run `make demo`")
        others = f" and {len(made) - 1} more" if len(made) > 1 else ""
        return (
            f'<div class="card"><img src="{taken.parts[error.part]}" alt="">'
            f"<p>{escape(error.short)}<br><small>{escape(made[0].name)}{others}</small></p></div>"
        )

    def _hidden(self, name: str) -> NDArray[np.float32]:
        """Return what is blurred: labelled boxes, and those found near one; no mere phantoms."""
        labelled = self._by_name[name].labelled.boxes
        found = np.concatenate(
            [
                one.analysis.faces.boxes
                for run in self._judges
                for one in run.scores.photos
                if one.analysis.photo == name
            ]
        )
        near = iou_matrix(found, labelled).max(axis=1, initial=0) > 0
        return np.concatenate([labelled, found[near]])

    @cached_property
    def _judges(self) -> list[Run]:
        """The candidates with published weights, on the photos that are shown."""
        return [
            replace(run, scores=run.scores.only(self.demo.showable))
            for run in self.demo.standing.candidates
            if not run.stand_in
        ]

    @cached_property
    def _mistakes(self) -> list[list[Mistake]]:
        return [list(mistakes(view(run))) for run in self._judges]

    @cached_property
    def _by_name(self) -> dict[str, Judged]:
        return {one.analysis.photo: one for one in self._judges[0].scores.photos}

    @property
    def totals(self) -> dict[str, int]:
        """How many errors of each kind these runs make on these photos, each once."""
        errors = {one for made in self._mistakes for one in made}
        return {name: sum(one.kind == name for one in errors) for name in KINDS}

    # --- plots ----------------------------------------------------------------------------------

    @property
    def _some_detectors(self) -> Evaluation:
        """The runs of the best three detectors by F1, of `CHOSEN`, and on the labelled boxes."""
        best = {run.detector: run for run in self.demo.runs if run.part != "reference"}
        ranked = sorted(best, key=lambda name: -best[name].estimates["detection_f1"].value)
        return self._with({*ranked[:3], *CHOSEN, LABELLED}, set(self.demo.backends))

    @property
    def _one_backend(self) -> Evaluation:
        """The runs of the best run's backend."""
        return self._with({*self.demo.detectors, LABELLED}, {self.demo.best.backend})

    def _with(self, detectors: set[str], backends: set[str]) -> Evaluation:
        scores = tuple(
            run.scores
            for run in self.demo.runs
            if run.detector in detectors and run.backend in backends
        )
        return replace(self.demo.standing.evaluation, scores=scores)

    @property
    def _one_a_detector(self) -> list[Scores]:
        backend = self.demo.best.backend
        return [self.demo.run(name, backend).scores for name in self.demo.detectors]


def _blurred(image: NDArray[np.uint8], judged: Sequence[Judged]) -> NDArray[np.uint8]:
    """Return the photo with every face blurred that is labelled or was found."""
    boxes = [judged[0].labelled.boxes, *(one.analysis.faces.boxes for one in judged)]
    return blur_faces(image, np.concatenate(boxes))


def _with_bins(image: NDArray[np.uint8], judged: Judged, bins) -> NDArray[np.uint8]:
    """Return the photo with what became of each detection and each missed face."""
    colors = {"phantom": PHANTOM, "localisation": PHANTOM, "duplicate": DOUBLE}
    boxes, words, hues = [], [], []
    for row, box in enumerate(judged.analysis.faces.boxes):
        name = BINS[bins.detected[row]]
        if judged.outcome.detected[row] == IGNORED:
            continue
        boxes.append(box)
        words.append({"localisation": "phantom"}.get(name, name if name in colors else "found"))
        hues.append(colors.get(name, FOUND))
    for row in np.flatnonzero(
        np.isin(bins.labelled, [BINS.index("missed"), BINS.index("localisation")])
    ):
        boxes.append(judged.labelled.boxes[row])
        words.append("missed")
        hues.append(MISSED)
    return draw_boxes(image, np.array(boxes), words, hues)


def _bars(probs: NDArray[np.float64]) -> str:
    """Return seven small bars, one a class, in its colour."""
    bars = "".join(
        f'<rect x="{12 * place}" y="{24 - 24 * p:.1f}" width="10" height="{24 * p:.1f}"'
        f' fill="{COLORS[name]}"/>'
        for place, (name, p) in enumerate(zip(EMOTIONS, probs, strict=True))
    )
    return (
        f'<svg viewBox="0 0 84 25" class="bars">{bars}<path d="M0 24.5H84" stroke="#545b66"/></svg>'
    )


def _image(image: NDArray[np.uint8]) -> str:
    return f'<img src="{data_uri(image, PIXELS, quality=80)}" alt="">'


def _drawn(axes: Axes) -> str:
    """Return a plot as SVG inside an address."""
    target = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "groupemo"}):
        axes.figure.savefig(target, format="svg", bbox_inches="tight", metadata={"Date": None})
    return _svg(target.getvalue())


def _svg(data: bytes) -> str:
    return f'<img src="data:image/svg+xml;base64,{base64.b64encode(data).decode()}" alt="">'


def _file(path: Path) -> str:
    if path.suffix == ".svg":
        return _svg(path.read_bytes())
    picture = Image.open(path).convert("RGB")
    picture.thumbnail((1800, 1800))
    target = io.BytesIO()
    picture.quantize(128).save(target, "PNG", optimize=True)
    return (
        f'<img src="data:image/png;base64,{base64.b64encode(target.getvalue()).decode()}" alt="">'
    )
