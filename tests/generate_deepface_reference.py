"""Make tests/data/deepface_reference.npz: what the deepface package answers for given boxes.

Run in an environment of its own, on a machine with the weights::

    pip install deepface==0.0.103 werkzeug onnxruntime "opencv-python<5"
    DEEPFACE_HOME=folder python tests/generate_deepface_reference.py

where folder/.deepface/weights holds the stand-in for the weights, whose
answers are kept: they show that the steps are the same, not how good the
published net is.
"""

from pathlib import Path

import numpy as np

TARGET = Path(__file__).parent / "data" / "deepface_reference.npz"
HEIGHT, WIDTH = 240, 320


def make_image():
    """Return a made picture, RGB, smooth enough that OpenCV's releases agree on its rotation."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    waves = [np.sin(x / 19 + y / 37), np.cos(x / 23 - y / 15), np.sin(x * y / 4000)]
    return (np.stack(waves, axis=-1) * 120 + 128).astype(np.uint8)


def make_boxes():
    """Return boxes and the eyes on the viewer's left and right, shapes (10, 4) and (10, 2, 2)."""
    rng = np.random.RandomState(5)  # unlike a Generator, its stream never changes
    corners = rng.randint(0, 150, (6, 2))
    boxes = np.concatenate([corners, corners + rng.randint(12, 90, (6, 2))], axis=1)
    border = [[0, 0, 40, 55], [260, 0, 320, 70], [0, 170, 61, 240], [281, 185, 320, 240]]
    boxes = np.concatenate([boxes, border])
    start, side = boxes[:, None, :2], (boxes[:, 2:] - boxes[:, :2])[:, None]
    places = np.array([[0.3, 0.4], [0.7, 0.4]]) + rng.uniform(-0.15, 0.15, (10, 2, 2))
    return boxes, np.rint(start + places * side).astype(int)


def main():
    from deepface import DeepFace
    from deepface.models.Detector import FacialAreaRegion
    from deepface.modules import modeling

    class Given:
        """A detector that finds the given boxes in the image deepface has put a border around."""

        eyes = True

        def detect_faces(self, image):
            right, down = WIDTH // 2, HEIGHT // 2
            for (x1, y1, x2, y2), (left_eye, right_eye) in zip(*make_boxes(), strict=True):
                eyes = [(int(x) + right, int(y) + down) for x, y in (left_eye, right_eye)]
                # deepface's left eye is the person's
                named = dict(zip(("right_eye", "left_eye"), eyes, strict=True))
                yield FacialAreaRegion(
                    x=int(x1) + right,
                    y=int(y1) + down,
                    w=int(x2 - x1),
                    h=int(y2 - y1),
                    confidence=0.9,
                    **(named if self.eyes else {}),
                )

    given, build = Given(), modeling.build_model

    def build_model(task, model_name):
        if (task, model_name) == ("face_detector", "opencv"):
            return given
        return build(task=task, model_name=model_name)

    def answers(eyes):
        given.eyes = eyes
        image = make_image()[..., ::-1].copy()  # BGR
        found = DeepFace.analyze(image, ["emotion"], silent=True)
        return np.array([list(face["emotion"].values()) for face in found]) / 100

    modeling.build_model = build_model
    np.savez_compressed(TARGET, eyes=answers(True), no_eyes=answers(False))
    print(f"wrote {TARGET}")


if __name__ == "__main__":
    main()
