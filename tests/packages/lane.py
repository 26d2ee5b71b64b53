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
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import environments

from groupemo._version import __version__
from groupemo.files import write_atomically
from groupemo.markdown import table

REPORT = environments.ROOT / "reports" / "parity.md"
ABOUT = """\
# Beside the packages themselves

`make test-packages`. What groupemo answers on photos beside what the packages answer, each in an
environment of its own: the widest difference found, and the bound past which a test fails."""
OURS = ("numpy", "onnxruntime", "opencv-contrib-python-headless")
"""What groupemo's answers hang on most."""


@dataclass(frozen=True)
class Ran:
    """What came of the tests of one environment."""

    name: str
    told: str
    built: bool = True
    passed: bool = False
    compared: list[dict] = field(default_factory=list)


def files(name: str) -> list[Path]:
    """Return the files whose tests run in an environment."""
    here, stem = environments.HERE, f"test_{name.replace('-', '_')}"
    return sorted([*here.glob(f"{stem}.py"), *here.glob(f"{stem}_*.py")])


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
        tested = subprocess.run(
            [python, "-m", "pytest", "-q", "--differences", differences, *files(name)],
            env={**os.environ, "PYTHONPATH": str(environments.ROOT)}, text=True, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        compared = json.loads(differences.read_text()) if differences.exists() else []
    took = f"ready after {ready - begun:.0f} s, tested in {time.monotonic() - ready:.0f} s"
    told = f"== {name}: {took}\n{tested.stdout}"
    return Ran(name, told, passed=not tested.returncode, compared=compared)


def versions(name: str) -> str:
    """Return what an environment is made for and what runs groupemo's side, with versions."""
    pins, others = environments.pins(name), {"pytest", *OURS}
    theirs = [f"{one} {pins[one]}" for one in environments.wanted(name) if one not in others]
    ours = [f"groupemo {__version__}", *(f"{one} {pins[one]}" for one in OURS)]
    return f"{', '.join(theirs)} beside {', '.join(ours)}."


def rows(compared: Iterable[dict]) -> Iterator[tuple[str, ...]]:
    """Return the widest difference of each thing compared, in order of its first."""
    widest: dict[tuple[str, str], dict] = {}
    for one in compared:
        known = widest.setdefault((one["what"], one["on"]), one)
        if not one["value"] <= known["value"]:  # also one that is not a number
            known.update(one)
    for (what, on), one in widest.items():
        yield what, on, f"{one['value']:.2g}", f"{one['bound']:.2g}"


def report(ran: Iterable[Ran]) -> str:
    """Return the table of differences, a part an environment."""
    parts = [ABOUT]
    for one in ran:
        header = ["what", "on", "widest difference>", "bound>"]
        parts += [f"## {one.name}", versions(one.name), table(header, rows(one.compared))]
    return "\n\n".join(parts) + "\n"


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="the environments; all of them")
    names = parser.parse_args(words).names or environments.names()
    ran = []
    with ThreadPoolExecutor(2) as pool:  # one waits for the network while another is tested
        for one in pool.map(run, names):
            print(one.told, flush=True)
            ran.append(one)
    text = report(one for one in ran if one.built)
    print(text)
    if names == environments.names() and all(one.passed for one in ran):
        write_atomically(REPORT, text.encode())
    must = [one for one in ran if one.built or os.environ.get("CI")]
    return 0 if all(one.passed for one in must) else 1


if __name__ == "__main__":
    sys.exit(main())
