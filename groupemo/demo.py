"""The main job on the sample photos: what can be had is evaluated, what cannot is named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groupemo.detectors.labelled import LABELLED
from groupemo.errors import GroupemoError, ModelError
from groupemo.evaluation import Evaluation, evaluate
from groupemo.label_csv import load_labels
from groupemo.plugins import BACKENDS, DETECTORS, Registry
from groupemo.report import write_report
from groupemo.samples import fetch_samples

__all__ = ["Demo", "reachable", "run_demo"]

DEMO_DETECTORS = ("yunet", "haar", "haar-1.32", "hog", "yolo", "mtcnn", "retinaface", "ssd",
                  "ssd-rfb")  # fmt: skip
DEMO_BACKENDS = ("groupemo", "fer", "deepface", "prior")


@dataclass(frozen=True)
class Demo:
    """What the demo did.

    Parameters
    ----------
    evaluation : Evaluation
    page : Path
        The report.
    out_of_reach : Mapping of str to str
        Photos, detectors and backends that could not be had, and why.
    """

    evaluation: Evaluation
    page: Path
    out_of_reach: Mapping[str, str]


def run_demo(labels: str | Path, photos: str | Path, out: str | Path) -> Demo:
    """Fetch the sample photos and models, evaluate the grid, and write the report.

    Parameters
    ----------
    labels : path
        Labels of the sample photos.
    photos : path
        Folder the photos are put in.
    out : path
        Folder for the report and tables; an earlier run's analyses are reused.

    Raises
    ------
    PhotoError, ModelError
        If no photo, no detector or no backend at all can be had.
    """
    truth = load_labels(labels)
    samples = fetch_samples(folder=photos)
    here = [name for name in truth if name in samples.paths]
    detectors, no_detectors = reachable(DETECTORS, DEMO_DETECTORS)
    backends, no_backends = reachable(BACKENDS, DEMO_BACKENDS)
    evaluation = evaluate(
        [samples.paths[name] for name in here],
        truth.only(here),
        detectors=[*detectors, LABELLED],
        backends=backends,
        out=out,
    )
    page = write_report(evaluation, out, title="groupemo on its sample photos")
    return Demo(evaluation, page, {**samples.unreachable, **no_detectors, **no_backends})


def reachable(registry: Registry[Any], names: Iterable[str]) -> tuple[list[str], dict[str, str]]:
    """Return the plugins that can be built here, and the reasons of those that cannot.

    Raises
    ------
    ModelError
        If none can.
    """
    reachable, reasons = [], {}
    for name in names:
        try:
            registry.load(name)
            reachable.append(name)
        except GroupemoError as error:
            reasons[name] = str(error)
    if not reachable:
        raise ModelError(f"no {registry.kind} can be had: {reasons}")
    return reachable, reasons
