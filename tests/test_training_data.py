"""Faces to train on: the file they are kept in, and the sources they are read from."""

import runpy
import weakref
import zipfile

import h5py
import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

from groupemo import EMOTIONS, save_labels
from groupemo.crops import crop, gray
from groupemo.errors import ContractError, LabelError, OptionError, OutputError, PhotoError
from groupemo.faces import Faces
from groupemo.labels import IGNORE, UNSURE, LabelledFaces, Labels
from groupemo.training.faces_file import (
    FaceBatch,
    FacesFile,
    leaks,
    split_by_photo,
    write_faces,
)
from groupemo.training.sources import read_source

HAPPY, SAD, SURPRISE, NEUTRAL = map(EMOTIONS.index, ["happy", "sad", "surprise", "neutral"])
FERPLUS = "neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown"


def one_hot(*classes):
    return np.eye(7, dtype=np.float32)[list(classes)]


def batch(n=4, side=6, seed=0, photo=None):
    faces = np.random.default_rng(seed).integers(0, 256, (n, side, side), np.uint8)
    return FaceBatch(faces, one_hot(*range(n)), photo or [f"{seed}/{i}" for i in range(n)])


def written(path, *batches, provenance=None):
    side = batches[0].faces.shape[1]
    channels = 1 if batches[0].faces.ndim == 3 else 3
    return write_faces(path, batches, side=side, channels=channels, provenance=provenance or {})


def prepared(path, source, **options):
    """Write what a source holds; return it open."""
    batches, provenance = read_source(source, **options)
    channels = 1 if options.get("gray", True) else 3
    side = options.get("side", 48)
    return FacesFile(
        write_faces(path, batches, side=side, channels=channels, provenance=provenance)
    )


# The file


def test_what_was_written_is_read_back(tmp_path):
    first, second = batch(4, seed=1), batch(3, seed=2)
    with FacesFile(written(tmp_path / "f.h5", first, second, provenance={"from": "x"})) as file:
        faces = np.concatenate([first.faces, second.faces])
        np.testing.assert_array_equal(file.faces, faces)
        np.testing.assert_array_equal(file.faces[[1, 5]], faces[[1, 5]])
        np.testing.assert_array_equal(file.votes, np.concatenate([first.votes, second.votes]))
        assert (len(file), file.side, file.channels) == (7, 6, 1)
        assert file.classes == EMOTIONS
        assert file.mean == pytest.approx((faces / 255).mean(), abs=1e-12)
        assert file.std == pytest.approx((faces / 255).std(), abs=1e-12)
        assert file.provenance == {"from": "x"}
        assert len(set(file.photos)) == len(set(file.digests)) == 7
        assert len(file.sha256) == 64


def test_a_label_has_more_votes_than_all_others_and_the_rival(tmp_path):
    votes = [[0, 0, 0, 4, 0, 0, 2]] * 3 + [[0, 0, 0, 3, 0, 0, 3]]
    some = FaceBatch(batch().faces, votes, ["a"] * 4, [3, 4, 5, 0])
    assert some.labels.tolist() == [HAPPY, -1, -1, -1]
    with FacesFile(written(tmp_path / "f.h5", some)) as file:
        assert file.labels.tolist() == [HAPPY, -1, -1, -1]
    assert FaceBatch(some.faces, votes, some.photo).labels.tolist() == [HAPPY] * 3 + [-1]


def test_faces_may_be_rgb(tmp_path):
    faces = np.random.default_rng(0).integers(0, 256, (2, 5, 5, 3), np.uint8)
    with FacesFile(written(tmp_path / "f.h5", FaceBatch(faces, one_hot(0, 1), ["a", "b"]))) as file:
        assert file.channels == 3
        np.testing.assert_array_equal(file.faces, faces)


def test_the_same_faces_give_the_same_bytes(tmp_path):
    paths = [written(tmp_path / name, batch(), batch(seed=3)) for name in ("a.h5", "b.h5")]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with h5py.File(paths[0]) as file:  # a time of writing would be the same within a second
        assert {h5py.h5o.get_info(file[name].id).ctime for name in file} == {0}


