"""The DDAMFN nets that the uniface package publishes, run by PyTorch.

Source of every step and number: uniface 4.2.1, `uniface/attribute/emotion.py` and
`uniface/face_utils.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from groupemo.backends._base import CropBackend
from groupemo.crops import Image, crop, resize
from groupemo.errors import ModelError
from groupemo.faces import Faces
from groupemo.models import store
from groupemo.models.pytorch import needs_train_extra, quiet

__all__ = ["DDAMFN"]

CLASSES = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "angry", "contempt")
SIDE = 112
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
"""Red, green and blue of ImageNet, of values in 0..1."""

TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655],
     [70.7299, 92.2041]]
)  # fmt: skip
"""Where the five landmarks of an aligned face are, of 112 x 112 pixels (Deng et al. 2019)."""


class DDAMFN(CropBackend):
    """A dual-direction attention net trained on AffectNet (Zhang et al. 2023).

    The face is turned, scaled and moved until its five landmarks lie as near as can be
    to those of an aligned face of 112 x 112 pixels, black beyond the image's edge. Where
    the detector gives no landmarks, the box made square is resized instead: the package
    refuses such faces.

    Parameters
    ----------
    contempt : bool
        Take the net of eight expressions, which knows contempt too.

    Raises
    ------
    MissingExtra
        If PyTorch is not installed.
    ModelError
        If the weights cannot be had, or are no such net.
    """

    shape = (3, SIDE, SIDE)

    def __init__(self, *, contempt: bool = False) -> None:
        with needs_train_extra():
            import torch
        self.classes = CLASSES if contempt else CLASSES[:-1]
        weights = store.fetch("ddamfn-8" if contempt else "ddamfn-7")
        self.models = {weights.path.name: weights.sha256}
        self._torch: Any = torch
        try:
            with quiet():
                self._net = self._torch.jit.load(str(weights.path), map_location="cpu").eval()
            answer = self.answer(np.zeros((1, *self.shape), np.float32))
        except RuntimeError as error:
            raise ModelError(f"{weights.path}: not a TorchScript net of faces: {error}") from error
        if answer.shape != (1, len(self.classes)):
            raise ModelError(
                f"{weights.path}: it answers with shape {answer.shape}, expected"
                f" {(1, len(self.classes))}"
            )

    def crops(self, image: Image, faces: Faces) -> Iterator[Image]:
        """Return RGB pictures of 112 x 112 pixels, aligned where there are landmarks."""
        for row in range(len(faces)):
            turn = None if faces.landmarks is None else similarity(faces.landmarks[row])
            if turn is None:
                yield crop(image, faces[[row]], size=SIDE, square=True)[0]
            else:
                yield np.asarray(cv2.warpAffine(image, turn, (SIDE, SIDE)), np.uint8)

    def encode(self, picture: Image) -> NDArray[np.float32]:
        """Return a picture as 3 x 112 x 112 values, normalized as ImageNet's."""
        rgb = picture if picture.ndim == 3 else np.stack([picture] * 3, axis=-1)
        values = (resize(rgb, (SIDE, SIDE)) / 255 - MEAN) / STD
        return np.asarray(values.transpose(2, 0, 1), np.float32)

    def answer(self, inputs: NDArray[Any]) -> NDArray[np.float64]:
        """Run the net; what it gives beside its logits is left."""
        with self._torch.inference_mode():
            output = self._net(self._torch.from_numpy(inputs))
            logits = output[0] if isinstance(output, tuple) else output
            return np.asarray(logits.double().softmax(dim=1).numpy())


def similarity(landmarks: NDArray[np.floating[Any]]) -> NDArray[np.float64] | None:
    """Return the turn, scale and shift that bring landmarks nearest to the template.

    Least squares (Umeyama 1991) in the plane, where a turn with a scale is one complex
    factor.

    Parameters
    ----------
    landmarks : np.ndarray, shape=(5, 2)

    Returns
    -------
    np.ndarray, shape=(2, 3), or None
        None where all landmarks are the same point.
    """
    found, wanted = (points @ np.array([1, 1j]) for points in (landmarks, TEMPLATE))
    spread = found - found.mean()
    if not np.abs(spread).max() > 1e-6:
        return None
    factor = np.vdot(spread, wanted) / np.vdot(spread, spread)
    shift = wanted.mean() - factor * found.mean()
    return np.array(
        [[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]]
    )
