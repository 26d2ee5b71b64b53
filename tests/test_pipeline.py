"""The verbs: order, batches, one pass for all, going on where it stopped, failing alone."""

import io
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

import groupemo
from groupemo.analysis import load_analyses
from groupemo.emotions import EMOTIONS
from groupemo.errors import (
    ContractError,
    OptionError,
    OutputError,
    PhotoError,
    UnknownPlugin,
)
from groupemo.faces import Faces
from groupemo.images import Photo, digest, read_photo
from groupemo.pipeline import analyze_grid
from groupemo.plugins import BACKENDS, DETECTORS
from groupemo.testing import FakeBackend, FakeDetector, make_scene, write_scenes

EVEN = np.full(7, 1 / 7)
TWO = Faces([[0, 0, 4, 4], [4, 4, 8, 8]])


def arrays(n):
    """n small photos that differ: the first pixel says which."""
    return [Photo(f"{i:03}.png", np.full((8, 8, 3), i, np.uint8)) for i in range(n)]


def run(photos, detector=None, backend=None, **options):
    detector = FakeDetector(TWO) if detector is None else detector
    backend = FakeBackend(EVEN) if backend is None else backend
    return list(groupemo.analyze_all(photos, detector=detector, backend=backend, **options))


def names(analyses):
    return [one.photo for one in analyses]


@pytest.fixture
def folder(tmp_path):
    """Three photos: two faces, no face, one face."""
    words = {"a.png": ["happy", "sad"], "b.png": [], "c.png": ["fear"]}
    scenes = [make_scene(emotions, name=name) for name, emotions in words.items()]
    write_scenes(scenes, tmp_path / "photos")
    folder = tmp_path / "photos"
    return folder, FakeDetector.of(scenes), FakeBackend.of(scenes)


# --- one photo ---


def test_detect_classify_analyze_say_the_same(folder):
    photos, detector, backend = folder
    faces = groupemo.detect(photos / "a.png", detector)
    probs = groupemo.classify(photos / "a.png", faces, backend)
    one = groupemo.analyze(photos / "a.png", detector=detector, backend=backend)
    assert one.emotions == ["happy", "sad"]
    np.testing.assert_array_equal(one.faces.boxes, faces.boxes)
    np.testing.assert_array_equal(one.probs, probs)
    assert (one.photo, one.path) == ("a.png", str(photos / "a.png"))
    assert one.sha256 == digest((photos / "a.png").read_bytes())
    assert (one.height, one.width) == read_photo(photos / "a.png").shape[:2]
    assert one.pair == ("fake", "fake")
    assert set(one.seconds) == {"read", "detect", "prepare", "predict"}


def test_classify_puts_columns_in_order():
    backend = FakeBackend([0.25, 0.75], ["joy", "anger"])
    probs = groupemo.classify(np.zeros((8, 8, 3), np.uint8), TWO, backend)
    assert probs.tolist() == [[0.75, 0, 0, 0.25, 0, 0, 0]] * 2


def test_an_analysis_keeps_the_backends_own_classes():
    [one] = run(arrays(1), backend=FakeBackend([0.25, 0.75], ["joy", "anger"]))
    assert one.classes == ("joy", "anger")
    assert one.emotions == ["anger", "anger"]


def test_no_face_is_a_result(folder):
    photos, detector, backend = folder
    one = groupemo.analyze(photos / "b.png", detector=detector, backend=backend)
    assert (len(one), one.probs.shape, one.failure) == (0, (0, 7), None)
    assert groupemo.classify(photos / "b.png", Faces.empty(), FakeBackend(EVEN)).shape == (0, 7)
    assert backend.calls == []


def test_analyze_is_for_one_photo():
    with pytest.raises(PhotoError, match=r"2 photos given to analyze\(\): use analyze_all"):
        groupemo.analyze(arrays(2), detector=FakeDetector(TWO), backend=FakeBackend(EVEN))


def test_detect_and_classify_hold_plugins_to_the_contract():
    image = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(ContractError, match="expected Faces"):
        groupemo.detect(image, lambda image: [])
    with pytest.raises(ContractError, match="outside the 8 x 8 image"):
        groupemo.detect(image, lambda image: Faces([[0, 0, 9, 9]]))
    with pytest.raises(ContractError, match="sum to 1"):
        groupemo.classify(image, TWO, FakeBackend(EVEN * 2))


