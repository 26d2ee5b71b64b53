"""Keras nets become ONNX nets that answer the same: Keras 3, on PyTorch, is the referee."""

import json
import os
import re
import shutil
import zipfile

import h5py
import numpy as np
import pytest
from made_nets import layer, save_color_net, save_keras

from groupemo.errors import ModelError
from groupemo.models.keras import convert
from groupemo.models.session import open_session, run

RNG = np.random.default_rng(7)


def answers(path, pictures):
    return run(open_session(path), pictures.astype(np.float32))[0]


# Against Keras itself.


@pytest.fixture(scope="module")
def keras(tmp_path_factory):
    pytest.importorskip("torch", reason="needs groupemo[train]")
    os.environ.setdefault("KERAS_BACKEND", "torch")
    os.environ.setdefault("KERAS_HOME", str(tmp_path_factory.mktemp("keras")))
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
    ends = [layers.Flatten(), layers.Dense(32, activation="hard_silu"), layers.BatchNormalization()]
    blocks = [layers.RandomFlip(), layers.Rescaling(1 / 255), layers.Normalization(), *blocks]
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


def random_weights(net, rng):
    """Give every array random values, also those that begin as zeros or ones."""
    for variable in net.weights:
        spread = 2 / np.sqrt(np.prod(variable.shape[:-1])) if len(variable.shape) > 1 else 0.1
        middle = 1 if variable.path.endswith(("gamma", "variance")) else 0
        if variable.shape:  # all but how many pictures a Normalization has seen
            variable.assign(middle + spread * rng.uniform(-1, 1, variable.shape))


@pytest.fixture(scope="module", params=[classic, residual])
def saved(request, keras, tmp_path_factory):
    """Return a folder with a net in every form, pictures, and what Keras answers on them."""
    folder = tmp_path_factory.mktemp(request.param.__name__)
    net = request.param(keras)
    rng = np.random.default_rng(7)
    random_weights(net, rng)
    net.save(folder / "net.keras")
    net.save(folder / "net.h5")
    net.save_weights(folder / "net.weights.h5")
    (folder / "model.json").write_text(net.to_json())
    pictures = rng.uniform(0, 255, (3, *net.input_shape[1:]))
    pictures[0] /= 2
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


# Without Keras: spellings of its older versions, and answers worked out by hand.


