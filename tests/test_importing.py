"""Nets of any kind become a folder that runs; files that would do harm, or mislead, are refused."""

import hashlib
import json
import os
import pickle
import sys
import tomllib
import warnings
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from made_nets import CLASSES, WEIGHTS, make_photos, save_color_net, save_torch_net
from onnx import TensorProto, helper, numpy_helper
from tiny_net import save_net
from typer.testing import CliRunner

import groupemo
from groupemo.cli import app
from groupemo.errors import GroupemoError, MissingExtra, ModelError, OptionError, OutputError
from groupemo.importing import import_model
from groupemo.models import session
from groupemo.plugins import get_backend


@pytest.fixture
def net(tmp_path):
    return save_net(tmp_path / "mine.onnx", weights=WEIGHTS)


@pytest.fixture
def torch_folder(tmp_path, monkeypatch):
    """A folder with a state dict and its class, which is the current folder."""
    pytest.importorskip("torch", reason="needs groupemo[train]")
    save_torch_net(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("color_net", None)


def read(folder):
    return tomllib.loads((folder / "net.toml").read_text())


# The way from a file to figures.


def check_that_it_is_right(spec, tmp_path):
    """Evaluate on photos whose labels the net can know, and on labels that are all wrong."""
    labels = make_photos(tmp_path / "photos")
    done = groupemo.evaluate(
        tmp_path / "photos", labels, detectors=["labelled"], backends=[spec], workers=1
    )
    overall = done.figures().set_index("figure")["value"]
    assert overall["end_to_end_accuracy"] == 1


def test_an_onnx_net_is_evaluated(net, tmp_path):
    done = import_model(net, out=tmp_path / "out", classes=CLASSES)
    check_that_it_is_right(done.spec, tmp_path)


def test_a_keras_json_with_weights_is_evaluated(tmp_path):
    folder = save_color_net(tmp_path)
    done = import_model(
        folder / "model.json", weights=folder / "net.h5", out=tmp_path / "out", classes=CLASSES
    )
    assert done.kind == "Keras"
    check_that_it_is_right(done.spec, tmp_path)


def test_a_state_dict_is_evaluated(torch_folder, tmp_path):
    done = import_model(
        torch_folder / "net.pth", class_path="color_net:ColorNet", out=tmp_path / "out",
        classes=CLASSES, size=12,
    )  # fmt: skip
    assert done.kind == "PyTorch"
    check_that_it_is_right(done.spec, tmp_path)
    data = (tmp_path / "out" / "net.onnx").read_bytes()
    assert b"stack_trace" not in data, "paths of the machine it was exported on"
    assert str(torch_folder).encode() not in data


@pytest.mark.parametrize("make", ["script", "trace"])
def test_torchscript_is_evaluated(torch_folder, tmp_path, make):
    save_torchscript(torch_folder, tmp_path / "net.pt", make)
    done = import_model(tmp_path / "net.pt", out=tmp_path / "out", classes=CLASSES, size=9)
    assert done.kind == "TorchScript"
    assert "program" in done.assumptions[0]
    check_that_it_is_right(done.spec, tmp_path)


def save_torchscript(folder, path, make="script"):
    import torch

    net = save_torch_net(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch would rather have it gone
        if make == "script":
            torch.jit.script(net).save(str(path))
        else:
            torch.jit.trace(net, torch.rand(1, 3, 9, 9)).save(str(path))


def test_the_command_line_says_what_is_known_and_how(net, tmp_path):
    out = tmp_path / "out"
    run = CliRunner().invoke(
        app, ["models", "import", str(net), "--out", str(out), "--classes", "joy, sad,neutral"]
    )
    assert run.exit_code == 0
    told = " ".join(run.stdout.split())
    for line in (
        "Size 8 x 8 read",
        "Colour rgb assumed",
        "Outputs probs seen",
        "Parameters 9 read",
    ):
        assert line in told
    assert "Pixels are taken to go in as 0..1" in told
    assert f"-b onnx:model={out / 'net.onnx'}\n" in run.stdout
    assert get_backend(f"onnx:model={out / 'net.onnx'}").classes == ("happy", "sad", "neutral")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["mine.onnx", "out"]


def test_the_command_line_passes_every_option(tmp_path):
    path = save_net(tmp_path / "mine.onnx", softmax=False, shape=("n", 3, "h", "w"))
    words = (
        "--classes happy,sad,fear --color bgr --size 9,7 --layout nchw --range -1,1 --mean .1,.2,.3"
        " --std 2 --margin 0.2 --square --output logits --json"
    )
    run = CliRunner().invoke(
        app, ["models", "import", str(path), "--out", str(tmp_path / "out"), *words.split()]
    )
    assert run.exit_code == 0, run.output
    assert json.loads(run.stdout)["assumptions"] == []
    assert read(tmp_path / "out") == {
        "classes": ["happy", "sad", "fear"],
        "color": "bgr",
        "size": [9, 7],
        "layout": "nchw",
        "range": [-1, 1],
        "mean": [0.1, 0.2, 0.3],
        "std": 2,
        "margin": 0.2,
        "square": True,
        "output": "logits",
    }


def test_the_command_line_makes_the_class_of_a_state_dict(torch_folder):
    words = (
        "net.pth --out out --class-path color_net:ColorNet --class-arg scale=0.5 --size 9"
        " --classes happy,sad,neutral"
    )
    run = CliRunner().invoke(app, ["models", "import", *words.split()])
    assert run.exit_code == 0, run.output
    picture = np.zeros((1, 3, 9, 9), np.float32)
    picture[:, 1] = 1
    [logits] = session.run(session.open_session(Path("out/net.onnx")), picture)
    np.testing.assert_allclose(logits, [[0, 10, 0]], atol=1e-3)  # half of 20


@pytest.mark.parametrize("words", ["--range a,b", "--mean 1;2", "--class-arg depth"])
def test_options_that_mean_nothing_are_wrong_usage(net, tmp_path, words):
    run = CliRunner().invoke(
        app, ["models", "import", str(net), "--out", str(tmp_path / "out"), *words.split()]
    )
    assert run.exit_code == 2
    assert words.split()[0] in run.output


def test_what_is_written_says_where_it_comes_from(net, tmp_path):
    out = tmp_path / "my_net"
    done = groupemo.import_model(net, out=out, classes=CLASSES)
    assert sorted(each.name for each in out.iterdir()) == ["card.md", "net.onnx", "net.toml"]
    assert (out / "net.onnx").read_bytes() == net.read_bytes()
    digest = hashlib.sha256(net.read_bytes()).hexdigest()
    for name in ("net.toml", "card.md"):
        assert f"'mine.onnx', SHA-256 {digest}" in (out / name).read_text()
    card = (out / "card.md").read_text()
    assert card.startswith("# my\\_net\n")
    for fact in done.facts:
        assert f"| {fact.name} | {fact.value} | {fact.known} |" in card
    for sentence in done.assumptions:
        assert sentence in card


# What is read, seen, assumed, and asked for.


def known(done):
    return {fact.name: (fact.value, fact.known) for fact in done.facts}


def test_what_the_file_says_is_read(tmp_path):
    path = save_net(tmp_path / "a.onnx", shape=("n", 6, 9, 1), layout="nhwc", softmax=False)
    facts = known(import_model(path, out=tmp_path / "out", classes=CLASSES))
    assert facts["Size"] == ("6 x 9", "read")
    assert facts["Colour"] == ("gray", "read")
    assert facts["Layout"] == ("nhwc", "read")
    assert facts["Outputs"] == ("logits", "seen")
    assert facts["Scaling"] == ("0..255 to 0..1", "assumed")


def test_what_the_file_leaves_open_is_said(tmp_path):
    path = save_net(tmp_path / "a.onnx", shape=("n", 3, 8, 8))
    model = onnx.load(path)
    for dim, letter in zip(model.graph.input[0].type.tensor_type.shape.dim, "ncyx", strict=True):
        dim.dim_param = letter
    onnx.save(model, path)
    said = {"color": "rgb", "size": np.int64(8).item(), "layout": "nchw", "mean": np.zeros(3)}
    import_model(path, out=tmp_path / "out", classes=CLASSES, **said)
    assert read(tmp_path / "out")["mean"] == [0, 0, 0]


def test_a_toml_beside_the_file_is_read(net, tmp_path):
    net.with_suffix(".toml").write_text('classes = ["sad", "happy", "fear"]\nrange = [0, 255]\n')
    out = tmp_path / "out"
    done = import_model(net, out=out, range=(0, 2))
    assert read(out)["classes"] == ["sad", "happy", "fear"]
    assert read(out)["range"] == [0, 2]  # what is said wins
    assert known(done)["Scaling"] == ("0..255 to 0..2", "given")


@pytest.mark.parametrize(
    ("kind", "value", "takes_bytes"),
    [("Div", 255, True), ("Mul", 1 / 127.5, True), ("Sub", 128, True), ("Mul", 2, False)],
)
def test_a_net_that_scales_pixels_itself_is_given_them_as_they_are(
    net, tmp_path, kind, value, takes_bytes
):
    model = onnx.load(net)
    model.graph.initializer.append(numpy_helper.from_array(np.float32(value), "scale"))
    model.graph.node.insert(0, helper.make_node(kind, ["image", "scale"], ["scaled"]))
    model.graph.node[1].input[0] = "scaled"
    onnx.save(model, net)
    done = import_model(net, out=tmp_path / "out", classes=CLASSES)
    expected = ("0..255 to 0..255", "read") if takes_bytes else ("0..255 to 0..1", "assumed")
    assert known(done)["Scaling"] == expected
    assert ("Pixels are taken" in done.assumptions[0]) != takes_bytes


def test_an_operator_given_nothing_beside_the_picture_is_passed_over(net, tmp_path):
    model = onnx.load(net)
    for name, values in (("roi", []), ("scales", [1, 1, 1, 1])):
        model.graph.initializer.append(numpy_helper.from_array(np.array(values, np.float32), name))
    model.graph.node.insert(0, helper.make_node("Resize", ["image", "roi", "scales"], ["resized"]))
    model.graph.node[1].input[0] = "resized"
    onnx.save(model, net)
    done = import_model(net, out=tmp_path / "out", classes=CLASSES)
    assert known(done)["Scaling"] == ("0..255 to 0..1", "assumed")


def test_a_net_without_an_input_is_refused(tmp_path):
    constant = numpy_helper.from_array(np.ones((1, 3), np.float32), "constant")
    output = helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 3])
    node = helper.make_node("Identity", ["constant"], ["out"])
    graph = helper.make_graph([node], "blind", [], [output], [constant])
    opset = [helper.make_opsetid("", 13)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "blind.onnx")
    with pytest.raises(ModelError, match=r"blind\.onnx: it has no input"):
        import_model(tmp_path / "blind.onnx", out=tmp_path / "out", classes=CLASSES)