def test_faces_are_written_as_they_come(tmp_path):
    alive = weakref.WeakSet()

    def many():
        for seed in range(40):
            one = batch(seed=seed)
            alive.add(one)
            assert len(alive) <= 2
            yield one

    write_faces(tmp_path / "f.h5", many(), side=6, channels=1, provenance={})
    assert len(FacesFile(tmp_path / "f.h5")) == 160


def test_a_source_that_breaks_leaves_nothing_behind(tmp_path):
    path = written(tmp_path / "f.h5", batch())
    before = path.read_bytes()

    def broken():
        yield batch()
        raise LabelError("line 7")

    with pytest.raises(LabelError, match="line 7"):
        write_faces(path, broken(), side=6, channels=1, provenance={})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("room", [1000, 30_000, 70_000])
def test_a_full_disk_is_said_in_one_line(tmp_path, room):
    resource = pytest.importorskip("resource")
    pixels = np.random.default_rng(0).integers(0, 256, (40, 48, 48), np.uint8)
    one = FaceBatch(pixels, np.ones((40, 7)), np.full(40, "a"))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        with pytest.raises(OutputError, match=r"f\.h5: cannot be written: File too large"):
            write_faces(tmp_path / "f.h5", [one], side=48, channels=1, provenance={})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())


def test_no_face_is_no_file(tmp_path):
    with pytest.raises(LabelError, match="no face"):
        write_faces(tmp_path / "f.h5", [], side=6, channels=1, provenance={})
    assert not list(tmp_path.iterdir())


def test_a_data_set_is_not_overwritten(tmp_path):
    path = tmp_path / "fer2013.csv"
    path.write_text("emotion,pixels")
    with pytest.raises(OutputError, match="no HDF5 file"):
        written(path, batch())
    assert path.read_text() == "emotion,pixels"


def test_faces_of_another_size_are_refused(tmp_path):
    with pytest.raises(ContractError, match=r"\(6, 6\), expected \(5, 5\)"):
        write_faces(tmp_path / "f.h5", [batch()], side=5, channels=1, provenance={})


@pytest.mark.parametrize(
    ("faces", "votes", "said"),
    [
        (np.zeros((1, 4, 5), np.uint8), one_hot(0), r"\(1, 4, 5\)"),
        (np.zeros((1, 4, 4)), one_hot(0), "float64"),
        (np.zeros((1, 4, 4), np.uint8), one_hot(0, 1), r"\(2, 7\)"),
        (np.zeros((1, 4, 4), np.uint8), np.zeros((1, 7)), "above 0"),
        (np.zeros((1, 4, 4), np.uint8), np.full((1, 7), np.nan), "above 0"),
        (np.zeros((1, 4, 4), np.uint8), one_hot(0) - 0.1, "from 0"),
    ],
)
def test_a_batch_that_is_none_is_refused(faces, votes, said):
    with pytest.raises(ContractError, match=said):
        FaceBatch(faces, votes, ["a"])


@pytest.mark.parametrize(
    ("rivals", "said"), [([1.0], r"\(1,\)"), ([1, -1], "from 0"), ([1, np.nan], "from 0")]
)
def test_rivals_that_are_none_are_refused(rivals, said):
    with pytest.raises(ContractError, match=said):
        FaceBatch(np.zeros((2, 4, 4), np.uint8), one_hot(0, 1), ["a", "b"], rivals)


