"""Nets and photos with a known answer: the brightest of red, green and blue decides.

Red is happy, green sad, blue neutral, whatever the kind of file.
"""

import importlib.util
import json

import cv2
import h5py
import numpy as np

CLASSES = ("happy", "sad", "neutral")
COLORS = np.array([[220, 30, 30], [30, 220, 30], [30, 30, 220]])
WEIGHTS = np.eye(3, dtype=np.float32) * 20


def make_photos(folder, n=4):
    """Write photos of three coloured squares, and labels.csv that says what each is."""
    rows, order = ["image,x,y,w,h,emotion"], np.random.default_rng(5)
    folder.mkdir()
    for number in range(n):
        image = np.full((60, 150, 3), 128, np.uint8)
        for at, which in enumerate(order.permutation(3)):
            image[10:50, 10 + 45 * at : 50 + 45 * at] = COLORS[which]
            rows.append(f"{number}.png,{10 + 45 * at},10,40,40,{CLASSES[which]}")
        cv2.imwrite(str(folder / f"{number}.png"), image[..., ::-1])
    labels = folder.parent / "labels.csv"
    labels.write_text("\n".join(rows) + "\n")
    return labels


def save_keras(folder, layers, arrays, *, net="Sequential"):
    """Write model.json and net.h5 the way Keras 2 did; `arrays` by the layers' names."""
    config = {"class_name": net, "config": {"name": "net", "layers": layers}}
    (folder / "model.json").write_text(json.dumps(config))
    with h5py.File(folder / "net.h5", "w") as file:
        file.attrs["model_config"] = json.dumps(config)
        root = file.create_group("model_weights")
        names = [layer["config"]["name"] for layer in layers]
        root.attrs["layer_names"] = np.array(names, "S")
        for name in names:
            group, own = root.create_group(name), arrays.get(name, ())
            group.attrs["weight_names"] = np.array(
                [f"{name}/{at}:0" for at in range(len(own))], "S"
            )
            for at, array in enumerate(own):
                group[f"{name}/{at}:0"] = array
    return folder


def layer(kind, name, **config):
    return {"class_name": kind, "config": {"name": name, **config}}


def save_color_net(folder):
    """Write the net of this module as Keras files."""
    layers = [
        layer(
            "Conv2D", "conv", batch_input_shape=[None, 12, 12, 3], filters=3, kernel_size=[3, 3],
            strides=[1, 1], padding="same", activation="relu", use_bias=True,
        ),
        layer("BatchNormalization", "bn", axis=[3], epsilon=1e-3, scale=True, center=True),
        layer("MaxPooling2D", "pool", pool_size=[2, 2], strides=[2, 2], padding="valid"),
        layer("Dropout", "drop", rate=0.5),
        layer("GlobalAveragePooling2D", "mean"),
        layer("Dense", "dense", units=3, activation="softmax", use_bias=True),
    ]  # fmt: skip
    kernel = np.zeros((3, 3, 3, 3), np.float32)
    kernel[1, 1] = np.eye(3)
    zeros, ones = np.zeros(3, np.float32), np.ones(3, np.float32)
    arrays = {"conv": [kernel, zeros], "bn": [ones, zeros, zeros, ones], "dense": [WEIGHTS, zeros]}
    return save_keras(folder, layers, arrays)


TORCH_NET = """
import torch

class ColorNet(torch.nn.Module):
    def __init__(self, scale=1.0):
        super().__init__()
        self.scale = scale
        self.conv = torch.nn.Conv2d(3, 3, 1, bias=False)
        self.bn = torch.nn.BatchNorm2d(3)

    def forward(self, pictures):
        return self.scale * self.bn(self.conv(pictures)).mean(dim=(2, 3))
"""


def save_torch_net(folder):
    """Write color_net.py, and the state dict of its net as training keeps it; return the net."""
    import torch

    path = folder / "color_net.py"
    path.write_text(TORCH_NET)
    spec = importlib.util.spec_from_file_location("made_color_net", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    net = module.ColorNet().eval()
    with torch.no_grad():
        net.conv.weight.copy_(torch.from_numpy(WEIGHTS)[..., None, None])
    state = {f"module.{name}": value for name, value in net.state_dict().items()}
    torch.save({"epoch": 3, "state_dict": state}, folder / "net.pth")
    return net