def softmax(values):
    raised = np.exp(values - values.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def converted(folder, tmp_path, name="net.h5", weights=None):
    convert(folder / name, tmp_path / "out.onnx", weights=weights)
    return tmp_path / "out.onnx"


def test_the_spellings_of_keras_1(tmp_path):
    """A config that is a bare list, border_mode, nb_filter, dim_ordering, bias, p."""
    kernel, dense = RNG.normal(size=(1, 1, 1, 2)), RNG.normal(size=(2 * 4 * 4, 3))
    layers = [
        layer(
            "Convolution2D", "convolution2d_1", batch_input_shape=[None, 8, 8, 1], nb_filter=2,
            nb_row=1, nb_col=1, border_mode="same", subsample=[2, 2], dim_ordering="tf",
            activation="relu", bias=False,
        ),
        layer("Dropout", "dropout_1", p=0.5),
        layer("Flatten", "flatten_1"),
        layer("Dense", "dense_1", output_dim=3, activation="softmax", bias=False),
    ]  # fmt: skip
    save_keras(tmp_path, layers, {"convolution2d_1": [kernel], "dense_1": [dense]})
    with h5py.File(tmp_path / "net.h5", "a") as file:
        bare = {"class_name": "Sequential", "keras_version": "1.2.2", "config": layers}
        file.attrs["model_config"] = json.dumps(bare)
    pictures = RNG.uniform(size=(2, 8, 8, 1))
    hidden = np.maximum(pictures[:, ::2, ::2] * kernel[0, 0, 0], 0).reshape(2, -1)
    answered = answers(converted(tmp_path, tmp_path), pictures)
    np.testing.assert_allclose(answered, softmax(hidden @ dense), atol=1e-6)


def test_a_functional_net_of_keras_1_with_a_merge(tmp_path):
    def node(kind, name, *inputs, **config):
        calls = [[[one, 0, 0] for one in inputs]] if inputs else []
        return {**layer(kind, name, **config), "name": name, "inbound_nodes": calls}

    layers = [
        node("InputLayer", "input", batch_input_shape=[None, 2, 2, 1]),
        node("GlobalMaxPooling2D", "most", "input"),
        node("GlobalAveragePooling2D", "mean", "input"),
        node("Merge", "both", "most", "mean", mode="concat", concat_axis=-1),
        node("Activation", "end", "both", activation="softmax"),
    ]
    ends = {"input_layers": [["input", 0, 0]], "output_layers": [["end", 0, 0]]}
    config = {"class_name": "Model", "config": {"name": "net", "layers": layers, **ends}}
    save_keras(tmp_path, layers, {})
    (tmp_path / "model.json").write_text(json.dumps(config))
    pictures = RNG.uniform(size=(3, 2, 2, 1))
    values = np.column_stack([pictures.max(axis=(1, 2)), pictures.mean(axis=(1, 2))])
    path = converted(tmp_path, tmp_path, "model.json", tmp_path / "net.h5")
    np.testing.assert_allclose(answers(path, pictures), softmax(values), atol=1e-6)


def test_means_at_the_border_are_of_the_pixels_that_are_there(tmp_path):
    """As in TensorFlow; Keras on PyTorch repeats the border instead where padding is uneven."""
    pool = layer(
        "AveragePooling2D", "pool", batch_input_shape=[None, 3, 3, 1], pool_size=[2, 2],
        strides=[2, 2], padding="same",
    )  # fmt: skip
    save_keras(tmp_path, [pool, layer("Flatten", "flat")], {})
    picture = np.arange(9.0).reshape(1, 3, 3, 1)
    np.testing.assert_allclose(answers(converted(tmp_path, tmp_path), picture), [[2, 3.5, 6.5, 8]])


def test_layers_with_other_names_get_their_weights_in_order(tmp_path):
    save_color_net(tmp_path)
    before = answers(converted(tmp_path, tmp_path), np.ones((1, 12, 12, 3)))
    text = (tmp_path / "model.json").read_text()
    (tmp_path / "model.json").write_text(text.replace('"conv"', '"conv_9"').replace('"bn"', '"b"'))
    after = converted(tmp_path, tmp_path, "model.json", tmp_path / "net.h5")
    np.testing.assert_array_equal(answers(after, np.ones((1, 12, 12, 3))), before)


@pytest.mark.filterwarnings("ignore")
def test_weights_without_names_go_by_their_places(saved, tmp_path):
    """As the first releases of Keras 3 wrote them."""
    folder, pictures, expected = saved
    shutil.copy(folder / "net.weights.h5", tmp_path / "bare.weights.h5")
    with h5py.File(tmp_path / "bare.weights.h5", "a") as file:
        file.visititems(lambda path, found: found.attrs.pop("name", None) and None)
    path = converted(folder, tmp_path, "model.json", tmp_path / "bare.weights.h5")
    np.testing.assert_allclose(answers(path, pictures), expected, rtol=0, atol=1e-5)


def test_the_conversion_is_the_same_twice(tmp_path):
    save_color_net(tmp_path)
    assert converted(tmp_path, tmp_path).read_bytes() == converted(tmp_path, tmp_path).read_bytes()


@pytest.mark.parametrize(
    ("kind", "config", "told"),
    [
        ("Lambda", {"function": ["4wEAAAA=", None, None]}, "layer 'odd': it is a Lambda"),
        ("LSTM", {}, "layer 'odd': it is a LSTM"),
        ("Activation", {"activation": "mine"}, "layer 'odd': its activation is 'mine'"),
        ("MaxPooling2D", {"data_format": "channels_first"}, "its data_format is 'channels_first'"),
        ("MaxPooling2D", {"pool_size": [2, 2], "padding": "full"}, "its padding is 'full'"),
        ("MaxPooling2D", {"padding": "same"}, "pool_size is missing"),
        ("ReLU", {"threshold": 0.5}, "its threshold is 0.5"),
        ("Softmax", {"axis": 1}, "its axis is 1: expected the channels"),
        ("Reshape", {"target_shape": [2, 2]}, "its target_shape"),
        ("Add", {}, "it has one input"),
        ("Dense", {"units": 3}, "it has 0 arrays of weights, expected 2"),
    ],
)
def test_layers_that_cannot_be_converted_are_refused(tmp_path, kind, config, told):
    first = layer("Dropout", "first", batch_input_shape=[None, 8, 8, 1])
    save_keras(tmp_path, [first, layer(kind, "odd", **config)], {})
    with pytest.raises(ModelError, match=re.escape(told)) as caught:
        converted(tmp_path, tmp_path)
    assert "net.h5" in str(caught.value)
    assert not (tmp_path / "out.onnx").exists()


def test_classes_of_ones_own_are_refused(tmp_path):
    own = {
        **layer("Dense", "odd", batch_input_shape=[None, 8, 8, 1]),
        "registered_name": "me>Dense",
    }
    save_keras(tmp_path, [own], {})
    with pytest.raises(ModelError, match="me>Dense: somebody's own class"):
        converted(tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        ([None, 2304], "expected a picture"),
        ([None, 8, 8, None], "expected a picture"),
        (None, "shape of its input"),
    ],
)
def test_inputs_that_are_no_pictures_are_refused(tmp_path, shape, told):
    config = {} if shape is None else {"batch_input_shape": shape}
    save_keras(tmp_path, [layer("Dropout", "only", **config)], {})
    with pytest.raises(ModelError, match=told):
        converted(tmp_path, tmp_path)


