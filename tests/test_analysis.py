"""`Analysis` and its file: nothing is lost on the way, nothing torn is taken for whole."""

import json
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from groupemo.analysis import (
    Analysis,
    AnalysisWriter,
    Failure,
    iter_analyses,
    load_analyses,
    save_analyses,
)
from groupemo.emotions import EMOTIONS
from groupemo.errors import AnalysisError, ContractError, OutputError
from groupemo.faces import Faces
from groupemo.files import write_atomically

FLOATS = st.floats(-1e6, 1e6, width=32)


def made(photo="a.jpg", n=1, *, detector="d", backend="b", happy=0.5, **fields):
    probs = np.tile([0, 0, 0, happy, 1 - happy, 0, 0], (n, 1))
    faces = Faces([[0, 0, i + 1, 1] for i in range(n)])
    return Analysis(photo, "0" * 64, 9, 9, faces, probs, EMOTIONS, detector, backend, **fields)


@st.composite
def analyses(draw):
    n, k = draw(st.integers(0, 4)), draw(st.integers(1, 7))
    corners = draw(hnp.arrays(np.float32, (n, 2), elements=st.floats(-999, 999, width=32)))
    sides = draw(hnp.arrays(np.float32, (n, 2), elements=st.floats(0.5, 999, width=32)))
    marks = draw(st.none() | hnp.arrays(np.float32, (n, 5, 2), elements=FLOATS))
    scores = draw(hnp.arrays(np.float32, n, elements=FLOATS))
    probs = draw(hnp.arrays(np.float64, (n, k), elements=st.floats(0, 1)))
    probs[draw(hnp.arrays(bool, n))] = np.nan
    text = st.text(max_size=12)
    return Analysis(
        photo=draw(text),
        sha256=draw(text),
        width=draw(st.integers(0, 99999)),
        height=draw(st.integers(0, 99999)),
        faces=Faces(np.concatenate([corners, corners + sides], axis=1), scores, marks),
        probs=probs,
        classes=EMOTIONS[:k],
        detector=draw(text),
        backend=draw(text),
        provenance=draw(st.dictionaries(text, st.dictionaries(text, st.integers() | text))),
        seconds=draw(st.dictionaries(text, st.floats(0, 1e6))),
        failure=draw(st.none() | st.builds(Failure, text, text)),
        path=draw(st.none() | text),
    )


# --- the line ---


@given(analyses())
def test_there_and_back_is_exact(one):
    two = Analysis.from_json(one.to_json())
    np.testing.assert_array_equal(two.faces.boxes, one.faces.boxes)
    np.testing.assert_array_equal(two.faces.scores, one.faces.scores)
    np.testing.assert_array_equal(two.faces.landmarks, one.faces.landmarks)
    np.testing.assert_array_equal(two.probs, one.probs)
    for name in ("photo", "sha256", "width", "height", "classes", "pair", "provenance", "failure",
                 "seconds", "path"):  # fmt: skip
        assert getattr(two, name) == getattr(one, name)
    assert two.to_json() == one.to_json()


@given(analyses())
def test_a_line_is_one_line_of_strict_json(one):
    assert "\n" not in one.to_json()
    json.loads(one.to_json(), parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))


def test_the_likeliest_emotion_or_none():
    one = Analysis("a", "", 9, 9, Faces([[0, 0, 1, 1]] * 2), [[0.1, 0.9], [np.nan] * 2],
                   ("sad", "happy"), "d", "b")  # fmt: skip
    assert one.emotions == ["happy", None]
    assert len(one) == 2


@pytest.mark.parametrize("probs", [[[0.5, 0.5]], [[1.0]] * 2, [0.5, 0.5], [[[0.5, 0.5]] * 2]])
def test_a_row_a_face_and_a_column_a_class(probs):
    with pytest.raises(ContractError, match=r"a\.jpg: probs have shape .* expected \(2, 2\)"):
        Analysis("a.jpg", "", 9, 9, Faces([[0, 0, 1, 1]] * 2), probs, ("sad", "happy"), "d", "b")


def test_probs_are_copied_and_cannot_be_written():
    with pytest.raises(ValueError, match="read-only"):
        made().probs[0] = 0


@pytest.mark.parametrize(
    "line",
    ["", "{", "[]", "5", '"x"', "null", "{}", '{"format": 2}', b"\xff\xfe"]
    + [
        json.dumps({**json.loads(made().to_json()), **broken})
        for broken in (
            {"boxes": None},
            {"boxes": [[0, 0, 1]]},
            {"boxes": [["a"] * 4]},
            {"scores": [1, 2]},
            {"probs": []},
            {"probs": [[1, 2]]},
            {"probs": ["x"]},
            {"classes": 7},
            {"failure": {"what": "?"}},
            {"format": "1"},
        )
    ],
)
def test_other_lines_are_no_analysis(line):
    with pytest.raises(AnalysisError):
        Analysis.from_json(line)


# --- the file ---


def test_saved_analyses_load_in_order(tmp_path):
    path = save_analyses([made("b.jpg"), made("a.jpg", 0)], tmp_path / "new" / "analyses.jsonl")
    for source in (path, path.parent, str(path)):
        assert [one.photo for one in load_analyses(source)] == ["b.jpg", "a.jpg"]


def test_the_later_of_two_counts(tmp_path):
    path = tmp_path / "a.jsonl"
    save_analyses([made(happy=0.1), made("b.jpg"), made(happy=0.9), made(backend="c")], path)
    kept = {(one.photo, one.backend): one.probs[0, 3] for one in load_analyses(path)}
    assert kept == {("a.jpg", "b"): 0.9, ("b.jpg", "b"): 0.5, ("a.jpg", "c"): 0.5}
    assert len(list(iter_analyses(path))) == 4


