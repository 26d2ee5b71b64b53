"""The README's Python runs as it stands, on made photos."""

import re

import pytest
from conftest import ROOT

import groupemo
from groupemo.testing import make_scene, write_scenes

BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)


@pytest.mark.models
def test_the_python_of_the_readme_runs(tmp_path, monkeypatch, shared_models):
    monkeypatch.chdir(tmp_path)
    scenes = [make_scene(["happy", "sad"], name="a.png"), make_scene([], name="b.png")]
    groupemo.save_labels(write_scenes(scenes, tmp_path / "photos"), "photos/labels.csv")
    names = {}
    for block in BLOCKS:
        exec(compile(block, "README.md", "exec"), names)
    assert (tmp_path / "reports" / "mine" / "table.csv").exists()
    assert names["evaluation"].table()["photos"].tolist() == [2] * 6
