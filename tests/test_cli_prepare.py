"""`groupemo prepare`: what is printed, what is written, and how it ends."""

import json
import os
import signal

import pytest
from test_cli import groupemo
from test_training_data import make_folder

from groupemo.errors import OptionError
from groupemo.training.faces_file import FaceBatch, FacesFile
from groupemo.training.sources import read_source


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path / "classes")


def test_what_was_written_and_left_out_is_printed(tmp_path, folder):
    out = tmp_path / "faces.h5"
    printed = groupemo("prepare", folder, "--out", out, "--terms", "CC0").stdout
    words = [line.split() for line in printed.splitlines()]
    assert ["happy", "2"] in words
    assert ["sad", "1"] in words
    assert not any("disgust" in line for line in words)
    assert "3 faces of 48 x 48 pixels, gray" in printed
    assert "left out: contempt 1" in printed
    assert "terms of classes: CC0" in printed
    assert len(FacesFile(out)) == 3


def test_prepare_as_json(tmp_path, folder):
    out = tmp_path / "faces.h5"
    told = json.loads(
        groupemo("prepare", folder, "--out", out, "--side", 24, "--rgb", "--json").stdout
    )
    with FacesFile(out) as file:
        assert told == {"out": str(out), "sha256": file.sha256, **file.provenance}
        assert file.faces.shape == (3, 24, 24, 3)
    assert told["faces"] == 3
    assert told["options"] == {"side": 24, "color": "rgb"}


def test_a_photo_that_cannot_be_read_is_named(tmp_path, folder):
    (folder / "sad" / "2.jpg").write_text("no picture")
    result = groupemo("prepare", folder, "--out", tmp_path / "faces.h5", code=3)
    assert f"failed: {folder / 'sad' / '2.jpg'}: not a picture" in result.stderr
    assert "3 faces" in result.stdout


def test_a_misspelt_folder_ends_in_one_line(tmp_path, folder):
    (folder / "sad").rename(folder / "sadd")
    result = groupemo("prepare", folder, "--out", tmp_path / "faces.h5", code=1)
    assert "did you mean 'sad'?" in result.stderr
    assert result.stderr.startswith("error: ")
    assert not (tmp_path / "faces.h5").exists()


@pytest.mark.parametrize(("out", "kind"), [(".", "a directory"), ("pipe", "no file")])
def test_only_a_file_is_replaced(tmp_path, folder, out, kind, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    result = groupemo("prepare", folder, "--out", out, code=1)
    assert result.stderr == f"error: {out}: cannot be written: Is {kind}\n"
    assert not os.path.isfile(out)


def test_terminated_it_leaves_nothing_behind(tmp_path, folder, monkeypatch):
    written = FaceBatch.__len__

    def terminated(batch):
        os.kill(os.getpid(), signal.SIGTERM)
        return written(batch)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(FaceBatch, "__len__", terminated)
    result = groupemo("prepare", folder, "--out", tmp_path / "out" / "faces.h5", code=130)
    assert result.stderr == "interrupted\n"
    assert not list((tmp_path / "out").iterdir())
    assert signal.getsignal(signal.SIGTERM) is before


def test_faces_too_large_for_memory_are_refused(tmp_path, folder):
    groupemo("prepare", folder, "--out", tmp_path / "faces.h5", "--side", "99999", code=2)
    with pytest.raises(OptionError, match="side is 99999: expected 1024 pixels at most"):
        read_source(folder, side=99999)


def test_an_option_of_another_source_is_named(tmp_path, folder):
    result = groupemo("prepare", folder, "--out", tmp_path / "f.h5", "--as-labelled", code=1)
    assert "square means nothing" in result.stderr


@pytest.mark.data
@pytest.mark.parametrize(
    ("options", "faces", "said"),
    [
        ([], 3260, "also in the training part 279; contempt"),
        (["--keep-leaked", "--labels", "fer2013"], 3579, "left out: none"),
    ],
)
def test_the_public_test_sheet(tmp_path, shared_data, options, faces, said):
    out = tmp_path / "valid.h5"
    sheet = shared_data / "fer2013" / "public_test.csv"
    printed = groupemo("prepare", sheet, "--out", out, *options).stdout
    assert f"{faces} faces of 48 x 48" in printed
    assert said in printed
