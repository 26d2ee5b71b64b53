"""Photos in: files, folders, globs, arrays and file-like objects become upright RGB arrays.

Conventions
-----------
An image is `(h, w, 3)` uint8, RGB, upright (the EXIF orientation is applied).
A photo's name is its path below the folder it was found in, with forward
slashes, or its file name where it was given by itself: the name labels use.
"""

from __future__ import annotations

import glob
import hashlib
import io
import os
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

from groupemo.errors import PhotoError

__all__ = ["MAX_PIXELS", "SUFFIXES", "Photo", "find_photos", "is_jpeg", "one_photo", "read_photo"]

MAX_PIXELS = 100_000_000
"""The largest photo that is decoded unless a caller raises the limit: 300 MB as an array."""

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".heic", ".heif", ".bmp", ".tif", ".tiff"})
"""File name endings that make a file in a folder a photo."""


@dataclass(frozen=True, eq=False)
class Photo:
    """One photo that can be read: where it is, and the name labels know it by.

    Parameters
    ----------
    name : str
        As in a label file's `image` column.
    source : Path, bytes or np.ndarray
        A file, an encoded picture, or pixels.
    """

    name: str
    source: Path | bytes | NDArray[np.uint8]

    @property
    def path(self) -> Path | None:
        """The file it comes from, where there is one."""
        return self.source if isinstance(self.source, Path) else None

    @property
    def place(self) -> str:
        """How messages name it: where it is, as text that can be written, or its name."""
        return _text(str(self.path or self.name))

    def load(self) -> bytes | NDArray[np.uint8]:
        """Return the encoded bytes, or the pixels of a photo given as an array.

        Raises
        ------
        PhotoError
            If the file cannot be read.
        """
        if not isinstance(self.source, Path):
            return self.source
        if os.path.exists(self.source) and not os.path.isfile(self.source):
            raise PhotoError(f"{self.place}: a folder, pipe or device, not a file")
        try:
            return self.source.read_bytes()
        except (OSError, ValueError) as error:  # ValueError: a NUL in the name
            reason = getattr(error, "strerror", None) or str(error)
            raise PhotoError(f"{self.place}: cannot be read: {reason}") from error

    def decode(
        self,
        data: bytes | NDArray[np.uint8],
        *,
        max_pixels: int = MAX_PIXELS,
        side: int | None = None,
    ) -> NDArray[np.uint8]:
        """Return the image in `data`, which `load` gave; see `read_photo` for what is raised.

        Where the longer side needs only `side` pixels, a JPEG may come at a half, a quarter
        or an eighth of its size, in a fraction of the time.
        """
        if isinstance(data, np.ndarray):
            return _from_array(data, self.name)
        return _decode(data, self.place, max_pixels, side)

    def size(
        self, data: bytes | NDArray[np.uint8], *, max_pixels: int = MAX_PIXELS
    ) -> tuple[int, int]:
        """Return width and height of the upright image in `data`, without decoding it.

        Raises
        ------
        PhotoError
            If it is no picture, or too large.
        """
        if isinstance(data, np.ndarray):
            height, width = self.decode(data).shape[:2]
            return width, height
        with _no_pillow_limit:
            return _upright_size(_opened(data, self.place, max_pixels), self.place)


def digest(data: bytes | NDArray[np.uint8]) -> str:
    """Return the SHA-256 of a photo's bytes, or of an array's shape and pixels, in hex."""
    if isinstance(data, np.ndarray):
        return hashlib.sha256(repr(data.shape).encode() + data.tobytes()).hexdigest()
    return hashlib.sha256(data).hexdigest()


def is_jpeg(data: bytes | NDArray[np.uint8]) -> bool:
    """Return whether a photo can be decoded at part of its size."""
    return isinstance(data, bytes) and data.startswith(b"\xff\xd8\xff")


