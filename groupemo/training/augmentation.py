"""Faces changed at random, a batch at a time, on the device they are on.

Kornia does the work; every draw is from PyTorch's global generator on the
processor, so that a seed decides all of it, whatever the device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import kornia.augmentation as K
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from groupemo.training.recipe import Augmentation

__all__ = ["Augment", "Augmentation"]

MIDDLE_SIDE = 48
"""The side in pixels at which blur is described."""


class Augment(nn.Module):
    """What an augmentation does to a batch.

    Parameters
    ----------
    strengths : Augmentation
    side : int
        Height and width of the faces.

    Examples
    --------
    >>> changed = Augment(Augmentation(), 48)(torch.rand(2, 1, 48, 48))
    >>> changed.shape, 0 <= changed.min() <= changed.max() <= 1
    (torch.Size([2, 1, 48, 48]), tensor(True))
    """

    def __init__(self, strengths: Augmentation, side: int) -> None:
        super().__init__()
        self.steps = nn.Sequential(*_steps(strengths, side))

    @torch.no_grad()
    def forward(self, faces: Tensor) -> Tensor:
        """Return changed faces, shape (n, c, s, s), 0 to 1."""
        changed: Tensor = self.steps(faces)
        return changed


class Sometimes(nn.Module):
    """Change each face with some chance, and touch no other: cheap where the change is dear."""

    def __init__(self, chance: float, change: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.chance, self.change = chance, change

    def forward(self, faces: Tensor) -> Tensor:
        """Return all faces, the chosen ones changed."""
        [chosen] = torch.nonzero(torch.rand(len(faces)) < self.chance, as_tuple=True)
        if not len(chosen):
            return faces
        chosen = chosen.to(faces.device)
        return faces.index_copy(0, chosen, self.change(faces[chosen]))


class Clamp(nn.Module):
    """Cut values to 0 to 1."""

    def forward(self, faces: Tensor) -> Tensor:
        """Return values of 0 to 1."""
        return faces.clamp(0, 1)


def _steps(by: Augmentation, side: int) -> Iterator[nn.Module]:
    """Yield what is to be done: first where the face is, then what a camera and a file do to it."""
    if by.flip:
        yield K.RandomHorizontalFlip(p=by.flip)
    if by.rotation or by.shift or by.shrink or by.enlarge or by.shear:
        yield K.RandomAffine(
            by.rotation,
            (by.shift, by.shift),
            (1 - by.shrink, 1 + by.enlarge),
            (-by.shear, by.shear, -by.shear, by.shear),
            padding_mode="border",
            p=0.95,
        )
    if by.low_resolution:
        yield Sometimes(by.low_resolution, _coarsen)
    if by.blur:
        scale = side / MIDDLE_SIDE
        kernel = 2 * max(round(2 * scale), 1) + 1
        yield K.RandomGaussianBlur((kernel, kernel), (0.3 * scale, 1.6 * scale), p=by.blur)
    if by.gamma:
        yield K.RandomGamma((0.6, 1.7), p=by.gamma)
    if by.brightness:
        yield K.RandomBrightness((0.7, 1.3), p=by.brightness)
    if by.contrast:
        yield K.RandomContrast((0.6, 1.4), p=by.contrast)
    if by.noise:
        yield K.RandomGaussianNoise(std=0.03, p=by.noise)
    yield Clamp()
    if by.jpeg:
        yield Sometimes(by.jpeg, Jpeg())
    if by.erasing:
        yield K.RandomErasing((0.02, 0.25), (0.4, 2.5), p=by.erasing)


def _coarsen(faces: Tensor) -> Tensor:
    """Scale down to a quarter to five sixths of the side, and up again."""
    side = faces.shape[-1]
    small = int(torch.randint(side // 4, side * 5 // 6 + 1, ()))
    less = F.interpolate(faces, (small, small), mode="area")
    return F.interpolate(less, (side, side), mode="bilinear", align_corners=False)


class Jpeg(nn.Module):
    """Lose what JPEG loses; gray faces are gray pictures of three channels meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.lose = K.RandomJPEG((20.0, 90.0), p=1.0)

    def forward(self, faces: Tensor) -> Tensor:
        """Return the faces as a JPEG of them would be."""
        lost: Tensor = self.lose(faces.expand(-1, 3, -1, -1))
        return lost[:, : faces.shape[1]].clamp(0, 1)
