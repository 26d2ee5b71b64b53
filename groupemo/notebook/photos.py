"""Photos to start from: labelled samples, and the user's own."""

from __future__ import annotations

import importlib
import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from groupemo.errors import MissingExtra, PhotoError
from groupemo.files import write_atomically
from groupemo.images import Photo, find_photos
from groupemo.label_csv import load_labels
from groupemo.labels import Labels
from groupemo.report.words import plural
from groupemo.samples import fetch_samples, labels_file, list_samples

__all__ = [
    "PORTRAITS", "LabelledPhotos", "colab", "example_photo", "sample_labels", "sample_photos",
    "upload", "widgets",
]  # fmt: skip

ENOUGH = 6
"""With fewer photos there is nothing to compare."""

MAY_BE_SHOWN = ("public domain", "MIT")
"""Terms, by their first words, under which a notebook may keep a photo and be passed on."""

GROUPS = ("azure-identification1", "young-people", "two-people", "officer")
"""The first that can be had stands in for photos of the user's."""

PORTRAITS = ("officer", "astronaut")
"""The same for a picture of the camera's."""

STAND_IN = "groupemo_sample"
"""Its name among the user's photos."""


@dataclass(frozen=True)
class LabelledPhotos:
    """Photos in a folder, with their labels.

    Parameters
    ----------
    folder : Path
    labels : Labels
        Of the photos that could be had.
    out_of_reach : Mapping of str to str
        The photos that could not, and why.
    """

    folder: Path
    labels: Labels
    out_of_reach: Mapping[str, str]

    @property
    def photos(self) -> list[Path]:
        """The photos' files, in the order of the labels."""
        return [self.folder / name for name in self.labels]

    def pick(self, *names: str) -> Path:
        """Return the first photo of these names that is there, or else the first of all."""
        known: list[str] = [*(name for name in names if name in self.labels), *self.labels]
        return self.folder / known[0]

    def __repr__(self) -> str:
        faces = sum(len(each) for each in self.labels.values())
        lacking = f", {len(self.out_of_reach)} out of reach" if self.out_of_reach else ""
        return f"{len(self.labels)} photos in {self.folder}/, {faces} labelled boxes{lacking}"


def sample_photos(folder: str | Path = "photos") -> LabelledPhotos:
    """Put labelled sample photos into a folder: those that a notebook may keep and pass on.

    Where fewer than six of these can be had, all samples that can.

    Parameters
    ----------
    folder : path
        Made where it is missing.

    Returns
    -------
    LabelledPhotos

    Raises
    ------
    PhotoError
        If no sample photo can be had.
    """
    known = {entry.file: entry for entry in list_samples()}
    truth = sample_labels()
    shown = [known[name].name for name in truth if known[name].licence.startswith(MAY_BE_SHOWN)]
    found = fetch_samples(shown, folder)
    if len(found.paths) < ENOUGH:
        found = fetch_samples([known[name].name for name in truth], folder)
    if not found.paths:
        reasons = "; ".join(dict.fromkeys(found.unreachable.values()))
        raise PhotoError(f"no sample photo can be had: {reasons:.500}")
    here = [name for name in truth if name in found.paths]
    return LabelledPhotos(Path(folder), truth.only(here), found.unreachable)


def sample_labels() -> Labels:
    """Return the labels of all sample photos, of those that cannot be had, too."""
    return load_labels(labels_file())


def example_photo(names: Iterable[str]) -> Path:
    """Return the first of these sample photos that can be had.

    Raises
    ------
    PhotoError
        If none can.
    """
    for name in names:
        for path in fetch_samples([name]).paths.values():
            return path
    raise PhotoError(f"none of the sample photos {', '.join(names)} can be had")


def upload(folder: str | Path = "my_photos") -> Path:
    """Let the user choose photos in the browser, and return the folder they are put in.

    In Colab the cell waits for the choice. In Jupyter a button is shown, and the photos are
    there once chosen; run the cells below again then. A folder that holds photos already can
    be named as well. While it is empty, a sample photo stands in.

    Parameters
    ----------
    folder : path
        Made where it is missing.

    Returns
    -------
    Path
        The folder; it holds at least one photo.

    Raises
    ------
    PhotoError
        If there is no photo, and no sample can be had.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    if files := colab("files"):
        _keep(target, files.upload().items())
    elif not _own(target):
        _show_button(target)
    own = _own(target)
    if not own:
        example = example_photo(GROUPS)
        shutil.copyfile(example, target / f"{STAND_IN}{example.suffix}")
    stands_in = "" if own else ": a sample stands in"
    print(f"{plural(len(own), 'photo')} of yours in {target}/{stands_in}")
    return target


def _show_button(folder: Path) -> None:
    from IPython.display import display

    button = widgets().FileUpload(accept="image/*", multiple=True, description="Choose photos")
    said = widgets().Label()

    def chosen(change: Mapping[str, Any]) -> None:
        _keep(folder, ((one["name"], bytes(one["content"])) for one in change["new"]))
        said.value = f"{plural(len(_own(folder)), 'photo')} in {folder}/: run the next cell"

    button.observe(chosen, "value")
    display(widgets().HBox([button, said]))  # type: ignore[no-untyped-call]


def _keep(folder: Path, photos: Iterable[tuple[str, bytes]]) -> None:
    """Put photos into a folder; the sample that stood in goes."""
    for name, data in photos:
        write_atomically(folder / Path(name).name, data)
    if _own(folder):
        for path in folder.glob(f"{STAND_IN}.*"):
            path.unlink()


def _own(folder: Path) -> list[Photo]:
    """Return the photos in a folder but for the sample that stands in."""
    try:
        return [one for one in find_photos(folder) if Path(one.name).stem != STAND_IN]
    except PhotoError:
        return []


def colab(module: str) -> Any:
    """Return a module of `google.colab`, or None elsewhere than in Colab."""
    if "google.colab" not in sys.modules:
        return None
    return importlib.import_module(f"google.colab.{module}")


def widgets() -> ModuleType:
    """Return `ipywidgets`.

    Raises
    ------
    MissingExtra
        If it is not installed.
    """
    try:
        import ipywidgets
    except ModuleNotFoundError as error:
        raise MissingExtra(
            "ipywidgets is not installed: pip install 'groupemo[notebook]'"
        ) from error
    return ipywidgets  # type: ignore[no-any-return]
