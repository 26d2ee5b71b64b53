"""Names and objects become plugins; what a result must say of them; what they may return."""

import functools
import importlib.metadata
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groupemo import get_backend, get_detector
from groupemo.emotions import EMOTIONS
from groupemo.errors import ContractError, MissingExtra, OptionError, UnknownPlugin
from groupemo.faces import Faces
from groupemo.plugins import (
    BACKENDS,
    DETECTORS,
    Backend,
    Detector,
    Registry,
    checked_faces,
    checked_probs,
    parse_spec,
    provenance_key,
    spell_spec,
)
from groupemo.testing import FakeBackend, FakeDetector

EVEN = np.full(7, 1 / 7)


class Boxed:
    """A detector with options and a model."""

    def __init__(self, *, side=4, where="left", model="m1"):
        if side <= 0:
            raise OptionError(f"side is {side}: expected above 0")
        self.side = side
        self.models = {"m.onnx": model}

    def __call__(self, image):
        return Faces([[0, 0, self.side, self.side]])


@pytest.fixture
def registry():
    registry = Registry("detector", Detector, {})
    registry.register("boxed", Boxed)
    return registry


# --- specs ---


@pytest.mark.parametrize(
    ("spec", "parsed"),
    [
        ("haar", ("haar", {})),
        (" haar ", ("haar", {})),
        ("haar:a=1,b=2.5", ("haar", {"a": 1, "b": 2.5})),
        ("haar:a=None,b=True,c=-1", ("haar", {"a": None, "b": True, "c": -1})),
        ("haar:a= x , b='1'", ("haar", {"a": "x", "b": "1"})),
        ("yolo:path=/a:b=c.onnx", ("yolo", {"path": "/a:b=c.onnx"})),
        ("haar:", ("haar", {})),
        ("haar:a=", ("haar", {"a": ""})),
    ],
)
def test_a_spec_is_a_name_and_options(spec, parsed):
    assert parse_spec(spec) == parsed


@given(
    st.from_regex(r"[a-z_]+", fullmatch=True),
    st.dictionaries(
        st.from_regex(r"[a-z_]+", fullmatch=True),
        st.integers()
        | st.booleans()
        | st.none()
        | st.floats(allow_nan=False, allow_infinity=False),
    ),
)
def test_a_spelt_spec_parses_back(name, options):
    assert parse_spec(spell_spec(name, options)) == (name, options)


@pytest.mark.parametrize("spec", ["haar:x", "haar:=1", "haar:1a=2", "haar:a b=1"])
def test_what_is_no_option_is_named(spec):
    with pytest.raises(OptionError, match="is not an option: expected name:key=value"):
        parse_spec(spec)


# --- names ---


def test_a_name_is_built_with_its_options(registry):
    loaded = registry.load("boxed:side=9", where="right")
    assert loaded.plugin.side == 9
    assert loaded.label == "boxed:side=9,where=right"
    assert registry.names() == ("boxed",)


@pytest.mark.parametrize(("get", "kind"), [(get_detector, "detector"), (get_backend, "backend")])
def test_an_unknown_name_lists_the_known(get, kind):
    known = "yunet" if kind == "detector" else "fer, deepface"
    with pytest.raises(UnknownPlugin, match=f"no {kind} named 'nonesuch'; known: .*{known}"):
        get("nonesuch")


def test_an_unknown_option_is_named(registry):
    with pytest.raises(OptionError, match="'boxed': got an unexpected option 'sides'"):
        registry.load("boxed:sides=3")


def test_an_options_value_is_checked_by_the_plugin(registry):
    with pytest.raises(OptionError, match="side is 0"):
        registry.load("boxed:side=0")
    with pytest.raises(OptionError, match=r"'boxed': .*not supported"):
        registry.load("boxed:side=big")


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a,b", "a=b"])
def test_a_name_that_cannot_stand_in_a_spec(registry, name):
    with pytest.raises(OptionError, match="no spaces, colons"):
        registry.register(name, Boxed)


