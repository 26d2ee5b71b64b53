"""A calibration is fitted, saved, read back, and carried by backends and saved analyses."""

import json
import re
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax
from test_cli import groupemo as command

import groupemo
from groupemo import analyze, analyze_all, fit_calibration, load_calibration, score
from groupemo.analysis import Analysis, Failure
from groupemo.calibration import Calibration, calibrated, photos_fitted_on
from groupemo.cli.calibration import _sentence
from groupemo.emotions import CONTEMPT, EMOTIONS
from groupemo.errors import ContractError, LabelError, ModelError, OptionError
from groupemo.evaluation import Evaluation, evaluate
from groupemo.faces import Faces
from groupemo.images import digest
from groupemo.labels import LabelledFaces, Labels
from groupemo.plugins import BACKENDS, get_backend, is_stand_in
from groupemo.testing import FakeBackend, FakeDetector, check_backend, make_scene, write_scenes

NAMES = [f"{number}.png" for number in range(12)]
FEW = "ignore:.* are few to fit a calibration on"


def overconfident(seed, *, classes=EMOTIONS, temperature=3.0, detector="yunet", backend="fer"):
    """Make a run of 12 photos, 5 faces each, and labels that its softened answers would give."""
    rng = np.random.default_rng(seed)
    boxes = [[12 * at, 0, 12 * at + 10, 10] for at in range(5)]
    analyses, photos = [], {}
    for name in NAMES:
        logits = rng.normal(size=(5, len(classes))) * 2
        chosen = [rng.choice(len(classes), p=row) for row in softmax(logits, axis=1)]
        known = [EMOTIONS.index(classes[at]) if classes[at] in EMOTIONS else -1 for at in chosen]
        photos[name] = LabelledFaces(boxes, known)
        analyses.append(
            Analysis(
                photo=name,
                sha256=digest(name.encode()),
                width=100,
                height=10,
                faces=Faces(boxes),
                probs=softmax(temperature * logits, axis=1),
                classes=tuple(classes),
                detector=detector,
                backend=backend,
                provenance=provenance(detector, label=backend),
            )
        )
    return Labels(photos), analyses


def provenance(detector="yunet", **backend):
    told = {"label": "fer", "class": "groupemo.backends.fer.Fer", "options": {},
            "models": {"net.onnx": "abc"}, "groupemo": "1"}  # fmt: skip
    return {"detector": {"label": detector}, "backend": {**told, **backend}}


LABELS, RUN = overconfident(0)


@pytest.fixture
def fitted():
    return fit_calibration(score(LABELS, RUN))


