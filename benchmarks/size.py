"""What installing groupemo costs: megabytes on disk and seconds, in a fresh environment.

python benchmarks/size.py
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from groupemo.files import write_atomically

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ("tensorflow", "torch")


@dataclass(frozen=True)
class Installed:
    """What an installation added to an empty environment.

    Parameters
    ----------
    megabytes, seconds : float
    folders : dict of str to float
        Megabytes of each folder of modules, the largest first.
    """

    megabytes: float
    seconds: float
    folders: dict[str, float]


def install(requirements: Sequence[str], *, fresh: bool = False) -> Installed:
    """Install requirements into an environment that is thrown away.

    `fresh` takes all from the package index and nothing from a cache, with uv.
    """
    with tempfile.TemporaryDirectory() as folder:
        environment = Path(folder) / "venv"
        subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
        empty = folder_megabytes(environment)
        python = environment / "bin" / "python"
        uv = [sys.executable, "-m", "uv", "pip", "install", "--no-cache", "--python", str(python)]
        pip = uv if fresh else [str(python), "-m", "pip", "install"]
        start = time.perf_counter()
        subprocess.run([*pip, "--quiet", *requirements], check=True)
        seconds = time.perf_counter() - start
        packages = next(environment.glob("lib/python*/site-packages"))
        folders = {
            entry.name: folder_megabytes(entry)
            for entry in packages.iterdir()
            if entry.is_dir() and not entry.name.endswith(".dist-info")
        }
        largest = dict(sorted(folders.items(), key=lambda item: -item[1]))
        return Installed(folder_megabytes(environment) - empty, seconds, largest)


def folder_megabytes(folder: Path) -> float:
    """Return the size of the files below a folder."""
    files = (file for file in folder.rglob("*") if file.is_file() and not file.is_symlink())
    return sum(file.stat().st_size for file in files) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "size.md")
    options = parser.parse_args()
    ours = install([str(ROOT)])
    heavy = [name for name in HEAVY if name in ours.folders]
    rows = "\n".join(f"| {name} | {size:.0f} |" for name, size in list(ours.folders.items())[:12])
    text = (
        "# Size\n\n`python benchmarks/size.py`: `pip install groupemo` in a fresh environment.\n\n"
        f"- {ours.megabytes:.0f} MB on disk (wanted: under 600), {ours.seconds:.0f} s on this"
        f" machine\n- TensorFlow or torch among it: {', '.join(heavy) or 'no'}\n\n"
        f"| largest folders | MB |\n|---|---|\n{rows}\n"
    )
    print(text)
    write_atomically(options.out, text.encode())


if __name__ == "__main__":
    main()
