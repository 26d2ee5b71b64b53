"""Robustness curves on scenes whose every answer can be worked out by hand."""

import json

import numpy as np
import pandas as pd
import pytest

import groupemo
from groupemo import EMOTIONS, Faces, LabelledFaces, Labels, classify
from groupemo.backends.function import from_function
from groupemo.crops import crop
from groupemo.errors import (
    ContractError,
    LabelError,
    OptionError,
    OutputError,
    PhotoError,
    UnknownPlugin,
)
from groupemo.images import Photo, digest
from groupemo.plots import plot_robustness
from groupemo.robustness import DISTURBANCES, stress
from groupemo.robustness.disturbances import face_side, window
from groupemo.robustness.pages import half_lives
from groupemo.testing import FakeBackend, make_scene

HAPPY, SAD = EMOTIONS.index("happy"), EMOTIONS.index("sad")
RNG = np.random.default_rng
DRAWS = 100


def photo(name, values, *, wall=128, side=40):
    """Draw squares of these gray values in a row, 60 pixels apart."""
    image = np.full((120, 60 * len(values) + 60, 3), wall, np.uint8)
    boxes = []
    for at, value in enumerate(values):
        x = 40 + 60 * at
        image[40 : 40 + side, x : x + side] = value
        boxes.append([x, 40, x + side, 40 + side])
    return Photo(name, image), boxes


def bright(pictures):
    """Happy if the mean is above the middle, else sad; how surely hangs on how far."""
    light = np.clip(pictures.mean(axis=(1, 2, 3)) / 255, 0.01, 0.99)
    return np.stack([light, 1 - light], axis=1)


def bright_backend(**options):
    return from_function(bright, ["happy", "sad"], size=16, **options)


class Centred:
    """Happy where the box's centre is the picture's, or abstains if so asked; else sad."""

    classes = ("happy", "sad")

    def __init__(self, abstains=False):
        self.label = "abstains" if abstains else "centred"
        self.abstains = abstains

    def prepare(self, image, faces):
        middle = np.array(image.shape[1::-1]) / 2
        off = np.abs((faces.boxes[:, :2] + faces.boxes[:, 2:]) / 2 - middle).max(axis=1)
        return off[:, None]

    def predict(self, inputs):
        near = inputs[:, 0] < 2
        probs = np.stack([near, ~near], axis=1).astype(float)
        if self.abstains:
            probs[~near] = np.nan
        return probs


@pytest.fixture(scope="module")
def scene():
    """Six photos; in each two bright squares labelled happy and two dark ones labelled sad."""
    photos, labels = [], {}
    for number in range(6):
        one, boxes = photo(f"p{number}.png", [200, 60, 200, 60])
        photos.append(one)
        labels[one.name] = LabelledFaces(boxes, [HAPPY, SAD, HAPPY, SAD])
    return Labels(labels), photos


def curve(found, kind, figure="accuracy", backend=None):
    table = found.table()
    rows = table[(table["kind"] == kind) & (table["figure"] == figure)]
    rows = rows if backend is None else rows[rows["backend"] == backend]
    return dict(zip(rows["level"], rows["value"], strict=True))


# --- disturbances ----------------------------------------------------------------------------