# --- many photos ---


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_order_is_kept(workers):
    def slow_at_first(image):
        time.sleep(0.02 if image[0, 0, 0] % 8 == 0 else 0)
        return TWO

    photos = arrays(50)
    assert names(run(photos, slow_at_first, workers=workers)) == [each.name for each in photos]


def test_the_result_does_not_depend_on_workers(folder):
    photos, detector, backend = folder
    one, three = (run(photos, detector, backend, workers=workers) for workers in (1, 3))
    for a, b in zip(one, three, strict=True):
        np.testing.assert_array_equal(a.probs, b.probs)
        assert a.emotions == b.emotions


def test_rows_of_many_photos_are_predicted_together():
    backend = FakeBackend(EVEN)
    run(arrays(40), backend=backend, workers=1)
    assert backend.calls == [16] * 5, "8 photos of 2 faces a call"


def test_a_batch_is_predicted_when_it_is_full():
    # 30 faces a photo, 8 photos a chunk: 64 rows are waiting after 3, 6 photos, and 2 are left
    backend = FakeBackend(EVEN)
    run(arrays(32), FakeDetector(Faces([[0, 0, 4, 4]] * 30)), backend, workers=1)
    assert backend.calls == [90, 90, 60] * 4


def test_each_photo_gets_its_own_rows():
    class Echo(FakeBackend):
        """Says how bright the photo is."""

        def prepare(self, image, faces):
            share = image[0, 0, 0] / 255
            return np.tile([share, 1 - share, 0, 0, 0, 0, 0], (len(faces), 1))

    def some(image):
        return Faces([[0, 0, 4, 4]] * (image[0, 0, 0] % 4))

    for workers in (1, 3):
        for i, one in enumerate(run(arrays(60), some, Echo(EVEN), workers=workers)):
            assert len(one) == i % 4
            np.testing.assert_allclose(one.probs[:, 0], i / 255)


def test_one_reading_and_one_detector_pass_feed_all_backends():
    loads = []

    class Counted(Photo):
        def load(self):
            loads.append(self.name)
            return super().load()

    photos = [Counted(photo.name, photo.source) for photo in arrays(10)]
    detectors = [FakeDetector(TWO, label=label) for label in "de"]
    backends = [FakeBackend(EVEN, label=label) for label in "xyz"]
    analyses = list(analyze_grid(photos, detectors=detectors, backends=backends, workers=2))
    assert [detector.calls for detector in detectors] == [10, 10]
    assert sorted(loads) == [photo.name for photo in photos]
    assert [sum(backend.calls) for backend in backends] == [40, 40, 40]
    assert [one.pair for one in analyses[:6]] == [(d, b) for d in "de" for b in "xyz"]
    assert names(analyses) == [photo.name for photo in photos for _ in range(6)]


def test_images_alive_are_as_many_as_workers():
    alive, most, lock = weakref.WeakSet(), [0], threading.Lock()

    class Image(np.ndarray):
        """An array that can be held weakly and hashed."""

        def __hash__(self):
            return id(self)

        def __eq__(self, other):
            return self is other

    class Made(Photo):
        def decode(self, data, **options):
            image = super().decode(data, **options).view(Image)
            with lock:
                alive.add(image)
                most[0] = max(most[0], len(alive))
            return image

    photos = [Made(photo.name, photo.source) for photo in arrays(100)]
    run(photos, lambda image: Faces([[0, 0, 4, 4]]), workers=3)
    assert 1 <= most[0] <= 3


def test_workers_do_not_run_far_ahead():
    loads = []

    class Counted(Photo):
        def load(self):
            loads.append(self.name)
            return super().load()

    photos = [Counted(f"{i}", np.full((8, 8, 3), i % 256, np.uint8)) for i in range(1000)]
    stream = groupemo.analyze_all(
        photos, detector=FakeDetector(TWO), backend=FakeBackend(EVEN), workers=2
    )
    next(stream)
    time.sleep(0.3)
    assert len(loads) <= 8 * (2 * 2 + 1), "five chunks of eight photos"
    stream.close()


def test_closing_early_stops_the_workers():
    calls = []

    def slow(image):
        calls.append(1)
        time.sleep(0.02)
        return TWO

    stream = groupemo.analyze_all(arrays(250), detector=slow, backend=FakeBackend(EVEN), workers=2)
    next(stream)
    stream.close()
    assert not [one for one in threading.enumerate() if one.name.startswith("groupemo")]
    seen = len(calls)
    assert seen < 5 * 8, "of the five chunks of eight in flight, those not begun are dropped"
    time.sleep(0.1)
    assert len(calls) == seen


