"""Pictures for the labeller: the right pixels, nothing of the file's own, each made once."""

import io
import struct
import threading
import time
import zlib

import numpy as np
import pytest
from PIL import Image

from groupemo.errors import OptionError, PhotoError
from groupemo.images import Photo, digest
from groupemo.labeller.pictures import Pictures, Shelf

# A photo of 400 x 200: red, green, blue, white quarters of 100, lying on its side in the file
STRIPES = np.repeat(np.repeat(np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255] * 3]],
                    np.uint8), 100, axis=1), 200, axis=0)  # fmt: skip
PLACE = "40.446 N 79.982 W"


def turned_jpeg():
    """Return the stripes as a camera stores them that was held upright, with where it was."""
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to the right
    exif[0x010E] = PLACE
    buffer = io.BytesIO()
    stored = Image.fromarray(np.ascontiguousarray(np.rot90(STRIPES, 1)))
    stored.save(buffer, "JPEG", exif=exif, quality=95, comment=PLACE.encode())
    return buffer.getvalue()


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(turned_jpeg())
    return Photo("a.jpg", path)


def name(photo):
    return digest(photo.load())[:16]


@pytest.fixture
def pictures(photo):
    return Pictures({name(photo): photo})


def pixels(picture):
    return np.asarray(Image.open(io.BytesIO(picture))).astype(int)


def same_color(pixel, color):
    return np.abs(pixel - np.array(color)).max() < 40


# --- what is seen ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "shape"), [(400, (200, 400)), (4000, (200, 400)), (100, (50, 100)), (16, (8, 16))]
)
def test_a_photo_is_upright_and_no_larger_than_asked(photo, pictures, side, shape):
    seen = pixels(pictures.photo(name(photo), side))
    assert seen.shape == (*shape, 3)
    assert same_color(seen[shape[0] // 2, shape[1] // 8], [255, 0, 0])
    assert same_color(seen[shape[0] // 2, shape[1] * 5 // 8], [0, 0, 255])


def test_nothing_of_the_file_but_its_pixels_is_served(photo, pictures):
    assert PLACE.encode() in photo.load()
    one = name(photo)
    for picture in (pictures.photo(one, 400), pictures.face(one, [10, 10, 60, 60], 64)):
        assert PLACE.encode() not in picture
        assert b"Exif" not in picture
        assert not Image.open(io.BytesIO(picture)).getexif()


def test_a_face_has_half_a_box_around_it(photo, pictures):
    # the box is the green quarter but for its edges: half a box more reaches red and blue
    seen = pixels(pictures.face(name(photo), [110, 60, 190, 140], 160))
    assert seen.shape == (160, 160, 3)
    assert same_color(seen[80, 80], [0, 255, 0])
    assert same_color(seen[80, 10], [255, 0, 0])
    assert same_color(seen[80, 150], [0, 0, 255])


def test_a_face_at_the_edge_ends_there(photo, pictures):
    # x from 0 (not -20) to 60, y from 180 - 10 to 200 (not 210)
    seen = pixels(pictures.face(name(photo), [0, 180, 40, 200], 120))
    assert seen.shape == (60, 120, 3)


@pytest.mark.parametrize("box", [[500, 10, 600, 60], [10, 10, 10, 10], [60, 60, 10, 10]])
def test_a_box_without_a_pixel_is_refused(photo, pictures, box):
    with pytest.raises(OptionError, match=r"holds no pixel of a photo of 400 x 200"):
        pictures.face(name(photo), box, 64)


def test_a_thin_photo_keeps_a_pixel(tmp_path):
    line = Photo("line", np.zeros((2, 900, 3), np.uint8))
    assert pixels(Pictures({name(line): line}).photo(name(line), 16)).shape == (1, 16, 3)


# --- what is refused -------------------------------------------------------------------------


def bomb():
    """Return a PNG of a few bytes that says it has 900 million pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))  # noqa: E501  # fmt: skip

    head = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 99))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (bomb(), "over the limit of 100,000,000 pixels"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>", "not a picture"),
        (b"<html><script>alert(1)</script>", "not a picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n(evil) run", "not a picture"),
        (turned_jpeg()[:2000], "cut off or damaged"),
        (b"", "empty"),
    ],
)
def test_what_is_no_photo_is_named_and_not_decoded(tmp_path, data, reason):
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    photo = Photo("a.jpg", path)
    pictures = Pictures({name(photo): photo})
    for ask in (pictures.photo, lambda one, side: pictures.face(one, [0, 0, 9, 9], side)):
        with pytest.raises(PhotoError, match=reason):
            ask(name(photo), 64)


def test_a_file_that_changed_is_not_served_under_its_old_name(photo, pictures):
    before = name(photo)
    photo.path.write_bytes(turned_jpeg() + b"more")
    with pytest.raises(PhotoError, match=r"a\.jpg: the file has changed"):
        pictures.photo(before, 64)


def test_an_unknown_photo(pictures):
    with pytest.raises(KeyError):
        pictures.photo("../../etc/passwd", 64)


# --- made once, and in good time -------------------------------------------------------------


class Counting(Photo):
    """A photo that counts how often it is decoded."""

    def __init__(self, *args):
        super().__init__(*args)
        object.__setattr__(self, "decoded", [])

    def decode(self, data, **options):
        self.decoded.append(options["side"])
        return super().decode(data, **options)


def test_faces_wait_decoded_once_the_photo_was_seen(photo):
    counting = Counting(photo.name, photo.path)
    pictures = Pictures({name(photo): counting})
    pictures.photo(name(photo), 100)
    wait_until(lambda: counting.decoded == [100, None])
    pictures.face(name(photo), [0, 0, 50, 50], 64)
    pictures.photo(name(photo), 100)
    pictures.photo(name(photo), 200)
    assert counting.decoded == [100, None]


def test_many_threads_one_decoding(photo):
    counting = Counting(photo.name, photo.path)
    pictures = Pictures({name(photo): counting})
    ask = [
        threading.Thread(target=pictures.face, args=(name(photo), [i, 0, i + 50, 50], 64))
        for i in range(16)
    ]
    for thread in ask:
        thread.start()
    for thread in ask:
        thread.join()
    assert counting.decoded == [None]


def wait_until(true):
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# --- the shelf -------------------------------------------------------------------------------


def test_the_shelf_keeps_what_was_used_last():
    shelf = Shelf(room=30)
    for key in "abc":
        shelf.get(key, lambda: bytes(10))
    shelf.get("a", lambda: pytest.fail("a is there"))
    shelf.get("d", lambda: bytes(10))
    assert [key in shelf for key in "abcd"] == [True, False, True, True]


def test_the_shelf_keeps_the_newest_however_large():
    shelf = Shelf(room=30)
    shelf.get("a", lambda: bytes(10))
    shelf.get("b", lambda: np.zeros((10, 10), np.uint8))
    assert [key in shelf for key in "ab"] == [False, True]
    shelf.get("c", lambda: bytes(10))
    shelf.get("d", lambda: bytes(20))
    assert [key in shelf for key in "abcd"] == [False, False, True, True]


def test_the_shelf_keeps_no_failure():
    shelf = Shelf(room=30)
    with pytest.raises(ZeroDivisionError):
        shelf.get("a", lambda: 1 / 0)
    assert "a" not in shelf
    assert shelf.find("a") is None
    assert shelf.get("a", lambda: b"now") == shelf.find("a") == b"now"
