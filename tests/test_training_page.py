"""docs/training.md: every command on the page runs, with fewer epochs and trials."""

import re
import shlex

import numpy as np
import pytest
from conftest import ROOT
from made_nets import layer, save_keras
from PIL import Image
from test_cli import groupemo
from test_training_data import FERPLUS, row

pytest.importorskip("torch", reason="needs groupemo[train]")
pytest.importorskip("kornia", reason="needs groupemo[train]")
pytest.importorskip("optuna", reason="needs groupemo[train]")

PAGE = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
WRITTEN = re.search(r"cat > (\S+) <<'END'\n(.*?)END\n", PAGE, re.S)
COMMANDS = [
    shlex.split(line)[1:]
    for block in re.findall(r"```bash\n(.*?)```", PAGE, re.S)
    for line in block.splitlines()
    if line.startswith("groupemo ")
]
[PYTHON] = re.findall(r"```python\n(.*?)```", PAGE, re.S)
QUICK = ("--set", "epochs=1", "--set", "threads=1")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Be in a folder with the files that the page speaks of."""
    usage = ["Training"] * 21 + ["PublicTest"] * 14
    rows = [row(at % 7, seed=at, after=[part]) for at, part in enumerate(usage)]
    (tmp_path / "fer2013.csv").write_text("\n".join(["emotion,pixels,Usage", *rows, ""]))
    votes = [",".join(map(str, 9 * np.eye(10, dtype=int)[at % 7])) for at in range(len(usage))]
    rows = [
        f"{part},fer{at}.png,{each}"
        for at, (part, each) in enumerate(zip(usage, votes, strict=True))
    ]
    (tmp_path / "fer2013new.csv").write_text(
        "\n".join([f"Usage,Image name,{FERPLUS},NF", *rows, ""])
    )
    (tmp_path / "photos").mkdir()
    labels = ["image,x,y,w,h,emotion"]
    for name in ("happy", "sad"):
        photo = Image.fromarray(np.random.default_rng(5).integers(0, 256, (60, 80, 3), np.uint8))
        (tmp_path / "folders" / name).mkdir(parents=True)
        photo.resize((48, 48)).save(tmp_path / "folders" / name / "1.png")
        photo.save(tmp_path / "photos" / f"{name}.png")
        labels.append(f"{name}.png,10,10,40,40,{name}")
    (tmp_path / "labels.csv").write_text("\n".join([*labels, ""]))
    convolution = layer(
        "Conv2D", "conv", batch_input_shape=[None, 48, 48, 1], filters=7, kernel_size=[3, 3],
        strides=[1, 1], padding="same", activation="relu", use_bias=True,
    )  # fmt: skip
    random = np.random.default_rng(7)
    save_keras(
        tmp_path,
        [
            convolution,
            layer("GlobalAveragePooling2D", "mean"),
            layer("Dense", "dense", units=7, activation="softmax", use_bias=True),
        ],
        {
            "conv": [random.normal(size=(3, 3, 1, 7)).astype("f4"), np.zeros(7, "f4")],
            "dense": [np.eye(7, dtype="f4"), np.zeros(7, "f4")],
        },
    )
    (tmp_path / WRITTEN[1]).write_text(WRITTEN[2])
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.models
def test_every_command_of_the_page_runs(place):
    assert len(COMMANDS) >= 12
    for words in COMMANDS:
        if words[0] in ("train", "tune"):
            words = [*words, *QUICK]
        if words[0] == "tune":
            words = [*words, "--trials", "2"]
        groupemo(*words)
    exec(PYTHON.replace("epochs=40", "epochs=1, threads=1"), {})
    assert (place / "runs" / "python" / "datasheet.md").exists()
    assert (place / "runs" / "best" / "net.onnx").exists()
    assert (place / "runs" / "first" / "net.int8.onnx").exists()
    assert (place / "my_net" / "net.onnx").exists()