def test_a_built_in_name_is_taken():
    with pytest.raises(OptionError, match="'yunet' is built in"):
        DETECTORS.register("yunet", Boxed)


def test_every_built_in_says_where_it_is():
    for registry in (DETECTORS, BACKENDS):
        for entry in registry.built_in.values():
            assert entry.summary
            assert entry.target.count(":") == 1


# --- entry points ---


@pytest.fixture
def point(monkeypatch):
    def add(value):
        entry = importlib.metadata.EntryPoint("third", value, "groupemo.detectors")
        monkeypatch.setattr(
            importlib.metadata, "entry_points", lambda group: [entry] * (group == entry.group)
        )

    return add


def test_a_third_partys_name_is_known(point, registry):
    point(f"{__name__}:Boxed")
    assert registry.names() == ("boxed", "third")
    assert registry.load("third:side=2").plugin.side == 2


@pytest.mark.parametrize("value", ["no_such_package:Thing", f"{__name__}:Nothing"])
def test_a_third_partys_package_that_is_broken_is_named(point, registry, value):
    point(value)
    with pytest.raises(MissingExtra, match=f"'third' .{value}. cannot be imported"):
        registry.load("third")


# --- objects ---


def looker(image):
    return Faces.empty()


@pytest.mark.parametrize(
    ("thing", "label"),
    [
        (looker, "looker"),
        (Boxed(), "Boxed"),
        (FakeDetector(Faces.empty(), label="mine"), "mine"),
        (functools.partial(looker), "partial"),
    ],
)
def test_an_object_is_taken_as_it_is(thing, label):
    loaded = DETECTORS.load(thing)
    assert loaded.plugin is thing
    assert loaded.label == label
    json.dumps(loaded.provenance)


def test_options_with_an_object_are_refused():
    with pytest.raises(OptionError, match=r"'Boxed' is an object: options \(side\) go with a name"):
        DETECTORS.load(Boxed(), side=3)


@pytest.mark.parametrize("thing", [None, 42, Faces.empty()], ids=["None", "int", "Faces"])
def test_what_is_no_detector(thing, registry):
    with pytest.raises(ContractError, match="expected a name or a Detector"):
        DETECTORS.load(thing)
    registry.register("odd", lambda: thing)
    with pytest.raises(ContractError, match=r"'odd' is a .* expected a name or a Detector"):
        registry.load("odd")


class NoClasses:
    def prepare(self, image, faces):
        return np.zeros((len(faces), 1))

    def predict(self, inputs):
        return np.tile(EVEN, (len(inputs), 1))


@pytest.mark.parametrize("thing", [looker, Boxed(), NoClasses()])
def test_what_is_no_backend(thing):
    with pytest.raises(ContractError, match="expected a name or a Backend"):
        BACKENDS.load(thing)


def test_the_fakes_fulfil_the_protocols():
    assert isinstance(FakeDetector(Faces.empty()), Detector)
    assert isinstance(FakeBackend(EVEN), Backend)


# --- provenance ---


def test_provenance_says_what_a_result_depends_on(registry):
    told = registry.load("boxed:side=9").provenance
    assert told["class"] == f"{__name__}.Boxed"
    assert told["options"] == {"side": 9}
    assert told["models"] == {"m.onnx": "m1"}
    assert set(told) == {"label", "class", "options", "models", "groupemo"}


def test_other_options_or_models_are_another_key(registry):
    specs = ["boxed", "boxed:side=9", "boxed:model=m2", "boxed:side=9,model=m2"]
    keys = [registry.load(spec).key for spec in specs]
    assert len(set(keys)) == 4
    assert keys == [registry.load(spec).key for spec in specs]


def test_the_key_survives_a_file(registry):
    loaded = registry.load("boxed", where=Path("a"), side=np.float64(2.0))
    again = json.loads(json.dumps(loaded.provenance))
    assert again == loaded.provenance
    assert provenance_key(again) == loaded.key


# --- what a plugin may return ---


IMAGE = np.zeros((20, 30, 3), np.uint8)