def test_a_file_that_is_none_is_refused(tmp_path):
    with pytest.raises(LabelError, match="no such file"):
        FacesFile(tmp_path / "none.h5")
    text = tmp_path / "text.h5"
    text.write_text("faces")
    with pytest.raises(LabelError, match="not an HDF5 file"):
        FacesFile(text)
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["x"] = 1
    with pytest.raises(LabelError, match="groupemo prepare"):
        FacesFile(other)
    cut = tmp_path / "cut.h5"
    cut.write_bytes(written(tmp_path / "f.h5", batch(40 % 7)).read_bytes()[:3000])
    with pytest.raises(LabelError, match="cut off"):
        FacesFile(cut)


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file.pop("votes"),
        lambda file: file.pop("rivals"),
        lambda file: file.pop("provenance"),
        lambda file: file.attrs.pop("mean"),
        lambda file: file.attrs.update(mean=np.nan),
        lambda file: file.attrs.update(side="x"),
        lambda file: file.attrs.update(side=48),
        lambda file: file.attrs.update(channels=7),
        lambda file: file.attrs.update(classes=3),
        lambda file: file.attrs.update(format=[1, 2]),
        lambda file: file.attrs.update(format="groupemo faces 1"),
        lambda file: file["photos"].resize(3, axis=0),
        lambda file: [file[name].resize(0, axis=0) for name in ("faces", "votes")],
    ],
)
def test_a_file_that_lacks_something_is_refused(tmp_path, change):
    path = written(tmp_path / "f.h5", batch())
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(LabelError, match="not faces that can be read here"):
        FacesFile(path)


@pytest.mark.parametrize("vote", [np.nan, np.inf, -1.0])
def test_a_vote_in_a_file_that_is_none_is_named(tmp_path, vote):
    path = written(tmp_path / "f.h5", batch())
    with h5py.File(path, "r+") as file:
        file["votes"][2, 4] = vote
    with FacesFile(path) as file, pytest.raises(LabelError, match="the votes of face 2 are"):
        _ = file.votes


def test_what_is_damaged_is_named(tmp_path):
    path = written(tmp_path / "f.h5", batch())
    with h5py.File(path, "r+") as file:
        at = file["faces"].id.get_chunk_info(0)
        file["provenance"][()] = "[3"
    data = bytearray(path.read_bytes())
    data[at.byte_offset : at.byte_offset + at.size] = bytes(at.size)
    path.write_bytes(data)
    with FacesFile(path) as file:
        with pytest.raises(LabelError, match=r"f\.h5: its faces are damaged"):
            file.read()
        with pytest.raises(LabelError, match=r"f\.h5: its provenance is damaged"):
            _ = file.provenance


def test_leaks_are_found_by_pixels_and_by_photo(tmp_path):
    train, valid = batch(4, seed=1), batch(4, seed=2)
    valid.faces[1] = train.faces[3]
    same = FaceBatch(valid.faces, valid.votes, ["new", "newer", "1/0", "newest"])
    with (
        FacesFile(written(tmp_path / "a.h5", train)) as a,
        FacesFile(written(tmp_path / "b.h5", same)) as b,
    ):
        assert leaks(a, b).tolist() == [False, True, True, False]


def test_a_split_keeps_photos_and_equal_faces_together(tmp_path):
    rng = np.random.default_rng(0)
    faces = rng.integers(0, 256, (300, 4, 4), np.uint8)
    faces[100:150] = faces[:50]  # the same face in another photo
    photos = [f"p{row // 3}" for row in range(300)]
    votes = one_hot(*rng.integers(0, 7, 300))
    with FacesFile(written(tmp_path / "f.h5", FaceBatch(faces, votes, photos))) as file:
        train, valid = split_by_photo(file, 0.2, 1)
        assert sorted([*train, *valid]) == list(range(300))
        assert len(valid) == pytest.approx(60, abs=3)
        for key in (file.photos, file.digests):
            assert not set(key[train]) & set(key[valid])
        np.testing.assert_array_equal(split_by_photo(file, 0.2, 1)[1], valid)
        assert split_by_photo(file, 0.2, 2)[1].tolist() != valid.tolist()


@pytest.mark.parametrize("seed", range(4))
def test_a_split_passes_over_a_photo_that_is_too_much(tmp_path, seed):
    rows = FaceBatch(batch(7).faces, one_hot(*range(7)), ["many"] * 6 + ["one"])
    with FacesFile(written(tmp_path / "f.h5", rows)) as file:
        assert split_by_photo(file, 0.2, seed)[1].tolist() == [6]