def test_an_error_in_the_consumer_stops_the_workers():
    def consume():
        for _ in groupemo.analyze_all(
            arrays(250), detector=FakeDetector(TWO), backend=FakeBackend(EVEN), workers=2
        ):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        consume()
    assert not [one for one in threading.enumerate() if one.name.startswith("groupemo")]


class Watched(FakeBackend):
    """A detector and backend that notices two threads inside it."""

    def __init__(self):
        super().__init__(EVEN)
        self.inside, self.most = 0, 0

    def _visit(self):
        self.inside += 1
        self.most = max(self.most, self.inside)
        time.sleep(0.002)
        self.inside -= 1

    def __call__(self, image):
        self._visit()
        return TWO

    def prepare(self, image, faces):
        self._visit()
        return super().prepare(image, faces)

    def predict(self, inputs):
        self._visit()
        return super().predict(inputs)


def test_an_object_is_called_by_one_thread_at_a_time():
    detector, backend = Watched(), Watched()
    run(arrays(60), detector, backend, workers=4)
    assert (detector.most, backend.most) == (1, 1)


def test_of_a_spec_each_worker_has_its_own(monkeypatch):
    made = []

    def factory():
        made.append(Watched())
        return made[-1]

    monkeypatch.setitem(DETECTORS._registered, "watched", factory)
    monkeypatch.setitem(BACKENDS._registered, "watched", factory)
    run(arrays(60), "watched", "watched", workers=3)
    assert len(made) == 6
    assert {each.most for each in made} <= {0, 1}


def test_opencv_has_one_thread_while_photos_are_analyzed():
    import cv2

    before, seen = cv2.getNumThreads(), []
    cv2.setNumThreads(3)
    run(arrays(1), lambda image: seen.append(cv2.getNumThreads()) or TWO)
    after = cv2.getNumThreads()
    cv2.setNumThreads(before)
    assert (seen, after) == ([1], 3)


# --- what is refused before the first photo ---


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"workers": 0}, OptionError, "workers is 0: expected a whole number, 1 or more"),
        ({"detectors": []}, OptionError, "expected one detector or more"),
        ({"backends": []}, OptionError, "expected one backend or more"),
        ({"detectors": ["nonesuch"]}, UnknownPlugin, "no detector named 'nonesuch'"),
        ({"backends": ["nonesuch"]}, UnknownPlugin, "no backend named 'nonesuch'"),
        ({"detectors": [FakeDetector(TWO)] * 2}, OptionError, "each named once"),
    ],
)
def test_refused_at_once(options, error, message):
    given = {"detectors": [FakeDetector(TWO)], "backends": [FakeBackend(EVEN)], **options}
    with pytest.raises(error, match=message):
        analyze_grid(arrays(1), **given)


def test_an_out_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        run(arrays(1), out=tmp_path / "file" / "a.jsonl")


# --- failing alone ---


def fails_on(number, error):
    def detect(image):
        if image[0, 0, 0] == number:
            raise error
        return TWO

    return detect


@pytest.mark.parametrize("workers", [1, 2])
def test_a_detector_that_fails_on_one_photo(workers):
    detector = fails_on(5, ValueError("too bright"))
    analyses = run(arrays(20), detector, workers=workers)
    failed = [one for one in analyses if one.failure]
    assert names(failed) == ["005.png"]
    assert failed[0].failure.stage == "detect"
    assert failed[0].failure.reason == "005.png: detect failed: ValueError: too bright"
    assert len(failed[0]) == 0
    assert all(len(one) == 2 for one in analyses if not one.failure)


@pytest.mark.parametrize("faces", [None, Faces([[0, 0, 9, 9]])], ids=["none", "outside"])
def test_a_detector_that_breaks_its_contract(faces):
    [one] = run(arrays(1), lambda image: faces)
    assert one.failure.stage == "detect"
    assert "<lambda>" in one.failure.reason


class FailsOn(FakeBackend):
    def __init__(self, number, *, stage, how=None):
        super().__init__(EVEN)
        self.number, self.stage, self.how = number, stage, how

    def prepare(self, image, faces):
        if self.stage == "prepare" and image[0, 0, 0] == self.number:
            return self.how(len(faces)) if self.how else 1 / 0
        return np.full((len(faces), 1), image[0, 0, 0], float)

    def predict(self, inputs):
        self.calls.append(len(inputs))
        probs = np.tile(EVEN, (len(inputs), 1))
        bad = inputs[:, 0] == self.number
        if self.stage == "predict" and bad.any():
            if self.how is None:
                raise RuntimeError("net exploded")
            probs[bad] = self.how
        return probs