@pytest.fixture
def file(fitted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fitted.save("cal.json")
    return "cal.json"


# --- fitting ---------------------------------------------------------------------------------


def test_a_fit_says_what_it_was_made_from(fitted):
    told = fitted.fitted_on
    assert (told.detector, told.backend, told.models) == ("yunet", "fer", {"net.onnx": "abc"})
    assert told.faces == 60
    assert told.photos == tuple(digest(name.encode()) for name in NAMES)
    assert told.log_loss_before == pytest.approx(score(LABELS, RUN).overall()["matched_log_loss"])
    assert told.log_loss_after < told.log_loss_before
    assert 1.5 < 1 / fitted.scale[0] < 6  # three times too sure


@pytest.mark.filterwarnings(FEW)
@pytest.mark.parametrize("method", ["temperature", "vector"])
def test_a_fit_helps_on_other_photos(method):
    fitted = fit_calibration(score(LABELS, RUN), method=method)
    labels, run = overconfident(1)
    before, after = score(labels, run).overall(), score(labels, fitted.apply(run)).overall()
    assert after["matched_log_loss"] < before["matched_log_loss"] - 0.3
    if method == "temperature":
        assert after["matched_accuracy"] == before["matched_accuracy"]


def test_photos_without_a_face_that_was_fitted_are_not_named():
    labels = Labels({**LABELS, NAMES[0]: LabelledFaces([[0, 0, 10, 10]], [-1])})
    told = fit_calibration(score(labels, RUN)).fitted_on
    assert told.faces == 55
    assert told.photos == tuple(digest(name.encode()) for name in NAMES[1:])


@pytest.mark.parametrize(
    ("label", "told"), [(-1, "0 found and answered faces of 0"), (3, "60 found .* of 1 classes")]
)
def test_faces_of_two_classes_are_needed(label, told):
    labels = Labels({name: LabelledFaces(one.boxes, [label] * 5) for name, one in LABELS.items()})
    with pytest.raises(LabelError, match=told):
        fit_calibration(score(labels, RUN))


def test_an_unknown_method_is_refused():
    with pytest.raises(OptionError, match="method is 'isotonic'"):
        fit_calibration(score(LABELS, RUN), method="isotonic")


def part_of(names, rows=slice(None), *, right=None):
    """Return the scores of some photos and faces; answers all right, or all equal, on request."""
    labels, run = {}, []
    for one in (one for one in RUN if one.photo in names):
        known = LABELS[one.photo][rows]
        probs = {None: one.probs[rows], True: 0.3 + 0.7 * np.eye(7)[known.labels],
                 False: np.eye(7)[(known.labels + 1) % 7]}[right]  # fmt: skip
        labels[one.photo] = known
        probs = probs / probs.sum(axis=1, keepdims=True)
        run.append(replace(one, faces=one.faces[rows], probs=probs))
    return score(Labels(labels), run)


@pytest.mark.parametrize(
    ("scores", "method", "told"),
    [
        (
            part_of(NAMES[:4]),
            "temperature",
            "20 faces in 4 photos are few .* 30 faces and 5 photos",
        ),
        (part_of(NAMES, slice(2)), "temperature", "24 faces in 12 photos are few"),
        (part_of(NAMES), "vector", "60 faces in 12 photos are few .* label 140 faces"),
        (part_of(NAMES, right=True), "temperature", "is at its bound, 0.01: .* surer is always"),
        (part_of(NAMES, right=False), "temperature", "is at its bound, 100: .* tell nothing"),
    ],
)
def test_what_is_too_little_to_fit_is_told(scores, method, told):
    with pytest.warns(UserWarning, match=told):
        fit_calibration(scores, method=method)


def test_many_faces_of_few_photos_are_few(monkeypatch):
    monkeypatch.setattr("groupemo.calibration.MIN_FACES", 20)
    fit_calibration(part_of(NAMES[:5]))
    with pytest.warns(UserWarning, match="20 faces in 4 photos are few"):
        fit_calibration(part_of(NAMES[:4]))


def test_a_calibrated_run_is_not_calibrated_again(fitted):
    again = list(fitted.apply(RUN))
    with pytest.raises(OptionError, match="calibrated already"):
        fit_calibration(score(LABELS, again))
    with pytest.raises(OptionError, match="calibrated already"):
        list(fitted.apply(again))


# --- classes ---------------------------------------------------------------------------------


def test_classes_are_aligned_by_name(fitted):
    turned = [replace(one, probs=one.probs[:, ::-1], classes=one.classes[::-1]) for one in RUN]
    for one, other in zip(fitted.apply(RUN), fitted.apply(turned), strict=True):
        np.testing.assert_allclose(one.probs, other.probs)
        assert one.classes == other.classes == EMOTIONS


def test_contempt_is_dropped_as_it_is_for_scores():
    classes = (CONTEMPT, *EMOTIONS)
    labels, run = overconfident(2, classes=classes)
    fitted = fit_calibration(score(labels, run))
    assert fitted.classes == EMOTIONS
    [first, *_] = fitted.apply(run)
    rest = run[0].probs[:, 1:]
    np.testing.assert_allclose(first.probs, fitted(rest / rest.sum(axis=1, keepdims=True)))


def test_a_backend_of_three_classes_is_calibrated_on_these():
    labels, run = overconfident(3, classes=("sad", "happy", "neutral"))
    surprised = LabelledFaces(labels[NAMES[0]].boxes, [5] * 5)
    labels = Labels({**labels, NAMES[0]: surprised})  # nothing it answers can be right
    fitted = fit_calibration(score(labels, run))
    assert fitted.classes == ("happy", "sad", "neutral")
    assert fitted.fitted_on.faces == 55
    [first, *_] = fitted.apply(run)
    np.testing.assert_allclose(first.probs, fitted(run[0].probs[:, [1, 0, 2]]))


def test_a_backend_of_other_classes_is_refused(fitted, file):
    _, run = overconfident(3, classes=("sad", "happy", "neutral"))
    with pytest.raises(ContractError, match=r"'fer' answers sad, happy, neutral: fit one on its"):
        list(fitted.apply(run))
    other = BACKENDS.load(FakeBackend([0.5, 0.5], ("happy", "sad")))
    with pytest.raises(ContractError, match="'fake' answers happy, sad"):
        calibrated(other, file)


# --- applying to analyses --------------------------------------------------------------------


def test_calibrated_analyses_keep_all_but_the_probabilities(file):
    calibration = load_calibration(file)
    for before, after in zip(RUN, calibration.apply(RUN), strict=True):
        np.testing.assert_allclose(
            after.probs,
            before.probs ** calibration.scale[0]
            / (before.probs ** calibration.scale[0]).sum(1, keepdims=True),
        )
        assert after.backend == "fer:calibration=cal.json"
        assert after.provenance["detector"] == before.provenance["detector"]
        assert after.provenance["backend"] == {
            **before.provenance["backend"],
            "label": "fer:calibration=cal.json",
            "options": {"calibration": "cal.json"},
            "models": {"net.onnx": "abc", "cal.json": digest(Path(file).read_bytes())},
        }
        same = ("photo", "sha256", "width", "height", "faces", "detector", "seconds", "failure")
        assert all(getattr(after, name) is getattr(before, name) for name in same)


def test_abstaining_and_failing_stay_as_they_are(fitted):
    blank = replace(RUN[0], probs=np.full((5, 7), np.nan), failure=Failure("classify", "broken"))
    empty = replace(RUN[1], faces=Faces.empty(), probs=np.zeros((0, 7)))
    one, other = fitted.apply([blank, empty])
    assert np.isnan(one.probs).all()
    assert one.failure == blank.failure
    assert other.probs.shape == (0, 7)


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("fer", "fer:calibration=cal.json"),
        ("fer:overlap=0.3", "fer:overlap=0.3,calibration=cal.json"),
        ("deepface (stand-in)", "deepface:calibration=cal.json (stand-in)"),
    ],
)
def test_the_label_is_a_spec_and_a_stand_in_stays_one(file, label, expected):
    [after] = load_calibration(file).apply([replace(RUN[0], backend=label)])
    assert after.backend == expected
    assert is_stand_in(after.backend) == is_stand_in(label)