@pytest.mark.parametrize("share", [0, 1, -0.1, 0.5])
def test_a_split_that_leaves_a_side_empty_is_refused(tmp_path, share):
    one = written(tmp_path / "f.h5", batch(photo=["a"] * 4))
    with FacesFile(one) as file, pytest.raises(OptionError, match="share"):
        split_by_photo(file, share, 0)


# FER2013


def pixels(seed):
    return np.random.default_rng(seed).integers(0, 256, (48, 48), np.uint8)


def row(*before, seed, after=()):
    return ",".join([*map(str, before), " ".join(map(str, pixels(seed).ravel())), *after])


@pytest.fixture
def fer2013(tmp_path):
    """Six faces: three to train on, two and one to test on."""
    usage = ["Training"] * 3 + ["PublicTest"] * 2 + ["PrivateTest"]
    rows = [row(i, seed=i, after=[part]) for i, part in enumerate(usage)]
    path = tmp_path / "fer2013.csv"
    path.write_text("\n".join(["emotion,pixels,Usage", *rows, ""]))
    return path


@pytest.fixture
def ferplus(tmp_path):
    path = tmp_path / "fer2013new.csv"
    path.write_text(
        f"Usage,Image name,{FERPLUS},NF\n"
        "Training,fer0000000.png,4,0,0,1,3,2,0,0,0,0\n"
        "Training,,0,0,0,0,0,0,0,0,0,10\n"
        "Training,fer0000002.png,2,0,0,0,3,0,0,3,2,0\n"
        "PublicTest,fer0000003.png,0,9,0,0,0,0,0,0,1,0\n"
        "PublicTest,fer0000004.png,1,0,0,0,3,0,0,5,1,0\n"
        "PrivateTest,fer0000005.png,0,0,6,0,0,0,4,0,0,0\n"
    )
    return path


def test_fer2013_trains_on_its_training_part(tmp_path, fer2013):
    with prepared(tmp_path / "f.h5", fer2013) as file:
        np.testing.assert_array_equal(file.faces, [pixels(0), pixels(1), pixels(2)])
        np.testing.assert_array_equal(file.votes, one_hot(0, 1, 2))
        assert file.provenance["options"] == {"side": 48, "color": "gray", "split": "training"}
        assert "competition" in file.provenance["sources"][0]["terms"]


@pytest.mark.parametrize(
    ("split", "seeds"), [("publictest", [3, 4]), ("privatetest", [5]), ("all", range(6))]
)
def test_fer2013_has_other_parts(tmp_path, fer2013, split, seeds):
    with prepared(tmp_path / "f.h5", fer2013, split=split) as file:
        np.testing.assert_array_equal(file.faces, [pixels(seed) for seed in seeds])


def test_a_part_that_is_not_there_is_named_with_those_that_are(tmp_path, fer2013):
    fer2013.write_text(fer2013.read_text().replace("PrivateTest", "PublicTest"))
    with pytest.raises(LabelError, match=r"no part 'privatetest' .* 'publictest' with 3 faces$"):
        prepared(tmp_path / "f.h5", fer2013, split="privatetest")


def test_parts_of_fer2013_share_no_photo(tmp_path, fer2013):
    train = prepared(tmp_path / "a.h5", fer2013)
    assert not leaks(train, prepared(tmp_path / "b.h5", fer2013, split="publictest")).any()


def test_fer2013_is_read_with_another_header(tmp_path, fer2013):
    other = tmp_path / "icml_face_data.csv"
    rows = [row(3, " Training", seed=0), row("happy", " Training", seed=1)]
    other.write_text("\n".join(["emotion, Usage, pixels", *rows]))
    assert prepared(tmp_path / "a.h5", other).votes.tolist() == one_hot(3, 3).tolist()
    plain = tmp_path / "train.csv"
    plain.write_text("\n".join(["emotion,pixels", row(6, seed=0)]))
    with prepared(tmp_path / "b.h5", plain) as file:
        assert file.provenance["options"]["split"] == "all"
        assert file.votes.tolist() == one_hot(6).tolist()