def test_pytorch_is_asked_for_where_it_is_needed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "net.pth").write_bytes(pickle.dumps({}))
    with pytest.raises(MissingExtra, match=r"pip install 'groupemo\[train\]'"):
        import_model(tmp_path / "net.pth", out=tmp_path / "out", classes=CLASSES, size=9)


def test_a_dead_net_is_told(tmp_path):
    path = save_net(tmp_path / "a.onnx", weights=np.zeros((3, 3)))
    done = import_model(path, out=tmp_path / "out", classes=CLASSES)
    assert "answers the same on every made face" in done.assumptions[-1]


@pytest.mark.parametrize(
    ("made", "options", "told"),
    [
        ({}, {}, r"nothing says what its 3 outputs mean.*--classes"),
        ({}, {"classes": ["happy", "sad"]}, r"mine\.onnx: its first output has shape .* names 2"),
        ({}, {"classes": ["happy", "sad", "glum"]}, r"mine\.onnx.*unknown emotion 'glum'"),
        ({}, {"classes": CLASSES, "colour": "rgb"}, "no option 'colour'"),
        ({}, {"classes": CLASSES, "color": "gray"}, "correct color"),
        ({}, {"classes": CLASSES, "output": "logits"}, "sum to 1: they are probs, not logits"),
        ({"softmax": False}, {"classes": CLASSES, "output": "probs"}, "they are logits, not probs"),
        ({"shape": ("n", 3, "h", "w")}, {"classes": CLASSES}, "say size="),
        (
            {"shape": ("n", 3, "h", "w")},
            {"classes": CLASSES, "size": 5000},
            "5000 pixels: expected",
        ),
        (
            {"shape": ("n", 3, 8, 99999)},
            {"classes": CLASSES},
            "side of 99999 pixels: expected 1024",
        ),
        ({"shape": ("n", 5, 8, 8)}, {"classes": CLASSES}, "say color"),
        ({"shape": (7, 3, 8, 8)}, {"classes": CLASSES}, "7 faces at a time"),
        ({"weights": np.full((3, 3), np.nan)}, {"classes": CLASSES}, "NaN"),
        ({}, {"classes": CLASSES, "weights": "w.h5"}, "weights go with a Keras"),
        ({}, {"classes": CLASSES, "class_path": "a:B"}, "class path goes with a state dict"),
    ],
)
def test_what_must_be_said_or_cannot_be_is_named(tmp_path, made, options, told):
    path = save_net(tmp_path / "mine.onnx", **{"k": 3, **made})
    with pytest.raises(GroupemoError, match=told) as caught:
        import_model(path, out=tmp_path / "out", **options)
    assert "mine.onnx" in str(caught.value)
    assert sorted(tmp_path.iterdir()) == [path]  # nothing is left behind


