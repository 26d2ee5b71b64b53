"""What installing groupemo costs: megabytes on disk and seconds, in a fresh environment.

python benchmarks/size.py
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from groupemo.files import write_atomically

ROOT = Path(__file__).resolve().parent.parent


def folder_megabytes(folder: Path) -> float:
    """Return the size of the files below a folder."""
    files = (file for file in folder.rglob("*") if file.is_file() and not file.is_symlink())
    return sum(file.stat().st_size for file in files) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "size.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        environment = Path(folder) / "venv"
        subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
        empty = folder_megabytes(environment)
        start = time.perf_counter()
        pip = [str(environment / "bin" / "pip"), "install", "--quiet", str(ROOT)]
        subprocess.run(pip, check=True)
        seconds = time.perf_counter() - start
        packages = next(environment.glob("lib/python*/site-packages"))
        sizes = sorted(
            ((folder_megabytes(entry), entry.name) for entry in packages.iterdir()
             if entry.is_dir() and not entry.name.endswith(".dist-info")),
            reverse=True,
        )  # fmt: skip
        total = folder_megabytes(environment) - empty
        heavy = [name for name in ("tensorflow", "torch") if (packages / name).exists()]
    rows = "\n".join(f"| {name} | {size:.0f} |" for size, name in sizes[:12])
    text = (
        "# Size\n\n`python benchmarks/size.py`: `pip install groupemo` in a fresh environment.\n\n"
        f"- {total:.0f} MB on disk (wanted: under 600), {seconds:.0f} s on this machine\n"
        f"- TensorFlow or torch among it: {', '.join(heavy) or 'no'}\n\n"
        f"| largest folders | MB |\n|---|---|\n{rows}\n"
    )
    print(text)
    write_atomically(options.out, text.encode())


if __name__ == "__main__":
    main()
