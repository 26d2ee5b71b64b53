"""Keras nets become ONNX nets that answer the same: Keras 3, on PyTorch, is the referee."""

import json
import os
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from groupemo.errors import ModelError
from groupemo.models.keras import convert
from groupemo.models.session import open_session, run

RNG = np.random.default_rng(7)


def answers(path, pictures):
    return run(open_session(path), pictures.astype(np.float32))[0]


# Against Keras itself.


@pytest.fixture(scope="module")
def keras():
    pytest.importorskip("torch", reason="needs groupemo[train]")
    os.environ.setdefault("KERAS_BACKEND", "torch")
    return pytest.importorskip("keras", reason="needs groupemo[test]")


def classic(keras):
    """Return the FER-2013 net of many notebooks: blocks of Conv2D, BN, pooling and dropout."""
    layers, blocks = keras.layers, []
    for filters in (8, 16):
        blocks += [
            layers.Conv2D(filters, (3, 3), padding="same", activation="relu"),
            layers.BatchNormalization(),
            layers.Conv2D(filters, (3, 3), activation="relu"),
            layers.BatchNormalization(scale=False, center=False, epsilon=1e-2),
            layers.MaxPooling2D(pool_size=(2, 2)),
            layers.Dropout(0.25),
        ]
    ends = [layers.Flatten(), layers.Dense(32, activation="relu"), layers.BatchNormalization()]
    return keras.Sequential(
        [layers.Input((48, 48, 1)), *blocks, *ends, layers.Dense(7, activation="softmax")]
    )


def residual(keras):
    """Return a net with branches, a net within it that is called twice, and odd sizes."""
    layers = keras.layers
    shared = keras.Sequential(
        [
            layers.Input((None, None, 8)),
            layers.Conv2D(8, 3, padding="same"),
            layers.PReLU(shared_axes=[1, 2]),
        ]
    )
    given = layers.Input((45, 37, 3))
    x = layers.Rescaling(1 / 127.5, offset=-1)(given)
    x = layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[0.5, 1, 2])(x)
    x = layers.ZeroPadding2D(((1, 2), (0, 3)))(x)
    x = layers.SeparableConv2D(8, 3, strides=2, padding="same", depth_multiplier=2)(x)
    x = layers.Cropping2D(((1, 0), (2, 1)))(x)
    x = layers.Add()([shared(x), layers.Activation("tanh")(x), shared(shared(x))])
    x = layers.DepthwiseConv2D(
        3, padding="same", strides=2, depth_multiplier=2, activation="relu6"
    )(x)
    x = layers.AveragePooling2D(3, strides=1, padding="same")(x)
    x = layers.Concatenate()([x, layers.LeakyReLU()(x), layers.ELU(0.5)(x)])
    x = layers.Conv2D(12, 3, dilation_rate=2, padding="same", groups=3, use_bias=False)(x)
    weight = layers.Reshape((1, 1, 12))(layers.GlobalAveragePooling2D()(x))
    x = layers.Multiply()([x, layers.Dense(12, activation="sigmoid")(weight)])
    x = layers.Maximum()([x, layers.ReLU(max_value=1, negative_slope=0.1)(x)])
    x = layers.Concatenate(axis=1)([x, x])
    x = layers.Permute((2, 1, 3))(layers.SpatialDropout2D(0.5)(x))
    x = layers.Average()([layers.GlobalMaxPooling2D()(x), layers.GlobalAveragePooling2D()(x)])
    x = layers.GaussianNoise(0.1)(layers.PReLU()(layers.Dense(9, activation="silu")(x)))
    return keras.Model(given, layers.Softmax()(layers.Dense(7)(layers.Subtract()([x, x * x]))))


def random_weights(net):
    """Give every array random values, also those that begin as zeros or ones."""
    for variable in net.weights:
        values = RNG.normal(0, 0.4, variable.shape)
        variable.assign(np.abs(values) + 0.5 if "variance" in variable.path else values)


@pytest.fixture(scope="module", params=[classic, residual])
def saved(request, keras, tmp_path_factory):
    """Return a folder with a net in every form, pictures, and what Keras answers on them."""
    folder = tmp_path_factory.mktemp(request.param.__name__)
    net = request.param(keras)
    random_weights(net)
    net.save(folder / "net.keras")
    net.save(folder / "net.h5")
    net.save_weights(folder / "net.weights.h5")
    (folder / "model.json").write_text(net.to_json())
    pictures = RNG.uniform(0, 255 if len(net.layers) > 20 else 1, (3, *net.input_shape[1:]))
    return folder, pictures, np.asarray(net.predict(pictures, verbose=0))


@pytest.mark.filterwarnings("ignore")  # Keras's own
@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("net.keras", None),
        ("net.h5", None),
        ("model.json", "net.weights.h5"),
        ("model.json", "net.h5"),
    ],
)
def test_it_answers_what_keras_answers(saved, tmp_path, name, weights):
    folder, pictures, expected = saved
    convert(folder / name, tmp_path / "net.onnx", weights=weights and folder / weights)
    np.testing.assert_allclose(
        answers(tmp_path / "net.onnx", pictures), expected, rtol=0, atol=1e-5
    )
    assert np.ptp(expected, axis=0).max() > 1e-3  # the pictures are told apart