def test_fer2013_is_read_from_a_zip(tmp_path, fer2013):
    packed = tmp_path / "fer2013.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(fer2013, "fer2013.csv")
    assert len(prepared(tmp_path / "f.h5", packed)) == 3


def test_fer_plus_votes_stand_beside_fer2013(tmp_path, fer2013, ferplus):
    with prepared(tmp_path / "f.h5", fer2013, votes=ferplus, split="all") as file:
        assert file.votes.tolist() == [
            [3, 2, 0, 0, 1, 0, 4],
            [0, 0, 0, 9, 0, 0, 0],
            [0, 0, 4, 0, 0, 6, 0],
        ]
        np.testing.assert_array_equal(file.faces, [pixels(0), pixels(3), pixels(5)])
        told = file.provenance
    assert told["left_out"] == {
        "not a face": 1,
        "contempt, unknown, not a face together": 1,
        "contempt": 1,
    }
    assert told["faces"] == 3
    assert {word: count for word, count in told["classes"].items() if count} == {
        "happy": 1,
        "surprise": 1,
        "neutral": 1,
    }
    assert [source["name"] for source in told["sources"]] == ["fer2013.csv", "fer2013new.csv"]
    assert "MIT" in told["sources"][1]["terms"]


def test_fer_plus_votes_stand_beside_a_part_of_fer2013(tmp_path, fer2013, ferplus):
    with prepared(tmp_path / "f.h5", fer2013, votes=ferplus, split="publictest") as file:
        assert file.votes.tolist() == [[0, 0, 0, 9, 0, 0, 0]]
        np.testing.assert_array_equal(file.faces, [pixels(3)])


def test_votes_stay_beside_their_faces_in_a_long_file(tmp_path):
    """Rows are read some hundreds at a time; the votes count them."""
    faces, votes = tmp_path / "fer2013.csv", tmp_path / "fer2013new.csv"
    texts = [" ".join([str(n % 256)] * 48 * 48) for n in range(600)]
    faces.write_text("\n".join(["emotion,pixels", *(f"0,{text}" for text in texts)]))
    rows = [f"{n + 1},0,0,0,0,0,0,0,0,0" for n in range(600)]
    votes.write_text("\n".join([f"{FERPLUS},NF", *rows]))
    with prepared(tmp_path / "f.h5", faces, votes=votes) as file:
        np.testing.assert_array_equal(file.faces[:, 0, 0], np.arange(600) % 256)
        np.testing.assert_array_equal(file.votes[:, NEUTRAL], np.arange(600) + 1)


def test_votes_on_other_faces_are_refused(tmp_path, fer2013, ferplus):
    lines = ferplus.read_text().splitlines()
    for wrong, said in [
        (lines[:-1], "5 rows of votes"),
        ([*lines, lines[-1]], "7 rows of votes for 6 faces"),
        ([*lines[:2], lines[4], lines[3], lines[2], *lines[5:]], "line 3"),
    ]:
        ferplus.write_text("\n".join(wrong))
        with pytest.raises(LabelError, match=said):
            prepared(tmp_path / "f.h5", fer2013, votes=ferplus)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("\n1,", "\n1,7 ", "line 3: 2305 pixels, expected 48 x 48"),
        ("\n1,", "\n9,", "line 3: unknown emotion '9'"),
        ("emotion,pixels", "emotion,pixel", "faces cannot be read from columns"),
        ("emotion,pixels,", "emotion,pixels,usage,", "'usage' stands there twice"),
    ],
)
def test_a_wrong_fer2013_is_refused_by_line(tmp_path, fer2013, old, new, said):
    fer2013.write_text(fer2013.read_text().replace(old, new, 1))
    with pytest.raises(LabelError, match=said):
        prepared(tmp_path / "f.h5", fer2013)


