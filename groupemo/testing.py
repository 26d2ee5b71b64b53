"""For tests of groupemo and of plugins: fakes, made scenes, and the two contracts as checks.

A third party's test is two lines::

    from groupemo.testing import check_detector
    check_detector(MyDetector())

A made scene is a picture whose faces are drawn, so that every label is true by
construction. The drawn faces are no faces to a real detector.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw

from groupemo.emotions import EMOTIONS
from groupemo.errors import ContractError
from groupemo.faces import Faces
from groupemo.files import write_atomically
from groupemo.images import digest
from groupemo.labels import LabelledFaces, Labels
from groupemo.plugins import (
    BACKENDS,
    DETECTORS,
    Backend,
    Detector,
    Loaded,
    checked_faces,
    checked_probs,
)

__all__ = [
    "FakeBackend",
    "FakeDetector",
    "Scene",
    "check_backend",
    "check_detector",
    "make_scene",
    "odd_images",
    "write_scenes",
]

T = TypeVar("T")
TOLERANCE = 1e-4
"""Most that a probability may change with the rows beside it in a batch."""


# --- fakes -----------------------------------------------------------------------------------


class FakeDetector:
    """A detector that finds what it was told.

    Parameters
    ----------
    faces : Faces, or mapping of str to Faces
        The same for every image, or by `groupemo.images.digest` of the image's
        array; an image without an entry holds no face.
    label : str
        How tables name it.

    Attributes
    ----------
    calls : int
        How often it was asked.
    """

    def __init__(self, faces: Faces | Mapping[str, Faces], *, label: str = "fake") -> None:
        self.label = label
        self.calls = 0
        self._faces = faces

    @classmethod
    def of(cls, scenes: Iterable[Scene], *, label: str = "fake") -> FakeDetector:
        """Return the detector that finds exactly the labelled faces of made scenes."""
        return cls({digest(scene.image): scene.faces for scene in scenes}, label=label)

    def __call__(self, image: NDArray[np.uint8]) -> Faces:
        """Return the faces for `image`."""
        self.calls += 1
        if isinstance(self._faces, Faces):
            return self._faces.clipped(image.shape[1], image.shape[0])
        return self._faces.get(digest(image), Faces.empty())


class FakeBackend:
    """A backend that answers what it was told.

    Parameters
    ----------
    probs : array_like of shape (k,), or mapping of str to array_like of shape (n, k)
        The same row for every face, or the rows of all faces of an image, by
        `groupemo.images.digest` of the image's array.
    classes : sequence of str, length k
    label : str
        How tables name it.

    Attributes
    ----------
    calls : list of int
        Rows of each `predict` call.
    """

    def __init__(
        self,
        probs: ArrayLike | Mapping[str, ArrayLike],
        classes: Sequence[str] = EMOTIONS,
        *,
        label: str = "fake",
    ) -> None:
        self.label = label
        self.classes = tuple(classes)
        self.calls: list[int] = []
        self._probs = probs

    @classmethod
    def of(cls, scenes: Iterable[Scene], *, label: str = "fake") -> FakeBackend:
        """Return the backend that answers the labels of made scenes, surely."""
        return cls(
            {digest(scene.image): np.eye(len(EMOTIONS))[scene.labelled.labels] for scene in scenes},
            label=label,
        )

    def prepare(self, image: NDArray[np.uint8], faces: Faces) -> NDArray[np.float64]:
        """Return the answers: a fake's inputs are what it will predict."""
        rows = self._probs[digest(image)] if isinstance(self._probs, Mapping) else self._probs
        return np.array(np.broadcast_to(np.asarray(rows), (len(faces), len(self.classes))), float)

    def predict(self, inputs: NDArray[Any]) -> NDArray[np.float64]:
        """Return the rows that `prepare` made."""
        self.calls.append(len(inputs))
        return np.asarray(inputs, dtype=np.float64)


# --- made scenes -----------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Scene:
    """A made photo: its file name, its pixels, and what is drawn in it."""

    name: str
    image: NDArray[np.uint8]
    labelled: LabelledFaces

    @property
    def faces(self) -> Faces:
        """What a perfect detector returns."""
        return Faces(self.labelled.boxes)

    def encoded(self, kind: str = "PNG") -> bytes:
        """Return the picture as a file's bytes; PNG keeps every pixel."""
        buffer = io.BytesIO()
        Image.fromarray(self.image).save(buffer, kind)
        return buffer.getvalue()


