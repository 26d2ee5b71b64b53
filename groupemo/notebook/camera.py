"""A photo from the browser's camera."""

from __future__ import annotations

import base64
import binascii
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from groupemo.errors import MissingExtra, PhotoError
from groupemo.files import write_atomically
from groupemo.images import read_photo
from groupemo.notebook.photos import PORTRAITS, colab, example_photo

__all__ = ["webcam"]

JPEG = "data:image/jpeg;base64,"


def webcam(path: str | Path = "webcam.jpg") -> Path:
    """Take a photo with the browser's camera, and return its path.

    In Colab the cell waits for the picture. In Jupyter a button opens the camera, and another
    takes the picture; run the cells below again then. Until there is one, and where there is no
    camera, a sample photo stands in, and that is said. Nothing is sent anywhere but to the
    kernel of this notebook.

    Parameters
    ----------
    path : path
        Where the photo is kept; an earlier one is replaced.

    Raises
    ------
    PhotoError
        If no sample photo can be had to stand in.
    MissingExtra
        If anywidget is not installed, elsewhere than in Colab.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(example_photo(PORTRAITS), target)
    if output := colab("output"):
        call = f"(async () => {{{_script()}\nreturn takePicture(document.body);}})()"
        print(_kept(output.eval_js(call), target))
    else:
        _show(target)
        print("Until you take a picture, a sample photo stands in.")
    return target


def _script() -> str:
    return Path(__file__).with_name("camera.js").read_text("utf-8")


def _kept(taken: Mapping[str, Any], path: Path) -> str:
    """Keep the picture that was taken, and return what is to be said."""
    address = str(taken.get("picture", ""))
    try:
        data = base64.b64decode(address.removeprefix(JPEG), validate=True)
        read_photo(data)
    except (binascii.Error, PhotoError):
        return f"No picture ({taken.get('problem', 'not a JPEG')}): a sample photo stands in."
    write_atomically(path, data)
    return f"The picture is in {path}: run the next cell."


def _show(path: Path) -> None:
    from IPython.display import display

    try:
        import anywidget
        import traitlets
    except ModuleNotFoundError as error:
        raise MissingExtra(
            "anywidget is not installed: pip install 'groupemo[notebook]'"
        ) from error

    class Camera(anywidget.AnyWidget):
        _esm = _script() + "\nexport default {render};"
        _taken = traitlets.Dict().tag(sync=True)
        _said = traitlets.Unicode().tag(sync=True)

        @traitlets.observe("_taken")
        def _arrived(self, change: Mapping[str, Any]) -> None:
            self._said = _kept(change["new"], path)

        def __repr__(self) -> str:
            return f"camera, for {path}"

    display(Camera())  # type: ignore[no-untyped-call]