def textured(side=90):
    image = RNG(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    return image, Faces([[30, 30, 60, 60]])


@pytest.mark.parametrize("kind", DISTURBANCES)
def test_the_neutral_level_changes_nothing(kind):
    image, faces = textured()
    neutral = DISTURBANCES[kind].neutral
    level = 30.0 if neutral is None else neutral  # the face's own side
    same, where = DISTURBANCES[kind].apply(image, faces, level, RNG(1))
    np.testing.assert_array_equal(same, image)
    np.testing.assert_array_equal(where.boxes, faces.boxes)


@pytest.mark.parametrize("kind", DISTURBANCES)
def test_other_levels_change_something_but_not_what_they_are_given(kind):
    image, faces = textured()
    before = image.copy()
    about = DISTURBANCES[kind]
    level = about.levels[0] if about.levels[0] != about.neutral else about.levels[-1]
    other, where = about.apply(image, faces, level, RNG(1))
    changed = other.shape != image.shape or (other != image).any()
    assert changed != bool(kind in ("shift", "scale"))
    assert (where.boxes != faces.boxes).any() == (kind in ("size", "shift", "scale"))
    np.testing.assert_array_equal(image, before)
    again, where_again = about.apply(image, faces, level, RNG(1))
    np.testing.assert_array_equal(other, again)
    np.testing.assert_array_equal(where.boxes, where_again.boxes)


@pytest.mark.parametrize(("level", "expected"), [(15, 45), (60, 180), (12, 36)])
def test_size_makes_the_face_so_many_pixels(level, expected):
    image, faces = textured()
    small, where = DISTURBANCES["size"].apply(image, faces, level, RNG(0))
    assert small.shape == (expected, expected, 3)
    assert face_side(where.boxes) == pytest.approx([level])
    assert where.boxes[0, 0] == pytest.approx(level)


def test_size_takes_the_geometric_mean_of_a_box_that_is_not_square():
    wide = Faces([[0, 0, 40, 10]])
    _, where = DISTURBANCES["size"].apply(np.zeros((40, 60, 3), np.uint8), wide, 10, RNG(0))
    np.testing.assert_allclose(where.boxes, [[0, 0, 20, 5]])


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_blur_has_the_sigma_said_however_large(share):
    image = np.zeros((301, 301, 3), np.uint8)
    image[:, 150:] = 255  # an edge becomes the normal distribution
    faces = Faces([[130, 130, 170, 170]])
    smooth, _ = DISTURBANCES["blur"].apply(image, faces, share, RNG(0))
    column = smooth[150, :, 0] / 255
    sigma = share * 40
    at = np.flatnonzero(column >= 0.8413)[0] - 149.5  # one sigma right of the edge
    assert at == pytest.approx(sigma, abs=0.06 * sigma + 0.6)


def test_brightness_and_contrast_are_factors():
    image, faces = np.full((60, 60, 3), 40, np.uint8), Faces([[20, 20, 40, 40]])
    image[20:40, 20:30] = 100  # the face's mean is 70
    lighter, _ = DISTURBANCES["brightness"].apply(image, faces, 2, RNG(0))
    assert set(np.unique(lighter)) == {80, 200}
    flatter, _ = DISTURBANCES["contrast"].apply(image, faces, 0.5, RNG(0))
    assert set(np.unique(flatter)) == {55, 85}


def test_contrast_about_a_box_of_less_than_a_pixel():
    image = np.full((20, 20, 3), 100, np.uint8)
    flatter, _ = DISTURBANCES["contrast"].apply(image, Faces([[9.1, 9.1, 9.4, 9.4]]), 0.5, RNG(0))
    assert set(np.unique(flatter)) == {100}


def test_noise_has_the_deviation_said_and_grows_without_changing():
    image, faces = np.full((90, 90, 3), 128, np.uint8), Faces([[30, 30, 60, 60]])
    apply = DISTURBANCES["noise"].apply
    some, more = (apply(image, faces, level, RNG(0))[0] - 128.0 for level in (10, 20))
    assert some.std() == pytest.approx(10, rel=0.03)
    np.testing.assert_allclose(more, 2 * some, atol=1.5)


def test_jpeg_loses_more_at_a_lower_quality():
    scene = make_scene(["happy"], face=60)
    apply = DISTURBANCES["jpeg"].apply
    lost = [
        np.abs(apply(scene.image, scene.faces, level, RNG(0))[0] - scene.image.astype(float)).mean()
        for level in (95, 40, 5)
    ]
    assert lost == sorted(lost)
    colors = apply(scene.image, scene.faces, 95, RNG(0))[0].mean(axis=(0, 1))
    np.testing.assert_allclose(colors, scene.image.mean(axis=(0, 1)), atol=1)


def test_shift_is_as_long_as_said_and_keeps_its_direction():
    image, faces = np.zeros((90, 90, 3), np.uint8), Faces([[30, 30, 60, 60]])
    moved = [
        DISTURBANCES["shift"].apply(image, faces, level, RNG(3))[1].boxes - faces.boxes
        for level in (0.1, 0.2)
    ]
    assert np.hypot(*moved[0][0, :2]) == pytest.approx(3, abs=1e-4)
    np.testing.assert_allclose(moved[1], 2 * moved[0], atol=1e-4)
    np.testing.assert_allclose(moved[0][0, :2], moved[0][0, 2:], atol=1e-4)


def test_scale_ends_where_the_photo_ends():
    image, faces = np.zeros((50, 90, 3), np.uint8), Faces([[30, 10, 60, 40]])
    _, larger = DISTURBANCES["scale"].apply(image, faces, 2, RNG(0))
    np.testing.assert_allclose(larger.boxes, [[15, 0, 75, 50]])


@pytest.mark.parametrize("seed", range(4))
def test_rotation_turns_about_the_face(seed):
    image, faces = np.zeros((91, 91, 3), np.uint8), Faces([[30, 30, 61, 61]])
    image[44:47, 57:60] = 255  # right of the centre at (45, 45)
    turned, where = DISTURBANCES["rotation"].apply(image, faces, 90, RNG(seed))
    rows, columns = np.nonzero(turned[..., 0] > 128)
    assert abs(rows.mean() - 45) == pytest.approx(13, abs=0.5)
    assert columns.mean() == pytest.approx(45, abs=0.5)
    np.testing.assert_array_equal(where.boxes, faces.boxes)


def test_rotation_goes_to_both_sides():
    image, faces = textured()
    turned = {
        DISTURBANCES["rotation"].apply(image, faces, 90, RNG(seed))[0].tobytes()
        for seed in range(9)
    }
    assert len(turned) == 2


@pytest.mark.parametrize(
    "box",
    [
        [100, 70, 131, 101],
        [0, 0, 20, 30],
        [170, 120, 200, 150],
        [61.5, 61.5, 102, 102],  # halves are rounded to even: not alike at an odd distance
    ],
)
@pytest.mark.parametrize("margin", [0.0, 0.4])
def test_a_crop_of_the_window_is_a_crop_of_the_photo(box, margin):
    image = RNG(0).integers(0, 256, (150, 200, 3), dtype=np.uint8)
    picture, faces = window(image, box)
    [wanted], [given] = (
        crop(source, one, margin=margin, square=True)
        for source, one in ((image, Faces([box])), (picture, faces))
    )
    np.testing.assert_array_equal(given, wanted)


def test_a_window_is_small_and_not_too_small():
    image = np.zeros((1000, 1000, 3), np.uint8)
    assert window(image, [400, 400, 500, 460])[0].shape[:2] == pytest.approx((300, 300), abs=2)
    assert window(image, [400, 400, 410, 410])[0].shape[:2] == pytest.approx((74, 74), abs=2)


# --- curves ----------------------------------------------------------------------------------


def test_brightness_read_from_the_mean(scene):
    """Bright is 200, dark 60, the threshold 127.5: at 0.5 all are dark, at 2.2 all are bright."""
    found = stress(*scene, backends=[bright_backend()], kinds={"brightness": [0.5, 1, 2.2]},
                   draws=DRAWS)  # fmt: skip
    assert curve(found, "brightness") == {0.5: 0.5, 1: 1, 2.2: 0.5}
    assert curve(found, "brightness", "balanced_accuracy") == {0.5: 0.5, 1: 1, 2.2: 0.5}
    surely = curve(found, "brightness", "log_loss")
    right = -(np.log(200 / 255) + np.log(1 - 60 / 255)) / 2
    assert surely[1] == pytest.approx(right)
    darker = -(np.log(100 / 255) + np.log(1 - 30 / 255)) / 2
    assert surely[0.5] == pytest.approx(darker)
    [below, above] = found.half_lives("accuracy").to_dict("records")
    assert (below["side"], below["level"], below["low"], below["high"]) == ("below", *[0.75] * 3)
    assert (above["side"], above["level"], above["harshest"]) == ("above", 1.6, 2.2)


def test_position_read_from_the_box(scene):
    """A shift of 0.1 sides of 40 pixels is 4 pixels, beyond the 2 that are taken for centred."""
    labels = Labels({name: LabelledFaces(each.boxes, [HAPPY] * 4) for name, each in
                     scene[0].items()})  # fmt: skip
    found = stress(labels, scene[1], backends=[Centred(), Centred(abstains=True)],
                   kinds={"shift": [0, 0.02, 0.1], "rotation": [0, 45]}, draws=DRAWS)  # fmt: skip
    inner = slice(1, 3)  # the windows of the outer two end at the photo's edge
    answers = found.answers["centred"].reshape(6, 6, 4, 7)[:, :, inner]
    assert (answers[:3, ..., HAPPY] == 1).all()
    assert (answers[3, ..., SAD] == 1).all()
    assert (answers[4:, ..., HAPPY] == 1).all()
    assert np.isnan(found.answers["abstains"].reshape(6, 6, 4, 7)[3, :, inner]).all()
    table = found.table().query("level == 0.1 and figure == 'accuracy'").set_index("backend")
    assert table.loc["abstains", "n"] == 24
    assert table.loc["abstains", "answered"] <= 12
    assert table.loc["abstains", "value"] == table.loc["centred", "value"]  # abstained is not right


def test_identity_levels_have_exactly_the_undisturbed_answers(scene):
    kinds = {kind: [about.neutral or 0] for kind, about in DISTURBANCES.items() if kind != "size"}
    found = stress(*scene, backends=[bright_backend(margin=0.3)], kinds={"size": [40], **kinds},
                   draws=DRAWS)  # fmt: skip
    [answers] = found.answers.values()
    for row in answers[1:]:
        np.testing.assert_array_equal(row, answers[0])
    table = found.table()
    assert (table["change"] == 0).all()
    assert (table["change_low"] == 0).all()


def test_undisturbed_is_what_classify_says_of_the_whole_photo():
    drawn = make_scene(EMOTIONS, name="all.png", columns=3)
    backend = bright_backend(margin=0.4, square=True)
    labels = Labels({drawn.name: drawn.labelled})
    found = stress(labels, Photo(drawn.name, drawn.image), backends=[backend], kinds=["shift"])
    [answers] = found.answers.values()
    np.testing.assert_array_equal(answers[0], classify(drawn.image, drawn.faces, backend))


def test_change_is_the_paired_difference(scene):
    found = stress(*scene, backends=[bright_backend()], kinds=["brightness", "noise"], draws=DRAWS)
    table = found.table()
    rest = table[table["kind"] == "undisturbed"].set_index("figure")["value"]
    np.testing.assert_allclose(
        table["change"], table["value"] - table["figure"].map(rest), atol=1e-12
    )
    darkest = table.query("kind == 'brightness' and level == 0.1 and figure == 'accuracy'")
    assert darkest[["change", "change_low", "change_high"]].to_numpy().tolist() == [[-0.5] * 3]


def test_unsure_and_ignored_faces_are_left_out(scene):
    labels, photos = scene
    name = photos[0].name
    fewer = Labels({**labels, name: LabelledFaces(labels[name].boxes, [HAPPY, -1, -2, SAD])})
    found = stress(fewer, photos, backends=[bright_backend()], kinds=["shift"], draws=DRAWS)
    assert len(found.labels) == 22
    assert found.labels[:2].tolist() == [HAPPY, SAD]


def test_equal_whatever_the_threads_order_and_company(scene):
    labels, photos = scene
    options = {"kinds": {"noise": [40], "shift": [0.3], "rotation": [30]}, "draws": DRAWS}
    one = stress(labels, photos, backends=[bright_backend()], workers=1, **options)
    two = stress(labels, photos[::-1], backends=[bright_backend()], workers=3, **options)
    backwards = two.answers["bright"].reshape(4, 6, 4, 7)[:, ::-1].reshape(4, 24, 7)
    np.testing.assert_array_equal(one.answers["bright"], backwards)
    with_another = stress(labels, photos, backends=[Centred(), bright_backend()], **options)
    alone = one.table().drop(columns="backend")
    beside = with_another.table().query("backend == 'bright'").drop(columns="backend")
    pd.testing.assert_frame_equal(alone, beside.reset_index(drop=True))
    other = stress(labels, photos, backends=[bright_backend()], seed=1, **options)
    assert (other.answers["bright"] != one.answers["bright"]).any()


def test_of_one_photo_there_is_no_interval(scene):
    labels, photos = scene
    found = stress(labels.only([photos[0].name]), photos[0], backends=[bright_backend()],
                   kinds={"brightness": [0.5]})  # fmt: skip
    assert found.table()[["low", "high"]].isna().all(axis=None)
    [row] = found.half_lives("accuracy").to_dict("records")
    assert row["level"] == 0.75
    assert np.isnan(row["low"])
    assert half_lives(found) == {"brightness, factor, below": ["0.75"]}


def test_half_lives_beyond_the_levels_and_of_blind_answers(scene):
    blind = FakeBackend([0, 0, 0, 1, 0, 0, 0], label="blind")
    kinds = {"brightness": [0.9, 1.1], "size": [20, 40]}
    found = stress(*scene, backends=[bright_backend(), blind], kinds=kinds, draws=DRAWS)
    seen = found.half_lives().query("backend == 'bright'")
    assert seen["side"].tolist() == ["below", "above", "below"]
    assert seen["level"].tolist() == [-np.inf, np.inf, -np.inf]
    assert found.half_lives().query("backend == 'blind'")["level"].isna().all()
    assert found.half_lives()["outcome"].tolist() == ["beyond"] * 3 + ["no better than chance"] * 3
    assert found.chance("accuracy") == 0.5
    assert np.isnan(found.chance("log_loss"))
    assert half_lives(found) == {
        "brightness, factor, below": ["< 0.9", "no better than chance"],
        "brightness, factor, above": ["> 1.1", "no better than chance"],
        "side of the face, pixels, below": ["< 20", "no better than chance"],
    }
    with pytest.raises(OptionError, match=r"'log_loss'.*accuracy, balanced_accuracy"):
        found.half_lives("log_loss")


# --- files and pictures ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def found(scene):
    kinds = {"size": [12, 24, 48], "brightness": [0.5, 1, 2.2], "blur": [0, 0.1], "jpeg": [10, 100]}
    return stress(*scene, backends=[bright_backend(), Centred()], kinds=kinds, draws=DRAWS)


def test_save_writes_tables_page_and_picture(found, tmp_path):
    page = found.save(tmp_path / "new")
    assert page == tmp_path / "new" / "stress.md"
    text = page.read_text()
    assert "24 labelled faces in 6 photos; side 40 to 40 pixels" in text
    assert "| bright | 1.00 | 1.00 |" in text
    assert "| brightness, factor, below | 0.75 |" in text
    assert "](stress.png)" in text
    saved = pd.read_csv(page.with_name("stress.csv"))
    pd.testing.assert_frame_equal(saved, found.table())
    assert len(pd.read_csv(page.with_name("half_lives.csv"))) == 2 * 5
    manifest = json.loads(page.with_name("manifest.json").read_text())
    assert (manifest["faces"], manifest["photos"], manifest["seed"]) == (24, 6, 0)
    assert list(manifest["backends"]) == ["bright", "centred"]
    assert page.with_name("stress.png").read_bytes().startswith(b"\x89PNG")


def test_save_names_what_cannot_be_written(found, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        found.save(tmp_path / "file" / "below")


def test_the_plot_has_a_panel_a_kind_and_a_line_a_backend(found):
    axes = plot_robustness(found)
    axes.figure.draw_without_rendering()
    panels = dict(zip(found.kinds, axes.child_axes, strict=True))
    assert [panel.get_xlabel() for panel in panels.values()] == [
        DISTURBANCES[kind].title for kind in found.kinds
    ]
    names = {line.get_label(): line for line in panels["brightness"].lines}
    assert names["bright"].get_xydata().tolist() == [[0.5, 0.5], [1, 1], [2.2, 0.5]]
    assert names["bright"].get_color() != names["centred"].get_color()
    assert names["bright"].get_linestyle() != names["centred"].get_linestyle()
    assert names["bright"].get_marker() != names["centred"].get_marker()
    rest = {kind: panel.lines[-2].get_xdata()[0] for kind, panel in panels.items()}
    assert rest == {"size": 40, "brightness": 1, "blur": 0, "jpeg": 100}
    assert panels["size"].get_xscale() == panels["jpeg"].get_xscale() == "log"
    assert "24 labelled faces in 6 photos" in axes.get_title()
    assert len({panel.get_ylim() for panel in panels.values()}) == 1


def test_the_plot_of_the_neutral_level_alone(scene):
    found = stress(*scene, backends=[bright_backend()], kinds={"jpeg": [100]}, draws=DRAWS)
    plot_robustness(found)


def test_the_plot_goes_into_the_axes_given_and_takes_any_figure(found):
    from matplotlib.figure import Figure

    axes = Figure().add_subplot()
    assert plot_robustness(found, axes, figure="log_loss") is axes
    assert axes.child_axes[0].get_ylabel() == "log-loss"
    with pytest.raises(OptionError, match=r"'f1'.*accuracy"):
        plot_robustness(found, figure="f1")


# --- what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"kinds": "size"}, OptionError, r"write \['size'\]"),
        ({"kinds": ["fog"]}, OptionError, "'fog': expected one or more of size, blur"),
        ({"kinds": []}, OptionError, "no kind"),
        ({"kinds": {"jpeg": [0]}}, OptionError, "jpeg: level 0: expected JPEG quality.*1 to 100"),
        ({"kinds": {"blur": [np.nan]}}, OptionError, "blur: level nan"),
        ({"kinds": {"size": []}}, OptionError, "size: no level"),
        ({"backends": ["nonesuch"]}, UnknownPlugin, "nonesuch"),
        ({"backends": [Centred(), Centred()]}, OptionError, "each named once"),
        ({"draws": 3}, OptionError, "draws is 3"),
        ({"workers": 0}, OptionError, "workers is 0"),
    ],
)
def test_options_that_mean_nothing(scene, options, error, told):
    with pytest.raises(error, match=told):
        stress(*scene, **{"backends": [Centred()], **options})


