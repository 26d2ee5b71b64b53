"""The labeller's server from its start to its end: port, address, browser, signals."""

from __future__ import annotations

import html
import os
import secrets
import signal
import socket
import sys
import tempfile
import threading
import webbrowser
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from groupemo.errors import MissingExtra, OptionError
from groupemo.labeller.desk import Desk
from groupemo.labeller.server import make_app

if TYPE_CHECKING:
    from groupemo.labeller.widget import Labeller

__all__ = ["Server", "label", "listen", "serve"]

LOOPBACK = "127.0.0.1"

PORTS = range(20_000, 30_000)
"""Below those that systems give to outgoing connections."""

IDLE = 75
"""Seconds a connection may be silent between two requests."""

PATIENCE = 30
"""Seconds for the head of a request to arrive, from the connection or its first bytes on."""

ENDING = 5
"""Seconds for answers under way when the server is told to end."""

SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]
"""End the server: Ctrl-C, `kill`, the terminal closed."""


def _print(text: str) -> None:
    print(text, flush=True)  # a pipe would keep the address to itself


def label(
    photos: Any,
    *,
    annotator: str = "",
    port: int | None = None,
    open_browser: bool = True,
    notebook: bool | None = None,
    **options: Any,
) -> Path | Labeller:
    """Open a page in which faces are labelled, and wait until it is ended by Ctrl-C.

    In a notebook the page is shown there, and nothing waits. Whatever the page says is saved is
    on the disk, also when this process is killed.

    Parameters
    ----------
    photos : folder, glob, path or list of these
        What to label.
    annotator : str
        Who labels: a name or initials. If not given, the page asks.
    port, open_browser
        See `groupemo.labeller.serving.serve`; for a page that is served.
    notebook : bool, optional
        Whether to show the page in the notebook; if not given, where there is one. It needs
        `pip install 'groupemo[notebook]'`.
    options
        `labels` (the label file, `labels.csv` in the folder if not given), `detector`,
        `backends`, `order`, `seed`, `repeat`, `take_in`, `format`, `contempt`: see
        `groupemo.labeller.desk.Desk`.

    Returns
    -------
    Path or Labeller
        The label file, which `load_labels` reads; it is not there if nothing was labelled. In a
        notebook the widget: its `labels_path` is that file, at any time, and its `labels()` what
        `load_labels` would read.

    Raises
    ------
    GroupemoError
        See `Desk` and `serve`.
    """
    if _in_notebook() if notebook is None else notebook:
        return _in_widget(photos, annotator, options)
    if port is not None:
        listen(Path(), port).close()  # refused before anything is made
    with Desk(photos, annotator=annotator, **options) as desk:
        serve(desk, port=port, annotator=annotator, open_browser=open_browser)
        labels = desk.said()
    faces = sum(map(len, labels.values()))
    saved = f"saved to {desk.labels} (faces: {faces}, photos: {len(labels)})"
    print(saved if labels else "nothing is labelled yet")
    return desk.labels


def _in_notebook() -> bool:
    """Return whether this is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


def _in_widget(photos: Any, annotator: str, options: dict[str, Any]) -> Labeller:
    try:
        from groupemo.labeller.widget import show
    except ModuleNotFoundError as error:
        if error.name != "anywidget":
            raise
        raise MissingExtra(
            "anywidget is not installed: pip install 'groupemo[notebook]', or give notebook=False"
            " to have the page served"
        ) from error
    labeller = show(Desk(photos, annotator=annotator, **options), annotator)
    _print(f"labels go to {from_here(labeller.labels_path)}")
    return labeller


def from_here(path: Path) -> Path:
    """Return a path as it is written from the current folder, where it is inside."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def serve(
    desk: Desk,
    *,
    port: int | None = None,
    annotator: str = "",
    open_browser: bool = True,
    say: Callable[[str], object] = _print,
) -> None:
    """Serve the labeller's page on this machine until Ctrl-C, or a signal to end.

    Parameters
    ----------
    desk : Desk
        What answers; it is not closed.
    port : int, optional
        If not given, one that is the same each time for the same labels, so that what a page
        could not send before a crash is found again; another one where that is taken.
    annotator : str
        Who labels; if not given, the page asks.
    open_browser : bool
        Open the page, where there is a screen: by a temporary file that leads to the address, so
        that the token stands on no command line.
    say : callable
        Is told the address.

    Raises
    ------
    OptionError
        If the port is none, or is taken.
    """
    with listen(desk.labels, port) as listener:
        token, port = secrets.token_urlsafe(24), listener.getsockname()[1]
        who = f"?annotator={quote(annotator, safe='')}" if annotator else ""
        address = f"http://{LOOPBACK}:{port}/{who}#{token}"
        say(f"labelling at {address}\nCtrl-C ends it")
        with _opened(address) if open_browser and _has_screen() else nullcontext():
            Server(make_app(desk, token, port)).run(sockets=[listener])


@contextmanager
def _opened(address: str) -> Iterator[None]:
    """Open an address in the browser, by a file that leads there.

    The address holds the token, and a command line can be read by everybody on the machine. The
    file is removed at the end.
    """
    leads = f'<meta http-equiv="refresh" content="0; url={html.escape(address)}">'
    with tempfile.TemporaryDirectory(prefix="groupemo-", ignore_cleanup_errors=True) as folder:
        file = Path(folder) / "labelling.html"
        file.touch(mode=0o600)
        file.write_text(f'<!doctype html><meta charset="utf-8">{leads}', encoding="utf-8")
        threading.Thread(target=webbrowser.open, args=[file.as_uri()], daemon=True).start()
        yield


class Server(uvicorn.Server):
    """Serves one application, and ends quietly when told to: there is more to do after it.

    Parameters
    ----------
    app : ASGI application
    """

    def __init__(self, app: Any) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=_Protocol,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="error",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=IDLE,
                timeout_graceful_shutdown=ENDING,
            )
        )

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End at a signal; unlike the base class, do not raise it again then."""
        if threading.current_thread() is not threading.main_thread():
            yield  # signals are handled in the main thread alone
            return
        before = {one: signal.signal(one, self.handle_exit) for one in SIGNALS}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)


class _Protocol(H11Protocol):
    """Sends at once what there is, and ends a connection on which a request is late."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        # asyncio does so for sockets of its own alone; small answers would wait 40 ms for company
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._wait_for_request()

    def data_received(self, data: bytes) -> None:
        if self.timeout_keep_alive_task is not None:  # a request begins
            self._wait_for_request()
        super().data_received(data)

    def _wait_for_request(self) -> None:
        self.loop.call_later(PATIENCE, self._end_if_late, self.cycle)

    def _end_if_late(self, former: object) -> None:
        if self.cycle is former:
            self.transport.close()


def listen(labels: Path, port: int | None = None) -> socket.socket:
    """Return a socket that listens on the loopback address; see `serve` for the port."""
    if port is not None:
        try:
            if port not in range(1, 65_536):
                raise OSError("not a number from 1 to 65535")
            return socket.create_server((LOOPBACK, port))
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else error
            raise OptionError(f"port {port}: {reason}: give another, or none at all") from error
    own = PORTS[zlib.crc32(os.fsencode(labels.absolute())) % len(PORTS)]
    try:
        return socket.create_server((LOOPBACK, own))
    except OSError:
        return socket.create_server((LOOPBACK, 0))


def _has_screen() -> bool:
    """Return whether a browser would open in a window, not in this terminal."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
