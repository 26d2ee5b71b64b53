"""What is measured: each part asks contenders or groupemo, and gives what JSON holds."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import backends as on_faces
import cv2
import numpy as np
import size
import speed

import groupemo
from board.contenders import (
    Contender,
    NotHere,
    contenders,
    environments,
    lay_out_weights,
    presets,
)
from board.crews import Crew, crew
from board.judging import Truth, photos_of, published_boxes
from groupemo.errors import GroupemoError
from groupemo.images import read_photo
from groupemo.labels import UNSURE
from groupemo.plugins import BACKENDS, DETECTORS

TRIED = 6
"""Photos on which the number of processes is chosen."""

A_ROUND = 20
"""Most photos of a round."""

COUNTS = (1, 10, 100, 1000)
"""Photos of a run, where it is asked how cost grows."""

FACES = (1, 2, 5, 10, 20, 30)
"""Faces of a photo, where it is asked how cost grows; they fit in GRID."""

GRID, CELL, COPIES = (6, 5), 176, 4
"""Cells of a composed photo across and down, pixels of a cell's side, photos with as many faces."""

CROP = 224
"""Side of the crops the classifiers are timed on, in pixels: what DeepFace makes of a face."""

CROPS = 64
"""Crops in one call."""

LONE = ("deepface", "deepface yunet 0.7 unaligned", "fer")
"""Peers that are asked how soon they answer, and how cost grows with faces."""