@pytest.mark.parametrize(
    ("backend", "reason"),
    [
        (FailsOn(5, stage="prepare"), "ZeroDivisionError: division by zero"),
        (
            FailsOn(5, stage="prepare", how=lambda n: np.zeros((n + 1, 1))),
            "gave shape (3, 1) for 2",
        ),
        (FailsOn(5, stage="prepare", how=lambda n: np.full((n, 1, 1), 9.0)), None),
        (FailsOn(5, stage="prepare", how=lambda n: None), "gave shape () for 2"),
        (FailsOn(5, stage="predict"), "RuntimeError: net exploded"),
        (FailsOn(5, stage="predict", how=3.0), "sum to 1"),
    ],
    ids=["prepare raises", "rows", "shape", "None", "predict raises", "probs"],
)
def test_a_backend_that_fails_on_one_photo(backend, reason):
    analyses = run(arrays(64), backend=backend, workers=1)
    failed = [one for one in analyses if one.failure]
    if reason is None:
        assert not failed, "rows that do not stack are predicted by themselves"
    else:
        assert names(failed) == ["005.png"]
        assert failed[0].failure.stage == "classify"
        assert failed[0].failure.reason.startswith("005.png: fake failed: ")
        assert reason in failed[0].failure.reason
        assert np.isnan(failed[0].probs).all()
    for one in analyses:
        assert len(one) == 2, "the faces stand, whatever the backend does"
        if not one.failure:
            np.testing.assert_allclose(one.probs, [EVEN, EVEN])


def test_one_backend_that_fails_leaves_the_others():
    backends = [FailsOn(0, stage="predict"), FakeBackend(EVEN, label="good")]
    bad, good = analyze_grid(arrays(1), detectors=[FakeDetector(TWO)], backends=backends)
    assert bad.failure
    assert good.failure is None
    assert good.emotions == ["angry", "angry"]


def test_a_photo_that_cannot_be_read_is_a_row(folder):
    photos, detector, backend = folder
    (photos / "bad.png").write_text("hello")
    analyses = run(photos, detector, backend)
    assert names(analyses) == ["a.png", "b.png", "bad.png", "c.png"]
    assert [one.failure and one.failure.stage for one in analyses] == [None, None, "read", None]
    bad = analyses[2]
    assert (bad.width, bad.height, len(bad)) == (0, 0, 0)
    assert "bad.png: not a picture" in bad.failure.reason
    with pytest.raises(PhotoError, match=r"bad\.png: not a picture"):
        groupemo.analyze(photos / "bad.png", detector=detector, backend=backend)


# --- going on where it stopped ---


@pytest.fixture
def counted(monkeypatch):
    """Registered plugins that take an option and count their photos and rows."""
    seen = {"photos": 0, "rows": 0}

    class Finder:
        def __init__(self, model="m1", **options):
            self.models = {"net": model}

        def __call__(self, image):
            seen["photos"] += 1
            return TWO

    class Reader(FakeBackend):
        def __init__(self, model="m1", **options):
            super().__init__(EVEN)
            self.models = {"net": model}
            del self.label

        def predict(self, inputs):
            seen["rows"] += len(inputs)
            return super().predict(inputs)

    monkeypatch.setitem(DETECTORS._registered, "finder", Finder)
    monkeypatch.setitem(BACKENDS._registered, "reader", Reader)

    def go(photos, out, detector="finder", backend="reader"):
        seen.update(photos=0, rows=0)
        analyses = run(photos, detector, backend, out=out, workers=2)
        return names(analyses), seen["photos"], seen["rows"]

    return go


def test_a_second_run_does_only_what_is_missing(folder, counted, tmp_path):
    photos, out = folder[0], tmp_path / "out" / "a.jsonl"
    assert counted(photos / "a.png", out) == (["a.png"], 1, 2)
    assert counted(photos, out) == (["b.png", "c.png"], 2, 4)
    before = out.read_bytes()
    assert counted(photos, out) == ([], 0, 0)
    assert out.read_bytes() == before
    assert names(load_analyses(out)) == ["a.png", "b.png", "c.png"]


