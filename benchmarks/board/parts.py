"""What is measured: each part asks contenders or groupemo, and gives what JSON holds."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import backends as on_faces
import cv2
import detectors as on_photos
import numpy as np
import size
import speed

import groupemo
from board.contenders import (
    CORES,
    NOT_RUN,
    Contender,
    contenders,
    environments,
    lay_out_weights,
    presets,
)
from board.crews import Crew, Field, crew
from board.judging import Truth, photos_of
from board.scenes import AROUND, CELL, GRID, compose, faces, links
from groupemo.errors import GroupemoError
from groupemo.plugins import BACKENDS

TRIED = 6
"""Photos on which the number of processes is chosen."""

A_ROUND = 20
"""Most photos of a round."""

COUNTS = (1, 10, 100, 1000)
"""Photos of a run, where it is asked how cost grows."""

CROP = 224
"""Side of the crops the classifiers are timed on, in pixels: what DeepFace makes of a face."""

CROPS = 64
"""Crops in one call."""

OWN_NETS = ("groupemo", "fer", "deepface")
"""Backends that are timed on them."""

WAYS = {
    "groupemo": ("batch",),
    "deepface": ("loop", "batch"),
    "fer": ("loop", "keras loop", "keras batch"),
}
"""Tool -> the ways from crops to probabilities, of `worker`."""

LONE = ("deepface", "deepface yunet 0.7 unaligned", "fer")
"""Peers that are asked how soon they answer, and how cost grows with faces."""

DETECTORS_SHOWN = ("yunet", "yolo", "retinaface", "scrfd", "mtcnn", "haar")
"""Detectors beside the presets."""

NAIVE = ("deepface", "fer", "ultralytics")
"""What somebody installs who wants to compare."""


@dataclass(frozen=True)
class Options:
    """What is asked of the parts.

    Parameters
    ----------
    data : Path
        The folder with photos and boxes.
    photos : int
        Of `wider_groups`, evenly spread.
    rounds : int
    pythons : Mapping
        Environment -> interpreter, where it is not to be built.
    quick : bool
        To see that all works: the largest counts are left out.
    names : tuple of str
        Contenders on group photos; all, where none is named.
    """

    data: Path
    photos: int
    rounds: int
    pythons: Mapping[str, str]
    quick: bool = False
    names: tuple[str, ...] = ()


def measured_speed(options: Options) -> dict[str, Any]:
    """Time every contender on the same photos, in turn, round by round."""
    stand_in = lay_out_weights()
    photos = photos_of(options.data, options.photos)
    truth = Truth(photos, options.data)
    told: dict[str, Any] = {}
    with Field(options.pythons) as field:
        for contender in contenders():
            if options.names and contender.name not in options.names:
                continue
            with field.noting(contender.name):
                one = field.enter(contender, max(contender.crews))
                told[contender.name] = _about(contender) | {"tried": _fit(one, photos)}
        for number in range(options.rounds):
            chosen = round_of(photos, number)
            for one in field.turn(number):
                with field.noting(one.contender.name):
                    _time(one, chosen, truth, told[one.contender.name])
        for one in list(field.crews):
            with field.noting(one.contender.name):
                megabytes, versions = one.peak()
                told[one.contender.name] |= {
                    "processes": len(one.workers), "megabytes": megabytes, "versions": versions,
                }  # fmt: skip
    here = {name: mine for name, mine in told.items() if name not in field.absent}
    return {"contenders": here, "absent": field.absent | NOT_RUN, "stand_in": stand_in}


def _about(contender: Contender) -> dict[str, Any]:
    return {
        "title": contender.title, "ours": contender.ours, "preset": contender.preset,
        "twin": contender.twin, "laps": [], "counts": {},
    }  # fmt: skip


def _fit(one: Crew, photos: Sequence[Path]) -> dict[str, float]:
    """Keep as many workers as are quickest; return the seconds of each number that was tried."""
    for worker in one.workers:
        worker.ask({"photos": [str(path) for path in photos[:2]]})
    seconds = {}
    for number in one.contender.crews:
        some = replace(one, workers=one.workers[:number])
        seconds[number] = some.answers(photos[:TRIED])[2]
    one.keep(min(seconds, key=lambda number: seconds[number]))
    return {str(number): value for number, value in seconds.items()}


def _time(one: Crew, photos: Sequence[Path], truth: Truth, mine: dict[str, Any]) -> None:
    """Add a lap to what is told of a contender, and counts of photos it had not seen before."""
    answers, classes, seconds = one.answers(photos)
    names = [path.name for path in photos]
    mine["laps"].append({"photos": names, "seconds": seconds})
    fresh = {
        name: answer
        for name, answer in zip(names, answers, strict=True)
        if name not in mine["counts"]
    }
    if fresh:
        mine["counts"] |= truth.counts(fresh, classes)


def round_of(photos: Sequence[Path], number: int) -> list[Path]:
    """Return the photos of a round: rounds walk through all of them, and begin again."""
    stride = -(-len(photos) // A_ROUND)
    return list(photos[number % stride :: stride])


def measured_classifier(options: Options) -> dict[str, Any]:
    """Time nets alone: from the same crops to probabilities, in turn."""
    lay_out_weights()
    found = {one.name: one for one in contenders()}
    nets = [
        replace(found["groupemo"], name=f"groupemo: {name}",
                options={"detector": None, "backend": name, "workers": 1})
        for name in OWN_NETS
    ]  # fmt: skip
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder, Field(options.pythons) as field:
        crops = np.stack(faces(options.data, CROPS, CROP))
        path = Path(folder) / "crops.npy"
        np.save(path, crops)
        for contender in (*nets, found["deepface"], found["fer"]):
            with field.noting(contender.name):
                field.enter(contender)
        for number in range(options.rounds + 1):
            for one in field.turn(number):
                for way in WAYS[one.contender.tool]:
                    name = one.contender.name
                    with field.noting(name):
                        told = one.ask({"crops": str(path), "way": way})
                        mine = seconds.setdefault(f"{name}, {way}", [])
                        if number:  # the first round pays for memory
                            mine.append(told["seconds"])
    return {"faces": len(crops), "seconds": seconds, "absent": field.absent}


def measured_cold(options: Options) -> dict[str, Any]:
    """Time fresh processes, in turn, from their start to the first photo's faces."""
    lay_out_weights()
    photos = photos_of(options.data)
    photo = sorted(photos, key=lambda path: path.stat().st_size)[len(photos) // 2]
    seconds: dict[str, list[float]] = {}
    absent: dict[str, str] = {}
    for number in range(options.rounds + 1):
        for contender in _lone():
            if contender.name in absent:
                continue
            with Field(options.pythons) as field, field.noting(contender.name):
                start = time.perf_counter()
                field.enter(contender).answers([photo])
                if number:  # the first round pays for files that were never read
                    passed = time.perf_counter() - start
                    seconds.setdefault(contender.name, []).append(passed)
            absent |= field.absent
    return {"photo": photo.name, "seconds": seconds, "absent": absent}


def _lone() -> list[Contender]:
    """Return groupemo with one worker, and the peers it is compared with in one process."""
    first, *rest = contenders()
    return [_with_workers(first, 1), *(one for one in rest if one.name in LONE)]


def _with_workers(ours: Contender, workers: int) -> Contender:
    return replace(ours, options={**ours.options, "workers": workers})


def measured_growth(options: Options) -> dict[str, Any]:
    """Time groupemo's default on more and more photos, with one worker and with two."""
    photos = photos_of(options.data)
    counts = COUNTS[:-1] if options.quick else COUNTS
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        named = links(photos, counts[-1], Path(folder))
        for workers in (1, 2):
            ours = _with_workers(contenders()[0], workers)
            for count in counts if workers == 2 else counts[:3]:
                with crew(ours, options.pythons) as fresh:
                    fresh.answers(photos[:2])
                    seconds = fresh.answers(named[:count])[2]
                    rows.append({"photos": count, "workers": workers, "seconds": seconds,
                                 "megabytes": fresh.peak()[0]})  # fmt: skip
    return {"rows": rows}


def measured_faces(options: Options) -> dict[str, Any]:
    """Time photos of one size with more and more faces, one process each, in turn."""
    lay_out_weights()
    seconds: dict[str, dict[str, list[float]]] = {}
    answered: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder, Field(options.pythons) as field:
        pictures = faces(options.data, GRID[0] * GRID[1], CELL, AROUND)
        composed = compose(pictures, Path(folder))
        for contender in _lone():
            with field.noting(contender.name):
                field.enter(contender).answers(composed[1])
        for number in range(max(2, options.rounds // 2)):
            for count, paths in composed.items():
                for one in field.turn(number):
                    name = one.contender.name
                    with field.noting(name):
                        answers, _, passed = one.answers(paths)
                        mine = seconds.setdefault(name, {})
                        mine.setdefault(str(count), []).append(passed / len(paths))
                        boxes = sum(len(answer["boxes"]) for answer in answers)
                        answered.setdefault(name, {})[str(count)] = boxes / len(paths)
    medians = {
        name: {count: statistics.median(each) for count, each in mine.items()}
        for name, mine in seconds.items()
    }
    side = [GRID[0] * CELL, GRID[1] * CELL]
    return {"side": side, "seconds": medians, "answered": answered, "absent": field.absent}


def measured_share(options: Options) -> dict[str, Any]:
    """Return where one worker's wall time goes: decoding, OpenCV, ONNX Runtime, all else."""
    photos = options.data / "wider_groups" / "photos"
    speed.end_to_end(photos, 1)
    runs = [speed.library_share(photos) for _ in range(1 if options.quick else 3)]
    share, kinds = sorted(runs, key=lambda run: run[0])[len(runs) // 2]
    return {"share": share, "kinds": kinds}


def measured_detectors(options: Options) -> dict[str, Any]:
    """Judge detectors on the photos: AP, precision, recall by size, milliseconds.

    As many at once as there are cores: what is timed is one thread's processor time.
    """
    truths = list(on_photos.read_truth(options.data / "wider_groups"))[: options.photos]
    wanted = list(dict.fromkeys((*presets(), *DETECTORS_SHOWN)))
    cv2.setNumThreads(1)
    with ThreadPoolExecutor(CORES) as pool:
        shares = [wanted[at::CORES] for at in range(CORES)]
        ran = list(pool.map(lambda specs: on_photos.run(specs, truths, 1), shares))
    seen = {each.spec: on_photos.figures(each, truths) for found, _ in ran for each in found}
    return {
        "photos": len(truths),
        "rows": {
            name: {"ap50": seen[name].ap, "precision": seen[name].precision,
                   "recall": seen[name].recall, "sizes": seen[name].by_size,
                   "milliseconds": seen[name].ms}
            for name in wanted if name in seen
        },
        "edges": on_photos.SIZES[1:-1],
        "absent": [why for _, absent in ran for why in absent],
    }  # fmt: skip


def measured_backends(options: Options) -> dict[str, Any]:
    """Judge backends on PublicTest given the face, and end to end on collages and real9."""
    names = [
        name for name in BACKENDS.names()
        if name not in ("onnx", "prior") and not name.endswith("-package")
    ]  # fmt: skip
    here, absent = _loadable(BACKENDS, names)
    loaded = [BACKENDS.load(name) for name in here]
    rows: dict[str, dict[str, Any]] = {one.label: {} for one in loaded}
    for title, judged in on_faces.on_cells(options.data / "fer2013", loaded).items():
        for scores, milliseconds in judged:
            figures = {
                name: [told.value, told.low, told.high]
                for name, told in on_faces.estimates(scores)
                if name in ("accuracy", "UAR", "log-loss", "ECE")
            }
            rows[scores.backend] |= {title: figures, "milliseconds": milliseconds}
    for folder in ("collages", "group_emotion_real9"):
        evaluation = groupemo.evaluate(
            options.data / folder / "photos", on_faces.label_file(options.data / folder),
            detectors=[presets()[-1]], backends=here, min_iou=on_faces.PHOTOS[folder],
        )  # fmt: skip
        for scores in evaluation.scores:
            told = scores.estimates()
            rows[scores.backend][folder] = {
                name: _triple(told[f"end_to_end_{name}"]) for name in ("accuracy", "macro_f1")
            }
    return {"detector": presets()[-1], "rows": rows, "absent": absent}


def _loadable(registry: Any, names: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return the plugins that can be had, and why the others cannot."""
    here, absent = [], {}
    for name in names:
        try:
            registry.load(name)
            here.append(name)
        except GroupemoError as error:
            absent[name] = str(error).splitlines()[0].rstrip(":")
    return here, absent


def _triple(told: Any) -> list[float]:
    return [told.value, told.low, told.high]


def measured_size(options: Options) -> dict[str, Any]:
    """Install groupemo in a fresh environment; weigh the peers' environments."""
    here = {name: environments.folder(name) for name in ("deepface", "fer")}
    peers = {
        name: size.folder_megabytes(folder) for name, folder in here.items() if folder.exists()
    }
    ours = size.install([str(size.ROOT)])
    return {"megabytes": ours.megabytes, "seconds": ours.seconds, "peers": peers}


def measured_naive(options: Options) -> dict[str, Any]:
    """Install groupemo, and what somebody would install instead, from the index alone."""
    told = {
        name: size.install(requirements, fresh=True)
        for name, requirements in (("groupemo", [str(size.ROOT)]), ("naive", list(NAIVE)))
    }
    return {
        name: {"megabytes": one.megabytes, "seconds": one.seconds} for name, one in told.items()
    }


Part = Callable[[Options], dict[str, Any]]

PARTS: Mapping[str, Part] = {
    "speed": measured_speed,
    "classifier": measured_classifier,
    "cold": measured_cold,
    "growth": measured_growth,
    "faces": measured_faces,
    "share": measured_share,
    "detectors": measured_detectors,
    "backends": measured_backends,
    "size": measured_size,
    "naive": measured_naive,
}
"""What can be measured, in the order of a whole run."""

AT_ONCE = tuple(name for name in PARTS if name != "naive")
"""What is measured where no part is named."""


def run(name: str, options: Options) -> tuple[dict[str, Any], float]:
    """Return what a part gave, and the seconds it took."""
    start = time.perf_counter()
    given = PARTS[name](options)
    return given, time.perf_counter() - start
