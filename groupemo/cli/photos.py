"""Commands on photos: `detect` and `analyze`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import groupemo.cli._options as opt
from groupemo.cli._console import (
    complain,
    counted,
    end,
    failures,
    marked,
    note_stand_ins,
    print_json,
    print_note,
    print_table,
    resumable,
)
from groupemo.images import MAX_PIXELS
from groupemo.plugins import DEFAULT_BACKEND, DEFAULT_DETECTOR

if TYPE_CHECKING:
    from groupemo.analysis import Analysis
    from groupemo.images import Photo
    from groupemo.plugins import Detector

__all__ = ["analyze", "detect"]


def detect(
    photos: opt.Photos,
    detector: opt.DetectorSpec = DEFAULT_DETECTOR,
    max_pixels: opt.MaxPixels = MAX_PIXELS,
    as_json: opt.Json = False,
) -> None:
    """Find the faces in photos, and print their boxes and scores.

    Boxes are in pixels of the upright photo: left, top, right, bottom. A higher
    score is surer; each detector has its own scale.
    """
    from groupemo.images import find_photos
    from groupemo.plugins import get_detector

    finder = get_detector(detector)
    results = [_detected(photo, finder, max_pixels) for photo in find_photos(photos)]
    if as_json:
        print_json(results)
    else:
        _print_faces(results, detector)
    end([one["failure"] for one in results if one["failure"]])


def _detected(photo: Photo, finder: Detector, max_pixels: int) -> dict[str, Any]:
    """Return one photo's faces; whatever fails, fails for this photo alone."""
    from groupemo.errors import GroupemoError, PhotoError
    from groupemo.faces import Faces
    from groupemo.pipeline import detect as find

    faces, failure = Faces.empty(), None
    try:
        faces = find(photo, finder, max_pixels=max_pixels)
    except (Exception, SystemExit) as error:  # some libraries exit where they should raise
        stage = "read" if isinstance(error, PhotoError) else "detect"
        kind = "" if isinstance(error, PhotoError) else f"{photo.name}: "
        kind += "" if isinstance(error, GroupemoError) else f"{type(error).__name__}: "
        failure = {"photo": photo.name, "stage": stage, "reason": f"{kind}{error}"}
    return {
        "photo": photo.name,
        "boxes": faces.boxes.tolist(),
        "scores": faces.scores.tolist(),
        "landmarks": None if faces.landmarks is None else faces.landmarks.tolist(),
        "failure": failure,
    }


def _print_faces(results: list[dict[str, Any]], detector: str) -> None:
    read = [one for one in results if not one["failure"]]
    rows: list[tuple[object, ...]] = []
    for one in read:
        faces = list(zip(one["boxes"], one["scores"], strict=True))
        rows += [
            (
                one["photo"] if number == 1 else "",
                number,
                *(round(side) for side in box),
                f"{sure:.2f}",
            )
            for number, (box, sure) in enumerate(faces, start=1)
        ] or [(one["photo"], "no face", "", "", "", "", "")]
    columns = ("Photo", "Face>", "Left>", "Top>", "Right>", "Bottom>", "Score>")
    print_table(f"Faces found by {detector}", columns, rows)
    total = sum(len(one["boxes"]) for one in read)
    print_note(f"{counted(len(read), 'photo')}, {counted(total, 'face')}")


def analyze(
    photos: opt.Photos,
    out: opt.Out,
    detector: opt.Detectors = [DEFAULT_DETECTOR],  # noqa: B006 - Typer copies it
    backend: opt.Backends = [DEFAULT_BACKEND],  # noqa: B006
    workers: opt.Workers = None,
    annotate: Annotated[
        bool, typer.Option("--annotate", help="Also write the photos with faces and answers drawn.")
    ] = False,
    blur: Annotated[bool, typer.Option("--blur", help="Blur the faces in these.")] = False,
    xlsx: Annotated[
        bool, typer.Option("--xlsx", help="Also write an Excel file (needs groupemo[xlsx]).")
    ] = False,
    max_pixels: opt.MaxPixels = MAX_PIXELS,
    as_json: opt.Json = False,
) -> None:
    """Find faces, read their expressions, and save both.

    Writes to the folder: analyses.jsonl, one photo, detector and backend a
    line, as it comes; then faces.csv and photos.csv, made from all of its lines. A
    run that was stopped goes on where it was: only what is missing is done. What
    was drawn to the folder before is not taken for photos.
    """
    from groupemo.analysis import load_analyses
    from groupemo.export import annotate as draw
    from groupemo.export import require_openpyxl, write_tables
    from groupemo.images import find_photos
    from groupemo.pipeline import analyze_grid

    if xlsx:
        require_openpyxl()
    file, drawings = out / "analyses.jsonl", out / "annotated"
    found = [photo for photo in find_photos(photos) if not _is_in(drawings, photo)]
    with resumable(file):
        fresh = analyze_grid(
            found,
            detectors=detector,
            backends=backend,
            workers=workers,
            out=file,
            max_pixels=max_pixels,
        )
        done = [one if one.failure else None for one in fresh]  # the others are in the file
        saved = load_analyses(file)
        write_tables(saved, out, xlsx=xlsx)
        drawn = draw(saved, drawings, blur=blur) if annotate else None
    runs = _runs(saved)
    failed = failures(one for one in done if one is not None)
    if as_json:
        print_json({"out": out, "new": len(done), "runs": runs, "failures": failed})
    else:
        _print_runs(runs)
        print_note(f"{len(saved)} analyses, {len(done)} of them new, in {out}")
    _name_not_drawn(drawn.skipped if drawn else {}, failed)
    end(failed)


def _is_in(folder: Path, photo: Photo) -> bool:
    return photo.path is not None and folder.resolve() in photo.path.absolute().parents


def _name_not_drawn(skipped: Mapping[str, str], failed: Sequence[Mapping[str, str]]) -> None:
    """Name the photos that were analyzed and could not be drawn."""
    for photo in skipped.keys() - {failure["photo"] for failure in failed}:
        complain(f"not drawn: {skipped[photo]}")


def _runs(analyses: Iterable[Analysis]) -> list[dict[str, Any]]:
    """Return what each detector and backend answered, counted."""
    runs: dict[tuple[str, str], list[Analysis]] = {}
    for one in analyses:
        runs.setdefault(one.pair, []).append(one)
    return [
        {
            "detector": detector,
            "backend": backend,
            "photos": len(run),
            "faces": sum(len(one) for one in run),
            "emotions": dict(
                Counter(word or "abstained" for one in run for word in one.emotions).most_common()
            ),
        }
        for (detector, backend), run in runs.items()
    ]


def _print_runs(runs: list[dict[str, Any]]) -> None:
    rows = [
        (
            run["detector"],
            marked(run["backend"]),
            run["photos"],
            run["faces"],
            ", ".join(f"{word} {count}" for word, count in run["emotions"].items()),
        )
        for run in runs
    ]
    columns = ("Detector", "Backend", "Photos>", "Faces>", "Perceived expressions")
    print_table("What was answered", columns, rows)
    note_stand_ins(run["backend"] for run in runs)
