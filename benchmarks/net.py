"""Train groupemo's emotion net in several ways and compare them: what helped, over seeds.

    python benchmarks/net.py base "no mixup" [--seeds 2] [--epochs 40] [--jobs 1]
    python benchmarks/net.py --list

Every training is a `groupemo train`: the same command again goes on where it
stopped, over as many sittings as it takes, and trainings that are done are only
judged. On a GPU several jobs share it.
"""

from __future__ import annotations

import argparse
import io
import itertools
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from backends import PHOTOS, on_cells, scores_on_photos

from groupemo import markdown
from groupemo.files import write_atomically
from groupemo.plugins import BACKENDS
from groupemo.scores import Scores
from groupemo.training import Recipe, Run
from groupemo.training.faces_file import FacesFile

ROOT = Path(__file__).resolve().parent.parent

BASE: Mapping[str, object] = {
    "mixup": 0.2,
    "strays": "keep",
    "balance": 0.3,
    "flip_valid": True,
}
"""What all variants share, beside the defaults of `Recipe`."""

CALMER: Mapping[str, object] = {
    "start": "base",
    "lr": 6e-4,
    "warmup": 0.1,
    "mixup": 0.0,
    "augmentation.rotation": 10,
    "augmentation.shift": 0.06,
    "augmentation.shrink": 0.1,
    "augmentation.enlarge": 0.1,
    "augmentation.shear": 4,
    "augmentation.low_resolution": 0.15,
    "augmentation.blur": 0.1,
    "augmentation.gamma": 0.25,
    "augmentation.brightness": 0.25,
    "augmentation.contrast": 0.25,
    "augmentation.noise": 0.1,
    "augmentation.erasing": 0.2,
}
"""A second training that goes on from the first, on faces changed about half as much."""

RARER = "then calmer faces, no stray votes, nearer to even"
OWN = "FER2013's own labels"

VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "base": {},
    "then the same again": {"start": "base", "lr": 6e-4, "warmup": 0.1},
    "then calmer faces": CALMER,
    "then calmer faces, no stray votes": {**CALMER, "strays": "drop"},
    "then calmer faces, classes nearer to even": {**CALMER, "balance": 0.6},
    RARER: {**CALMER, "strays": "drop", "balance": 0.6},
    "then FER2013's own labels, too": {
        **CALMER,
        "start": RARER,
        "lr": 4e-4,
        "strays": "drop",
        "balance": 0.5,
        "distil": (RARER, OWN),
        "distil_share": 0.4,
    },
    "no mixup": {"mixup": 0.0},
    "more mixup": {"mixup": 0.4},
    "without stray votes": {"strays": "drop"},
    "classes as they come": {"balance": 0.0},
    "classes nearer to even": {"balance": 0.6},
    "no erasing": {"augmentation.erasing": 0.0},
    "no coarse faces, blur, JPEG": {
        "augmentation.low_resolution": 0.0,
        "augmentation.blur": 0.0,
        "augmentation.jpeg": 0.0,
    },
    "stronger turns and shifts": {
        "augmentation.rotation": 25.0,
        "augmentation.shift": 0.15,
        "augmentation.shrink": 0.3,
    },
    "no drop path": {"drop_path": 0.0},
    "no moving average": {"ema": 0.0},
    "wider": {"width": 1.5},
    "half as wide": {"width": 0.5},
    "sgd": {"optimizer": "sgd", "lr": 0.1, "weight_decay": 5e-4},
    "mini-xception": {"architecture": "mini-xception"},
    "deepface's network": {"architecture": "deepface"},
    "classic CNN": {"architecture": "fer2013-cnn"},
    "taught": {"distil": ("base",)},
    "taught by its teacher alone": {"distil": ("base",), "distil_share": 1.0},
}
"""Name -> what is changed. `start` and `distil` name other variants, of which the training of the
same seed is meant; one that starts from another goes on for a quarter of the epochs."""

NOTES = """Trained on FER2013 Training with FER+ votes; judged on PublicTest without its leaked
faces, against the FER+ majority, and on labelled boxes ([backends.md](backends.md) says how).
Mean over seeds; in brackets the standard deviation over seeds where there are several. Each
training keeps the epoch of least cross-entropy on PublicTest, so all figures flatter a little,
and a difference of one standard deviation is noise."""


def slug(name: str) -> str:
    """Return a folder's name."""
    return "".join(letter if letter.isalnum() else "-" for letter in name).strip("-")


