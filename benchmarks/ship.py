"""Put the net of a training into the package: file, cards, and its row in the catalog.

    python benchmarks/ship.py runs/net/base-60-0 --precision float16

What shows the net's figures has to be made again then: `make bench-net demo`.
"""

from __future__ import annotations

import argparse
import re
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from groupemo.files import write_atomically
from groupemo.training import Recipe, Run, export_run, write_cards
from groupemo.training.onnx_export import PRECISIONS, Exported

ROOT = Path(__file__).resolve().parent.parent
NETS = ROOT / "groupemo" / "nets"
CATALOG = ROOT / "groupemo" / "models" / "models.toml"
NAME = "groupemo"
BESIDE = ("card.md", "datasheet.md", "figures.json", "curves.png", "recipe.json")
LICENCE = "MIT, as groupemo"


def export(folder: Path, precision: str) -> Exported:
    """Write the net under its own name, and the cards that speak of it, to a run's folder."""
    run = Run.open(folder)
    files = export_run(run, precision=precision, licence=LICENCE)
    [net] = [file for file in files if file.precision == precision]
    net = replace(net, path=net.path.rename(folder / f"{NAME}.onnx"))
    write_cards(run, [net])
    return net


def used_by_name(card: str) -> str:
    """Return the card with the backend's name, where it says how to use the file."""
    text, found = re.subn(
        r"--backend onnx:model=[^`]+`, with `[^`]+` beside it", f"--backend {NAME}`", card
    )
    if found != 1:
        raise SystemExit("the card does not say how to use the net, as it did")
    return text


def without_places(recipe: Recipe) -> Recipe:
    """Return the recipe with the names of the runs it is built on, not where they lie."""
    start = recipe.start and Path(recipe.start).name
    return replace(recipe, start=start, distil=tuple(Path(each).name for each in recipe.distil))


def in_catalog(catalog: str, net: Exported) -> str:
    """Return the catalog with the net's size and checksum."""
    text, found = re.subn(
        rf'(?ms)(^\[{NAME}\]$.*?)^bytes = \d+$\n^sha256 = "\w*"$',
        rf'\g<1>bytes = {net.bytes}\nsha256 = "{net.sha256}"',
        catalog,
        count=1,
    )
    if found != 1:
        raise SystemExit(f"{CATALOG}: no [{NAME}] with bytes and sha256")
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="the folder of a training")
    parser.add_argument("--precision", choices=PRECISIONS, default="float32")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / NAME
        shutil.copytree(options.run, copy, ignore=shutil.ignore_patterns("last.pt", "*.onnx"))
        net = export(copy, options.precision)
        card = copy / "card.md"
        card.write_text(used_by_name(card.read_text(encoding="utf-8")), encoding="utf-8")
        recipe = copy / "recipe.json"
        recipe.write_text(without_places(Recipe.from_json(recipe.read_text())).to_json())
        catalog = in_catalog(CATALOG.read_text(encoding="utf-8"), net)
        for path in (net.path, *(copy / name for name in BESIDE)):
            write_atomically(NETS / path.name, path.read_bytes())
    write_atomically(CATALOG, catalog.encode())
    print(f"{NETS / net.path.name}: {net.precision}, {net.bytes:,} bytes, {net.sha256}")


if __name__ == "__main__":
    main()
