"""A net with what makes it learn: optimizer, schedule, moving average, augmentation."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from textwrap import shorten
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import OneCycleLR
from torch.optim.swa_utils import AveragedModel
from tqdm.auto import tqdm

from groupemo.errors import ModelError, OptionError
from groupemo.training import checkpoints
from groupemo.training.augmentation import Augment
from groupemo.training.data import Data
from groupemo.training.feed import as_input
from groupemo.training.recipe import Recipe
from groupemo.training.run import Row, Run
from groupemo.training.validation import judge, predict

__all__ = ["Learner", "seed_torch"]


class Learner:
    """A net with what makes it learn.

    Parameters
    ----------
    net : torch.nn.Module
    recipe : Recipe
    data : Data
    device : torch.device
    """

    def __init__(self, net: nn.Module, recipe: Recipe, data: Data, device: torch.device) -> None:
        self.recipe, self.data, self.device = recipe, data, device
        self.net = net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.averaged = AveragedModel(
            self.net, multi_avg_fn=_warming_average(recipe.ema), use_buffers=True
        ).eval()
        self.targets, self.weights = (
            torch.from_numpy(each).to(device) for each in data.targets(recipe)
        )
        self.augment = Augment(recipe.augmentation, data.learned.file.side)
        self.batch = min(recipe.batch, len(self.targets))
        self.steps = len(self.targets) // self.batch
        self.optimizer = _optimizer(self.net, recipe)
        total = max(self.steps * recipe.epochs, 3)
        # OneCycleLR divides by the steps of the rise, less one, and by those after it
        rising = min(max(round(recipe.warmup * total), 2), total - 1)
        self.scheduler = OneCycleLR(
            self.optimizer,
            recipe.lr,
            total_steps=total,
            pct_start=rising / total,
            div_factor=10,
            final_div_factor=100,
        )
        self.autocast = _half(recipe.precision, device)

    def epoch(self, number: int, bar: tqdm[Any]) -> Row:
        """See every face once, then validate the averaged net; return the row of the history.

        Raises
        ------
        OptionError
            If the loss is no number.
        """
        began = time.perf_counter()
        random = seed_torch(self.recipe.seed, number)
        self.net.train()
        total = torch.zeros((), device=self.device)
        with torch.backends.cudnn.flags(benchmark=False, deterministic=True):
            for faces, at in self.data.learned.shuffled(self.batch, random):
                total += self._step(as_input(faces, self.device), torch.from_numpy(at))
                bar.update()
        loss = total.item() / self.steps
        valid = self.data.validated
        probs = predict(self.averaged.module, valid, flip=self.recipe.flip_valid)
        told = judge(probs, valid.labels, valid.votes)
        if not math.isfinite(loss + told["loss"]):
            raise OptionError(
                f"lr is {self.recipe.lr:g}: the loss was {loss} in epoch {number}: try a lower lr,"
                " a longer warmup, or precision=float32, with another folder"
            )
        return {
            "epoch": number,
            "loss": loss,
            **{f"valid_{name}": value for name, value in told.items()},
            "lr": float(self.optimizer.param_groups[0]["lr"]),
            "seconds": round(time.perf_counter() - began, 3),
        }

    def _step(self, faces: Tensor, at: Tensor) -> Tensor:
        """Learn from one batch; return its loss."""
        at = at.to(self.device)
        inputs, wanted, weights = self._mix(self.augment(faces), self.targets[at], self.weights[at])
        inputs = inputs.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast):
            logits = self.net(inputs)
        losses = F.cross_entropy(logits.float(), wanted, reduction="none")
        loss = (losses * weights).sum() / weights.sum()
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.net.parameters(), self.recipe.clip)
        self.optimizer.step()
        self.scheduler.step()
        self.averaged.update_parameters(self.net)
        return loss.detach()

    def _mix(self, *parts: Tensor) -> tuple[Tensor, ...]:
        """Mix a batch with itself in another order, every second time."""
        alpha = self.recipe.mixup
        if not alpha or torch.rand(()) < 0.5:
            return parts
        share = torch.distributions.Beta(alpha, alpha).sample().item()
        other = torch.randperm(len(parts[0])).to(self.device)
        return tuple(part.lerp(part[other], 1 - share) for part in parts)

    def save(self, run: Run) -> None:
        """Write last.pt, then best.pt, if the last epoch is the best."""
        parts = {name: part.state_dict() for name, part in self._parts().items()}
        checkpoints.save(run.folder / "last.pt", {**parts, "history": run.history})
        self._keep_best(run)

    def _keep_best(self, run: Run) -> None:
        if run.history and run.best_epoch == len(run.history):
            best = {"epoch": run.best_epoch, "net": self.averaged.module.state_dict()}
            checkpoints.save(run.folder / "best.pt", best)

    def resume(self, run: Run) -> None:
        """Go on where the run's last.pt stands, if there is one; best.pt may be an epoch behind it.

        Raises
        ------
        ModelError
            If it is damaged, or of another net.
        """
        path = run.folder / "last.pt"
        if not path.exists():
            return
        kept = checkpoints.load(path)
        try:
            for name, part in self._parts().items():
                part.load_state_dict(kept[name])
            run.history[:] = kept["history"]
        except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
            reason = shorten(str(error), 160, placeholder=" ...")
            raise ModelError(
                f"{path}: not a checkpoint of this net ({reason}): remove it to begin again"
            ) from error
        self._keep_best(run)

    def _parts(self) -> dict[str, Any]:
        return {
            "net": self.net,
            "averaged": self.averaged,
            "optimizer": self.optimizer,
            "scheduler": self.scheduler,
        }


def seed_torch(seed: int, epoch: int) -> np.random.Generator:
    """Seed PyTorch for an epoch, 0 to draw weights; return NumPy's generator for the same."""
    mixed = np.random.SeedSequence([seed, epoch])
    torch.manual_seed(int(mixed.generate_state(1)[0]))
    return np.random.default_rng(mixed)


def _half(precision: str, device: torch.device) -> bool:
    """Say whether to compute in bfloat16: on GPUs, and on processors that have it."""
    if precision != "auto":
        return precision == "bfloat16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported())


def _optimizer(net: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Return an optimizer that decays matrices and convolutions alone."""
    groups = [
        {
            "params": [each for each in net.parameters() if each.ndim > 1],
            "weight_decay": recipe.weight_decay,
        },
        {"params": [each for each in net.parameters() if each.ndim <= 1], "weight_decay": 0.0},
    ]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=recipe.lr, momentum=0.9, nesterov=True)
    return torch.optim.AdamW(groups, lr=recipe.lr)


def _warming_average(decay: float) -> Callable[[Any, Any, Any], None]:
    """Return a moving average whose decay grows with the steps, as TensorFlow's does."""

    @torch.no_grad()
    def average(averaged: list[Tensor], current: list[Tensor], step: Tensor) -> None:
        kept = min(decay, (1 + step.item()) / (10 + step.item()))
        if averaged[0].is_floating_point():
            torch._foreach_lerp_(averaged, current, 1 - kept)
        else:
            torch._foreach_copy_(averaged, current)

    return average
