"""What augmentation does to faces: as strong as is said, and decided by the seed."""

from dataclasses import fields, replace

import pytest

pytest.importorskip("torch", reason="needs groupemo[train]")
pytest.importorskip("kornia", reason="needs groupemo[train]")
import torch

from groupemo.training.augmentation import Augment, Augmentation, Jpeg

NONE = Augmentation(**{one.name: 0.0 for one in fields(Augmentation)})


def smooth(n=64, side=24, channels=1):
    """Return faces brighter to the right and below."""
    line = torch.linspace(0.2, 0.8, side)
    return (line[:, None] * 0.3 + line * 0.7).expand(n, channels, side, side).clone()


def test_no_strength_changes_nothing():
    assert torch.equal(Augment(NONE, 24)(smooth()), smooth())


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", [one.name for one in fields(Augmentation)])
def test_each_strength_changes_faces_and_keeps_them_faces(name, channels):
    torch.manual_seed(1)
    given = smooth(channels=channels)
    changed = Augment(replace(NONE, **{name: getattr(Augmentation(), name)}), 24)(given)
    assert changed.shape == given.shape
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert (changed != given).any()


def test_the_seed_decides():
    augment = Augment(Augmentation(), 24)
    torch.manual_seed(3)
    one = augment(smooth())
    torch.manual_seed(3)
    same = augment(smooth())
    torch.manual_seed(4)
    other = augment(smooth())
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_chances_are_of_faces():
    torch.manual_seed(0)
    changed = Augment(replace(NONE, flip=0.25), 24)(smooth(4000))
    flipped = (changed == smooth(4000).flip(3)).flatten(1).all(1)
    kept = (changed == smooth(4000)).flatten(1).all(1)
    assert (flipped | kept).all()
    assert flipped.float().mean() == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize("name", ["low_resolution", "jpeg"])
def test_faces_that_are_not_chosen_are_untouched(name):
    torch.manual_seed(0)
    faces = torch.rand(400, 1, 24, 24)
    same = (Augment(replace(NONE, **{name: 0.3}), 24)(faces) == faces).flatten(1).all(1)
    assert same.float().mean() == pytest.approx(0.7, abs=0.08)


def test_faces_move_no_further_than_is_said():
    torch.manual_seed(0)
    dot = torch.zeros(500, 1, 25, 25)
    dot[:, :, 12, 12] = 1
    moved = Augment(replace(NONE, shift=0.2), 25)(dot)
    rows = torch.nonzero(moved)[:, 2:] - 12
    assert 3 <= rows.abs().max() <= 0.2 * 25 + 1


def test_jpeg_of_a_gray_face_is_gray_and_near():
    lost = Jpeg()(smooth(8, 48))
    assert lost.shape == (8, 1, 48, 48)
    assert 0 < (lost - smooth(8, 48)).abs().mean() < 0.03


def test_erased_parts_are_black():
    torch.manual_seed(0)
    changed = Augment(replace(NONE, erasing=1.0), 24)(smooth())
    share = (changed == 0).float().mean((1, 2, 3))
    assert (share > 0.01).all()
    assert (share < 0.3).all()