def test_faces_to_the_very_edge_are_inside():
    faces = Faces([[0, 0, 30, 20]])
    assert checked_faces(faces, IMAGE, "d") is faces


@pytest.mark.parametrize("box", [[-0.1, 0, 1, 1], [0, 0, 30.1, 1], [0, 0, 1, 20.1], [40, 0, 50, 9]])
def test_faces_outside_are_refused(box):
    with pytest.raises(ContractError, match=r"'d' returned box .* outside the 30 x 20 image"):
        checked_faces(Faces([[0, 0, 1, 1], box]), IMAGE, "d")


@pytest.mark.parametrize("thing", [None, [], [[0, 0, 1, 1]], np.zeros((1, 4))])
def test_what_is_no_faces_is_refused(thing):
    with pytest.raises(ContractError, match=r"'d' returned .*, expected Faces"):
        checked_faces(thing, IMAGE, "d")


@pytest.mark.parametrize(
    "rows",
    [[EVEN], [np.full(7, np.nan)], [EVEN * 1.0005], [np.eye(7)[2]], np.empty((0, 7))],
)
def test_probabilities_that_may_be(rows):
    checked = checked_probs(rows, len(rows), FakeBackend(EVEN), "b")
    assert checked.shape == (len(rows), len(EMOTIONS))
    assert checked.dtype == np.float64


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([EVEN * 1.01], "sum to 1"),
        ([EVEN * 100], "sum to 1"),
        ([[2, -1, 0, 0, 0, 0, 0]], "sum to 1"),
        ([[np.nan, 1, 0, 0, 0, 0, 0]], "all NaN where it abstains"),
        ([[np.inf, 0, 0, 0, 0, 0, 0]], "sum to 1"),
        ([[np.inf, -np.inf, 0, 0, 0, 0, 0]], "sum to 1"),
        ([EVEN, EVEN], r"shape \(2, 7\) for 1 faces and 7 classes, expected \(1, 7\)"),
        ([EVEN[:6]], r"shape \(1, 6\)"),
        (EVEN, r"shape \(7,\)"),
        ([], r"shape \(0,\)"),
        ([["happy"] * 7], "no array of numbers"),
        ([{"happy": 1.0}], "no array of numbers"),
        (None, r"shape \(\)"),
    ],
)
def test_probabilities_that_may_not_be(rows, message):
    with pytest.raises(ContractError, match=f"'b' returned .*{message}"):
        checked_probs(rows, 1, FakeBackend(EVEN), "b")


# --- what other people's plugins do ---


def test_an_option_given_twice():
    with pytest.raises(OptionError, match="scale_factor is given twice"):
        parse_spec("haar:scale_factor=1.1,scale_factor=1.2")


def test_a_plugin_that_fails_while_it_is_built(registry):
    def broken():
        raise RuntimeError("no GPU")

    registry.register("broken", broken)
    with pytest.raises(ContractError, match="'broken' cannot be built: RuntimeError: no GPU"):
        registry.load("broken")


def test_an_entry_point_that_fails_in_any_way_on_import(registry, tmp_path, monkeypatch):
    (tmp_path / "bad_plugin.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    point = importlib.metadata.EntryPoint("bad", "bad_plugin:Find", "groupemo.detectors")
    monkeypatch.setattr(registry, "_entry_points", lambda: {"bad": point})
    with pytest.raises(MissingExtra, match="cannot be imported: ZeroDivisionError"):
        registry.load("bad")


@pytest.mark.parametrize(
    "classes", [5, "happy", None, (), (None, None), ("happy", "joy"), ("foo", "happy")]
)
def test_classes_no_score_could_be_made_of_are_refused_at_once(classes):
    backend = FakeBackend(EVEN)
    backend.classes = classes
    with pytest.raises(ContractError, match="backend 'fake'"):
        BACKENDS.load(backend)


def test_models_of_another_meaning_are_not_taken_for_checksums():
    boxed = Boxed()
    boxed.models = [object()]
    assert DETECTORS.load(boxed).provenance["models"] == {}
