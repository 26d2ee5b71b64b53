"""The nets by name: layers as published, counted; any size of face they can take."""

import pytest

pytest.importorskip("torch", reason="needs groupemo[train]")
import torch
from torch import nn

from groupemo.errors import OptionError
from groupemo.training.architectures import ARCHITECTURES, DropPath, Normalize, SamePool, build


def numbers(net, *, statistics):
    """Count parameters, as Keras does with the running statistics of norms."""
    counted = sum(each.numel() for each in net.parameters())
    running = (each for name, each in net.named_buffers() if "running" in name)
    return counted + statistics * sum(each.numel() for each in running)


@pytest.mark.parametrize(
    ("name", "side", "count"),
    [
        ("fer2013-cnn", 48, 5_905_863),
        ("mini-xception", 64, 58_423),
        ("mini-xception", 48, 58_423),
        ("deepface", 48, 1_485_831),
    ],
)
def test_published_nets_have_the_published_parameters(name, side, count):
    assert numbers(build(name, side=side, channels=1), statistics=True) == count


def test_the_own_net_counts_what_its_layers_do():
    def block(inner, outer):
        squeezed = outer // 8
        convolutions = 9 * inner * outer + 9 * outer**2 + 4 * outer
        excitation = 2 * squeezed * outer + squeezed + outer
        shortcut = 0 if inner == outer else inner * outer + 2 * outer
        return convolutions + excitation + shortcut

    blocks = [(24, 24), (24, 48), (48, 48), (48, 96), (96, 96), (96, 192), (192, 192)]
    count = 9 * 24 + 2 * 24 + sum(block(*sizes) for sizes in blocks) + 192 * 7 + 7
    assert numbers(build("groupemo", side=48, channels=1), statistics=False) == count


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_side_from_the_least_on_gives_logits(name, channels):
    least = ARCHITECTURES[name].least_side
    for side in (least, least + 1, 48, 61):
        net = build(name, side=side, channels=channels, classes=5).eval()
        assert net(torch.rand(2, channels, side, side)).shape == (2, 5)


@pytest.mark.parametrize("name", ["fer2013-cnn", "mini-xception", "deepface"])
def test_a_smaller_face_is_refused(name):
    least = ARCHITECTURES[name].least_side
    with pytest.raises(OptionError, match=f"side of {least - 1}: {name} needs {least} or more"):
        build(name, side=least - 1, channels=1)


def test_the_first_layer_takes_the_mean_off_and_keeps_it():
    net = build("groupemo", side=16, channels=1, mean=0.4, std=0.2, width=0.4)
    assert isinstance(net[0], Normalize)
    assert net[0](torch.tensor([0.4, 0.8])).tolist() == pytest.approx([0, 2])
    other = build("groupemo", side=16, channels=1, width=0.4)
    other.load_state_dict(net.state_dict())
    assert other[0].mean == torch.tensor(0.4)


def test_width_and_dropouts_are_options_of_the_own_net():
    net = build("groupemo", side=16, channels=1, width=0.5, dropout=0.4, drop_path=0.2)
    assert net[1][0].out_channels == 16  # 24 * 0.5, to a multiple of 8
    assert [each.p for each in net.modules() if isinstance(each, nn.Dropout)] == [0.4]
    chances = [each.chance for each in net.modules() if isinstance(each, DropPath)]
    assert chances == pytest.approx([0.05, 0.1, 0.1, 0.15, 0.15, 0.2, 0.2])


def test_unknown_names_and_options_are_refused():
    with pytest.raises(OptionError, match="architecture is 'vgg': expected one of"):
        build("vgg", side=48, channels=1)
    with pytest.raises(OptionError, match=r"dropout is 0\.1, but deepface has no options"):
        build("deepface", side=48, channels=1, dropout=0.1)
    with pytest.raises(OptionError, match="std is 0"):
        build("groupemo", side=48, channels=1, std=0)


@pytest.mark.parametrize(("side", "first"), [(6, [2, 4, 5]), (5, [1, 3, 4])])
def test_pooling_pads_as_keras_does(side, first):
    rising = torch.arange(float(side)).expand(1, 1, side, side)
    assert SamePool()(rising)[0, 0, 0].tolist() == first


def test_a_dropped_path_keeps_the_mean_and_is_whole():
    torch.manual_seed(0)
    drop = DropPath(0.25)
    kept = drop(torch.ones(4000, 1, 2, 2))
    assert kept.unique().tolist() == pytest.approx([0, 4 / 3])
    assert kept.mean() == pytest.approx(1, abs=0.05)
    assert torch.equal(kept.amax((1, 2, 3)), kept.amin((1, 2, 3)))
    assert torch.equal(drop.eval()(torch.ones(2, 1, 2, 2)), torch.ones(2, 1, 2, 2))
