"""What notebooks use: pictures of results, sliders, the upload, the camera."""

import base64
import io
import re
import sys
import types
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from report_scenes import analysis, evaluation, voted

from groupemo import Evaluation, notebook
from groupemo.errors import AnalysisError, MissingExtra, OptionError, PhotoError
from groupemo.images import read_photo
from groupemo.notebook import camera, photos
from groupemo.plots import plot_options
from groupemo.samples import SAMPLES
from groupemo.testing import make_scene, write_scenes

JPEG = "data:image/jpeg;base64,"


@pytest.fixture
def made(tmp_path):
    return evaluation(tmp_path)


@pytest.fixture(autouse=True)
def _blurred():
    yield
    notebook.show_faces(False)


def words(shown):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", shown.html))


def pictures(html):
    found = re.findall(rf"{JPEG}([\w+/=]+)", html)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(each)))) for each in found]


# faces are blurred unless asked for


def test_an_analysis_is_blurred_until_faces_are_shown(tmp_path):
    scene = make_scene(["happy"])
    write_scenes([scene], tmp_path)
    one = analysis(scene, tmp_path, scene.labelled.boxes, ["happy"])
    blurred = one._repr_html_()
    notebook.show_faces()
    shown = one._repr_html_()
    assert "show_faces()" in blurred
    assert "show_faces()" not in shown
    x1, y1, x2, y2 = scene.labelled.boxes[0].astype(int)
    sharp = [picture[y1 + 4 : y2 - 4, x1 + 4 : x2 - 4].std() for picture in
             (pictures(shown)[0], pictures(blurred)[0])]  # fmt: skip
    assert sharp[0] > 1.5 * sharp[1]


# who found which face


def test_each_detector_shows_what_it_found_missed_and_imagined(made):
    shown = notebook.compare_detectors(made, "party.png")
    assert "eye: 2 of 3 faces, 1 phantom" in words(shown)
    assert len(pictures(shown.html)) == 1  # two backends, one detector
    assert [row[1] for row in re.findall(r"(\d+) \d+ (found|missed)", words(shown))] == [
        "found", "found", "missed",
    ]  # fmt: skip
    assert repr(shown) == "<party.png by 1 detector>"


def test_a_photo_that_is_not_there_is_named(made):
    with pytest.raises(OptionError, match=r"'no\.png': expected one of .*party\.png"):
        notebook.compare_detectors(made, "no.png")
    assert "out of reach" in words(notebook.compare_detectors(made, "gone.jpg"))


# where backends differ


@pytest.fixture
def divided(tmp_path):
    """Two backends on four faces: they differ on the second, surely, and the fourth, less so.

    labelled  happy  sad    neutral  angry
    one       happy  sad    neutral  angry
    other     happy  happy  (none)   fear
    """
    scene = make_scene(["happy", "sad", "neutral", "angry"])
    labels = write_scenes([scene], tmp_path)
    ones = [
        analysis(scene, tmp_path, scene.labelled.boxes, said, ("eye", name))
        for name, said in {
            "one": ["happy", "sad", "neutral", "angry"],
            "other": ["happy", "happy", None, "fear"],
            "prior": ["happy"] * 4,
        }.items()
    ]
    unsure = ones[1].probs.copy()
    unsure[3] = [0.2, 0.1, 0.3, 0.1, 0.1, 0.1, 0.1]
    ones[1] = replace(ones[1], probs=unsure)
    return Evaluation.of(labels, ones)


def test_the_most_contested_face_comes_first(divided):
    shown = notebook.disagreements(divided)
    assert "2 faces have different answers" in words(shown)
    assert re.findall(r"labelled (\w+)", words(shown)) == ["sad", "angry"]
    assert "prior" not in words(shown)
    assert len(pictures(shown.html)) == 2
    assert "the 1 most contested" in words(notebook.disagreements(divided, most=1))


def test_backends_agree_with_each_other_and_with_the_labels(divided):
    kappa = divided.agreement()
    assert kappa.loc["one", "labels"] == 1
    # of happy, sad, angry: (1/3 - 2/9) / (1 - 2/9) with answers happy, happy, fear
    assert kappa.loc["one", "other"] == pytest.approx((1 / 3 - 2 / 9) / (7 / 9))
    assert kappa.equals(kappa.T)
    with pytest.raises(OptionError, match="'ear'"):
        divided.agreement("ear")


def test_backends_that_saw_other_faces_are_not_compared(divided):
    first, second, _ = (next(scores.analyses()) for scores in divided.scores)
    fewer = replace(second, faces=second.faces[:2], probs=second.probs[:2])
    with pytest.raises(AnalysisError, match="other faces"):
        Evaluation.of(divided.labels, [first, fewer]).agreement()


# errors


