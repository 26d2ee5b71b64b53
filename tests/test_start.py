"""What `groupemo` alone says."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from groupemo.cli import app


def start(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(folder)
    result = CliRunner().invoke(app, [], env={"COLUMNS": "60"})
    assert result.exit_code == 0
    return result.stdout


def test_names_the_first_steps_where_there_are_no_photos(tmp_path, monkeypatch):
    said = start(tmp_path, monkeypatch)
    for command in (
        "groupemo demo ",
        "groupemo analyze photos --annotate --out results ",
        "groupemo label photos ",
        "groupemo evaluate photos photos/labels.csv ",
        "groupemo doctor ",
        "groupemo --help",
    ):
        assert command in said


def test_speaks_of_the_photos_that_are_there(tmp_path, monkeypatch):
    (tmp_path / "photos").mkdir()
    for name in ("a.jpg", "b.PNG", ".hidden.jpg", "notes.txt"):
        (tmp_path / "photos" / name).touch()
    assert "the 2 photos here" in start(tmp_path, monkeypatch)


def test_the_folder_itself_comes_first_and_labels_that_exist_are_not_asked_for(
    tmp_path, monkeypatch
):
    (tmp_path / "one of us.jpg").touch()
    (tmp_path / "labels.csv").touch()
    said = start(tmp_path, monkeypatch)
    assert "groupemo evaluate . labels.csv" in said
    assert "the 1 photo here" in said
    assert "groupemo label" not in said


@pytest.mark.parametrize("name", ["analyze", "label", "evaluate", "demo", "doctor"])
def test_the_commands_exist(name):
    assert CliRunner().invoke(app, [name, "--help"]).exit_code == 0