DETECTORS_SHOWN = (
    "yunet", "yolo", "retinaface", "centerface", "scrfd", "mtcnn", "ssd-rfb", "ssd", "hog", "haar",
)  # fmt: skip
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
    """

    data: Path
    photos: int
    rounds: int
    pythons: Mapping[str, str]
    quick: bool = False


def measured_speed(options: Options) -> dict[str, Any]:
    """Time every contender on the same photos, in turn, round by round."""
    stand_in = lay_out_weights()
    photos = photos_of(options.data, options.photos)
    truth = Truth(photos, options.data)
    told: dict[str, Any] = {}
    absent: dict[str, str] = {}
    with ExitStack() as stack:
        crews: list[Crew] = []
        for contender in contenders():
            try:
                one = stack.enter_context(crew(contender, options.pythons, max(contender.crews)))
                told[contender.name] = _about(contender) | {"tried": _fit(one, photos)}
                crews.append(one)
            except NotHere as error:
                absent[contender.name] = str(error)
        for number in range(options.rounds):
            chosen = round_of(photos, number)
            for one in _rotated(crews, number):
                mine = told[one.contender.name]
                answers, classes, seconds = one.answers(chosen)
                names = [path.name for path in chosen]
                mine["laps"].append({"photos": names, "seconds": seconds})
                fresh = {
                    name: answer
                    for name, answer in zip(names, answers, strict=True)
                    if name not in mine["counts"]
                }
                if fresh:
                    mine["counts"] |= truth.counts(fresh, classes)
        for one in crews:
            megabytes, versions = one.peak()
            told[one.contender.name] |= {
                "processes": len(one.workers), "megabytes": megabytes, "versions": versions,
            }  # fmt: skip
    return {"contenders": told, "absent": absent, "stand_in": stand_in}


def _about(contender: Contender) -> dict[str, Any]:
    return {
        "title": contender.title, "ours": contender.ours, "preset": contender.preset,
        "twin": contender.twin, "laps": [], "counts": {},
    }  # fmt: skip


def _fit(one: Crew, photos: Sequence[Path]) -> dict[str, float]:
    """Keep as many workers as are quickest; return the seconds of each number that was tried."""
    warm, tried = photos[: len(one.workers)], photos[:TRIED]
    seconds = {}
    for worker in one.workers:
        for path in warm:
            worker.ask({"photos": [str(path)]})
    for number in one.contender.crews:
        some = replace(one, workers=one.workers[:number])
        seconds[number] = some.answers(tried)[2]
    one.keep(min(seconds, key=lambda number: seconds[number]))
    return {str(number): value for number, value in seconds.items()}


def round_of(photos: Sequence[Path], number: int) -> list[Path]:
    """Return the photos of a round: rounds walk through all of them, and begin again."""
    taken = min(A_ROUND, len(photos))
    stride = -(-len(photos) // taken)
    return list(photos[number % stride :: stride])


def _rotated(items: Sequence[Any], number: int) -> list[Any]:
    at = number % max(len(items), 1)
    return [*items[at:], *items[:at]]


def measured_classifier(options: Options) -> dict[str, Any]:
    """Time nets alone: from the same crops to probabilities, in turn."""
    lay_out_weights()
    found = {one.name: one for one in contenders()}
    ours = found["groupemo"]
    asked = [
        *(
            (replace(ours, name=f"groupemo: {name}", options={"detector": None, "backend": name,
             "workers": 1}), "batch")
            for name in ("groupemo", "fer", "deepface")
        ),
        *((found["deepface"], way) for way in ("loop", "batch")),
        *((found["fer"], way) for way in ("loop", "keras loop", "keras batch")),
    ]  # fmt: skip
    seconds: dict[str, list[float]] = {}
    absent: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        crops = np.stack(_faces(options.data, CROPS, CROP))
        path = Path(folder) / "crops.npy"
        np.save(path, crops)
        workers: dict[str, Crew] = {}
        for contender, _ in asked:
            if contender.name not in workers and contender.name not in absent:
                try:
                    workers[contender.name] = stack.enter_context(crew(contender, options.pythons))
                except NotHere as error:
                    absent[contender.name] = str(error)
        for number in range(options.rounds + 1):
            for contender, way in asked:
                name = f"{contender.name}, {way}"
                if contender.name in absent:
                    continue
                try:
                    told = workers[contender.name].workers[0].ask({"crops": str(path), "way": way})
                except NotHere as error:
                    absent[contender.name] = str(error)
                    continue
                if number:  # the first round pays for memory
                    seconds.setdefault(name, []).append(told["seconds"])
    return {"faces": len(crops), "seconds": seconds, "absent": absent}


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
            start = time.perf_counter()
            try:
                with crew(contender, options.pythons) as one:
                    one.answers([photo])
                    passed = time.perf_counter() - start
            except NotHere as error:
                absent[contender.name] = str(error)
                continue
            if number:  # the first round pays for files that were never read
                seconds.setdefault(contender.name, []).append(passed)
    return {"photo": photo.name, "seconds": seconds, "absent": absent}


def _lone() -> list[Contender]:
    """Return groupemo with one worker, and the peers it is compared with in one process."""
    first, *rest = contenders()
    alone = replace(first, options={**first.options, "workers": 1})
    return [alone, *(one for one in rest if one.name in LONE)]


def measured_growth(options: Options) -> dict[str, Any]:
    """Time groupemo's default on more and more photos, with one worker and with two."""
    photos = photos_of(options.data)
    counts = COUNTS[:-1] if options.quick else COUNTS
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        links = _links(photos, counts[-1], Path(folder))
        for workers in (1, 2):
            for count in counts if workers == 2 else counts[:3]:
                first = contenders()[0]
                one = replace(first, options={**first.options, "workers": workers})
                with crew(one, options.pythons) as fresh:
                    fresh.answers(photos[:2])
                    _, _, seconds = fresh.answers(links[:count])
                    rows.append({"photos": count, "workers": workers, "seconds": seconds,
                                 "megabytes": fresh.peak()[0]})  # fmt: skip
    return {"rows": rows}


def _links(photos: Sequence[Path], count: int, folder: Path) -> list[Path]:
    """Return so many photos: the same again under other names."""
    links = [folder / f"{number:05}.jpg" for number in range(count)]
    for number, link in enumerate(links):
        link.symlink_to(photos[number % len(photos)].absolute())
    return links