def test_the_gallery_shows_the_kinds_asked_for(made):
    shown = notebook.gallery(made, "phantom", "missed")
    assert "Phantom : found where no face is labelled; 1 of 1" in words(shown)
    assert "Wrong emotion" not in words(shown)
    assert "Wrong emotion" in words(notebook.gallery(made))
    assert "No errors of this kind." in words(notebook.gallery(made, "duplicate"))
    with pytest.raises(OptionError, match="'ghost': expected one of wrong emotion, phantom"):
        notebook.gallery(made, "ghost")


# thresholds


def test_higher_thresholds_drop_faces_and_answers(made):
    # the party's boxes have scores .9 (happy), .7 (sad), .5 (the stray one); answers have .7
    whole = made.table(intervals=False).loc[("eye", "mind")]
    high = notebook.narrowed(made, min_score=0.6).table(intervals=False).loc[("eye", "mind")]
    assert (whole["phantom"], high["phantom"]) == (1, 0)
    assert (whole["found"], high["found"]) == (3, 3)
    shy = notebook.narrowed(made, min_confidence=0.71).table(intervals=False).loc[("eye", "mind")]
    assert (whole["abstained"], shy["abstained"]) == (1, 3)
    assert notebook.narrowed(made).table().equals(made.table())


def test_sliders_redraw_the_table(made):
    sliders = notebook.explore(made)
    before = sliders._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in before
    sliders.photo.value = "party.png"
    assert "eye: 2 of 3 faces, 1 phantom" in words(notebook.Shown(sliders.shown.value, ""))
    sliders.score.value = 0.6
    after = sliders._repr_mimebundle_()["text/html"]
    assert "eye: 2 of 3 faces " in words(notebook.Shown(after, ""))
    assert sliders.evaluation.scores[0].overall()["phantom"] == 0
    sliders.iou.value = 0.95
    assert sliders.evaluation.min_iou == 0.95


def test_without_ipywidgets_the_remedy_is_named(made, monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    with pytest.raises(MissingExtra, match=re.escape("pip install 'groupemo[notebook]'")):
        notebook.explore(made)


# a heat map over two options


def test_a_heat_map_has_a_cell_for_each_two_options(tmp_path):
    base = voted(tmp_path, photos=4)
    runs = []
    for step, neighbors, score in ((1.1, 1, 0.0), (1.1, 5, 0.99), (1.3, 1, 0.0)):
        options = {"options": {"step": step, "neighbors": neighbors}}
        for one in notebook.narrowed(base, min_score=score)["eye", "mind"].analyses():
            told = {"detector": options, "backend": {}}
            runs.append(replace(one, detector=f"eye:{step},{neighbors}", provenance=told))
    tuned = Evaluation.of(base.labels, runs)
    axes = plot_options(tuned, "step", "neighbors", "missed")
    axes.figure.draw_without_rendering()
    cells = {text.get_position(): text.get_text() for text in axes.texts}
    missed = [tuned.scores[place].overall()["missed"] for place in (0, 1, 2)]
    assert cells == {(0, 0): str(missed[0]), (0, 1): str(missed[1]), (1, 0): str(missed[2])}
    assert missed[1] > missed[0]
    assert axes.get_xlabel() == "step"
    assert axes._repr_png_().startswith(b"\x89PNG")
    with pytest.raises(OptionError, match="'found': expected one of missed, phantom"):
        plot_options(tuned, "step", "neighbors", "found")
    with pytest.raises(OptionError, match="both options, step and size"):
        plot_options(tuned, "step", "size")


# sample photos


def test_samples_that_may_be_shown_come_with_their_labels(samples, tmp_path, monkeypatch):
    monkeypatch.setattr(photos, "labels_file", lambda: samples.parent / "faces.csv")
    found = notebook.sample_photos(tmp_path / "here")
    assert repr(found).startswith("6 photos in ")
    assert [path.name for path in found.photos] == sorted(path.name for path in samples.iterdir())
    assert all(path.exists() for path in found.photos)
    assert found.pick("other.png", "made_2.png").name == "made_2.png"
    assert found.pick("other.png").name == "made_0.png"


def test_without_any_sample_the_reasons_are_given(samples, tmp_path, monkeypatch):
    monkeypatch.setattr(photos, "labels_file", lambda: samples.parent / "faces.csv")
    monkeypatch.setenv("GROUPEMO_OFFLINE", "1")
    monkeypatch.setenv("GROUPEMO_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(SAMPLES.mirror)
    with pytest.raises(PhotoError, match="no sample photo can be had"):
        notebook.sample_photos(tmp_path / "here")


def test_labels_of_the_samples_are_found():
    assert "astronaut.png" in notebook.sample_labels()


# the user's photos


@pytest.fixture
def example(tmp_path, monkeypatch):
    path = tmp_path / "faces.png"
    Image.new("RGB", (30, 20), "red").save(path)
    for module in (photos, camera):
        monkeypatch.setattr(module, "example_photo", lambda names: path)
    return path


@pytest.fixture
def shown(monkeypatch):
    """What is displayed in the notebook."""
    import IPython.display

    things = []
    monkeypatch.setattr(IPython.display, "display", things.append)
    return things


@pytest.fixture
def colab(monkeypatch):
    """A Colab whose user chooses `files` and whose camera takes `taken`."""
    google, told = types.ModuleType("google.colab"), types.SimpleNamespace(files={}, taken={})
    google.files = types.SimpleNamespace(upload=lambda: told.files)
    google.output = types.SimpleNamespace(eval_js=lambda code: told.taken)
    for name in ("files", "output"):
        monkeypatch.setitem(sys.modules, f"google.colab.{name}", getattr(google, name))
    monkeypatch.setitem(sys.modules, "google.colab", google)
    return told


def test_chosen_photos_replace_the_sample(example, shown, tmp_path, capsys):
    folder = notebook.upload(tmp_path / "mine")
    assert [path.name for path in folder.iterdir()] == ["groupemo_sample.png"]
    assert "a sample stands in" in capsys.readouterr().out
    button = shown[0].children[0]
    content = memoryview(example.read_bytes())
    chosen = {"name": "../party.png", "type": "image/png", "size": len(content)}
    button.value = ({**chosen, "content": content, "last_modified": datetime.now(UTC)},)
    assert [path.name for path in folder.iterdir()] == ["party.png"]
    assert "1 photo in" in shown[0].children[1].value
    notebook.upload(folder)
    assert "1 photo of yours" in capsys.readouterr().out
    assert len(shown) == 1  # a folder with photos needs no button


def test_in_colab_the_chosen_files_are_kept(example, colab, tmp_path, capsys):
    colab.files = {"a.png": example.read_bytes()}
    folder = notebook.upload(tmp_path / "mine")
    assert [path.name for path in folder.iterdir()] == ["a.png"]
    colab.files = {}  # cancelled
    folder = notebook.upload(tmp_path / "other")
    assert [path.name for path in folder.iterdir()] == ["groupemo_sample.png"]


# the camera


def picture(color="blue"):
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), color).save(buffer, "JPEG")
    return buffer.getvalue()


