"""What a user takes away: tables with a row a face and a row a photo, and photos drawn on."""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import io
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from groupemo.analysis import Analysis, read_again
from groupemo.boxes import xyxy_to_xywh
from groupemo.drawing import draw_analysis, encode_jpeg
from groupemo.errors import MissingExtra, OutputError, PhotoError
from groupemo.files import write_atomically

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Annotated",
    "annotate",
    "faces_table",
    "photos_table",
    "require_openpyxl",
    "write_tables",
]

_FACE = ("photo", "detector", "backend", "face", "x", "y", "w", "h", "score", "emotion")
_UNHELD = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_LONGEST = 255  # bytes in a file's name, on nearly every disk
_PHOTO = ("photo", "detector", "backend", "width", "height", "faces", "abstained")


def faces_table(analyses: Iterable[Analysis]) -> pd.DataFrame:
    """Return one row a face.

    Columns: photo, detector, backend, face (its number in the photo, from 0),
    x, y, w, h in pixels, score (the detector's), emotion (empty where the backend
    abstained), the probability of each class, abstained.
    """
    return _tables(analyses)[0]


def photos_table(analyses: Iterable[Analysis]) -> pd.DataFrame:
    """Return one row a photo x detector x backend.

    Columns: photo, detector, backend, width and height in pixels, faces,
    abstained, for each class `count_` (faces it is the answer for) and `mean_`
    (its mean probability over answered faces, NaN without any), seconds, failure.
    """
    return _tables(analyses)[1]


def write_tables(
    analyses: Iterable[Analysis], folder: str | Path, *, xlsx: bool = False
) -> list[Path]:
    """Write faces.csv and photos.csv, and both as sheets of groupemo.xlsx if asked.

    The analyses are gone through once. What stands in those files before is replaced.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    MissingExtra
        If `xlsx` is asked for and openpyxl is not installed; nothing is written.
    OutputError
        If a file cannot be written.
    """
    if xlsx:
        require_openpyxl()
    tables = dict(zip(("faces", "photos"), _tables(analyses), strict=True))
    files = {f"{name}.csv": _csv(frame) for name, frame in tables.items()}
    if xlsx:
        files["groupemo.xlsx"] = _workbook(tables)
    return [write_atomically(Path(folder) / name, data) for name, data in files.items()]


@dataclass(frozen=True)
class Annotated:
    """What `annotate` did.

    Parameters
    ----------
    written : tuple of Path
        The pictures.
    skipped : Mapping of str to str
        Photos that could not be drawn, and why.
    """

    written: tuple[Path, ...]
    skipped: Mapping[str, str]


def annotate(
    analyses: Iterable[Analysis],
    folder: str | Path,
    *,
    blur: bool = False,
    pair_in_name: bool | None = None,
) -> Annotated:
    """Write the photos with boxes, answers and probabilities drawn, as JPEG files.

    A photo that is gone, has changed or could not be read is skipped, with its reason.

    Parameters
    ----------
    analyses : iterable of Analysis
    folder : path
        Photos in folders keep their folders inside it.
    blur : bool
        Make the faces that were found unrecognizable. Faces nobody found stay as they are.
    pair_in_name : bool, optional
        Write `party.yunet.fer.jpg` instead of `party.jpg`. By default only where there
        are several detectors or backends; to find out, all analyses are held in memory.
        Say which, and they are gone through one by one.

    Raises
    ------
    OutputError
        If a file cannot be written, or would replace the photo itself.
    """
    if pair_in_name is None:
        analyses = list(analyses)
        pair_in_name = len({one.pair for one in analyses}) > 1
    written: dict[Path, str] = {}
    skipped = {}
    for analysis in analyses:
        target = Path(folder) / _file_name(analysis, pair_in_name)
        _refuse_original(target, analysis)
        try:
            if target in written:  # a.png is drawn to a.png.jpg, and so is a.png.jpg
                raise PhotoError(f"{analysis.photo}: {target} shows {written[target]} already")
            written[_write_drawn(analysis, target, blur)] = analysis.photo
        except PhotoError as error:
            skipped[analysis.photo] = str(error)
    return Annotated(tuple(written), skipped)


def _tables(analyses: Iterable[Analysis]) -> tuple[pd.DataFrame, pd.DataFrame]:
    import pandas as pd

    faces: list[dict[str, Any]] = []
    photos: list[dict[str, Any]] = []
    classes: dict[str, None] = {}
    for analysis in analyses:
        classes.update(dict.fromkeys(analysis.classes))
        faces.extend(_face_rows(analysis))
        photos.append(_photo_row(analysis))
    counts = [f"{kind}_{name}" for kind in ("count", "mean") for name in classes]
    return (
        pd.DataFrame(faces, columns=[*_FACE, *classes, "abstained"]),
        pd.DataFrame(photos, columns=[*_PHOTO, *counts, "seconds", "failure"]),
    )


