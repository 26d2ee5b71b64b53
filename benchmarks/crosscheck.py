"""Every metric beside an independent implementation, and the largest difference between them.

    python benchmarks/crosscheck.py [--scenes 200] [--data ../shared/data]

Random scenes come from a seeded generator; the real runs are YuNet x FER on
labelled photos, and are left out where those are absent. Ends with 1 where a
difference is wider than its check allows.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import math
import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

from crosschecks import CHECKS, Case, Check, as_it_is, made, real, repeated, worst

from groupemo.errors import GroupemoError
from groupemo.files import write_atomically

ROOT = Path(__file__).resolve().parent.parent
SETS = {"group_emotion_real9": 0.3, "collages": 0.5}
"""Folder -> least IoU: boxes of the first are drawn wider than a detector's."""


def random_cases(scenes: int) -> list[Case]:
    """Return each scene as it is, and with its photos drawn with replacement."""
    runs = enumerate(map(made, range(scenes)))
    return [case for seed, run in runs for case in (as_it_is(run), repeated(run, seed))]


def real_cases(data: Path) -> tuple[dict[str, list[Case]], list[str]]:
    """Return the real runs by name, and why any is left out."""
    cases, absent = {}, []
    for name, min_iou in SETS.items():
        try:
            run = real(data / name, min_iou)
        except GroupemoError as error:
            absent.append(f"{name} is left out: {error}".splitlines()[0])
        else:
            cases[f"{name}, YuNet x FER"] = [as_it_is(run), repeated(run, 0)]
    return cases, absent


def widest(columns: Iterable[float]) -> float:
    """Return the largest difference; NaN where a metric was defined nowhere."""
    return max((each for each in columns if not math.isnan(each)), default=math.nan)


def row(check: Check, columns: Iterable[float]) -> str:
    differences = " | ".join("-" if math.isnan(each) else f"{each:.1e}" for each in columns)
    allowed = f" (within {check.within:.0e})" if check.within > 1e-9 else ""
    return f"| {check.metric} | {check.implementation} | {differences} | {check.note}{allowed} |"


def versions() -> str:
    """Return the installed versions of what the `crosscheck` extra names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = project["optional-dependencies"]["crosscheck"]
    names = [re.split(r"[<>=]", line)[0] for line in lines]
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "crosscheck.md")
    options = parser.parse_args()
    sets, absent = real_cases(options.data)
    columns = {f"{options.scenes} random scenes": random_cases(options.scenes), **sets}
    table = {check: [worst(check, cases) for cases in columns.values()] for check in CHECKS}
    beyond = [check for check, found in table.items() if not widest(found) <= check.within]
    text = "\n".join(
        [
            "# Every metric beside an independent implementation",
            "",
            "`make crosscheck`. The largest absolute difference between groupemo and somebody"
            " else's code on the same runs. Each run is asked of twice: as it is, and with its"
            " photos drawn with replacement. Then groupemo gets the photos' weights, and the"
            " other side each photo as often as it was drawn. Pairs of faces, labels and answers"
            " for the other side are worked out anew, with loops and SciPy's assignment."
            " Where one alone is undefined the difference is infinite; a dash: both are undefined.",
            "",
            f"| metric | independent implementation | {' | '.join(columns)} | note |",
            f"|---|---|{'---|' * len(columns)}---|",
            *(row(check, found) for check, found in table.items()),
            "",
            *(f"{line}.\n" for line in absent),
            f"{len(CHECKS) - len(beyond)} of {len(CHECKS)} within what is allowed, 1e-9 unless a"
            f" note says more. With {versions()}. For calibration MAPIE and hotcoco stand in for"
            " netcal, which needs PyTorch.",
            *(f"\nBeyond: {check.metric}, {check.implementation}." for check in beyond),
            "",
        ]
    )
    print(text)
    write_atomically(options.out, text.encode())
    return 1 if beyond else 0


if __name__ == "__main__":
    sys.exit(main())