@pytest.mark.parametrize("word", ["256", "-1", "x", "1.5"])
def test_a_wrong_pixel_is_named(tmp_path, word):
    path = tmp_path / "fer2013.csv"
    good = " ".join(["7"] * 2303)
    path.write_text(f"emotion,pixels\n0,{good} 7\n0,{good} {word}\n")
    with pytest.raises(LabelError, match=f"line 3: '{word}' is no pixel"):
        prepared(tmp_path / "f.h5", path)
    path.write_text("emotion,pixels\n0,\n")
    with pytest.raises(LabelError, match="line 2: 0 pixels"):
        prepared(tmp_path / "f.h5", path)


def test_a_part_has_to_be_told(tmp_path, fer2013):
    with pytest.raises(OptionError, match="expected one of training, publictest"):
        prepared(tmp_path / "f.h5", fer2013, split="test")
    fer2013.write_text(fer2013.read_text().replace("Usage", "Part"))
    with pytest.raises(OptionError, match="no column Usage"):
        prepared(tmp_path / "f.h5", fer2013, split="training")


# Sheets


@pytest.fixture
def sheet(tmp_path):
    """A sheet of 2 x 2 cells, of which the first is leaked."""
    cells = [pixels(seed) for seed in range(4)]
    picture = np.block([[cells[0], cells[1]], [cells[2], cells[3]]])
    Image.fromarray(picture).save(tmp_path / "sheet.png")
    path = tmp_path / "sheet.csv"
    path.write_text(
        f"cell,fer2013,{FERPLUS},not_a_face,in_train\n"
        "0,angry,4,0,0,0,1,0,0,4,1,0,1\n"
        "1,happy,0,10,0,0,0,0,0,0,0,0,0\n"
        "2,sad,1,0,0,0,0,0,0,0,9,0,0\n"
        "3,fear,0,0,2,0,0,0,8,0,0,0,0\n"
    )
    return path


def test_a_sheet_gives_cells_with_votes(tmp_path, sheet):
    with prepared(tmp_path / "f.h5", sheet) as file:
        np.testing.assert_array_equal(file.faces, [pixels(1), pixels(3)])
        assert file.votes.tolist() == [[0, 0, 0, 10, 0, 0, 0], [0, 0, 8, 0, 0, 2, 0]]
        assert file.provenance["left_out"] == {"also in the training part": 1, "unknown": 1}


def test_a_face_that_may_as_well_have_no_class_has_no_label(tmp_path, sheet):
    text = sheet.read_text()
    for contempt, label in [("3,1,0", HAPPY), ("4,0,0", -1)]:
        sheet.write_text(text.replace("0,10,0,0,0,0,0,0,0,0", f"0,4,0,0,2,0,0,{contempt}"))
        with prepared(tmp_path / "f.h5", sheet) as file:
            assert file.votes[0].tolist() == [2, 0, 0, 4, 0, 0, 0]
            assert file.labels[0] == label
            assert file.provenance["classes"]["no majority"] == (label < 0)


def test_a_sheet_gives_its_own_labels_and_what_leaked(tmp_path, sheet):
    with prepared(tmp_path / "f.h5", sheet, labels="fer2013", keep_leaked=True) as file:
        np.testing.assert_array_equal(file.votes, one_hot(0, 3, 4, 2))
        assert file.provenance["left_out"] == {}


def test_faces_are_resized_and_coloured(tmp_path, sheet):
    with prepared(tmp_path / "f.h5", sheet, side=24, gray=False) as file:
        assert file.faces.shape == (2, 24, 24, 3)
        blocks = pixels(1).reshape(24, 2, 24, 2).mean(axis=(1, 3))
        assert np.abs(file.faces[0] - blocks[..., None]).max() <= 1


def test_a_wrong_sheet_is_refused(tmp_path, sheet):
    text = sheet.read_text()
    for old, new, said in [
        ("\n3,", "\n4,", "cell 4 is not there"),
        ("\n3,", "\n-3,", "line 5, column 'cell': '-3'"),
        (",10,", ",ten,", "line 3, column 'happiness': 'ten'"),
        ("unknown", "unkown", "no column 'unknown'"),
    ]:
        sheet.write_text(text.replace(old, new, 1))
        with pytest.raises(LabelError, match=said):
            prepared(tmp_path / "f.h5", sheet)
    (tmp_path / "sheet.png").unlink()
    with pytest.raises(LabelError, match="no picture"):
        prepared(tmp_path / "f.h5", sheet)