@pytest.mark.parametrize("cut", [1, 5, 300])
def test_a_torn_last_line_is_left_out_with_a_warning(tmp_path, cut):
    path = save_analyses([made("a.jpg"), made("b.jpg")], tmp_path / "a.jsonl")
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.warns(UserWarning, match="line 2: cut off, left out"):
        assert [one.photo for one in load_analyses(path)] == ["a.jpg"]


def test_a_bad_line_is_named(tmp_path):
    path = save_analyses([made("a.jpg")], tmp_path / "a.jsonl")
    path.write_text(path.read_text() + "hello\n" + path.read_text())
    with pytest.raises(AnalysisError, match=r"a\.jsonl, line 2: not an analysis"):
        load_analyses(path)


@pytest.mark.parametrize("name", ["gone.jsonl", "."])
def test_a_missing_file_is_named(tmp_path, name):
    with pytest.raises(AnalysisError, match="cannot be read"):
        load_analyses(tmp_path / name)


# --- the writer ---


@given(st.integers(0, 2), st.binary(max_size=40).filter(lambda tail: b"\n" not in tail))
def test_after_a_crash_the_torn_line_goes_and_the_rest_stays(tmp_path_factory, whole, tail):
    path = tmp_path_factory.mktemp("crash") / "a.jsonl"
    kept = "".join(made(f"{i}.jpg").to_json() + "\n" for i in range(whole)).encode()
    path.write_bytes(kept + tail)
    with AnalysisWriter(path) as writer:
        assert path.read_bytes() == kept
        writer.append(made("new.jpg"))
    assert [one.photo for one in load_analyses(path)] == [
        *(f"{i}.jpg" for i in range(whole)), "new.jpg"
    ]  # fmt: skip


@pytest.mark.parametrize("size", [1 << 16, (1 << 16) - 1, 200_000])
def test_a_torn_line_of_any_length_goes(tmp_path, size):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"x" * size)
    AnalysisWriter(path).close()
    assert path.read_bytes() == b""
    path.write_bytes(b"{}\n" + b"x" * size)
    AnalysisWriter(path).close()
    assert path.read_bytes() == b"{}\n"


def test_each_line_is_on_disk_before_the_next(tmp_path):
    path = tmp_path / "new" / "a.jsonl"
    with AnalysisWriter(path) as writer:
        for count in (1, 2):
            writer.append(made(f"{count}.jpg"))
            assert len(load_analyses(path)) == count


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_is_an_output_error(tmp_path):
    with AnalysisWriter("/dev/full") as writer:
        for _ in range(2):
            with pytest.raises(OutputError, match="/dev/full: cannot be written: No space left"):
                writer.append(made())


class Filling:
    """A file on a disk that takes 10 bytes more."""

    def __init__(self, file, error):
        self.file, self.error, self.left = file, error, 10

    def write(self, data):
        if not self.left:
            raise self.error
        took, self.left = self.file.write(data[: self.left]), 0
        return took

    def __getattr__(self, name):
        return getattr(self.file, name)


@pytest.mark.parametrize(
    ("error", "seen"),
    [
        (OSError(28, "No space left on device"), OutputError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
    ids=["full disk", "Ctrl-C"],
)
def test_a_part_of_a_line_is_taken_back(tmp_path, error, seen):
    path = tmp_path / "a.jsonl"
    with AnalysisWriter(path) as writer:
        writer.append(made("a.jpg"))
        whole = path.read_bytes()
        writer._file = Filling(writer._file, error)
        with pytest.raises(seen):
            writer.append(made("b.jpg"))
        assert path.read_bytes() == whole


def test_a_path_below_a_file_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"file/a\.jsonl: cannot be written: "):
        AnalysisWriter(tmp_path / "file" / "a.jsonl")
    with pytest.raises(OutputError, match="cannot be written: Is a directory"):
        AnalysisWriter(tmp_path)


# --- whole files ---


def test_a_file_is_written_with_its_folders(tmp_path):
    path = write_atomically(tmp_path / "a" / "b" / "c.txt", b"hello")
    assert path.read_bytes() == b"hello"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("failing", ["replace", "write"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_leaves_what_was_there(tmp_path, monkeypatch, failing, error):
    path = write_atomically(tmp_path / "a.txt", b"before")

    def fail(*_):
        raise error

    class Full:
        def __init__(self, name, mode):
            self.file = open(name, mode)  # noqa: SIM115

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def write(self, data):
            self.file.write(data[:3])
            fail()

    if failing == "replace":
        monkeypatch.setattr(os, "replace", fail)
    else:
        monkeypatch.setattr("groupemo.files.open", Full, raising=False)
    expected = OutputError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        write_atomically(path, b"after, and longer")
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"c\.txt: cannot be written: "):
        write_atomically(tmp_path / "file" / "c.txt", b"")
    with pytest.raises(OutputError, match="cannot be written: "):
        write_atomically(tmp_path, b"")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    "change",
    [{"photo": 5}, {"provenance": None}, {"seconds": [1]}, {"width": "wide"}, {"detector": None}],
)
def test_a_value_of_another_kind_is_named(change):
    record = json.loads(made().to_json()) | change
    with pytest.raises(AnalysisError, match=next(iter(change))):
        Analysis.from_json(json.dumps(record))


def test_a_line_nested_without_end_is_no_analysis():
    with pytest.raises(AnalysisError, match="not an analysis"):
        Analysis.from_json("[" * 100_000)


def test_the_longest_file_name_can_be_written(tmp_path):
    assert write_atomically(tmp_path / ("x" * 255), b"hello").read_bytes() == b"hello"