def test_one_just_fitted_is_called_by_its_method(fitted):
    [after] = fitted.apply(RUN[:1])
    assert after.backend == "fer:calibration=temperature"
    checksum = digest(fitted.to_json().encode())
    assert after.provenance["backend"]["models"]["temperature"] == checksum


def test_a_file_written_by_hand_has_its_own_checksum(file):
    Path(file).write_text(Path(file).read_text() + "\n")
    [after] = load_calibration(file).apply(RUN[:1])
    checksum = digest(Path(file).read_bytes())
    assert after.provenance["backend"]["models"]["cal.json"] == checksum


def test_other_weights_than_those_fitted_are_told(fitted):
    other = replace(RUN[0], provenance=provenance(models={"net.onnx": "other"}))
    with pytest.warns(UserWarning, match="whose weights are not those of 'fer'"):
        list(fitted.apply([other]))


# --- the file --------------------------------------------------------------------------------


def test_a_file_gives_back_what_was_saved(fitted, file):
    read = load_calibration(file)
    assert read.to_json() == fitted.to_json()
    assert (read.file, read.sha256) == (file, digest(Path(file).read_bytes()))
    np.testing.assert_array_equal(read(RUN[0].probs), fitted(RUN[0].probs))
    assert read.fitted_on == fitted.fitted_on


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda one: one.pop("scale"), "scale is missing"),
        (lambda one: one.update(scale=[1, 2]), "scale is not 7 numbers, one a class"),
        (lambda one: one.update(scale=["1"] * 7), "scale is not 7 numbers"),
        (lambda one: one.update(scale=[True] * 7), "scale is not 7 numbers"),
        (lambda one: one.update(scale=[1e308] * 7), "from -1e+06 to 1e+06"),
        (lambda one: one.update(scale=[10**400] * 7), "scale is not 7 numbers"),
        (lambda one: one.update(scale=[-1] * 7), "scale is not one number above 0"),
        (lambda one: one.update(scale=[0] * 7), "scale is not one number above 0"),
        (lambda one: one.update(scale=[1, *[2] * 6]), "scale is not one number above 0"),
        (lambda one: one.update(bias=[1] * 7), "bias is not 0"),
        (lambda one: one.update(method="vector", bias=[-1e308] * 7), "bias is not 7 numbers"),
        (lambda one: one.update(bias=[float("inf")] * 7), "bias is not 7 numbers"),
        (lambda one: one.update(bias=[float("nan")] * 7), "bias is not 7 numbers"),
        (lambda one: one.update(bias=["x"] * 7), "bias is not 7 numbers"),
        (lambda one: one.update(bias=[[]] + [1] * 6), "bias is not 7 numbers"),
        (lambda one: one.update(method="platt"), "method is 'platt'"),
        (lambda one: one.update(classes="happy"), "classes is no list"),
        (lambda one: one.update(classes=["happy"] * 7), "classes is"),
        (lambda one: one.update(classes=["joy", *EMOTIONS[1:]]), "classes is"),
        (lambda one: one.update(classes=[[], *EMOTIONS[1:]]), "classes is"),
        (lambda one: one.update(classes=[], scale=[], bias=[]), "classes is [], expected two"),
        (lambda one: one.update(format=2), "format is not 1"),
        (lambda one: one.update(format=True), "format is no int"),
        (lambda one: one.update(fitted_on=[]), "fitted_on is no dict"),
        (lambda one: one["fitted_on"].pop("photos"), "fitted_on.photos is missing"),
        (lambda one: one["fitted_on"].update(photos=[[1]]), "fitted_on.photos holds what is no"),
        (lambda one: one["fitted_on"].update(models={"a": 1}), "fitted_on.models holds what is"),
        (lambda one: one["fitted_on"].update(faces=-1), "fitted_on.faces is -1"),
        (lambda one: one["fitted_on"].update(faces=True), "fitted_on.faces is no int"),
        (lambda one: one["fitted_on"].update(backend=None), "fitted_on.backend is no str"),
        (lambda one: one["fitted_on"].update(log_loss_before=float("nan")), "log_loss_before is"),
        (lambda one: one["fitted_on"].update(log_loss_after=-1.0), "log_loss_after is -1.0"),
        (lambda one: one["fitted_on"].update(log_loss_after=True), "log_loss_after is no float"),
    ],
)
def test_a_bad_file_is_refused_by_file_field_and_remedy(file, edit, told):
    record = json.loads(Path(file).read_text())
    edit(record)
    Path(file).write_text(json.dumps(record))
    with pytest.raises(ModelError) as error:
        load_calibration(file)
    assert str(error.value).startswith(f"{file}: not a calibration: ")
    assert told in str(error.value)
    assert str(error.value).endswith("make it again with `groupemo calibrate`")


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_file_that_is_none_of_ours_is_refused(tmp_path, data):
    file = tmp_path / "cal.json"
    file.write_bytes(data)
    with pytest.raises(ModelError, match=r"cal.json: not a calibration: .*groupemo calibrate"):
        load_calibration(file)