# Photos


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path / "classes")


def make_folder(root):
    """Save photos in folders named as different packages name emotions."""
    for seed, name in enumerate(
        ["Happiness/1.png", "Happiness/2.png", "sad/1.png", "contempt/1.png"]
    ):
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels(seed)).save(file)
    return root


def test_a_folder_of_classes(tmp_path, folder):
    (folder / "sad" / "2.jpg").write_bytes(b"no picture")
    with prepared(tmp_path / "f.h5", folder, terms="CC0") as file:
        np.testing.assert_array_equal(file.faces, [pixels(0), pixels(1), pixels(2)])
        np.testing.assert_array_equal(file.votes, one_hot(HAPPY, HAPPY, SAD))
        told = file.provenance
    assert told["left_out"] == {"contempt": 1}
    [failure] = told["failures"]
    assert failure["photo"] == "sad/2.jpg"
    assert "not a picture" in failure["reason"]
    assert [source["terms"] for source in told["sources"]] == ["CC0"]


def test_a_photo_is_known_by_its_bytes_not_its_name(tmp_path, folder):
    other = tmp_path / "other"
    (other / "happy").mkdir(parents=True)
    (folder / "Happiness" / "1.png").rename(other / "happy" / "2.png")
    Image.fromarray(pixels(9)).save(other / "happy" / "1.png")
    moved = (other / "happy" / "2.png").read_bytes()
    (folder / "Happiness" / "3.png").write_bytes(moved)
    train = prepared(tmp_path / "a.h5", folder, side=32)
    assert leaks(train, prepared(tmp_path / "b.h5", other)).tolist() == [False, True]