def test_a_folder_is_replaced_only_when_asked_and_only_an_imported_one(net, tmp_path):
    out = tmp_path / "out"
    import_model(net, out=out, classes=CLASSES)
    with pytest.raises(OutputError, match="there already"):
        import_model(net, out=out, classes=CLASSES)
    import_model(net, out=out, classes=CLASSES[::-1], force=True)
    assert read(out)["classes"] == list(CLASSES[::-1])
    (out / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputError, match=r"not made by an import \(thesis\.tex\)"):
        import_model(net, out=out, classes=CLASSES, force=True)
    assert (out / "thesis.tex").exists()


# PyTorch.


def import_torch(folder, **options):
    said = {"class_path": "color_net:ColorNet", "size": 12, "classes": CLASSES, **options}
    return import_model(folder / "net.pth", out=folder / "out", **said)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"size": None}, "does not say the size"),
        ({"class_path": None}, "say the net's class"),
        ({"class_path": "color_net"}, "expected package.module:Class"),
        ({"class_path": "color_net:Other"}, "AttributeError"),
        ({"class_path": "nowhere:Net"}, "ModuleNotFoundError"),
        ({"class_args": {"depth": 3}}, "depth"),
        ({"class_path": "builtins:dict"}, "gives a dict, not a net"),
        ({"class_path": "sys:exit"}, "SystemExit"),
        ({"size": 20_000}, "20000 pixels: expected 1024"),
        ({"color": ["rgb"]}, r"color is \['rgb'\]"),
    ],
)
def test_what_a_state_dict_needs_is_asked_for(torch_folder, options, told):
    with pytest.raises(GroupemoError, match=told):
        import_torch(torch_folder, **options)