def test_weights_of_another_net_are_refused(tmp_path):
    save_color_net(tmp_path)
    text = (tmp_path / "model.json").read_text().replace('"units": 3', '"units": 7')
    (tmp_path / "model.json").write_text(text)
    with pytest.raises(ModelError, match=r"layer 'dense': its weights are 3 wide, expected 7"):
        converted(tmp_path, tmp_path, "model.json", tmp_path / "net.h5")


def test_an_architecture_asks_for_its_weights_and_weights_for_theirs(tmp_path):
    save_color_net(tmp_path)
    with pytest.raises(ModelError, match=r"model\.json.*architecture alone"):
        converted(tmp_path, tmp_path, "model.json")
    with h5py.File(tmp_path / "net.h5", "a") as file:
        del file.attrs["model_config"]
    with pytest.raises(ModelError, match=r"net\.h5.*weights alone"):
        converted(tmp_path, tmp_path)


# Files that are broken, or want to be more than weights.


def to_another_file(file, folder):
    with h5py.File(folder / "other.h5", "w") as other:
        other["secret"] = np.zeros((3, 3, 3, 3))
    del file["model_weights/conv/conv/0:0"]
    file["model_weights/conv/conv/0:0"] = h5py.ExternalLink(str(folder / "other.h5"), "/secret")


def stored_elsewhere(file, folder):
    (folder / "bytes").write_bytes(bytes(81 * 4))
    del file["model_weights/conv/conv/0:0"]
    group = file["model_weights/conv/conv"]
    group.create_dataset("0:0", (3, 3, 3, 3), "f4", external=[(str(folder / "bytes"), 0, 324)])


def huge(file, folder):
    del file["model_weights/conv/conv/0:0"]
    file["model_weights/conv/conv"].create_dataset("0:0", (10**6, 10**6), "f4", chunks=(1000, 1000))


def of_words(file, folder):
    del file["model_weights/conv/conv/0:0"]
    file["model_weights/conv/conv/0:0"] = "words"


def as_keras_of_keras_2(file, folder):
    del file["model_weights"]
    file.create_group("_layer_checkpoint_dependencies/conv2d/vars")


def by_theano(file, folder):
    file["model_weights"].attrs["backend"] = "theano"


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (to_another_file, "link to another place: refused"),
        (stored_elsewhere, "stored in another file: refused"),
        (huge, "larger than 2 GiB"),
        (of_words, "no array of numbers"),
        (as_keras_of_keras_2, "save it as .h5 there"),
        (by_theano, "Theano"),
    ],
)
def test_hdf5_that_is_more_or_less_than_weights_is_refused(tmp_path, spoil, told):
    save_color_net(tmp_path)
    with h5py.File(tmp_path / "net.h5", "a") as file:
        spoil(file, tmp_path)
    with pytest.raises(ModelError, match=told):
        converted(tmp_path, tmp_path)


def test_files_cut_short_are_refused(tmp_path):
    save_color_net(tmp_path)
    whole = (tmp_path / "net.h5").read_bytes()
    for size in (0, 5, 100, 2000, len(whole) // 2, len(whole) - 1):
        (tmp_path / "net.h5").write_bytes(whole[:size])
        with pytest.raises(ModelError, match=r"net\.h5"):
            converted(tmp_path, tmp_path)


def write_archive(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {"config.json": "{}", "model.weights.h5": b"", **members}.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({"../../evil.py": "x"}, r"'../../evil.py' leads out"),
        ({"/etc/evil": "x"}, "leads out"),
        ({"config.json": b" " * (2**26 + 1)}, "larger than 64 MiB"),
        ({"config.json": "{"}, "not a Keras net"),
        ({"config.json": "[" * 100_000}, "not a Keras net"),
        ({}, "no HDF5"),
    ],
)
def test_archives_that_mean_harm_are_refused(tmp_path, members, told):
    path = write_archive(tmp_path / "net.keras", **members)
    with pytest.raises(ModelError, match=told):
        convert(path, tmp_path / "net.onnx")
    assert sorted(tmp_path.iterdir()) == [path]
