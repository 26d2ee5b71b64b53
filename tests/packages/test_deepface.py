"""groupemo's deepface backend beside the deepface package."""

import numpy as np
import pytest

from groupemo.backends.deepface import FILE, DeepFace
from groupemo.detectors.yunet import YuNet
from groupemo.faces import Faces
from groupemo.images import read_photo


@pytest.fixture(scope="module")
def package(shared_models, tmp_path_factory):
    """Return the package; its weights are those groupemo uses."""
    home = tmp_path_factory.mktemp("home")
    weights = home / ".deepface" / "weights" / FILE
    weights.parent.mkdir(parents=True)
    weights.symlink_to(shared_models / FILE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEEPFACE_HOME", str(home))
        from deepface import DeepFace

        yield DeepFace


def test_a_cut_face_has_the_same_probabilities(package, photos, difference):
    native, gaps = DeepFace(), []
    for photo in photos:
        image = read_photo(photo)
        for x1, y1, x2, y2 in YuNet()(image).boxes.clip(0).astype(int):
            face = np.ascontiguousarray(image[y1:y2, x1:x2])
            box = Faces([[0, 0, face.shape[1], face.shape[0]]])
            ours = native.predict(native.prepare(face, box))[0]
            [theirs] = package.analyze(
                face[..., ::-1], ["emotion"], detector_backend="skip", silent=True
            )
            assert [*theirs["emotion"]] == [*native.classes]
            gaps.append(ours - np.array([*theirs["emotion"].values()]) / 100)
    on = f"{len(photos)} photos, {len(gaps)} faces cut out"
    difference("probabilities", gaps, 1e-3, on)
