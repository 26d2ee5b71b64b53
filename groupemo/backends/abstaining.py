"""Answer only where an expression is likely enough.

"groupemo:abstain=0.6"                       # a backend's spec: any backend takes this option
"groupemo:calibration=cal.json,abstain=0.6"  # confidence is what the calibration makes of it
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groupemo.emotions import align_probs
from groupemo.errors import OptionError
from groupemo.faces import Faces
from groupemo.plugins import Backend, Loaded, checked_probs, with_option

__all__ = ["Abstaining", "abstaining"]


class Abstaining:
    """A backend that leaves out its unsure answers; `abstaining` makes one."""

    def __init__(self, loaded: Loaded[Backend], least: float, told: Mapping[str, Any]) -> None:
        self.label: str = told["label"]
        self.models: Mapping[str, str] = told["models"]
        self.classes = loaded.plugin.classes
        self._loaded, self._least = loaded, least

    def prepare(self, image: NDArray[np.uint8], faces: Faces, /) -> NDArray[Any]:
        """Return the backend's own inputs, one row a face."""
        return self._loaded.plugin.prepare(image, faces)

    def predict(self, inputs: NDArray[Any], /) -> NDArray[np.float64]:
        """Return the backend's probabilities, shape (n, k); a NaN row where it is unsure."""
        plugin = self._loaded.plugin
        probs = checked_probs(plugin.predict(inputs), len(inputs), plugin, self._loaded.label)
        confidence = align_probs(probs, self.classes).max(axis=1)
        return np.where(confidence[:, np.newaxis] >= self._least, probs, np.nan)


def abstaining(loaded: Loaded[Backend], least: Any) -> Loaded[Backend]:
    """Return a loaded backend that abstains below a confidence: the option `abstain=X`.

    Parameters
    ----------
    loaded : Loaded
    least : float
        Least probability of the likeliest of the seven expressions, above 0 and
        below 1, that is still an answer.

    Raises
    ------
    OptionError
        If `least` is no such number.
    """
    if not isinstance(least, float) or not 0 < least < 1:
        raise OptionError(
            f"backend {loaded.label!r}: abstain is {least!r}: expected a confidence between 0 and"
            " 1, such as 0.6"
        )
    told = with_option(loaded.provenance, "abstain", least)
    plugin = Abstaining(loaded, least, told)
    return replace(loaded, plugin=plugin, label=told["label"], provenance=told)
