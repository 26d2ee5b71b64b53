"""Execute the notebooks on fresh kernels and store them, small and the same each time.

python notebooks/run.py [NAME ...]    # all unless told otherwise: `make notebooks`

Each runs in a folder of its own that is removed. What is stored has no times of cells, no
widgets (a page without a kernel cannot show them), no progress bars, and small pictures.
"""

from __future__ import annotations

import asyncio
import base64
import io
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from PIL import Image

FOLDER = Path(__file__).resolve().parent
SECONDS = 600
WIDGET = "application/vnd.jupyter.widget-view+json"


def notebooks() -> list[Path]:
    """Return the notebooks, in order."""
    return sorted(FOLDER.glob("[0-9]*.ipynb"))


def execute(path: Path, preamble: str = "") -> NotebookNode:
    """Return a notebook with the outputs of a fresh kernel.

    Parameters
    ----------
    path : Path
    preamble : str
        Is run before the first cell, and left out of what is returned.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        If a cell fails.
    """
    notebook = nbformat.read(path, as_version=4)
    if preamble:
        notebook.cells.insert(0, nbformat.v4.new_code_cell(preamble))
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook, timeout=SECONDS, kernel_name="python3",
            resources={"metadata": {"path": folder}},
        )  # fmt: skip
        asyncio.run(client.async_execute())  # closes its loop, which execute() leaves open
    if preamble:
        del notebook.cells[0]
    return notebook


def tidy(notebook: NotebookNode) -> NotebookNode:
    """Take away what differs from run to run and what nobody can look at."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook.metadata = nbformat.from_dict(
        {"kernelspec": kernel, "language_info": {"name": "python"}}
    )
    count = 0
    for number, cell in enumerate(notebook.cells):
        cell.id, cell.metadata = f"cell-{number}", NotebookNode()
        if cell.cell_type == "code":
            count += 1
            cell.execution_count = count
            cell.outputs = [kept for each in cell.outputs if (kept := _kept(each, count))]
    return notebook


def _kept(output: NotebookNode, count: int) -> NotebookNode | None:
    """Return an output as it is stored; None where nothing of it can be seen."""
    if "execution_count" in output:
        output.execution_count = count
    if "data" in output:
        if output.data.pop(WIDGET, None) and "text/html" not in output.data:
            return None
        output.metadata = NotebookNode()
        if "image/png" in output.data:
            output.data["image/png"] = _smaller(output.data["image/png"])
    return output


def _smaller(png: str) -> str:
    """Return a PNG, in base64, of 128 colours: thin lines keep theirs."""
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    buffer = io.BytesIO()
    few = picture.quantize(128, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def store(path: Path) -> float:
    """Execute a notebook and write it back; return the seconds it took."""
    began = time.perf_counter()
    text = nbformat.writes(tidy(execute(path))) + "\n"
    took = time.perf_counter() - began
    temporary = path.with_suffix(".new")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
    return took


def main(names: Sequence[str]) -> None:
    """Store the notebooks of these names, two at a time, and say how long each took."""
    stored = {path.stem: path for path in notebooks()}
    if unknown := set(names) - set(stored):
        raise SystemExit(f"no notebook {min(unknown)}: there are {', '.join(stored)}")
    chosen = [stored[name] for name in names or stored]
    with ThreadPoolExecutor(2) as pool:
        for path, took in zip(chosen, pool.map(store, chosen), strict=True):
            print(f"{path.name}: {took:.0f} s, {path.stat().st_size // 1024} KiB", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