def test_a_state_dict_of_another_class_is_named(torch_folder):
    import torch

    state = torch.load(torch_folder / "net.pth", weights_only=True)["state_dict"]
    state["module.fc.bias"] = state.pop("module.bn.bias")
    state["module.conv.weight"] = torch.zeros(3, 1, 1, 1)
    torch.save(state, torch_folder / "net.pth")
    told = (
        r"bn\.bias is missing; fc\.bias is not in the class;"
        r" conv\.weight is \(3, 1, 1, 1\), expected \(3, 3, 1, 1\)"
    )
    with pytest.raises(ModelError, match=told):
        import_torch(torch_folder)


def test_tensors_that_hold_no_numbers_are_refused(torch_folder):
    import torch

    state = torch.load(torch_folder / "net.pth", weights_only=True)["state_dict"]
    torch.save({name: each.to("meta") for name, each in state.items()}, torch_folder / "net.pth")
    with pytest.raises(ModelError, match=r"net\.pth: its tensors cannot be weights of color_net"):
        import_torch(torch_folder)


def test_a_net_whose_export_answers_otherwise_is_refused(torch_folder):
    text = (torch_folder / "color_net.py").read_text()
    noisy = text.replace("return ", "return torch.rand(1).item() + ")
    (torch_folder / "color_net.py").write_text(noisy)
    with pytest.raises(ModelError, match=r"answers otherwise|cannot be exported"):
        import_torch(torch_folder)


