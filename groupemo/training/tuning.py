"""Tuning: recipes tried one by one, or side by side, on the same faces.

What is sought is the least validation loss. Each trial is a training as
`groupemo.training.loop` does it, in a folder of its own; so a study that was
killed goes on from the last epoch of each trial that was running, and with one
worker ends with the very same trials as one that was not.
"""

from __future__ import annotations

import math
import os
import signal
import threading
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from multiprocessing import Pipe, get_context, parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path

import optuna
import torch
from optuna.trial import TrialState
from tqdm.auto import tqdm

from groupemo.errors import GroupemoError, LabelError, ModelError, OptionError, OutputError
from groupemo.training.data import Faces
from groupemo.training.locking import locked
from groupemo.training.loop import train
from groupemo.training.recipe import Recipe
from groupemo.training.run import Row, Run
from groupemo.training.search_space import Space, default_space, read_space
from groupemo.training.study import (
    ENDED,
    Plan,
    begin_study,
    draw_trial,
    open_study,
    run_folder,
)
from groupemo.training.tuning_pages import Tuning

__all__ = ["Tuning", "tune"]

CHECKPOINTS = ("last.pt", "best.pt")


def tune(
    faces: Faces,
    *,
    valid: Faces | None = None,
    trials: int = 30,
    out: str | Path,
    recipe: Recipe | None = None,
    space: Space | str | Path | None = None,
    workers: int = 1,
    seed: int = 0,
    prune: bool = True,
    progress: bool | None = False,
) -> Tuning:
    """Try recipes, or go on where an earlier call with the same arguments stopped.

    Parameters
    ----------
    faces, valid : FacesFile or path
        As for `groupemo.training.loop.train`.
    trials : int
        How many recipes to try in all; a later call may ask for more.
    out : path
        The folder of the study.
    recipe : Recipe, optional
        What all trials share. The first trial is the recipe itself, if its values
        are in the space.
    space : mapping or path, optional
        What trials differ in: see `groupemo.training.search_space`. By default
        ranges around the recipe.
    workers : int
        Trials at a time. More than one run in processes of their own, which share the
        threads; a script that asks for them needs `if __name__ == "__main__"`.
    seed : int
        Of what is tried.
    prune : bool
        Whether a trial is ended early whose least loss so far is above the median of
        complete trials' losses at the same epoch (Golovin et al., KDD 2017): after a
        third of the epochs, and once five trials are complete.
    progress : bool or None
        Whether to show a bar on standard error; None for where that is a terminal.

    Returns
    -------
    Tuning
        Its files are written; see `Tuning.save`.

    Raises
    ------
    OptionError
        If an argument means nothing, the folder holds another study or is being
        tuned already, or no trial was completed.
    LabelError, ModelError, OutputError
        If the faces or the study cannot be read, or the folder not written.
    """
    if trials < 1 or workers < 1 or seed < 0:
        raise OptionError(
            f"trials is {trials}, workers is {workers}, seed is {seed}: expected 1, 1 and 0, or"
            " more"
        )
    recipe, folder = recipe or Recipe(), Path(out)
    if space is None:
        space = default_space(recipe)
    elif not isinstance(space, Mapping):
        space = read_space(space)
    plan = Plan.make(faces, valid, recipe=recipe, space=space, seed=seed, prune=prune)
    with locked(folder), _quiet():
        study = begin_study(folder, plan)
        begun = _begin(study, plan, trials)
        if workers == 1:
            running = _one_by_one(study, folder, plan, begun)
        else:
            running = _side_by_side(study, folder, plan, begun, workers)
        with closing(running) as ended:
            _watch(study, folder, ended, trials, progress)
        tuning = Tuning.of(study, folder)
        tuning.save()
    if tuning.best is None:
        reasons = "; ".join(dict.fromkeys(tuning.failures.values()))
        raise OptionError(f"{folder}: no trial was completed: {reasons}")
    return tuning


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna from telling each trial on standard error."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def _begin(study: optuna.Study, plan: Plan, trials: int) -> Iterator[int]:
    """Yield trials to run: those an earlier process left running, then new ones."""
    yield from [trial.number for trial in study.get_trials(states=(TrialState.RUNNING,))]
    while len(study.trials) < trials:
        yield draw_trial(study, plan)


def _watch(
    study: optuna.Study, folder: Path, ended: Iterable[int], trials: int, progress: bool | None
) -> None:
    """Let the trials run; keep no checkpoints but the best one's, and those of running trials."""
    done = len(study.get_trials(states=ENDED))
    disable = None if progress is None else not progress
    with tqdm(total=max(trials, done), initial=done, unit="trial", disable=disable) as bar:
        _tidy(study, folder)
        for _ in ended:
            best = _tidy(study, folder)
            bar.set_postfix({} if best is None else {"best": f"{best:.3f}"}, refresh=False)
            bar.update()