def test_a_changed_photo_is_done_again(folder, counted, tmp_path):
    photos, out = folder[0], tmp_path / "a.jsonl"
    counted(photos, out)
    (photos / "b.png").write_bytes((photos / "a.png").read_bytes())
    assert counted(photos, out) == (["b.png"], 1, 2)
    assert counted(photos, out) == ([], 0, 0)
    latest = {one.photo: one for one in load_analyses(out)}
    assert latest["b.png"].sha256 == latest["a.png"].sha256


def test_a_photo_that_is_only_touched_is_not_done_again(folder, counted, tmp_path):
    photos, out = folder[0], tmp_path / "a.jsonl"
    counted(photos, out)
    os.utime(photos / "b.png", (0, 0))
    assert counted(photos, out) == ([], 0, 0)


@pytest.mark.parametrize(
    "other",
    [
        {"detector": "finder:min_score=0.5"},
        {"backend": "reader:size=3"},
        {"detector": "finder:model=m2"},
        {"backend": "reader:model=m2"},
    ],
)
def test_other_options_or_models_are_done_again(folder, counted, tmp_path, other):
    photos, out = folder[0], tmp_path / "a.jsonl"
    counted(photos, out)
    assert counted(photos, out, **other) == (["a.png", "b.png", "c.png"], 3, 6)
    assert counted(photos, out, **other) == ([], 0, 0)
    assert counted(photos, out) == ([], 0, 0)


def test_a_failed_photo_is_tried_again(folder, counted, tmp_path):
    photos, out = folder[0], tmp_path / "a.jsonl"
    (photos / "bad.png").write_text("hello")
    counted(photos, out)
    assert counted(photos, out) == (["bad.png"], 0, 0)
    (photos / "bad.png").write_bytes((photos / "a.png").read_bytes())
    assert counted(photos, out) == (["bad.png"], 1, 2)
    assert counted(photos, out) == ([], 0, 0)


def test_a_torn_line_is_done_again(folder, counted, tmp_path):
    photos, out = folder[0], tmp_path / "a.jsonl"
    counted(photos, out)
    out.write_bytes(out.read_bytes()[:-20])
    assert counted(photos, out) == (["c.png"], 1, 2)
    assert names(load_analyses(out)) == ["a.png", "b.png", "c.png"]


def test_what_was_yielded_is_on_disk(folder, tmp_path):
    photos, detector, backend = folder
    out = tmp_path / "a.jsonl"
    stream = groupemo.analyze_all(photos, detector=detector, backend=backend, out=out)
    for count, _ in enumerate(stream, start=1):
        assert len(load_analyses(out)) == count