def test_in_colab_the_picture_is_kept(example, colab, tmp_path, capsys):
    colab.taken = {"picture": JPEG + base64.b64encode(picture()).decode()}
    path = notebook.webcam(tmp_path / "me.jpg")
    assert path.read_bytes() == picture()
    colab.taken = {"problem": "NotFoundError: no camera"}
    path = notebook.webcam(tmp_path / "me.jpg")
    assert path.read_bytes() == example.read_bytes()
    assert "NotFoundError: no camera): a sample photo stands in" in capsys.readouterr().out


@pytest.mark.parametrize("data", [b"no picture", b""])
def test_what_is_no_picture_is_not_kept(data, example, colab, tmp_path, capsys):
    colab.taken = {"picture": JPEG + base64.b64encode(data).decode()}
    path = notebook.webcam(tmp_path / "me.jpg")
    assert path.read_bytes() == example.read_bytes()
    assert "stands in" in capsys.readouterr().out


def test_in_jupyter_the_picture_arrives_later(example, shown, tmp_path, capsys):
    path = notebook.webcam(tmp_path / "me.jpg")
    assert "a sample photo stands in" in capsys.readouterr().out
    assert read_photo(path).shape == (20, 30, 3)
    shown[0]._taken = {"picture": JPEG + base64.b64encode(picture()).decode(), "at": 1}
    assert path.read_bytes() == picture()
    assert "run the next cell" in shown[0]._said


def test_without_anywidget_the_camera_names_the_remedy(example, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "anywidget", None)
    with pytest.raises(MissingExtra, match=re.escape("pip install 'groupemo[notebook]'")):
        notebook.webcam(tmp_path / "me.jpg")


@pytest.mark.slow
@pytest.mark.browser
def test_a_real_browser_takes_the_picture_or_says_why_not(browser):
    script = (Path(camera.__file__).parent / "camera.js").read_text("utf-8")
    driver = browser.browser_type
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    fake = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    from groupemo.report.pdf import find_browser

    with driver.launch(executable_path=find_browser(), args=[*arguments, *fake]) as with_camera:
        for chromium, key in ((with_camera, "picture"), (browser, "problem")):
            page = chromium.new_page()
            page.route("**/*", lambda route: route.fulfill(body="<body>", content_type="text/html"))
            page.goto("https://notebook.test/")
            page.evaluate(f"() => {{{script}\nwindow.taken = takePicture(document.body);}}")
            if key == "picture":
                page.get_by_role("button", name="Take the picture").click()
            taken = page.evaluate("() => window.taken")
            assert list(taken) == [key]
            assert not page.locator("video").count()
            if key == "picture":
                data = base64.b64decode(taken[key].removeprefix(JPEG))
                assert read_photo(data).shape[2] == 3
            page.close()