def _tidy(study: optuna.Study, folder: Path) -> float | None:
    """Remove checkpoints that are no use any more; return the least loss so far."""
    trials = study.get_trials(deepcopy=False, states=ENDED)
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    best = min(complete, key=lambda trial: trial.values[0], default=None)
    for trial in trials:
        for name in CHECKPOINTS if trial is not best else ():
            (run_folder(folder, trial.number) / name).unlink(missing_ok=True)
    return None if best is None else best.value


def _one_by_one(
    study: optuna.Study, folder: Path, plan: Plan, begun: Iterable[int]
) -> Generator[int, None, None]:
    """Run trials in this process; yield each that ended."""
    for number in begun:
        _run_trial(study, folder, plan, number)
        yield number


def _side_by_side(
    study: optuna.Study, folder: Path, plan: Plan, begun: Iterator[int], workers: int
) -> Generator[int, None, None]:
    """Run trials in other processes, some at a time; yield each that ended.

    A process that dies ends its trial alone, and another takes its place.
    """
    threads = plan.recipe.threads or max(1, torch.get_num_threads() // workers)
    plan = replace(plan, recipe=plan.recipe.changed({"threads": threads}))
    idle: list[Worker] = []
    busy: dict[Connection, tuple[Worker, int]] = {}
    try:
        while True:
            while len(busy) < workers and (number := next(begun, None)) is not None:
                worker = idle.pop() if idle else Worker(folder, plan)
                busy[worker.pipe] = worker, number
                worker.pipe.send(number)
            if not busy:
                return
            told = wait(list(busy))
            for pipe in [one for one in busy if one in told]:
                worker, number = busy.pop(pipe)
                idle.append(worker)
                try:
                    error = pipe.recv()
                except EOFError:
                    idle.remove(worker)
                    ending = worker.ending()
                    if study.trials[number].state == TrialState.RUNNING:
                        _fail(study, number, f"its process ended with {ending}")
                else:
                    if error is not None:
                        raise error
                yield number
    finally:
        for worker in [*idle, *(worker for worker, _ in busy.values())]:
            worker.process.kill()
            worker.process.join()


class Worker:
    """A process that runs trials: it is sent a number, and answers with an error or None."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.pipe, there = Pipe()
        context = get_context("spawn")  # a process that is forked cannot use a GPU
        self.process = context.Process(target=_serve, args=(there, folder, plan), daemon=True)
        self.process.start()
        there.close()

    def ending(self) -> str:
        """Return what a process that died ended with."""
        self.process.join()
        code = self.process.exitcode or 0
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _serve(pipe: Connection, folder: Path, plan: Plan) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted, too, and ends this
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with _quiet(), suppress(EOFError, BrokenPipeError):
        study = open_study(folder, plan)
        while True:
            number = pipe.recv()
            try:
                _run_trial(study, folder, plan, number)
            except GroupemoError as error:
                pipe.send(error)
            else:
                pipe.send(None)


def _end_with_parent() -> None:
    """End this process, wherever it stands, once its parent has ended: nobody waits for it."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _run_trial(study: optuna.Study, folder: Path, plan: Plan, number: int) -> None:
    """Train as a trial says, or go on with it; whatever is the trial's fault, it alone fails."""
    trial = _trial(study, number)
    try:
        loss = _train(trial, run_folder(folder, number), plan)
    except optuna.TrialPruned:
        study.tell(number, state=TrialState.PRUNED)
    except (LabelError, ModelError, OutputError):
        raise  # every other trial would meet it, too
    except OptionError as error:
        _fail(study, number, str(error))
    except Exception as error:
        _fail(study, number, f"{type(error).__name__}: {error}")
    else:
        study.tell(number, loss)


def _train(trial: optuna.Trial, home: Path, plan: Plan) -> float:
    """Return the least validation loss; each epoch's is reported, whenever it was reached."""
    reported = set(trial.study.trials[trial.number].intermediate_values)

    def follow(_: Row | None = None) -> None:
        for row in Run.open(home).history:
            epoch = int(row["epoch"])
            if epoch not in reported:
                reported.add(epoch)
                trial.report(row["valid_loss"], epoch)
                _judge(trial)

    _judge(trial)
    run = train(
        plan.faces, valid=plan.valid, recipe=_recipe(trial, home, plan), out=home, on_epoch=follow
    )
    follow()
    loss = run.best["valid_loss"]
    if not math.isfinite(loss):
        raise OptionError(f"the validation loss is {loss}")
    return loss


def _judge(trial: optuna.Trial) -> None:
    if trial.should_prune():
        raise optuna.TrialPruned


def _recipe(trial: optuna.Trial, home: Path, plan: Plan) -> Recipe:
    """Return a trial's recipe: the very one it was begun with, if it was."""
    try:
        return Recipe.from_json((home / "recipe.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return plan.recipe.changed(trial.params)


def _fail(study: optuna.Study, number: int, reason: str) -> None:
    _trial(study, number).set_user_attr("reason", reason)
    study.tell(number, state=TrialState.FAIL)


def _trial(study: optuna.Study, number: int) -> optuna.Trial:
    """Return a running trial to report to: what `ask` returned to whoever began it."""
    return optuna.Trial(study, study.trials[number]._trial_id)