INTERRUPTED = """
import sys, time
import numpy as np
import groupemo
from groupemo.images import Photo
from groupemo.testing import FakeBackend

out, pause = sys.argv[1], float(sys.argv[2])

def slow(image):
    time.sleep(pause)
    return groupemo.Faces([[0, 0, 4, 4]])

photos = [Photo(f"{i:03}.png", np.full((8, 8, 3), i, np.uint8)) for i in range(100)]
for one in groupemo.analyze_all(
    photos, detector=slow, backend=FakeBackend(np.full(7, 1 / 7)), workers=2, out=out
):
    print(one.photo, flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="sends SIGINT")
def test_ctrl_c_leaves_whole_lines_that_a_second_run_completes(tmp_path):
    out = tmp_path / "a.jsonl"
    command = [sys.executable, "-c", INTERRUPTED, str(out)]
    first = subprocess.Popen(
        [*command, "0.05"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    printed = [first.stdout.readline().strip() for _ in range(5)]
    first.send_signal(signal.SIGINT)
    rest, errors = first.communicate(timeout=30)
    assert first.returncode != 0
    assert errors.rstrip().endswith("KeyboardInterrupt")
    printed += rest.split()
    assert out.read_bytes().endswith(b"\n")
    written = names(load_analyses(out))
    assert written[: len(printed)] == printed
    assert 5 <= len(written) < 100
    second = subprocess.run([*command, "0"], capture_output=True, text=True, timeout=60, check=True)
    everything = [f"{i:03}.png" for i in range(100)]
    assert second.stdout.split() == everything[len(written) :]
    assert names(load_analyses(out)) == everything


# --- progress ---


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_is_quiet_off_a_terminal(capfd):
    run(arrays(3))
    assert capfd.readouterr() == ("", "")
    run(arrays(3), progress=True)
    assert "3/3" in capfd.readouterr().err


def test_progress_shows_on_a_terminal(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    run(arrays(3), progress=False)
    groupemo.analyze(arrays(1), detector=FakeDetector(TWO), backend=FakeBackend(EVEN))
    assert terminal.getvalue() == ""
    run(arrays(3))
    assert "3/3" in terminal.getvalue()


def test_a_file_name_that_is_no_text_is_spelled_out(tmp_path):
    odd = os.fsencode(tmp_path) + b"/caf\xe9.png"
    with open(odd, "wb") as file:
        file.write(make_scene(["happy"]).encoded("png"))
    [analysis] = run(tmp_path, out=tmp_path / "run.jsonl")
    assert analysis.photo == "caf\\xe9.png"
    assert load_analyses(tmp_path / "run.jsonl")[0].path == os.fsdecode(odd)


def test_one_name_is_not_taken_for_a_list_of_letters():
    with pytest.raises(OptionError, match=r"write \['yunet'\]"):
        analyze_grid(arrays(1), detectors="yunet", backends=["fer"])


# --- what other people's plugins do ---


class Reusing:
    """A backend that hands out the same two arrays again and again."""

    classes = ("happy", "sad")

    def __init__(self):
        self.inputs, self.probs = np.zeros((64, 1)), np.zeros((64, 2))

    def prepare(self, image, faces):
        self.inputs[: len(faces)] = image.mean() / 255
        return self.inputs[: len(faces)]

    def predict(self, inputs):
        self.probs[: len(inputs)] = np.hstack([inputs, 1 - inputs])
        return self.probs[: len(inputs)]


def test_a_backend_may_use_its_arrays_again():
    many = FakeDetector(Faces([[0, 0, 4, 4]] * 40))  # more than one batch in a chunk
    answers = [one.probs[0, 0] for one in run(arrays(24), many, Reusing(), workers=1)]
    np.testing.assert_allclose(answers, np.arange(24) / 255)


def exits(*_):
    sys.exit(0)


def test_a_plugin_that_exits_fails_for_its_photo_alone():
    backend = FakeBackend(EVEN)
    backend.predict = exits
    assert [one.failure.stage for one in run(arrays(2), exits)] == ["detect", "detect"]
    assert [one.failure.stage for one in run(arrays(2), None, backend)] == ["classify", "classify"]


@pytest.mark.parametrize("workers", ["2", 1.5, 0])
def test_workers_are_a_whole_number(workers):
    with pytest.raises(OptionError, match="workers is"):
        run(arrays(1), workers=workers)


def test_overlapping_runs_leave_opencv_its_threads():
    import cv2

    before = cv2.getNumThreads()
    cv2.setNumThreads(3)
    try:
        first, second = (
            groupemo.analyze_all(
                arrays(2), detector=FakeDetector(TWO), backend=FakeBackend(EVEN), progress=False
            )
            for _ in range(2)
        )
        next(first), next(second)
        list(first), list(second)
        assert cv2.getNumThreads() == 3
    finally:
        cv2.setNumThreads(before)


def test_going_back_to_an_older_model_is_done_again(tmp_path):
    out = tmp_path / "run.jsonl"
    answers = {}
    for version in ("old", "new", "old"):
        backend = FakeBackend(EVEN if version == "old" else np.eye(7)[3])
        backend.models = {"net.onnx": version}
        run(arrays(1), backend=backend, out=out)
        [answers[version]] = load_analyses(out)
    assert answers["old"].provenance["backend"]["models"] == {"net.onnx": "old"}
    np.testing.assert_allclose(answers["old"].probs, [EVEN, EVEN])


class Alone:
    """A detector and backend that notes whether two threads were ever in it at once."""

    classes = EMOTIONS

    def __init__(self):
        self.inside, self.most = 0, 0

    def enter(self):
        self.inside += 1
        self.most = max(self.most, self.inside)
        time.sleep(0.01)
        self.inside -= 1

    def __call__(self, image):
        self.enter()
        return TWO

    find = __call__

    def prepare(self, image, faces):
        self.enter()
        return np.zeros((len(faces), 1))

    def predict(self, inputs):
        self.enter()
        return np.tile(EVEN, (len(inputs), 1))


CALLS = {
    "analyze": lambda it, image: groupemo.analyze(image, detector=it, backend=it),
    "a method": lambda it, image: groupemo.analyze(image, detector=it.find, backend=it),
    "detect": lambda it, image: groupemo.detect(image, it),
    "classify": lambda it, image: groupemo.classify(image, TWO, it),
}


@pytest.mark.parametrize("how", CALLS)
def test_an_object_is_called_by_one_of_the_users_threads_at_a_time(how):
    alone, image = Alone(), np.zeros((8, 8, 3), np.uint8)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: CALLS[how](alone, image), range(8)))
    assert alone.most == 1


class Seeing:
    """A detector or backend that keeps how large the images are that it is shown."""

    classes = EMOTIONS

    def __init__(self, side=None, box=(10, 20, 110, 140)):
        self.shown, self.box = [], box
        if side is not None:
            self.enough_side = self.face_side = side

    def __call__(self, image):
        self.shown.append(image.shape)
        return Faces([self.box], landmarks=np.full((1, 5, 2), 50))

    def prepare(self, image, faces):
        self.shown.append((image.shape, faces.boxes.tolist()))
        return np.zeros((len(faces), 1))

    def predict(self, inputs):
        return np.tile(EVEN, (len(inputs), 1))


@pytest.fixture
def large(tmp_path):
    """A JPEG of 2000 x 1501 pixels."""
    Image.new("RGB", (2000, 1501)).save(tmp_path / "large.jpg")
    return tmp_path / "large.jpg"


def test_a_large_jpeg_is_decoded_at_the_size_detectors_need(large):
    detector, backend = Seeing(side=1000), Seeing(side=50)
    [analysis] = run(large, detector, backend)
    assert detector.shown == [(751, 1000, 3)]
    assert backend.shown == [((751, 1000, 3), [[10, 20, 110, 140]])]
    assert (analysis.width, analysis.height) == (2000, 1501)
    assert analysis.faces.boxes.tolist() == [[20, 40, 220, 280]]
    assert (analysis.faces.landmarks == 100).all()


@pytest.mark.parametrize("side", [None, 51])  # unknown, or more than half of a face's side
def test_faces_that_are_small_there_are_cut_from_all_pixels(large, side):
    detector, backend = Seeing(side=1000), Seeing(side=side)
    run(large, detector, backend)
    assert detector.shown == [(751, 1000, 3)]
    assert backend.shown == [((1501, 2000, 3), [[20, 40, 220, 280]])]


def test_what_a_detector_is_shown_does_not_hang_on_the_others(large):
    detectors = [Seeing(side=1000), Seeing(), Seeing(side=500), Seeing(side=1001)]
    for number, each in enumerate(detectors):
        each.label = f"number {number}"
    list(analyze_grid(large, detectors=detectors, backends=[Seeing()]))
    whole, half, quarter = (1501, 2000, 3), (751, 1000, 3), (376, 500, 3)
    assert [each.shown for each in detectors] == [[half], [whole], [quarter], [half]]


def test_a_photo_is_decoded_once_at_each_size(large, monkeypatch):
    sides, decode = [], Photo.decode
    monkeypatch.setattr(
        Photo,
        "decode",
        lambda *a, side=None, **b: (sides.append(side), decode(*a, side=side, **b))[1],
    )
    detectors = [Seeing(side=1000), Seeing(), Seeing(side=1001), Seeing(side=1500)]
    for number, each in enumerate(detectors):
        each.label = f"number {number}"
    backends = [Seeing(side=side) for side in (None, 51, 2)]
    for number, each in enumerate(backends):
        each.label = f"number {number}"
    list(analyze_grid(large, detectors=detectors, backends=backends))
    assert sides == [1000, None]


def test_detect_finds_the_faces_of_an_analysis(large):
    detector = Seeing(side=1000)
    found, [analysis] = groupemo.detect(large, detector), run(large, detector, Seeing())
    assert detector.shown == [(751, 1000, 3)] * 2
    np.testing.assert_array_equal(found.boxes, analysis.faces.boxes)
    np.testing.assert_array_equal(found.landmarks, analysis.faces.landmarks)


@pytest.mark.models
def test_one_photo_loads_no_library_it_does_not_need():
    code = (
        "import sys, numpy, groupemo;"
        "groupemo.analyze(numpy.zeros((64, 64, 3), numpy.uint8));"
        "print(*{'asyncio', 'h5py', 'importlib.metadata', 'matplotlib', 'onnx', 'packaging',"
        " 'pandas', 'pillow_heif', 'pooch', 'requests', 'tqdm'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == []
