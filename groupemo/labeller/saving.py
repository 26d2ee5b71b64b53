"""Doing something a little after the last time it was asked for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

__all__ = ["Later"]


class Later:
    """Calls a function, in a thread of its own, once it has been quiet for a while.

    Parameters
    ----------
    function : callable
        Is never called twice at a time. What it raises ends the thread: it has to see to that.
    quiet : float
        Seconds since it was last asked for; more where it takes long, so that it takes a tenth of
        the time at most.
    at_most : float
        Seconds after which it is called however often it is asked for.
    """

    def __init__(
        self, function: Callable[[], object], *, quiet: float = 2.0, at_most: float = 30.0
    ) -> None:
        self._function = function
        self._quiet = quiet
        self._at_most = at_most
        self._first: float | None = None
        self._last = 0.0
        self._takes = 0.0
        self._stopped = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="labels", daemon=True)
        self._thread.start()

    def ask(self) -> None:
        """Have the function called soon."""
        with self._changed:
            self._last = time.monotonic()
            if self._first is None:
                self._first = self._last
                self._changed.notify()

    def stop(self) -> bool:
        """End the thread; say whether the function was still to be called."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join()
        waiting, self._first = self._first is not None, None
        return waiting

    def _run(self) -> None:
        while self._wait():
            start = time.monotonic()
            self._function()
            self._takes = time.monotonic() - start

    def _wait(self) -> bool:
        """Wait until it is time; False when told to stop."""
        with self._changed:
            while not self._stopped:
                left = self._left()
                if left is not None and left <= 0:
                    self._first = None
                    return True
                self._changed.wait(left)
            return False

    def _left(self) -> float | None:
        """Return the seconds until it is time; None where nothing was asked for."""
        if self._first is None:
            return None
        quiet = self._quiet + 9 * self._takes
        return min(self._last + quiet, self._first + self._at_most) - time.monotonic()