def test_a_vector_may_turn_a_class_round(fitted):
    """Only what is wrong for sure is refused: a fit may find that less is more."""
    turned = replace(fitted, method="vector", scale=np.array([-1.0, *[2] * 6]), bias=[1] * 7)
    with np.errstate(all="raise", under="ignore"):
        assert np.isfinite(turned(np.eye(7))).all()
        greatest = replace(turned, scale=[1e6] * 7, bias=[-1e6] * 7)
        np.testing.assert_array_equal(greatest(np.eye(7)), np.eye(7))


@pytest.mark.parametrize("path", ["/dev/zero", "."])
def test_what_is_no_regular_file_is_not_read(path):
    if not Path(path).exists():
        pytest.skip(f"no {path} here")
    with pytest.raises(ModelError, match=f"^{path}: .* no regular file; .*groupemo calibrate"):
        load_calibration(path)


def test_a_file_too_large_is_not_read(file, monkeypatch):
    bytes_ = Path(file).stat().st_size
    monkeypatch.setattr(groupemo.calibration, "MOST_BYTES", bytes_)
    assert load_calibration(file)
    monkeypatch.setattr(groupemo.calibration, "MOST_BYTES", bytes_ - 1)
    monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("it was read"))
    with pytest.raises(ModelError, match=rf"cal.json: .* {bytes_} bytes, .*groupemo calibrate"):
        load_calibration(file)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"none.json: cannot be read: No such file"):
        load_calibration(tmp_path / "none.json")


