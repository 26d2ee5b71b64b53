"""What environment.yml lists is enough for the notebooks, in a fresh environment.

Conda is not at hand everywhere: what it would bring is taken from PyPI, where all of it has the
same names.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

NOTEBOOK = ROOT / "notebooks" / "01_quickstart.ipynb"


def run(*command: str | Path, **environ: str) -> None:
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environ}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
@pytest.mark.models
@pytest.mark.timeout(900)
def test_a_notebook_runs_in_an_environment_made_of_environment_yml(tmp_path):
    lines = re.findall(r"^ +- ([^:\n]+)$", (ROOT / "environment.yml").read_text(), re.M)
    editable = [word for line in lines if line.startswith("--") for word in line.split(" ", 1)]
    other = {"conda-forge", "nodefaults"}
    wanted = [line for line in lines if not re.match("--|python[<>]", line) and line not in other]
    python = tmp_path / "environment" / "bin" / "python"
    uv = (sys.executable, "-m", "uv")
    run(*uv, "venv", "--quiet", "--python", sys.executable, python.parent.parent)
    run(*uv, "pip", "install", "--quiet", "--python", python, *wanted, *editable)
    run(
        python, "-m", "jupyter", "nbconvert", "--execute", "--to", "notebook",
        "--output-dir", tmp_path, NOTEBOOK, PATH=f"{python.parent}{os.pathsep}{os.environ['PATH']}",
    )  # fmt: skip
    assert "text/html" in (tmp_path / NOTEBOOK.name).read_text()