def _face_rows(analysis: Analysis) -> Iterator[dict[str, Any]]:
    boxes, scores = xyxy_to_xywh(analysis.faces.boxes).tolist(), analysis.faces.scores.tolist()
    probs, emotions = analysis.probs.tolist(), analysis.emotions
    for face, emotion in enumerate(emotions):
        yield {
            "photo": analysis.photo,
            "detector": analysis.detector,
            "backend": analysis.backend,
            "face": face,
            **dict(zip("xywh", boxes[face], strict=True)),
            "score": scores[face],
            "emotion": emotion,
            **dict(zip(analysis.classes, probs[face], strict=True)),
            "abstained": emotion is None,
        }


def _photo_row(analysis: Analysis) -> dict[str, Any]:
    emotions, failure = analysis.emotions, analysis.failure
    answered = analysis.probs[[emotion is not None for emotion in emotions]]
    means = answered.mean(axis=0) if len(answered) else np.full(len(analysis.classes), np.nan)
    return {
        "photo": analysis.photo,
        "detector": analysis.detector,
        "backend": analysis.backend,
        "width": analysis.width,
        "height": analysis.height,
        "faces": len(analysis),
        "abstained": emotions.count(None),
        **{f"count_{name}": emotions.count(name) for name in analysis.classes},
        **{f"mean_{name}": mean for name, mean in zip(analysis.classes, means, strict=True)},
        "seconds": sum(analysis.seconds.values()),
        "failure": failure and f"{failure.stage}: {failure.reason}",
    }


def require_openpyxl() -> None:
    """Raise `MissingExtra` where no Excel file can be written."""
    if importlib.util.find_spec("openpyxl") is None:
        raise MissingExtra(
            "writing .xlsx needs openpyxl: pip install 'groupemo[xlsx]', or take the CSV files"
        )


def _csv(frame: pd.DataFrame) -> bytes:
    """Return a CSV file with all words quoted: else a photo's name with a CR in it is two rows."""
    return frame.to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC).encode()


def _workbook(tables: Mapping[str, pd.DataFrame]) -> bytes:
    import pandas as pd

    buffer = io.BytesIO()
    with pd.ExcelWriter(buffer, engine="openpyxl") as writer:
        for name, frame in tables.items():
            frame.map(_spelled).to_excel(writer, sheet_name=name, index=False, freeze_panes=(1, 1))
            for cell in (cell for row in writer.sheets[name].rows for cell in row):
                if cell.data_type == "f":  # a photo whose name starts with "=" is no formula
                    cell.data_type = "s"
    return buffer.getvalue()


def _spelled(value: Any) -> Any:
    """Return a cell with escapes for the control characters that no sheet can hold."""
    return (
        _UNHELD.sub(lambda one: f"\\x{ord(one[0]):02x}", value) if isinstance(value, str) else value
    )


def _file_name(analysis: Analysis, pair_in_name: bool) -> PurePosixPath:
    """Return where a drawn photo goes, inside the folder whatever the photo's name says."""
    parts = [part for part in PurePosixPath(analysis.photo).parts if part.strip("./")]
    path = PurePosixPath(*parts or ["photo"])
    stem, suffix = path.stem, path.suffix
    if suffix.lower() not in (".jpg", ".jpeg"):
        stem, suffix = path.name, ".jpg"
    pair = [re.sub(r"[^\w.-]+", "-", label).strip("-") for label in analysis.pair]
    ending = "".join(f".{label}" for label in pair if pair_in_name) + suffix
    return path.with_name(_fitted(stem, _LONGEST - len(os.fsencode(ending))) + ending)


def _fitted(stem: str, room: int) -> str:
    """Return a name that fits; one that is cut keeps a digest, so that it stays the only one."""
    if len(os.fsencode(stem)) <= room:
        return stem
    digest = hashlib.sha256(os.fsencode(stem)).hexdigest()[:8]
    return f"{os.fsencode(stem)[: room - 9].decode(errors='ignore')}-{digest}"


def _refuse_original(target: Path, analysis: Analysis) -> None:
    if analysis.path and target.exists() and target.samefile(analysis.path):
        raise OutputError(
            f"{target}: would replace the photo itself: choose a folder the photos are not in"
        )


def _write_drawn(analysis: Analysis, target: Path, blur: bool) -> Path:
    if analysis.failure and analysis.failure.stage == "read":
        raise PhotoError(analysis.failure.reason)
    image = draw_analysis(read_again(analysis), analysis, blur=blur)
    return write_atomically(target, encode_jpeg(image, quality=90))