def make_scene(
    emotions: Iterable[str] = ("happy", "sad", "neutral"),
    *,
    name: str = "scene.png",
    face: int = 48,
    columns: int = 4,
) -> Scene:
    """Draw one face for each emotion, in rows on a gray wall.

    Parameters
    ----------
    emotions : iterable of str
        Of `EMOTIONS`; none gives a photo without a face.
    name : str
        The photo's file name; two names give two different pictures.
    face : int
        Side of each face's square box in pixels; boxes stand half a side apart.
    columns : int
        Faces a row.

    Examples
    --------
    >>> make_scene(["happy", "sad"]).faces.boxes.tolist()
    [[24.0, 24.0, 72.0, 72.0], [96.0, 24.0, 144.0, 72.0]]
    """
    words = list(emotions)
    step, gap = face * 3 // 2, face // 2
    rows = max(1, -(-len(words) // columns))
    wall = sum(name.encode()) % 64 + 128
    picture = Image.new("RGB", (columns * step + gap, rows * step + gap), (wall, wall, wall))
    corners = [(gap + i % columns * step, gap + i // columns * step) for i in range(len(words))]
    for word, (x, y) in zip(words, corners, strict=True):
        _draw_face(ImageDraw.Draw(picture), x, y, face, word)
    boxes = [(x, y, x + face, y + face) for x, y in corners]
    labels = [EMOTIONS.index(word) for word in words]
    return Scene(name, np.array(picture), LabelledFaces(boxes, labels))


def write_scenes(scenes: Iterable[Scene], folder: str | Path) -> Labels:
    """Write each scene's picture into a folder under its name, and return the labels."""
    drawn = list(scenes)
    for scene in drawn:
        kind = Image.registered_extensions()[Path(scene.name).suffix.lower()]
        write_atomically(Path(folder) / scene.name, scene.encoded(kind))
    return Labels({scene.name: scene.labelled for scene in drawn})


def _draw_face(draw: ImageDraw.ImageDraw, x: int, y: int, side: int, emotion: str) -> None:
    unit = side / 8
    draw.ellipse((x, y, x + side - 1, y + side - 1), fill=(224, 172, 105))
    for eye in (2.4, 5.6):
        draw.ellipse(
            (x + (eye - 0.5) * unit, y + 2.5 * unit, x + (eye + 0.5) * unit, y + 3.5 * unit),
            "black",
        )
    mouth = (x + 2 * unit, y + 4.5 * unit, x + 6 * unit, y + 6.5 * unit)
    if emotion == "happy":
        draw.arc(mouth, 0, 180, "black", 2)
    elif emotion in ("surprise", "fear"):
        draw.ellipse(mouth, fill="black")
    elif emotion == "neutral":
        draw.line((x + 2 * unit, y + 5.5 * unit, x + 6 * unit, y + 5.5 * unit), "black", 2)
    else:
        draw.arc(mouth, 180, 360, "black", 2)


# --- the contracts ---------------------------------------------------------------------------


def odd_images() -> dict[str, NDArray[np.uint8]]:
    """Return images a plugin must bear, by what is odd about each."""
    scene = make_scene(EMOTIONS).image
    noise = np.random.default_rng(0).integers(0, 256, (90, 120), dtype=np.uint8)
    read_only = scene.copy()
    read_only.setflags(write=False)
    return {
        "a made photo": scene,
        "1 x 1 pixel": np.full((1, 1, 3), 200, np.uint8),
        "one row of pixels": np.zeros((1, 300, 3), np.uint8),
        "one column of pixels": np.zeros((300, 1, 3), np.uint8),
        "black": np.zeros((64, 64, 3), np.uint8),
        "gray noise": np.repeat(noise[:, :, None], 3, axis=2),
        "a read-only array": read_only,
        "an array that is not contiguous": scene[::2, ::2, ::-1],
        "1,500 x 1,100 pixels": np.tile(scene, (8, 5, 1))[:1100, :1500].copy(),
    }


def check_detector(
    detector: str | Detector, *, images: Mapping[str, NDArray[np.uint8]] | None = None
) -> None:
    """Hold a detector to its contract.

    It must bear every image of `odd_images`, return `Faces` inside the image,
    leave the image as it was, and find the same faces whatever it saw before.

    Parameters
    ----------
    detector : str or Detector
        A spec or an object.
    images : mapping of str to np.ndarray, optional
        Further images, shape (h, w, 3), RGB uint8, by what they show.

    Raises
    ------
    ContractError
        Naming the rule broken and the image.
    """
    loaded = DETECTORS.load(detector)
    shown = {**odd_images(), **(images or {})}
    first = {name: _looked(loaded, name, image) for name, image in shown.items()}
    for name, image in reversed(shown.items()):
        if not _same_faces(first[name], _looked(loaded, name, image)):
            raise _broken(loaded, "must not depend on earlier calls", f"{name}: other faces")


def check_backend(
    backend: str | Backend, *, images: Mapping[str, NDArray[np.uint8]] | None = None
) -> None:
    """Hold a backend to its contract.

    Its classes must be known words, each once. For faces anywhere in every
    image of `odd_images`, with and without landmarks, `prepare` must give one
    row a face that stacks with all others, and `predict` one row of
    probabilities a row, the same alone as in a batch. None may change what it
    is given or depend on earlier calls, and no faces are as good as some.

    Parameters
    ----------
    backend : str or Backend
        A spec or an object.
    images : mapping of str to np.ndarray, optional
        Further images, shape (h, w, 3), RGB uint8, by what they show.

    Raises
    ------
    ContractError
        Naming the rule broken and the image.
    """
    loaded = BACKENDS.load(backend)
    _check_classes(loaded)
    shown = {**odd_images(), **(images or {})}
    cases = [(name, image, faces) for name, image in shown.items() for faces in _odd_faces(image)]
    rows = [_prepared(loaded, *case) for case in cases]
    for case, before in zip(reversed(cases), reversed(rows), strict=True):
        if not np.array_equal(before, _prepared(loaded, *case), equal_nan=True):
            raise _broken(loaded, "prepare() must not depend on earlier calls", case[0])
    shapes = {each.shape[1:] for each in rows}
    if len(shapes) > 1:
        raise _broken(loaded, "prepare() must give rows of one shape", f"gave {sorted(shapes)}")
    _check_predict(loaded, np.concatenate(rows))


def _looked(loaded: Loaded[Detector], name: str, image: NDArray[np.uint8]) -> Faces:
    faces = _unchanged(loaded, f"detecting in {name}", loaded.plugin, image)
    return checked_faces(faces, image, loaded.label)


def _prepared(
    loaded: Loaded[Backend], name: str, image: NDArray[np.uint8], faces: Faces
) -> NDArray[Any]:
    doing = f"prepare() of {len(faces)} faces in {name}"
    rows = np.asarray(_unchanged(loaded, doing, loaded.plugin.prepare, image, faces))
    if rows.ndim < 1 or len(rows) != len(faces):
        raise _broken(loaded, "prepare() must give one row a face", f"{doing}: gave {rows.shape}")
    return rows


def _check_classes(loaded: Loaded[Backend]) -> None:
    """Refuse a list: what loading lets pass here is known words, each once."""
    classes = loaded.plugin.classes
    if not isinstance(classes, tuple):
        raise _broken(loaded, "classes must be a tuple of words", f"is {classes!r}")


def _check_predict(loaded: Loaded[Backend], inputs: NDArray[Any]) -> None:
    together = _predicted(loaded, inputs)
    rule = "predict() must give a row the same answer alone as in a batch"
    for row, expected in enumerate(together):
        alone = _predicted(loaded, inputs[row : row + 1])[0]
        if not np.allclose(alone, expected, rtol=0, atol=TOLERANCE, equal_nan=True):
            raise _broken(loaded, rule, f"row {row} of {len(inputs)}: {alone} and {expected}")
    if not np.array_equal(together, _predicted(loaded, inputs), equal_nan=True):
        raise _broken(loaded, "predict() must not depend on earlier calls", "other answers")
    _predicted(loaded, inputs[:0])


def _predicted(loaded: Loaded[Backend], inputs: NDArray[Any]) -> NDArray[np.float64]:
    doing = f"predict() of {len(inputs)} rows"
    probs = _unchanged(loaded, doing, loaded.plugin.predict, inputs)
    return checked_probs(probs, len(inputs), loaded.plugin, loaded.label)


def _unchanged(
    loaded: Loaded[Any], doing: str, call: Callable[..., T], given: NDArray[Any], *rest: Any
) -> T:
    """Call a plugin; it must neither raise nor write into what it is given."""
    before = given.copy()
    try:
        result = call(given, *rest)
    except Exception as error:
        told = f"{doing}: raised {type(error).__name__}: {error}"
        raise _broken(loaded, "must bear every image and every number of faces", told) from error
    if not np.array_equal(before, given, equal_nan=given.dtype.kind == "f"):
        raise _broken(loaded, "must not write into its input", doing)
    return result


def _odd_faces(image: NDArray[np.uint8]) -> list[Faces]:
    """Return no faces, and faces at the borders, without and with landmarks, good and bad."""
    height, width = image.shape[:2]
    size = np.array([width, height] * 2)
    boxes = size * [[0, 0, 1, 1], [0, 0, 0.5, 0.5], [0.5, 0.4, 1, 1], [0.2, 0.3, 0.7, 0.8]]
    corner = [[width - 0.3, height - 0.3, width, height]]  # holds no whole pixel
    faces = Faces(np.concatenate([boxes, corner]))
    face = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])
    starts, sides = faces.boxes[:, None, :2], faces.boxes[:, None, 2:] - faces.boxes[:, None, :2]
    landmarks = starts + sides * face
    in_one_point = np.broadcast_to(starts + sides / 2, landmarks.shape)
    marked = [Faces(faces.boxes, faces.scores, marks) for marks in (landmarks, in_one_point)]
    return [Faces.empty(), faces, *marked]


def _same_faces(one: Faces, other: Faces) -> bool:
    if (one.landmarks is None) != (other.landmarks is None):
        return False
    pairs = [(one.boxes, other.boxes), (one.scores, other.scores)]
    if one.landmarks is not None and other.landmarks is not None:
        pairs.append((one.landmarks, other.landmarks))
    return all(a.shape == b.shape and np.allclose(a, b, atol=1e-3) for a, b in pairs)


def _broken(loaded: Loaded[Any], rule: str, detail: str) -> ContractError:
    return ContractError(f"{loaded.label!r} {rule}: {detail}")