def measured_faces(options: Options) -> dict[str, Any]:
    """Time photos of one size with more and more faces, one process each, in turn."""
    lay_out_weights()
    seconds: dict[str, dict[int, list[float]]] = {}
    answered: dict[str, dict[int, int]] = {}
    absent: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        composed = compose(_faces(options.data, GRID[0] * GRID[1], CELL, 1.6), Path(folder))
        crews = []
        for contender in _lone():
            try:
                one = stack.enter_context(crew(contender, options.pythons))
                one.answers(composed[FACES[0]])
                crews.append(one)
            except NotHere as error:
                absent[contender.name] = str(error)
        for number in range(max(2, options.rounds // 2)):
            for count, paths in composed.items():
                for one in _rotated(crews, number):
                    answers, _, passed = one.answers(paths)
                    name = one.contender.name
                    seconds.setdefault(name, {}).setdefault(count, []).append(passed / len(paths))
                    answered.setdefault(name, {})[count] = sum(len(a["boxes"]) for a in answers)
    return {
        "copies": COPIES,
        "side": [GRID[0] * CELL, GRID[1] * CELL],
        "seconds": {
            name: {str(count): statistics.median(each) for count, each in mine.items()}
            for name, mine in seconds.items()
        },
        "answered": {
            name: {str(count): n / COPIES for count, n in mine.items()}
            for name, mine in answered.items()
        },
        "absent": absent,
    }


def compose(faces: Sequence[np.ndarray], folder: Path) -> dict[int, list[Path]]:
    """Write photos with 1 to 30 of the faces in cells of a gray picture; number -> its photos."""
    across, down = GRID
    random = np.random.default_rng(0)
    composed: dict[int, list[Path]] = {}
    for count in FACES:
        for copy in range(COPIES):
            picture = np.full((down * CELL, across * CELL, 3), 128, np.uint8)
            places = random.permutation(across * down)[:count]
            for place, face in zip(places, random.permutation(len(faces))[:count], strict=True):
                top, left = divmod(int(place), across)
                picture[top * CELL :, left * CELL :][:CELL, :CELL] = faces[face]
            path = folder / f"{count}-{copy}.jpg"
            cv2.imwrite(str(path), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
            composed.setdefault(count, []).append(path)
    return composed


def _faces(data: Path, count: int, side: int, wider: float = 1.0) -> list[np.ndarray]:
    """Return the largest labelled faces as square RGB pictures, at most four of a photo."""
    labels = published_boxes(data)
    found = []
    for path in photos_of(data):
        labelled = labels[path.name]
        boxes = labelled.boxes[labelled.labels == UNSURE]
        image = read_photo(path)
        for box in sorted(boxes, key=lambda box: -(box[3] - box[1]))[:4]:
            found.append((float(box[3] - box[1]), _cut(image, box, side, wider)))
    found.sort(key=lambda pair: -pair[0])
    return [picture for _, picture in found[:count]]


def _cut(image: np.ndarray, box: np.ndarray, side: int, wider: float) -> np.ndarray:
    """Return the square around a box, so many times as wide, at another size."""
    middle, half = (box[:2] + box[2:]) / 2, wider * (box[2:] - box[:2]).max() / 2
    scale = side / (2 * half)
    move = side / 2 - scale * middle
    matrix = np.array([[scale, 0, move[0]], [0, scale, move[1]]], np.float64)
    return cv2.warpAffine(image, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)


def measured_share(options: Options) -> dict[str, Any]:
    """Return where one worker's wall time goes: decoding, OpenCV, ONNX Runtime, all else."""
    photos = options.data / "wider_groups" / "photos"
    speed.end_to_end(photos, 1)
    runs = [speed.library_share(photos) for _ in range(1 if options.quick else 3)]
    share, kinds = sorted(runs, key=lambda run: run[0])[len(runs) // 2]
    return {"share": share, "kinds": kinds}


def measured_detectors(options: Options) -> dict[str, Any]:
    """Judge detectors on the photos: AP, precision, recall by size, milliseconds."""
    photos = photos_of(options.data, options.photos)
    labels = published_boxes(options.data).only(path.name for path in photos)
    wanted = dict.fromkeys((*presets(), *DETECTORS_SHOWN))
    here, absent = _loadable(DETECTORS, [name for name in wanted if name in DETECTORS.names()])
    evaluation = groupemo.evaluate(photos, labels, detectors=here, backends=["prior"], min_iou=0.5)
    rows = {}
    for name, scores in zip(here, evaluation.scores, strict=True):
        told = scores.estimates()
        sizes = evaluation.slices(*scores.pair, "size").table
        recall = sizes[sizes["figure"] == "detection_recall"]
        rows[name] = {
            **{short: _triple(told[f"detection_{short}"])
               for short in ("ap50", "precision", "recall")},
            "sizes": {row.group: [row.value, row.low, row.high, int(row.n)]
                      for row in recall.itertuples()},
            "milliseconds": 1000 * statistics.mean(
                one.seconds["detect"] for one in scores.analyses()),
        }  # fmt: skip
    return {"photos": len(photos), "rows": rows, "absent": absent}


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
            absent[name] = str(error).splitlines()[0]
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


def run(names: Sequence[str], options: Options) -> Iterator[tuple[str, dict[str, Any], float]]:
    """Yield each part's name, what it gave and the seconds it took."""
    for name in names:
        start = time.perf_counter()
        given = PARTS[name](options)
        yield name, given, time.perf_counter() - start
