"""Train groupemo's emotion net in several ways and compare them: what helped, over seeds.

    python benchmarks/net.py base mixup keep-strays [--seeds 2] [--epochs 40] [--jobs 1]
    python benchmarks/net.py --list

Every training is a `groupemo train`: the same command again goes on where it
stopped, over as many sittings as it takes, and trainings that are done are only
judged. On a GPU several jobs share it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from backends import PHOTOS, on_cells, scores_on_photos

from groupemo import markdown
from groupemo.files import write_atomically
from groupemo.plugins import BACKENDS
from groupemo.scores import Scores

ROOT = Path(__file__).resolve().parent.parent

BASE: Mapping[str, object] = {
    "mixup": 0.2,
    "strays": "keep",
    "balance": 0.3,
    "flip_valid": True,
}
"""What all variants share, beside the defaults of `Recipe`."""

VARIANTS: Mapping[str, Mapping[str, object]] = {
    "base": {},
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
    "taught": {"distil": True},
    "taught by its teachers alone": {"distil": True, "distil_share": 1.0},
}
"""Name -> what is changed. `distil` stands for the runs given as --teacher."""

NOTES = """Trained on FER2013 Training with FER+ votes; judged on PublicTest without its leaked
faces, against the FER+ majority, and on labelled boxes ([backends.md](backends.md) says how).
Mean over seeds; in brackets the standard deviation over seeds where there are several. Each
training keeps the epoch of least cross-entropy on PublicTest, so all figures flatter a little,
and a difference of one standard deviation is noise."""


def slug(name: str) -> str:
    """Return a folder's name."""
    return "".join(letter if letter.isalnum() else "-" for letter in name).strip("-")


def command(name: str, seed: int, options: argparse.Namespace) -> tuple[Path, list[str]]:
    """Return the folder of a training and the command that makes it."""
    folder = options.runs / f"{slug(name)}-{options.epochs}-{seed}"
    changes = {**BASE, **VARIANTS[name], "epochs": options.epochs, "seed": seed}
    if changes.pop("distil", False):
        if not options.teacher:
            raise SystemExit(f"{name}: say who teaches, with --teacher RUN")
        changes["distil"] = ",".join(map(str, options.teacher))
    if options.threads:
        changes["threads"] = options.threads
    settings = [part for key, value in changes.items() for part in ("--set", f"{key}={value}")]
    train, valid = (options.runs / f"{each}.h5" for each in ("train", "public_test"))
    return folder, [
        sys.executable, "-m", "groupemo", "train", str(train), "--valid", str(valid),
        "--out", str(folder), *settings,
    ]  # fmt: skip


def prepare(options: argparse.Namespace) -> None:
    """Write the files of faces, where they are not there."""
    for name in ("train", "public_test"):
        target = options.runs / f"{name}.h5"
        if not target.exists():
            source = options.data / "fer2013" / f"{name}.csv"
            subprocess.run(
                [sys.executable, "-m", "groupemo", "prepare", str(source), "--out", str(target)],
                check=True,
            )


def train_all(names: Sequence[str], options: argparse.Namespace) -> dict[str, list[Path]]:
    """Train what is not done; return the folders of each variant."""
    folders: dict[str, list[Path]] = {name: [] for name in names}
    commands = []
    for name in names:
        for seed in range(options.seeds):
            folder, words = command(name, seed, options)
            folders[name].append(folder)
            if not (folder / "net.onnx").exists():
                commands.append((folder, words))
    with ThreadPoolExecutor(options.jobs) as pool:
        done = list(pool.map(lambda one: run_logged(*one), commands))
    failed = [str(folder) for (folder, _), code in zip(commands, done, strict=True) if code]
    if failed:
        raise SystemExit(f"failed, see train.log in: {', '.join(failed)}")
    return folders


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
        "group photos: accuracy": _each(real, "matched_accuracy"),
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
        changes = ", ".join(f"{key} {value}" for key, value in VARIANTS[name].items()) or "none"
        rows.append([name, changes, *(_told(figures[column]) for column in columns)])
    return markdown.table(["variant", "changes", *(f"{name}>" for name in columns)], rows)


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
    parser.add_argument("--teacher", type=Path, action="append", help="a run; may be repeated")
    options = parser.parse_args()
    if options.list:
        print("\n".join(f"{name}: {dict(changes)}" for name, changes in VARIANTS.items()))
        return
    unknown = set(options.variant) - set(VARIANTS)
    if unknown:
        raise SystemExit(f"no such variant: {', '.join(sorted(unknown))}; see --list")
    names = options.variant or [name for name in VARIANTS if "distil" not in VARIANTS[name]]
    options.runs.mkdir(parents=True, exist_ok=True)
    prepare(options)
    folders = train_all(names, options)
    judged = {name: judge(folders[name], options.data) for name in names}
    seeds = f"{options.seeds} seed{'s' if options.seeds > 1 else ''}"
    text = (
        f"# What helped the net\n\n`python benchmarks/net.py`\n\n{NOTES}\n\n"
        f"{options.epochs} epochs, {seeds}; all variants share"
        f" {', '.join(f'{key} {value}' for key, value in BASE.items())}.\n\n{table(judged)}\n"
    )
    print(text)
    write_atomically(options.out, text.encode())


if __name__ == "__main__":
    main()