# --- backends --------------------------------------------------------------------------------

SCENES = [
    make_scene(["happy", "sad", "angry"], name="a.png"),
    make_scene(["neutral", "happy"], name="b.png"),
    make_scene([], name="empty.png"),
]


class Sure:
    """A third party's backend: sure of too much, and abstaining from faces far to the right."""

    classes = ("joy", "anger", "disgust", "fear", "sadness", "surprise", "neutral")
    models = {"sure.onnx": "0123"}  # noqa: RUF012

    def __init__(self, *, most=0.9):
        self.most = most

    def prepare(self, image, faces):
        return faces.boxes

    def predict(self, inputs):
        probs = np.full((len(inputs), 7), (1 - self.most) / 6)
        probs[:, 0] = self.most
        probs[inputs[:, 0] > 150] = np.nan
        return probs


@pytest.fixture
def sure(monkeypatch, tmp_path):
    """Register the backend and a detector; fit a calibration of it; return its spec."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(BACKENDS._registered, "sure", Sure)
    labels = write_scenes(SCENES, "photos")
    detector = FakeDetector.of(SCENES)
    run = list(analyze_all("photos", detector=detector, backend="sure", workers=1))
    with pytest.warns(UserWarning, match="4 faces in 2 photos are few"):
        fit_calibration(score(labels, run)).save("cal.json")
    return "sure:calibration=cal.json"


def test_any_backend_spec_may_carry_a_calibration(sure):
    plain, carrying = get_backend("sure"), get_backend(sure)
    inputs = np.array([[0.0, 0, 9, 9], [160, 0, 169, 9]])
    calibration = load_calibration("cal.json")
    expected = calibration(plain.predict(inputs)[:, [1, 2, 3, 0, 4, 5, 6]])
    np.testing.assert_allclose(carrying.predict(inputs), expected)
    assert carrying.classes == EMOTIONS
    check_backend(get_backend(sure + ",most=0.5"))


def test_running_and_applying_give_the_same_analyses(sure):
    detector = FakeDetector.of(SCENES)
    for options in ("", "most=0.8"):
        spec = ":".join(filter(None, ["sure", options]))
        carrying = ",".join(filter(None, [sure, options]))
        plain = analyze_all("photos", detector=detector, backend=spec, workers=1)
        run = analyze_all("photos", detector=detector, backend=carrying, workers=1)
        applied = load_calibration("cal.json").apply(plain)
        for one, other in zip(run, applied, strict=True):
            first, second = (json.loads(each.to_json()) for each in (one, other))
            del first["seconds"], second["seconds"]
            assert first == second
            assert one.backend.endswith("calibration=cal.json")


def test_what_a_backend_returned_is_checked_before_it_is_calibrated(sure, monkeypatch):
    monkeypatch.setattr(Sure, "predict", lambda self, inputs: np.full((len(inputs), 7), 0.9))
    with pytest.raises(ContractError, match="expected probabilities that sum to 1"):
        get_backend(sure).predict(np.zeros((1, 4)))


def test_an_option_calibration_works_as_a_keyword_and_not_with_an_object(sure):
    assert BACKENDS.load("sure", calibration="cal.json").label == sure
    with pytest.raises(OptionError, match="is an object"):
        get_backend(Sure(), calibration="cal.json")
    object_too = calibrated(BACKENDS.load(Sure()), "cal.json")
    assert object_too.label == "Sure:calibration=cal.json"


def test_a_calibrated_object_says_what_it_is(sure):
    loaded = BACKENDS.load(get_backend(sure))
    assert loaded.label == sure
    assert loaded.provenance["models"] == BACKENDS.load(sure).provenance["models"]
    with pytest.raises(OptionError, match="calibrated already"):
        calibrated(BACKENDS.load(sure), "cal.json")


def test_a_calibration_that_is_not_there_is_told_before_the_first_photo(sure):
    with pytest.raises(ModelError, match=r"none\.json: cannot be read"):
        get_backend("sure:calibration=none.json")


def test_workers_share_nothing(sure):
    made = []
    threads = [threading.Thread(target=lambda: made.append(get_backend(sure))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(each) for each in made}) == 4


def test_a_detector_takes_no_calibration():
    with pytest.raises(OptionError, match="unexpected option 'calibration'"):
        groupemo.get_detector("haar:calibration=cal.json")


@pytest.mark.models
def test_a_built_in_backend_carries_a_calibration(sure):
    scene = make_scene(["happy", "sad"])
    with pytest.warns(UserWarning, match="whose weights are not those of 'fer'"):
        one = analyze(scene.image, detector=FakeDetector(scene.faces),
                      backend="fer:calibration=cal.json")  # fmt: skip
    assert one.backend == "fer:calibration=cal.json"
    assert one.provenance["backend"]["class"] == "groupemo.backends.fer.Fer"
    plain = analyze(scene.image, detector=FakeDetector(scene.faces), backend="fer")
    np.testing.assert_allclose(one.probs, load_calibration("cal.json")(plain.probs))


# --- on the photos it was fitted on ----------------------------------------------------------


def test_photos_it_was_fitted_on_are_counted(file):
    calibration = load_calibration(file)
    assert photos_fitted_on(RUN) == 0
    assert photos_fitted_on([]) == 0
    assert photos_fitted_on(calibration.apply(RUN)) == 12
    other = [replace(one, sha256=f"{at}") if at < 9 else one for at, one in enumerate(RUN)]
    assert photos_fitted_on(calibration.apply(other)) == 3


def test_where_the_file_is_gone_or_another_it_is_not_known(file, tmp_path):
    run = list(load_calibration(file).apply(RUN))
    (tmp_path / file).write_text((tmp_path / file).read_text() + "\n")
    assert photos_fitted_on(run) is None
    (tmp_path / file).unlink()
    assert photos_fitted_on(run) is None


# --- the command -----------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    _, star = overconfident(0, backend="fer (stand-in)", detector="haar", temperature=4)
    Evaluation.of(LABELS, [*RUN, *star]).save("run")
    return "run"


def test_calibrate_writes_a_file_and_prints_what_it_gains(saved, fitted):
    told = json.loads(
        command("calibrate", saved, "-d", "yunet", "--out", "cal.json", "--json").stdout
    )
    assert told["calibration"] == "cal.json"
    assert (told["detector"], told["backend"], told["method"]) == ("yunet", "fer", "temperature")
    assert (told["faces"], told["photos"]) == (60, 12)
    np.testing.assert_allclose(list(told["scale"].values()), fitted.scale)
    np.testing.assert_allclose(load_calibration("cal.json").scale, fitted.scale)
    assert told["before"]["log_loss"] == pytest.approx(fitted.fitted_on.log_loss_before)
    assert told["after"]["log_loss"] == pytest.approx(fitted.fitted_on.log_loss_after)
    assert told["after"]["log_loss"] < told["after_cross_fitted"]["log_loss"]
    assert told["after_cross_fitted"]["ece"] < told["before"]["ece"]


def test_calibrate_prints_a_table(saved):
    printed = command("calibrate", saved, "--backend", "fer", "--detector", "haar").stdout
    assert "Calibration of fer* on haar's faces" in printed
    assert "60 faces in 12 photos" in printed
    assert "calibration: calibration.json" in printed
    assert "above 1 makes answers less sure" in printed


def test_calibrate_prints_intervals_and_whether_it_helps(saved, fitted):
    words = ("calibrate", saved, "-d", "yunet")
    told, printed = json.loads(command(*words, "--json").stdout), command(*words).stdout
    scores = score(LABELS, RUN)
    for name, run in (("before", scores), ("after", score(LABELS, fitted.apply(RUN)))):
        figures = run.estimates()
        for short, full in (("log_loss", "matched_log_loss"), ("ece", "matched_ece")):
            one = figures[full]
            got = [told[name][f"{short}{end}"] for end in ("", "_low", "_high")]
            np.testing.assert_allclose(got, [one.value, one.low, one.high], atol=1e-9)
        assert 0 <= told[name]["ece_low"] < told[name]["ece"] < told[name]["ece_high"] <= 1
    change = told["change"]
    apart = told["after_cross_fitted"]["log_loss"] - told["before"]["log_loss"]
    assert change["log_loss"] == pytest.approx(apart)
    assert change["log_loss_low"] < apart < change["log_loss_high"] < 0
    assert "better beyond chance: on other photos the log-loss changes by -" in printed
    assert f"[{told['before']['ece_low']:.2f}, {told['before']['ece_high']:.2f}]" in printed


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (
            (-0.2, -0.3, -0.1),
            "better beyond chance: .* by -0.20 nats .95 % interval -0.30 to -0.10",
        ),
        ((-0.2, -0.5, 0.1), "no telling whether it helps: .* -0.50 to .0.10"),
        ((0.2, 0.1, 0.3), "worse beyond chance: .* changes by .0.20"),
        ((-0.2, np.nan, np.nan), "no telling whether it helps: .* .no interval."),
        ((np.nan, np.nan, np.nan), "-: one photo has all the faces"),
    ],
)
def test_only_what_chance_does_not_explain_is_better(values, told):
    assert re.match(told, _sentence(*values))


@pytest.mark.filterwarnings("default")
def test_calibrate_on_one_photo_says_why_there_is_no_figure(saved):
    only = Labels({NAMES[0]: LABELS[NAMES[0]]})
    Evaluation.of(only, RUN[:1]).save("one")
    result = command("calibrate", "one")
    assert "5 faces in 1 photos are few" in result.stderr
    assert "-: one photo has all the faces" in result.stdout


@pytest.mark.filterwarnings(FEW)
def test_calibrate_by_vector_scaling(saved):
    told = json.loads(
        command("calibrate", saved, "-d", "yunet", "--method", "vector", "--json").stdout
    )
    assert len(set(told["scale"].values())) == 7


def test_calibrate_asks_which_run(saved):
    told = command("calibrate", saved, code=1).stderr
    assert "2 of the runs fit: choose one with --detector and --backend" in told
    assert "yunet x fer, haar x fer (stand-in)" in told
    assert "none of the runs" in command("calibrate", saved, "-b", "hog", code=1).stderr
    told = command("calibrate", saved, "-d", "haar", "--method", "x", code=1).stderr
    assert "method is 'x': expected one of temperature, vector" in told


def test_a_calibration_is_part_of_an_evaluation(sure):
    labels = write_scenes(SCENES, "photos")
    grid = evaluate("photos", labels, detectors=[FakeDetector.of(SCENES)], backends=["sure", sure])
    table = grid.table()["matched_log_loss"].droplevel("detector")
    assert table[sure] < table["sure"]
    assert [photos_fitted_on(scores.analyses()) for scores in grid.scores] == [0, 2]


def test_a_calibration_made_by_hand():
    told = fit_calibration(score(LABELS, RUN)).fitted_on
    made = Calibration("temperature", ("happy", "sad"), [0.5, 0.5], [0, 0], told)
    np.testing.assert_allclose(made(np.array([[0.8, 0.2]])), [[2 / 3, 1 / 3]])
