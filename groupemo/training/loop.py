"""Training: one cycle of learning rates over soft labels, a moving average of the net, resumable.

Everything random in an epoch is a function of the recipe's seed and the epoch:
the order of faces, augmentation, mixup, dropout. So a training that was killed
goes on from the last finished epoch to the very same net, on the same number of
threads and the same kind of device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
from tqdm.auto import tqdm

from groupemo.errors import OptionError
from groupemo.training.curves import save_curves
from groupemo.training.data import Data, Faces
from groupemo.training.feed import MEMORY
from groupemo.training.learner import Learner, seed_torch
from groupemo.training.locking import locked
from groupemo.training.recipe import Recipe
from groupemo.training.run import Row, Run, new_net

__all__ = ["train"]


def train(
    faces: Faces,
    *,
    valid: Faces | None = None,
    recipe: Recipe | None = None,
    out: str | Path,
    on_epoch: Callable[[Row], object] | None = None,
    progress: bool | None = False,
    memory: int = MEMORY,
) -> Run:
    """Train a net, or go on where an earlier call with the same arguments stopped.

    Parameters
    ----------
    faces : FacesFile or path
        To learn from.
    valid : FacesFile or path, optional
        To choose the best epoch on. Those among them that `faces` holds, too, or
        whose photo it holds, are left out. By default a part of `faces` is kept for it.
    recipe : Recipe, optional
    out : path
        The run's folder; see `groupemo.training.run`.
    on_epoch : callable, optional
        Called with each new row of the history, once it is saved. What it raises ends
        the training, which may be resumed.
    progress : bool or None
        Whether to show a bar on standard error; None for where that is a terminal.
    memory : int
        Most bytes of pixels to hold; where there are more, they are read in blocks.

    Returns
    -------
    Run

    Raises
    ------
    OptionError
        If the folder holds another training or is in use by another process, the
        recipe does not fit the faces or the device, or the loss is no number any more.
    LabelError, ModelError, OutputError
        If the faces, a teacher or a checkpoint cannot be read, or the folder not written.
    """
    recipe = recipe or Recipe()
    device = _device(recipe.device)
    with ExitStack() as stack:
        data = Data.open(stack, faces, valid, recipe, memory)
        run = Run(Path(out), recipe, data.identity(recipe), [])
        stack.enter_context(_threads(recipe.threads))
        stack.enter_context(torch.random.fork_rng())
        seed_torch(recipe.seed, 0)
        file = data.learned.file
        net = new_net(recipe, side=file.side, channels=file.channels, mean=file.mean, std=file.std)
        if recipe.start:
            Run.open(recipe.start).give_weights(net, side=file.side, channels=file.channels)
        stack.enter_context(locked(run.folder))
        run.begin()
        learner = Learner(net, recipe, data, device)
        learner.resume(run)
        steps = learner.steps
        bar = stack.enter_context(
            tqdm(
                total=steps * recipe.epochs,
                initial=steps * len(run.history),
                unit="batch",
                disable=None if progress is None else not progress,
            )
        )
        while not _is_done(run):
            row = learner.epoch(len(run.history) + 1, bar)
            run.history.append(row)
            learner.save(run)
            run.write_history()
            bar.set_postfix({name: f"{row[name]:.3f}" for name in ("valid_loss", "valid_accuracy")})
            if on_epoch:
                on_epoch(row)
        run.write_history()
        save_curves(run, run.folder / "curves.png")
    return run


def _is_done(run: Run) -> bool:
    """Say whether all epochs are done, or too many passed without a better one."""
    done = len(run.history)
    patience = run.recipe.patience
    return done >= run.recipe.epochs or (patience is not None and done - run.best_epoch >= patience)


def _device(name: str) -> torch.device:
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise OptionError("device is 'cuda': PyTorch finds no GPU here: say device=cpu")
    return torch.device("cuda" if there and name != "cpu" else "cpu")


@contextmanager
def _threads(number: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
