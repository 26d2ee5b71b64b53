r"""groupemo beside the packages it is compared with, on the same group photos, in one run.

    python benchmarks/leaderboard.py                     # all parts but `naive`
    python benchmarks/leaderboard.py --only speed,cold   # these parts; the others stay as they were
    python benchmarks/leaderboard.py --pages             # no measuring: the pages again
    python benchmarks/leaderboard.py --naive             # with it, gigabytes are installed, once

What is measured is kept in reports/leaderboard.json, part by part, each as soon as it is there.
From it come reports/leaderboard.md and .html, the picture (.png, .svg), and the README's short
form. Packages run in the environments of tests/packages, which are built where they are missing.
`--python NAME=PATH` names another interpreter for one of them. Two have none there, for they take
gigabytes, FER with PyTorch and DeepFace with TensorFlow; without them they are told as not here:

    uv venv A && uv pip install --python A fer==25.10.3 "setuptools<81" tensorflow-cpu \
        "opencv-contrib-python<5"
    uv venv B && uv pip install --python B deepface==0.0.103 werkzeug mtcnn tf-keras \
        tensorflow-cpu "opencv-contrib-python-headless<5"
    python benchmarks/leaderboard.py --python fer-mtcnn=A/bin/python \
        --python deepface-mtcnn=B/bin/python
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import sys
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from board.pages import in_readme, sections, to_html, to_markdown
from board.parts import AT_ONCE, PARTS, Options, run
from board.picture import as_bytes, draw
from board.standings import standings

from groupemo.files import write_atomically

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"


def read(path: Path) -> dict[str, Any]:
    """Return the results so far."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def merged(results: Mapping[str, Any], name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the results with one part measured anew, in the order of a whole run."""
    both = {**results, name: dict(given)}
    return {part: both[part] for part in PARTS if part in both}


def machine() -> str:
    """Return processor, cores and system."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    cores = len(os.sched_getaffinity(0))
    return (
        f"{model or platform.processor()}, {cores} cores, {memory:.0f} GB, {platform.system()},"
        f" Python {platform.python_version()}"
    )


def write_pages(results: Mapping[str, Any], out: Path, readme: Path | None) -> None:
    """Write the pages and pictures beside `out`, and the README's short form."""
    light = dark = b""
    if "speed" in results:
        each = standings(results["speed"])
        light, dark = (as_bytes(draw(each, dark=at_night), "svg") for at_night in (False, True))
        write_atomically(out.with_suffix(".svg"), light)
        write_atomically(out.with_suffix(".png"), as_bytes(draw(each), "png"))
        if readme is not None:
            text = in_readme(readme.read_text(encoding="utf-8"), results["speed"])
            write_atomically(readme, text.encode())
    told = list(sections(results))
    write_atomically(out.with_suffix(".md"), to_markdown(told, f"{out.stem}.png").encode())
    write_atomically(out.with_suffix(".html"), to_html(told, light, dark).encode())


def parse(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--photos", type=int, default=60, help="of wider_groups, evenly spread")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--quick", action="store_true", help="12 photos, 2 rounds: does all work?")
    parser.add_argument("--only", metavar="PART,...", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--naive", action="store_true", help="measure also the naive installation")
    parser.add_argument("--pages", action="store_true", help="measure nothing")
    parser.add_argument("--contender", action="append", default=[], metavar="NAME",
                        help="on group photos only these; by default all")  # fmt: skip
    parser.add_argument("--python", action="append", default=[], metavar="NAME=PATH")
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "leaderboard.json")
    parser.add_argument("--no-readme", action="store_true", help="leave the README as it is")
    options = parser.parse_args(words)
    options.parts = options.only.split(",") if options.only else list(AT_ONCE)
    options.parts = [] if options.pages else options.parts + ["naive"] * options.naive
    unknown = [name for name in options.parts if name not in PARTS]
    if unknown:
        parser.error(f"no part named {', '.join(unknown)}; known: {', '.join(PARTS)}")
    options.pythons = dict(pair.split("=", 1) for pair in options.python)
    if options.quick:
        options.photos, options.rounds = min(options.photos, 12), min(options.rounds, 2)
    return options


def main() -> None:
    options = parse()
    models = options.data.parent / "models"
    if models.is_dir():
        os.environ.setdefault("GROUPEMO_MODELS", str(models))
    asked = Options(
        options.data, options.photos, options.rounds, options.pythons, options.quick,
        tuple(options.contender),
    )  # fmt: skip
    results, failed, load = read(options.out), [], os.getloadavg()[0]
    for name in options.parts:
        try:
            given, took = run(name, asked)
        except Exception:  # the other parts are worth having
            traceback.print_exc()
            failed.append(name)
            continue
        about = {
            "made": datetime.now(UTC).date().isoformat(), "took": took, "load": load,
            "machine": machine(), "command": shlex.join(["leaderboard.py", *_shown(sys.argv[1:])]),
        }  # fmt: skip
        results = merged(results, name, given | about)
        write_atomically(options.out, (json.dumps(results, indent=1) + "\n").encode())
        print(f"{name}: {took:.0f} s", flush=True)
    write_pages(results, options.out, None if options.no_readme else README)
    print(options.out.with_suffix(".md").read_text(encoding="utf-8"))
    if failed:
        sys.exit(f"failed: --only {','.join(failed)}")


def _shown(words: list[str]) -> list[str]:
    """Return the command's words without the folders of this machine."""
    return [word.partition("=")[0] + "=..." if "/" in word and "=" in word else Path(word).name
            if "/" in word else word for word in words]  # fmt: skip


if __name__ == "__main__":
    main()