def test_labels_and_photos_that_do_not_fit(scene, tmp_path):
    labels, photos = scene
    options = {"backends": [Centred()], "kinds": ["shift"]}
    with pytest.raises(LabelError, match=r"1 of 6 labelled photos are not among.*p0\.png"):
        stress(labels, photos[1:], **options)
    unknown = Labels({"p0.png": LabelledFaces([[0, 0, 9, 9]], [-1])})
    with pytest.raises(LabelError, match="no labelled face has a known expression"):
        stress(unknown, photos, **options)
    outside = Labels({"p0.png": LabelledFaces([[900, 0, 950, 9]], [HAPPY])})
    with pytest.raises(LabelError, match=r"p0\.png: the box .*outside the photo"):
        stress(outside, photos, **options)
    changed = Labels({"p0.png": labels["p0.png"]}, sha256={"p0.png": "0" * 64})
    with pytest.raises(LabelError, match=r"p0\.png: not the picture that was labelled"):
        stress(changed, photos, **options)
    same = Labels({"p0.png": labels["p0.png"]}, sha256={"p0.png": digest(photos[0].load())})
    assert len(stress(same, photos, **options).labels) == 4
    (tmp_path / "p0.png").write_bytes(b"no picture")
    with pytest.raises(PhotoError, match=r"p0\.png"):
        stress(Labels({"p0.png": labels["p0.png"]}), tmp_path, **options)


class Broken(Centred):
    def __init__(self, where):
        super().__init__()
        self.where = where

    def prepare(self, image, faces):
        if self.where == "prepare":
            raise ZeroDivisionError("a backend's own trouble")
        rows = super().prepare(image, faces)
        return np.repeat(rows, 2, axis=0) if self.where == "rows" else rows

    def predict(self, inputs):
        if self.where == "predict":
            raise SystemExit(1)
        return super().predict(inputs) * (2 if self.where == "sum" else 1)


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("prepare", r"p0\.png: centred failed: ZeroDivisionError: a backend's own"),
        ("predict", r"p0\.png: centred failed: SystemExit"),
        ("rows", r"prepare\(\) gave shape \(2, 1\) for 1 face"),
        ("sum", "probabilities that sum to 1"),
    ],
)
def test_a_backend_that_breaks_is_named(scene, where, told):
    with pytest.raises(ContractError, match=told):
        stress(*scene, backends=[Broken(where)], kinds=["shift"])


def test_it_is_public():
    assert groupemo.stress is stress