def folder_of(name: str, seed: int, options: argparse.Namespace) -> Path:
    """Return the folder of a training."""
    folder: Path = options.runs / f"{slug(name)}-{options.epochs}-{seed}"
    return folder


def needed(name: str) -> set[str]:
    """Return the variants that have to be trained before this one."""
    changes = VARIANTS[name]
    start, teachers = changes.get("start"), changes.get("distil", ())
    return {each for each in (start, *teachers) if each in VARIANTS}


def command(name: str, seed: int, options: argparse.Namespace) -> tuple[Path, list[str]]:
    """Return the folder of a training and the command that makes it."""
    changes = {**BASE, **VARIANTS[name], "epochs": options.epochs, "seed": seed}
    if "start" in changes:
        changes["start"] = folder_of(changes["start"], seed, options)
        changes["epochs"] = max(options.epochs // 4, 1)
    if "distil" in changes:
        teachers = (
            options.runs / "own.npy" if each == OWN else folder_of(each, seed, options)
            for each in changes["distil"]
        )
        changes["distil"] = ",".join(map(str, teachers))
    if options.threads:
        changes["threads"] = options.threads
    given = [f"{key}={value}" for key, value in changes.items()] + options.set
    settings = [part for each in given for part in ("--set", each)]
    train, valid = (options.runs / f"{each}.h5" for each in ("train", "public_test"))
    folder = folder_of(name, seed, options)
    return folder, [
        sys.executable, "-m", "groupemo", "train", str(train), "--valid", str(valid),
        "--out", str(folder), *settings,
    ]  # fmt: skip


def prepare(options: argparse.Namespace) -> None:
    """Write the files of faces and FER2013's own labels, where they are not there."""
    for name, source, *settings in (
        ("train", "train"),
        ("public_test", "public_test"),
        ("own", "train", "--labels", "fer2013"),
    ):
        target = options.runs / f"{name}.h5"
        if not target.exists():
            source = options.data / "fer2013" / f"{source}.csv"
            subprocess.run(
                [sys.executable, "-m", "groupemo", "prepare", source, "--out", target, *settings],
                check=True,
            )
    with FacesFile(options.runs / "train.h5") as faces, FacesFile(options.runs / "own.h5") as own:
        labels = dict(zip(own.digests, own.votes, strict=True))
        rows = np.stack([labels[digest] for digest in faces.digests])
    kept = io.BytesIO()
    np.save(kept, rows)
    write_atomically(options.runs / "own.npy", kept.getvalue())


def train_all(names: Sequence[str], options: argparse.Namespace) -> dict[str, list[Path]]:
    """Train what is not done; return the folders of each variant."""
    done: set[str] = set()
    while left := with_needed(names) - done:
        ready = sorted(name for name in left if needed(name) <= done)
        commands = [command(name, at, options) for name in ready for at in range(options.seeds)]
        train_at_once(commands, options.jobs)
        done.update(ready)
    return {name: [folder_of(name, at, options) for at in range(options.seeds)] for name in names}


def with_needed(names: Iterable[str]) -> set[str]:
    """Return variants and all that have to be trained before them."""
    return {each for name in names for each in (name, *with_needed(needed(name)))}


def train_at_once(commands: Sequence[tuple[Path, Sequence[str]]], jobs: int) -> None:
    """Run the trainings that are not done, several at a time."""
    left = [(folder, words) for folder, words in commands if not is_done(folder, words)]
    with ThreadPoolExecutor(jobs) as pool:
        done = list(pool.map(lambda one: run_logged(*one), left))
    failed = [str(folder) for (folder, _), code in zip(left, done, strict=True) if code]
    if failed:
        raise SystemExit(f"failed, see train.log in: {', '.join(failed)}")


def is_done(folder: Path, words: Sequence[str]) -> bool:
    """Say whether a training is done; refuse a folder where one with other settings is."""
    if not (folder / "net.onnx").exists():
        return False
    if told := recipe_of(words).differences(Run.open(folder).recipe):
        raise SystemExit(f"{folder}: {'; '.join(told)}: give other --runs")
    return True


def recipe_of(words: Sequence[str]) -> Recipe:
    """Return the recipe that a command asks for."""
    settings = [after for word, after in itertools.pairwise(words) if word == "--set"]
    return Recipe().changed(dict(each.split("=", 1) for each in settings))


def run_logged(folder: Path, words: Sequence[str]) -> int:
    """Run a command; what it prints goes to train.log in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "train.log").open("a", encoding="utf-8") as log:
        return subprocess.run(words, stdout=log, stderr=subprocess.STDOUT, check=False).returncode


def judge(folders: Sequence[Path], data: Path) -> dict[str, list[float]]:
    """Return the figures of each training."""
    specs = [f"onnx:model={folder / 'net.onnx'}" for folder in folders]
    cells = on_cells(data / "fer2013", [BACKENDS.load(spec) for spec in specs])
    photos = {
        name: scores_on_photos(data / name, min_iou, specs) for name, min_iou in PHOTOS.items()
    }
    tagged, collages = [each for each, _ in cells["FER+ majority"]], photos["collages"]
    real = photos["group_emotion_real9"]
    return {
        "accuracy": _each(tagged, "matched_accuracy"),
        "UAR": _each(tagged, "matched_balanced_accuracy"),
        "cross-entropy": _each(tagged, "matched_soft_cross_entropy"),
        "ECE": _each(tagged, "matched_ece"),
        "collages: accuracy": _each(collages, "matched_accuracy"),
        "collages: UAR": _each(collages, "matched_balanced_accuracy"),
        "nine group photos: accuracy": _each(real, "matched_accuracy"),
        "wider_groups: accuracy": _each(photos["wider_groups"], "matched_accuracy"),
        "ms a face": [milliseconds for _, milliseconds in cells["FER+ majority"]],
        "MB": [(folder / "net.onnx").stat().st_size / 1e6 for folder in folders],
    }


def _each(scores: Sequence[Scores], figure: str) -> list[float]:
    return [one.overall()[figure] for one in scores]


def table(judged: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the table in Markdown, a row a variant."""
    columns = list(next(iter(judged.values())))
    rows = []
    for name, figures in judged.items():
        rows.append([name, _changes(name), *(_told(figures[column]) for column in columns)])
    return markdown.table(["variant", "changes", *(f"{name}>" for name in columns)], rows)


def _changes(name: str) -> str:
    """Return what a variant changes; the calmer faces of several are told once, below."""
    changes = VARIANTS[name]
    calmer = CALMER.keys() <= changes.keys()
    left = {key: value for key, value in changes.items() if CALMER.get(key) != value}
    return _settings(left if calmer else changes) or ("as told below" if calmer else "none")


def _settings(changes: Mapping[str, object]) -> str:
    told = {
        key: " and ".join(value) if isinstance(value, tuple) else value
        for key, value in changes.items()
    }
    return ", ".join(f"{key} {value}" for key, value in told.items())


def _told(values: Sequence[float]) -> str:
    spread = f" ({np.std(values, ddof=1):.3f})" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{spread}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("variant", nargs="*", help="names, as --list shows them; all if none")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "net")
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "net.md")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time")
    parser.add_argument("--threads", type=int, help="of PyTorch, a training")
    parser.add_argument("--set", action="append", default=[], help="a field of all, as width=0.5")
    options = parser.parse_args()
    if options.list:
        print("\n".join(f"{name}: {dict(changes)}" for name, changes in VARIANTS.items()))
        return
    unknown = set(options.variant) - set(VARIANTS)
    if unknown:
        raise SystemExit(f"no such variant: {', '.join(sorted(unknown))}; see --list")
    names = options.variant or list(VARIANTS)
    options.runs.mkdir(parents=True, exist_ok=True)
    prepare(options)
    folders = train_all(names, options)
    judged = {name: judge(folders[name], options.data) for name in names}
    seeds = f"{options.seeds} seed{'s' if options.seeds > 1 else ''}"
    asked = [*options.variant, "--epochs", options.epochs, "--seeds", options.seeds]
    asked += [word for each in options.set for word in ("--set", each)]
    text = (
        f"# What helped the net\n\n`python benchmarks/net.py {shlex.join(map(str, asked))}`\n\n"
        f"{NOTES}\n\n"
        f"{options.epochs} epochs, {seeds}; all variants share"
        f" {', '.join([_settings(BASE), *options.set])}.\n\n{table(judged)}\n\n"
        "A variant with *then* goes on from another's net for a quarter of its epochs. What its"
        f" faces are calmer by: {_settings(CALMER)}.\n"
    )
    print(text)
    write_atomically(options.out, text.encode())


if __name__ == "__main__":
    main()
