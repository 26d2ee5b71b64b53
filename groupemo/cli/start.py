"""What `groupemo` alone prints: the next step from where one stands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.text import Text

from groupemo.cli._console import counted
from groupemo.images import SUFFIXES

__all__ = ["print_start"]


def print_start(folder: Path) -> None:
    """Print the commands to begin with; where `folder` holds photos, for those.

    Parameters
    ----------
    folder : Path
        Photos are looked for in it, and in `photos` below it.
    """
    steps = list(_steps(folder))
    width = max(len(command) for command, _ in steps)
    console = Console(highlight=False, soft_wrap=True)
    console.print("How far to trust emotion recognition on group photos.\n")
    for command, does in steps:
        console.print(Text.assemble("  ", (command.ljust(width), "bold"), "  ", does))
    console.print("\nAll commands: groupemo --help; of one: groupemo COMMAND --help")


def _steps(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield commands and what they do, in the order in which to type them."""
    photos = next((name for name in (".", "photos") if _photos(folder / name)), None)
    whose = f"the {counted(_photos(folder / photos), 'photo')} here" if photos else "your photos"
    photos = photos or "photos"
    labels = (Path(photos) / "labels.csv").as_posix()
    yield "groupemo demo", "a report on the sample photos, every detector and backend"
    yield f"groupemo analyze {photos} --annotate --out results", f"faces, expressions in {whose}"
    if not (folder / labels).is_file():
        yield f"groupemo label {photos}", f"label their faces by hand; kept in {labels}"
    yield f"groupemo evaluate {photos} {labels}", "how often the models are wrong on them"
    yield "groupemo doctor", "what is wrong with this installation, and the remedy"


def _photos(folder: Path) -> int:
    """Return how many photos lie in a folder; 0 where it cannot be read."""
    try:
        return sum(
            each.suffix.lower() in SUFFIXES and not each.name.startswith(".")
            for each in folder.iterdir()
        )
    except OSError:
        return 0
