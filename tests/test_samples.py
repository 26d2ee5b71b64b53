"""Sample photos: what can be had is given, what cannot is named."""

import shutil

import pytest

from groupemo.errors import ModelError, OutputError
from groupemo.samples import SAMPLES, fetch_samples, list_samples


@pytest.fixture(autouse=True)
def offline(tmp_path, monkeypatch):
    monkeypatch.setenv("GROUPEMO_OFFLINE", "1")
    monkeypatch.setenv("GROUPEMO_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("GROUPEMO_SAMPLES", raising=False)


def test_the_catalog_is_complete():
    samples = list_samples()
    assert sum(entry.group for entry in samples) >= 14
    assert len({entry.file for entry in samples}) == len(samples)
    for entry in samples:
        assert len(entry.sha256) == 64
        assert entry.bytes > 0
        assert entry.licence
        assert entry.about
        assert entry.sources


def test_a_photo_out_of_reach_does_not_end_it(tmp_path):
    samples = fetch_samples(["azure-faces", "officer"], tmp_path / "photos")
    assert samples.paths == {"officer.jpg": tmp_path / "photos" / "officer.jpg"}
    assert list(samples.unreachable) == ["azure_faces.jpg"]
    assert "GROUPEMO_OFFLINE" in samples.unreachable["azure_faces.jpg"]
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["officer.jpg"]


def test_a_spoilt_copy_is_replaced(tmp_path):
    (tmp_path / "officer.jpg").write_bytes(b"half")
    fetch_samples(["officer"], tmp_path)
    assert (tmp_path / "officer.jpg").stat().st_size == SAMPLES.entry("officer").bytes


def test_without_a_folder_photos_stay_where_they_are():
    assert fetch_samples(["officer"]).paths["officer.jpg"].name == "grace_hopper.jpg"


def test_an_unknown_name_lists_the_known():
    with pytest.raises(ModelError, match=r"'offiser'; known: .*officer"):
        fetch_samples(["offiser"])


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="file"):
        fetch_samples(["officer"], tmp_path / "file")


@pytest.mark.data
def test_the_mirror_gives_the_photos_and_a_spoilt_one_is_named(shared_data, tmp_path, monkeypatch):
    mirror = tmp_path / "mirror"
    shutil.copytree(shared_data / "photos", mirror, copy_function=shutil.copyfile)
    monkeypatch.setenv("GROUPEMO_SAMPLES", str(mirror))
    here = {path.name for path in mirror.iterdir()}
    assert here <= set(fetch_samples().paths)
    (mirror / "azure_faces.jpg").write_bytes(b"half")
    assert "cut short" in fetch_samples(["azure-faces"]).unreachable["azure_faces.jpg"]