class Harm:
    """What reading it would do."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("how", ["torch.save", "pickle"])
def test_a_pickle_that_runs_code_is_refused(torch_folder, how):
    import torch

    harm = Harm(torch_folder / "harmed")
    if how == "torch.save":
        torch.save({"state_dict": harm}, torch_folder / "net.pth")
    else:
        (torch_folder / "net.pth").write_bytes(pickle.dumps(harm))
    with pytest.raises(ModelError, match=r"net\.pth: it holds more than weights.*--allow-pickle"):
        import_torch(torch_folder)
    assert not (torch_folder / "harmed").exists()


def test_a_pickled_net_is_read_when_allowed(torch_folder, monkeypatch):
    import torch

    monkeypatch.syspath_prepend(torch_folder)
    net = __import__("color_net").ColorNet()
    torch.save(net, torch_folder / "net.pth")
    with pytest.raises(ModelError, match=r"more than weights \(color_net\.ColorNet\)"):
        import_torch(torch_folder, class_path=None)
    with pytest.warns(UserWarning, match="any code in it runs"):
        done = import_torch(torch_folder, class_path=None, allow_pickle=True)
    assert known(done)["Size"] == ("12 x 12", "given")


# Files that are broken, or not what they seem.


@pytest.mark.parametrize("name", ["a.onnx", "a.h5", "a.keras", "a.pt", "a.pth", "model.json"])
def test_empty_and_foreign_files_are_refused(tmp_path, name):
    path = tmp_path / name
    for data, told in ((b"", "is empty"), (b"hello, I am a text", name), (b"PK\x03\x04", "broken")):
        path.write_bytes(data)
        with pytest.raises(ModelError, match=told):
            import_model(path, out=tmp_path / "out", classes=CLASSES)
    path.unlink()
    with pytest.raises(ModelError, match=f"{name}: cannot be read: No such file"):
        import_model(path, out=tmp_path / "out", classes=CLASSES)


def test_files_of_pytorch_cut_short_are_refused(torch_folder, tmp_path):
    save_torchscript(torch_folder, tmp_path / "net.pt")
    for name in ("net.pth", "net.pt"):
        whole = (tmp_path / name).read_bytes()
        for size in (10, len(whole) // 2, len(whole) - 30):
            (tmp_path / name).write_bytes(whole[:size])
            with pytest.raises(ModelError, match=name):
                import_model(tmp_path / name, out=tmp_path / "out", classes=CLASSES, size=9)


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("groupemo.importing.kinds.LARGEST", 10**6)
    path = tmp_path / "net.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("net/constants.pkl", bytes(10**6 + 1))
    with pytest.raises(ModelError, match="unpacks to more than"):
        import_model(path, out=tmp_path / "out", classes=CLASSES, size=9)


def test_an_archive_of_something_else_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "net.keras", "w") as archive:
        archive.writestr("holiday.jpg", "x")
    with pytest.raises(ModelError, match="an archive, but of no net"):
        import_model(tmp_path / "net.keras", out=tmp_path / "out", classes=CLASSES)


def test_an_onnx_net_with_weights_elsewhere_is_refused(net, tmp_path):
    model = onnx.load(net)
    tensor = model.graph.initializer[0]
    onnx.external_data_helper.set_external_data(tensor, location="../../../etc/passwd")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    net.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=r"mine\.onnx: it keeps weights in other files"):
        import_model(net, out=tmp_path / "out", classes=CLASSES)


def test_an_onnx_net_that_does_not_run_is_named_not_its_copy(net, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = onnx.load(net)
    tensor = model.graph.initializer.pop()
    onnx.external_data_helper.set_external_data(tensor, location="weights.bin")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    (tmp_path / "weights.bin").write_bytes(bytes(36))
    model.graph.node.insert(0, helper.make_node("Constant", [], [tensor.name], value=tensor))
    net.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=r"mine\.onnx: not an ONNX model"):
        import_model(net, out=tmp_path / "out", classes=CLASSES)


def test_an_invalid_onnx_net_is_refused(net, tmp_path):
    model = onnx.load(net)
    model.graph.node.append(helper.make_node("Relu", ["nowhere"], ["end"]))
    net.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=r"mine\.onnx: not a valid ONNX net"):
        import_model(net, out=tmp_path / "out", classes=CLASSES)


def test_a_description_that_cannot_be_read_is_named(net, tmp_path):
    net.with_suffix(".toml").write_text("classes = [")
    with pytest.raises(OptionError, match=r"mine\.toml"):
        import_model(net, out=tmp_path / "out")