def test_a_folder_that_names_no_emotion_is_refused(tmp_path, folder):
    with pytest.raises(LabelError, match="classes: a folder of photos named by their emotion"):
        prepared(tmp_path / "f.h5", tmp_path)
    Image.fromarray(pixels(0)).save(folder / "loose.png")
    with pytest.raises(LabelError, match="photos lie in no folder"):
        prepared(tmp_path / "f.h5", folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(PhotoError, match="no photos"):
        prepared(tmp_path / "f.h5", tmp_path / "empty")


def test_a_folder_without_a_face_says_why(tmp_path, folder):
    for name in ("Happiness/1.png", "Happiness/2.png", "sad/1.png"):
        (folder / name).write_bytes(b"")
    with pytest.raises(LabelError, match=r"contempt 1; .*1\.png: the file is empty"):
        prepared(tmp_path / "f.h5", folder)


@pytest.fixture
def labelled(tmp_path):
    """Two photos with labels, voted on and not, and a label whose photo is missing."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for seed, name in enumerate(["a.png", "b.png"]):
        image = np.random.default_rng(seed).integers(0, 256, (60, 80, 3), np.uint8)
        Image.fromarray(image).save(photos / name)
    boxes = [[10, 10, 30, 40], [40, 5, 60, 25], [0, 0, 9, 9], [70, 40, 90, 60]]
    votes = [[0, 0, 0, 3, 0, 1, 0], [0] * 7, [0] * 7, [0] * 7]
    faces = LabelledFaces(boxes, [HAPPY, UNSURE, IGNORE, NEUTRAL], votes)
    alone = LabelledFaces([[1, 1, 30, 30], [50.1, 50.1, 50.3, 50.3]], [SURPRISE, SAD])
    labels = Labels({"a.png": faces, "b.png": alone, "lost.png": alone})
    return save_labels(labels, tmp_path / "labels.csv"), photos


def test_labelled_boxes_are_cut_as_backends_cut_them(tmp_path, labelled):
    path, photos = labelled
    with prepared(tmp_path / "f.h5", path, photos=photos, margin=0.25, side=20) as file:
        image = np.asarray(Image.open(photos / "a.png"))
        boxes = Faces([[10, 10, 30, 40], [70, 40, 80, 60]])
        cut = crop(image, boxes, margin=0.25, square=True, size=20)
        np.testing.assert_array_equal(file.faces[:2], [gray(face) for face in cut])
        assert file.votes.tolist() == [
            [0, 0, 0, 3, 0, 1, 0],
            *one_hot(NEUTRAL, SURPRISE).tolist(),
        ]
        assert file.photos[0] == file.photos[1] != file.photos[2]
        told = file.provenance
    assert told["left_out"] == {"ignored": 1, "unsure": 1, "no whole pixel": 1}
    assert [failure["photo"] for failure in told["failures"]] == ["lost.png"]
    assert told["options"] == {"side": 20, "color": "gray", "margin": 0.25, "square": True}


def test_labelled_boxes_need_their_photos(tmp_path, labelled):
    path, photos = labelled
    with pytest.raises(OptionError, match="--photos"):
        prepared(tmp_path / "f.h5", path)
    for photo in photos.iterdir():
        photo.rename(photo.with_stem(photo.stem + "2"))
    with pytest.raises(LabelError, match="do the names agree"):
        prepared(tmp_path / "f.h5", path, photos=photos)


# Any source


def test_an_option_of_another_source_is_refused(fer2013, folder):
    with pytest.raises(OptionError, match="is a FER2013 CSV: margin means nothing"):
        read_source(fer2013, margin=0.1)
    with pytest.raises(OptionError, match="is a folder of classes: split means nothing"):
        read_source(folder, split="training")
    with pytest.raises(OptionError, match="size is 0"):
        read_source(folder, side=0)


def test_what_is_no_source_is_refused(tmp_path):
    with pytest.raises(LabelError, match=r"none\.csv: cannot be read"):
        read_source(tmp_path / "none.csv")
    empty = tmp_path / "empty.csv"
    empty.touch()
    with pytest.raises(LabelError, match="empty"):
        read_source(empty)
    picture = tmp_path / "face.png"
    Image.fromarray(pixels(0)).save(picture)
    with pytest.raises(LabelError, match="not CSV"):
        read_source(picture)


@pytest.mark.data
def test_the_public_test_sheet(tmp_path, shared_data):
    sheet = shared_data / "fer2013" / "public_test.csv"
    with prepared(tmp_path / "a.h5", sheet, keep_leaked=True) as file:
        assert len(file) + sum(file.provenance["left_out"].values()) == 3579
        assert "also in the training part" not in file.provenance["left_out"]
    with prepared(tmp_path / "b.h5", sheet) as file:
        assert len(file) == 3260
        assert file.provenance["left_out"]["also in the training part"] == 279
        train, valid = split_by_photo(file, 0.1, 0)
        assert not set(file.digests[train]) & set(file.digests[valid])


@pytest.mark.data
def test_labels_are_those_of_the_benchmarks(tmp_path, shared_data):
    benchmark = runpy.run_path(str(ROOT / "benchmarks" / "backends.py"))
    table, cells = benchmark["read_sheet"](shared_data / "fer2013")
    counted = benchmark["majority"](table)
    with prepared(tmp_path / "f.h5", shared_data / "fer2013" / "public_test.csv") as file:
        assert (file.labels >= 0).sum() == 3113
        label = {face.tobytes(): at for face, at in zip(file.read(), file.labels, strict=True)}
        here = np.array([cell.tobytes() in label for cell in cells])
        given = [label[cell.tobytes()] for cell in cells[here]]
    np.testing.assert_array_equal(given, counted[here])
    assert (counted[~here] < 0).all()


@pytest.mark.data
def test_collages_are_1440_faces(tmp_path, shared_data):
    collages = shared_data / "collages"
    with prepared(tmp_path / "f.h5", collages / "labels.csv", photos=collages / "photos") as file:
        assert (len(file), len(set(file.photos))) == (1440, 90)
        assert file.votes.sum(axis=0).tolist() == [337, 0, 295, 267, 302, 0, 239]
