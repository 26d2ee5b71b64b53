"""Run the tests of every package in its own environment; end with one table of differences.

    python tests/packages/lane.py [NAME ...]

`test_NAME.py` and `test_NAME_*.py` run in the environment NAME (with _ for its -). Where all tests
of all environments pass, the table is also written to reports/parity.md. Ends with 1 where a test
fails, and in CI also where an environment cannot be built.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import environments

from groupemo._version import __version__
from groupemo.files import write_atomically
from groupemo.markdown import table

HERE, ROOT = environments.HERE, environments.ROOT
REPORT = ROOT / "reports" / "parity.md"
ABOUT = """\
# Beside the packages themselves

`make test-packages`. What groupemo answers on photos beside what the packages answer, each in an
environment of its own: the widest difference found, and the bound past which a test fails."""


@dataclass(frozen=True)
class Ran:
    """What came of one environment's tests."""

    name: str
    output: str
    built: bool = True
    failed: bool = False
    compared: list[dict] = field(default_factory=list)


def tests(name: str) -> list[Path]:
    """Return the files whose tests run in an environment."""
    stem = f"test_{name.replace('-', '_')}"
    return sorted([*HERE.glob(f"{stem}.py"), *HERE.glob(f"{stem}_*.py")])


def run(name: str) -> Ran:
    """Build the environment if need be, and run its tests."""
    begun = time.monotonic()
    try:
        python = environments.interpreter(name)
    except environments.NotBuilt as error:
        return Ran(name, f"== {name}: {error}; its tests did not run", built=False)
    ready = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        differences = Path(folder, "differences.json")
        done = subprocess.run(
            [python, "-m", "pytest", "-q", "--differences", differences, *tests(name)],
            cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        compared = json.loads(differences.read_text()) if differences.exists() else []
    took = f"built in {ready - begun:.0f} s, tested in {time.monotonic() - ready:.0f} s"
    return Ran(name, f"== {name}: {took}\n{done.stdout}", True, bool(done.returncode), compared)


def versions(name: str) -> str:
    """Return what an environment is made for and what runs groupemo's side, with versions."""
    pins = dict(line.split("==") for line in environments.lock_file(name).read_text().split())
    theirs = [one for one in wanted(name) if one not in ("pytest", *OURS)]
    told = ", ".join(f"{one} {pins[one]}" for one in theirs)
    return f"{told} beside groupemo {__version__}, {', '.join(f'{o} {pins[o]}' for o in OURS)}"


OURS = ("numpy", "onnxruntime", "opencv-python-headless")
"""What groupemo's answers hang on most."""


def wanted(name: str) -> list[str]:
    """Return the distributions that an environment is made for, by name."""
    lines = (HERE / f"{name}.in").read_text().splitlines()
    found = []
    for line in lines:
        if extra := re.match(r"\.\[([\w-]+)\]", line):
            project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
            lines.extend(project["optional-dependencies"][extra[1]])
        elif known := re.match(r"[\w-]+", line):
            found.append(known[0])
    return found


def rows(compared: Iterable[dict]) -> Iterator[tuple[str, ...]]:
    """Return the widest difference of each thing compared, in order of its first."""
    widest: dict[tuple[str, str], dict] = {}
    for one in compared:
        key = one["what"], one["on"]
        if key not in widest or not one["value"] <= widest[key]["value"]:
            widest[key] = one
    for (what, on), one in widest.items():
        yield what, on, f"{one['value']:.2g}", f"{one['bound']:.2g}"


def report(ran: Iterable[Ran]) -> str:
    """Return the table of differences, a part an environment."""
    parts = [ABOUT]
    for one in ran:
        header = ["what", "on", "widest difference>", "bound>"]
        parts += [f"## {one.name}", versions(one.name), table(header, rows(one.compared))]
    return "\n\n".join(parts) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="the environments; all of them")
    names = parser.parse_args().names or environments.names()
    with ThreadPoolExecutor(2) as pool:
        ran = []
        for one in pool.map(run, names):
            print(one.output, flush=True)
            ran.append(one)
    text = report(one for one in ran if one.built)
    print(text)
    if all(one.built and not one.failed for one in ran) and len(ran) == len(environments.names()):
        write_atomically(REPORT, text.encode())
    return int(any(one.failed or (not one.built and bool(os.environ.get("CI"))) for one in ran))


if __name__ == "__main__":
    sys.exit(main())
