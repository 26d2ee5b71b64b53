"""The labeller in a notebook: the page, as a widget of the kernel's.

The page's modules go into the widget as they are; in place of HTTP they speak the widget's
custom messages. A request has an `id`, which its answer repeats:

==========================  ==================================================================
request                     answer
==========================  ==================================================================
{id, message}               {id, reply}: what the desk replies, see `groupemo.labeller.desk`
{id, photo, side}           {id, reply: {}} and a buffer: the photo as JPEG, see `Pictures`
{id, photo, box, side}      the same of a face
{id}                        {id, reply: {}}: the kernel is there
==========================  ==================================================================

Where something goes wrong, the reply is `{error, kind}`. Answers are made in threads, so that
neither a slow photo nor a detector holds up labels, and are sent while the kernel is at work.

In a kernel that handles the messages of widgets beside the running cell (ipykernel 7 with
JupyterLab 4.4), labels are saved meanwhile; in others they wait in the browser.
"""

from __future__ import annotations

import atexit
import json
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import anywidget
import traitlets

from groupemo.errors import GroupemoError, OptionError
from groupemo.labeller.desk import Desk
from groupemo.labeller.pictures import Pictures
from groupemo.labels import Labels

__all__ = ["Labeller", "show"]

THREADS = 4
"""For messages, and as many for pictures: a message may wait two seconds for a detector."""

_open: WeakValueDictionary[Path, Labeller] = WeakValueDictionary()
"""What is open in this process, by its label file."""


def _script() -> str:
    """Return one module: the loader, and the page's files for it to load."""
    folder = Path(__file__).with_name("page")
    served = {"main.js", "transport.js", "widget.js"}
    files = [*folder.glob("*.js"), folder / "style.css"]
    sources = {path.name: path.read_text("utf-8") for path in files if path.name not in served}
    loader = (folder / "widget.js").read_text("utf-8")
    return f"const SOURCES = {json.dumps(sources)};\n{loader}"


class Labeller(anywidget.AnyWidget):
    """The labeller's page in a notebook.

    It may be shown more than once; each view is a tab of its own to the desk.

    Parameters
    ----------
    desk : Desk
        What answers; it is closed with the widget.
    annotator : str
        Who labels; if empty, the page asks.
    """

    _esm = _script()
    _annotator = traitlets.Unicode().tag(sync=True)

    def __init__(self, desk: Desk, annotator: str = "") -> None:
        self._desk = desk
        self._pictures = Pictures(desk.pictured)
        self._closed = False
        self._speakers = ThreadPoolExecutor(THREADS, thread_name_prefix="messages")
        self._painters = ThreadPoolExecutor(THREADS, thread_name_prefix="pictures")
        super().__init__(_annotator=annotator)
        self.on_msg(self._asked)
        atexit.register(self.close)

    def __repr__(self) -> str:
        return f"<Labeller of {len(self._desk.photos)} photos: its page is shown in a notebook>"

    @property
    def desk(self) -> Desk:
        """What answers; closed with the widget."""
        return self._desk

    @property
    def labels_path(self) -> Path:
        """The label file, with all that was said so far; it is not there while nothing was.

        Raises
        ------
        LabelError, OutputError
            If it was changed by hand, or cannot be written.
        """
        if not self._closed:
            self._desk.export()
        return self._desk.labels

    def labels(self) -> Labels:
        """Return what the annotators have said so far, as the label file has it."""
        return self._desk.said()

    def close(self) -> None:
        """Take the labeller off the page, and write the label file."""
        if not self._closed:
            self._closed = True
            atexit.unregister(self.close)
            super().close()
            self._speakers.shutdown(cancel_futures=True)
            self._painters.shutdown(wait=False, cancel_futures=True)
            self._desk.close()

    def _asked(self, _: Any, request: Mapping[str, Any], buffers: Sequence[memoryview]) -> None:
        pool = self._painters if "photo" in request else self._speakers
        pool.submit(self._answer, request)

    def _answer(self, request: Mapping[str, Any]) -> None:
        reply: Mapping[str, Any] = {}
        buffers = []
        try:
            if "photo" in request:
                buffers = [self._picture(**request)]
            elif "message" in request:
                reply = self._desk.handle(request["message"])
        except GroupemoError as error:
            reply = {"error": str(error), "kind": "refused"}
        except Exception:
            logging.getLogger(__name__).exception("request: %.200r", request)
            reply = {"error": "a bug in groupemo: the kernel's log says more", "kind": "refused"}
        self.send({"id": request["id"], "reply": reply}, buffers)

    def _picture(self, id: str, photo: str, side: int, box: Sequence[float] | None = None) -> bytes:
        if photo not in self._desk.pictured:
            raise OptionError(f"no such photo: {photo!r:.60}")
        if box is None:
            return self._pictures.photo(photo, side)
        return self._pictures.face(photo, box, side)


def show(desk: Desk, annotator: str = "") -> Labeller:
    """Return a widget for the desk; the one there was for the same label file is closed."""
    place = desk.labels.absolute()
    if former := _open.get(place):
        former.close()
    labeller = _open[place] = Labeller(desk, annotator)
    return labeller