def read_photo(photo: Any, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Return one photo as an upright RGB image.

    Parameters
    ----------
    photo : path, file-like object, bytes, np.ndarray or Photo
        JPEG, PNG, WebP, BMP, TIFF, the first picture of a GIF, and HEIC with
        `groupemo[heic]`. Gray, CMYK,
        16-bit and palette pictures become 8-bit RGB; transparent parts white.
        An array is taken as it is: `(h, w)` gray, or `(h, w, 3)` RGB or
        `(h, w, 4)` RGBA, uint8.
    max_pixels : int
        Larger pictures are refused before they are decoded.

    Returns
    -------
    np.ndarray, shape=(h, w, 3), uint8
        RGB.

    Raises
    ------
    PhotoError
        If it is missing, no picture, cut off, too large or of no pixels; the
        message names the photo and the reason.
    """
    one = one_photo(photo)
    return one.decode(one.load(), max_pixels=max_pixels)


def one_photo(photo: Any) -> Photo:
    """Return the photo meant by what `read_photo` takes; nothing is read but a file-like object.

    Raises
    ------
    PhotoError
        If it is none of these, or cannot be read.
    """
    return _single(photo, 0)


def find_photos(photos: Any) -> list[Photo]:
    """Return the photos meant by a path, folder, glob, array, file-like object or a list of these.

    A folder means every picture below it, by ending, in order of name; hidden
    files and folders are left out. A file that is missing from a list is kept,
    so that it becomes a row with its reason; when nothing at all is there, that
    is an error.

    Raises
    ------
    PhotoError
        If nothing is found, or two photos would have the same name.
    """
    several = isinstance(photos, Iterable) and not isinstance(
        photos, str | bytes | np.ndarray | io.IOBase
    )
    given = list(photos) if several and not hasattr(photos, "read") else [photos]
    if not given:
        raise PhotoError("no photos given: an empty list")
    found = [photo for number, item in enumerate(given) for photo in _expand(item, number)]
    if not found:
        raise PhotoError(f"no photos in {_spell(given)}: expected {', '.join(sorted(SUFFIXES))}")
    paths = [photo.path for photo in found]
    if all(path is not None and not os.path.exists(path) for path in paths):
        raise PhotoError(f"no such file or folder: {_spell(paths)}")
    _refuse_same_names(found)
    return found


def _expand(item: Any, number: int) -> Iterator[Photo]:
    if not isinstance(item, str | Path):
        yield _single(item, number)
        return
    path = _path(item)
    if os.path.isdir(path):  # unlike Path.is_dir, False for a name too long to be one
        for file in sorted(path.rglob("*")):
            inside = file.relative_to(path)
            hidden = any(part.startswith(".") for part in inside.parts)
            if file.suffix.lower() in SUFFIXES and file.is_file() and not hidden:
                yield Photo(_text(inside.as_posix()), file)
    elif glob.has_magic(str(item)) and not os.path.exists(path):
        for name in sorted(glob.glob(str(path), recursive=True)):
            if os.path.isfile(name):
                yield _single(name, number)
    else:
        yield _single(item, number)


def _single(item: Any, number: int) -> Photo:
    if isinstance(item, Photo):
        return item
    if isinstance(item, str | Path):
        path = _path(item)
        return Photo(_text(path.name), path)
    if isinstance(item, bytes | np.ndarray):
        return Photo(f"image-{number}", item)
    if hasattr(item, "read"):
        return Photo(_file_name(item, number), _read(item, number))
    raise PhotoError(
        f"{item!r} is a {type(item).__name__}: expected a path, bytes, an open binary file or an"
        " array"
    )


def _path(item: str | Path) -> Path:
    if item == "":  # pathlib takes it for the current folder
        raise PhotoError("an empty path given: expected a file, a folder or a glob")
    try:
        return Path(item).expanduser()
    except RuntimeError:  # no user of that name: a file called ~something
        return Path(item)


def _read(file: BinaryIO, number: int) -> bytes:
    name = _file_name(file, number)
    try:
        data = file.read()
    except UnicodeDecodeError:
        data = None
    except (OSError, ValueError) as error:  # ValueError: it is closed
        raise PhotoError(f"{name}: cannot be read: {error}") from error
    if not isinstance(data, bytes):
        raise PhotoError(f"{name}: open it as a binary file (mode 'rb')")
    return data


def _text(name: str) -> str:
    """Return a file name as text that can be written: bytes that are no UTF-8 are spelled out."""
    return os.fsencode(name).decode(errors="backslashreplace")


def _file_name(file: BinaryIO, number: int) -> str:
    name = getattr(file, "name", None)
    return Path(name).name if isinstance(name, str) else f"image-{number}"


def _refuse_same_names(found: list[Photo]) -> None:
    twice = [name for name, count in Counter(photo.name for photo in found).items() if count > 1]
    if twice:
        paths = [photo.path or photo.name for photo in found if photo.name == twice[0]]
        if len(set(paths)) == 1:
            raise PhotoError(f"{paths[0]} is given {len(paths)} times: name it once")
        raise PhotoError(
            f"two photos are named {twice[0]!r}: {_spell(paths)}; give the folder above them, and"
            " their names keep their folders"
        )


def _spell(items: Iterable[Any], most: int = 5) -> str:
    names = [str(item) if isinstance(item, str | Path) else type(item).__name__ for item in items]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _decode(data: bytes, name: str, max_pixels: int, side: int | None) -> NDArray[np.uint8]:
    with _no_pillow_limit:
        picture = _opened(data, name, max_pixels)
        try:
            if side is not None:
                width, height = picture.size
                longer = max(width, height)
                least = max(1, width * side // longer), max(1, height * side // longer)
                picture.draft(None, least)
            ImageOps.exif_transpose(picture, in_place=True)
            return _to_rgb(picture, name)
        except PhotoError:
            raise
        except Exception as error:  # likewise
            raise PhotoError(f"{name}: the picture is cut off or damaged: {error}") from error


def _opened(data: bytes, name: str, max_pixels: int) -> Image.Image:
    """Return a picture that is not decoded yet, and may be."""
    if not data:
        raise PhotoError(f"{name}: the file is empty")
    picture = _open(data, name)
    width, height = picture.size
    if width * height > max_pixels:
        raise PhotoError(
            f"{name}: {width} x {height} pixels is over the limit of {max_pixels:,} pixels;"
            " raise it with max_pixels= (--max-pixels) if you trust the file"
        )
    return picture


def _upright_size(picture: Image.Image, name: str) -> tuple[int, int]:
    width, height = picture.size
    try:
        turned = picture.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
    except Exception as error:  # Pillow's readers raise many kinds on damaged bytes
        raise PhotoError(f"{name}: the picture's EXIF data are damaged: {error}") from error
    # of a TIFF, Pillow tells the upright size before it has decoded it
    return (height, width) if turned and picture.format != "TIFF" else (width, height)


def _open(data: bytes, name: str) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=_formats(data))
    except Exception as error:  # likewise, on bytes that are no picture
        raise PhotoError(
            f"{name}: not a picture in a format that can be read here (JPEG, PNG, WebP, BMP, TIFF,"
            " GIF; HEIC with `pip install 'groupemo[heic]'`)"
        ) from error


def _to_rgb(picture: Image.Image, name: str) -> NDArray[np.uint8]:
    if picture.mode.startswith("I"):  # 16 bits a pixel, whole numbers up to 65,535
        gray = (np.clip(np.asarray(picture, dtype=np.int64), 0, 65535) / 257).round()
        return _from_array(gray.astype(np.uint8), name)
    if picture.mode == "F":
        raise PhotoError(f"{name}: pixels are floating-point numbers of unknown range")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    return np.asarray(picture if picture.mode == "RGB" else picture.convert("RGB"))


def _from_array(pixels: NDArray[Any], name: str) -> NDArray[np.uint8]:
    shape = f"{name}: an array of shape {pixels.shape} and type {pixels.dtype}"
    if pixels.dtype != np.uint8:
        raise PhotoError(f"{shape}: expected uint8, 0 to 255")
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[:, :, None], 3, axis=2)
    if pixels.ndim != 3 or pixels.shape[2] not in (3, 4) or 0 in pixels.shape:
        raise PhotoError(f"{shape}: expected (h, w), (h, w, 3) or (h, w, 4), not empty")
    if pixels.shape[2] == 4:
        alpha = pixels[..., 3:] / 255
        pixels = (pixels[..., :3] * alpha + 255 * (1 - alpha)).round().astype(np.uint8)
    image = np.ascontiguousarray(pixels).view()
    image.setflags(write=False)  # as of a file: a plugin that draws must not change the caller's
    return image


class _NoPillowLimit(AbstractContextManager[None]):
    """Lifts Pillow's own pixel limit while any thread decodes: ours is checked first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._limit: int | None = None

    def __enter__(self) -> None:
        with self._lock:
            if not self._users:
                self._limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            self._users += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                Image.MAX_IMAGE_PIXELS = self._limit


_no_pillow_limit = _NoPillowLimit()


def _formats(data: bytes) -> tuple[str, ...]:
    """Return what Pillow may take bytes for; of its others, EPS would run them as a program."""
    formats = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
    return (*formats, "HEIF") if data[4:8] == b"ftyp" and _heif() else formats


@cache
def _heif() -> bool:
    """Teach Pillow to read HEIC, where `groupemo[heic]` is installed."""
    try:
        import pillow_heif
    except ImportError:
        return False
    pillow_heif.register_heif_opener()
    return True
