"""The environments in which the packages themselves run, one a lock file, built when asked for.

    python tests/packages/environments.py fer           # build it if need be; print its interpreter
    python tests/packages/environments.py --lock fer    # choose versions anew: fer.in -> fer.txt

`NAME.in` says what an environment is made for, `NAME.txt` pins all that is in it, `without.txt`
names the distributions that are asked for by others but may not be in any. Environments stand in
`${XDG_CACHE_HOME:-~/.cache}/groupemo/environments/NAME-HASH`. groupemo is not among what is
installed: tests run with the checkout in `PYTHONPATH`.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from packaging.utils import canonicalize_name

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


class NotBuilt(Exception):
    """An environment could not be built; the message is one line."""


def names() -> list[str]:
    """Return the names of all environments."""
    return sorted(path.stem for path in HERE.glob("*.in"))


def lock_file(name: str) -> Path:
    """Return the file that pins what is in an environment."""
    return HERE / f"{name}.txt"


def _input_file(name: str) -> Path:
    return HERE / f"{name}.in"


def wanted(name: str) -> dict[str, str]:
    """Return the distributions that an environment is made for, and which versions are allowed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines, found = _input_file(name).read_text().splitlines(), {}
    for line in lines:
        if extra := re.match(r"\.\[([\w-]+)\]", line):
            lines.extend(project["optional-dependencies"][extra[1]])
        elif known := re.match(r"([\w-]+)([^#]*)", line):
            found[canonicalize_name(known[1])] = known[2]
    without = (HERE / "without.txt").read_text().splitlines()
    return {name: versions for name, versions in found.items() if name not in without}


def pins(name: str) -> dict[str, str]:
    """Return the distributions in an environment and their versions."""
    return dict(line.split("==") for line in lock_file(name).read_text().split())


def folder(name: str) -> Path:
    """Return where an environment stands, or will: its name tells lock file and Python."""
    proof = hashlib.sha256(platform.python_version().encode() + b"\n")
    proof.update(lock_file(name).read_bytes())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "groupemo" / "environments" / f"{name}-{proof.hexdigest()[:12]}"


def interpreter(name: str) -> Path:
    """Return the Python of an environment, which is built if it is not there.

    Raises
    ------
    NotBuilt
        With what the installer said.
    """
    place = folder(name)
    if not place.exists():
        build(name, place)
    return place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def build(name: str, place: Path) -> None:
    """Install what the lock file says, and nothing else, beside `place`; then rename."""
    place.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=place.parent))
    try:
        uv("venv", "--quiet", "--clear", "--relocatable", "--python", sys.executable, made)
        uv("pip", "install", "--quiet", "--no-deps", "--python", made, "-r", lock_file(name))
        made.rename(place)
    except NotBuilt as error:
        raise NotBuilt(f"the environment {name} could not be built: {error}") from None
    except OSError:  # another process was quicker
        if not place.exists():
            raise
    finally:
        shutil.rmtree(made, ignore_errors=True)


def lock(name: str) -> None:
    """Choose the newest versions that go together, and write the lock file."""
    uv(
        "pip", "compile", "--quiet", "--upgrade", "--no-header", "--no-annotate",
        "--python-version", "3.11", "--excludes", HERE / "without.txt",
        "--no-emit-package", "groupemo", "--output-file", lock_file(name), _input_file(name),
    )  # fmt: skip
    builds = lock_file(name).read_text()  # +cpu is the name of one that is at hand here
    lock_file(name).write_text(re.sub(r"\+\w+$", "", builds, flags=re.M))


def uv(*words: str | Path) -> None:
    """Run uv, in the root of the checkout."""
    command = [sys.executable, "-m", "uv", *map(str, words)]
    environ = {"UV_FIND_LINKS": _wheels(), **os.environ}
    run = subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )
    if run.returncode:
        said = " ".join(run.stderr.split())
        raise NotBuilt(said if len(said) < 500 else f"{said[:250]} ... {said[-250:]}")


def _wheels() -> str:
    """Return the folders of wheels that pip looks in, for uv to look in, too."""
    ask = [sys.executable, "-m", "pip", "config", "get", "global.find-links"]
    configured = subprocess.run(ask, capture_output=True, text=True, check=False).stdout
    return ",".join(os.environ.get("PIP_FIND_LINKS", configured).split())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="+", choices=names(), metavar="NAME")
    parser.add_argument("--lock", action="store_true", help="choose versions anew")
    options = parser.parse_args()
    try:
        for name in options.names:
            if options.lock:
                lock(name)
            else:
                print(interpreter(name))
    except NotBuilt as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
