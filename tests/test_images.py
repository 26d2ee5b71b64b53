"""Photos of every kind become the same upright RGB array; what is no photo is named."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from groupemo.errors import PhotoError
from groupemo.images import MAX_PIXELS, Photo, digest, find_photos, read_photo

RED, GREEN, BLUE, WHITE = [255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]

# R G B
# W K Y        a 3 x 2 picture in which no turn or flip looks like another
FLAG = np.array([[RED, GREEN, BLUE], [WHITE, [0, 0, 0], [255, 255, 0]]], np.uint8)
BIG = FLAG.repeat(16, axis=0).repeat(16, axis=1)  # blocks, for codecs that lose detail


def encode(picture, kind="PNG", **options):
    if isinstance(picture, np.ndarray):
        picture = Image.fromarray(picture)
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def blocks(image):
    """Return the middle pixel of each of the six blocks of BIG."""
    return image[8::16, 8::16].astype(int)


# --- kinds of picture ---


@pytest.mark.parametrize(
    ("side", "shape"), [(None, (32, 48)), (25, (32, 48)), (24, (16, 24)), (7, (8, 12)), (1, (4, 6))]
)
def test_a_jpeg_may_come_smaller_but_never_too_small(side, shape):
    photo = Photo("a", encode(BIG, "JPEG", quality=95))
    assert photo.decode(photo.load(), side=side).shape[:2] == shape


@pytest.mark.parametrize("height", [2, 31, 33, 35])
def test_an_odd_shorter_side_does_not_keep_a_jpeg_large(height):
    photo = Photo("a", encode(np.zeros((height, 35, 3), np.uint8), "JPEG"))
    assert photo.decode(photo.load(), side=17).shape[:2] == (-(-height // 2), 18)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP"])
def test_lossless_kinds(kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    image = read_photo(encode(FLAG, kind, **options))
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, FLAG)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "HEIF"])
def test_lossy_kinds(kind):
    if kind == "HEIF":
        pytest.importorskip(
            "pillow_heif", reason="HEIC needs groupemo[heic]"
        ).register_heif_opener()
    image = read_photo(encode(BIG, kind, quality=95))
    assert np.abs(blocks(image) - blocks(BIG)).max() < 40


# EXIF orientation -> what is stored, so that the picture shown is FLAG
STORED = {
    1: FLAG,
    2: FLAG[:, ::-1],
    3: FLAG[::-1, ::-1],
    4: FLAG[::-1],
    5: FLAG.transpose(1, 0, 2),
    6: np.rot90(FLAG, 1),
    7: FLAG[::-1, ::-1].transpose(1, 0, 2),
    8: np.rot90(FLAG, -1),
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_photos_are_turned_upright(kind, orientation):
    stored = STORED[orientation]
    stored = stored if kind != "JPEG" else stored.repeat(16, axis=0).repeat(16, axis=1)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(np.ascontiguousarray(stored), kind, exif=exif)
    image = read_photo(data)
    assert Photo("flag", data).size(data) == image.shape[1::-1]
    if kind == "JPEG":
        assert np.abs(blocks(image) - blocks(BIG)).max() < 60
    else:
        np.testing.assert_array_equal(image, FLAG)


def test_gray():
    gray = np.array([[0, 100, 255]], np.uint8)
    expected = gray[..., None].repeat(3, axis=2)
    for kind in ("PNG", "TIFF", "BMP"):
        np.testing.assert_array_equal(read_photo(encode(gray, kind)), expected)
    np.testing.assert_array_equal(read_photo(gray), expected)


def test_black_and_white():
    picture = Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1")
    assert read_photo(encode(picture)).tolist() == [[[0, 0, 0], WHITE]]


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_gray_of_16_bits_keeps_its_range(kind):
    gray = np.array([[0, 257, 32896, 65535]], np.uint16)
    assert read_photo(encode(gray, kind))[0, :, 0].tolist() == [0, 1, 128, 255]


def png_rgb16(pixels):
    """A PNG of 16 bits a channel, which Pillow reads and cannot write."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def test_rgb_of_16_bits_keeps_its_range():
    image = read_photo(png_rgb16(FLAG.astype(np.uint16) * 257))
    np.testing.assert_array_equal(image, FLAG)


def test_cmyk():
    for kind in ("TIFF", "JPEG"):
        image = read_photo(encode(Image.fromarray(BIG).convert("CMYK"), kind))
        assert np.abs(blocks(image) - blocks(BIG)).max() < 60


def test_transparent_parts_are_white():
    pixels = np.array([[[255, 0, 0, 255], [255, 0, 0, 0], [0, 0, 0, 128]]], np.uint8)
    for image in (read_photo(encode(pixels)), read_photo(pixels)):
        np.testing.assert_allclose(image, [[RED, WHITE, [127, 127, 127]]], atol=1)


def test_gray_with_alpha():
    pixels = np.array([[[0, 255], [0, 0]]], np.uint8)
    image = read_photo(encode(Image.fromarray(pixels, "LA")))
    assert image.tolist() == [[[0, 0, 0], WHITE]]


def test_a_palette_with_a_transparent_colour():
    picture = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "P")
    picture.putpalette([*RED, *GREEN, *BLUE])
    assert read_photo(encode(picture)).tolist() == [[RED, GREEN, BLUE]]
    assert read_photo(encode(picture, transparency=1)).tolist() == [[RED, WHITE, BLUE]]


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_of_an_animation_the_first_picture(kind):
    still, moved = Image.fromarray(FLAG), Image.fromarray(FLAG[:, ::-1])
    options = {"lossless": True} if kind == "WEBP" else {}
    image = read_photo(encode(still, kind, save_all=True, append_images=[moved], **options))
    np.testing.assert_array_equal(image, FLAG)


def test_one_pixel():
    assert read_photo(encode(np.array([[RED]], np.uint8))).tolist() == [[RED]]


def test_wide_gamut_values_are_left_alone():
    assert read_photo(encode(FLAG, icc_profile=b"not a profile")).tolist() == FLAG.tolist()


# --- where a photo may come from ---


def test_paths_bytes_files_and_arrays_are_the_same_photo(tmp_path):
    path = tmp_path / "flag.png"
    path.write_bytes(encode(FLAG))
    with open(path, "rb") as file:
        read = [read_photo(each) for each in (path, str(path), path.read_bytes(), file, FLAG)]
    for image in read:
        np.testing.assert_array_equal(image, FLAG)
        assert image.flags.c_contiguous


def test_an_array_of_any_layout():
    flipped = FLAG[:, ::-1]
    image = read_photo(flipped)
    np.testing.assert_array_equal(image, flipped)
    assert image.flags.c_contiguous


def test_the_digest_is_of_bytes_or_of_shape_and_pixels():
    zeros = np.zeros((2, 3, 3), np.uint8)
    assert digest(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert digest(zeros) != digest(zeros.reshape(3, 2, 3))
    assert digest(FLAG[:, ::-1]) == digest(FLAG[:, ::-1].copy()) != digest(FLAG)


# --- what is refused, by name ---


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((2, 2), np.float32), "expected uint8"),
        (np.zeros((2, 2, 2), np.uint8), r"shape \(2, 2, 2\)"),
        (np.zeros((0, 2, 3), np.uint8), "not empty"),
        (np.zeros(4, np.uint8), r"\(h, w, 3\)"),
        (np.zeros((1, 2, 2, 3), np.uint8), r"\(h, w, 3\)"),
    ],
)
def test_other_arrays(array, reason):
    with pytest.raises(PhotoError, match=f"image-0.*{reason}"):
        read_photo(array)


@pytest.mark.parametrize("thing", [None, 5, object()], ids=["None", "int", "object"])
def test_other_things(thing):
    with pytest.raises(PhotoError, match="expected a path, bytes"):
        read_photo(thing)


def test_a_file_opened_as_text(tmp_path):
    (tmp_path / "a.png").write_text("hello")
    with open(tmp_path / "a.png") as file, pytest.raises(PhotoError, match=r"a\.png.*binary"):
        read_photo(file)


@pytest.mark.parametrize("name", ["no/such.jpg", "a\0b.jpg", "x" * 300 + ".jpg"])
def test_no_such_file(name):
    with pytest.raises(PhotoError, match="cannot be read"):
        read_photo(name)


@pytest.mark.parametrize("cut", [0.5, 0.9, 0.99])
def test_a_picture_cut_off(cut):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for kind in ("JPEG", "PNG"):
        whole = encode(noise, kind)
        with pytest.raises(PhotoError, match=r"image-0: .*(cut off|not a picture)"):
            read_photo(whole[: int(len(whole) * cut)])


def test_floating_point_pixels():
    with pytest.raises(PhotoError, match="floating-point"):
        read_photo(encode(np.zeros((2, 2), np.float32), "TIFF"))


def test_the_limit_can_be_lowered_and_raised():
    data = encode(FLAG)
    with pytest.raises(PhotoError, match=r"3 x 2 pixels is over the limit of 5 pixels; raise"):
        read_photo(data, max_pixels=5)
    assert read_photo(data, max_pixels=6).shape == (2, 3, 3)


def test_pillows_own_limit_is_neither_met_nor_changed(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2)
    for kind in ("PNG", "JPEG", "TIFF", "WEBP"):
        assert read_photo(encode(FLAG, kind)).shape == (2, 3, 3)
    assert Image.MAX_IMAGE_PIXELS == 2


def test_the_limit_stands_at_a_hundred_million():
    assert MAX_PIXELS == 100_000_000


# --- finding photos ---


@pytest.fixture
def folder(tmp_path):
    for name in ("b.PNG", "a.png", "sub/c.jpeg", "notes.txt", ".hidden.png", ".cache/d.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encode(FLAG))
    return tmp_path


def names(photos):
    return [photo.name for photo in find_photos(photos)]


def test_a_folder_is_every_picture_below_it(folder):
    assert names(folder) == names(str(folder)) == ["a.png", "b.PNG", "sub/c.jpeg"]


def test_a_glob(folder):
    assert names(f"{folder}/*.png") == ["a.png"]
    assert names(f"{folder}/**/c.*") == ["c.jpeg"]
    with pytest.raises(PhotoError, match=r"no photos in .*\*\.gif"):
        find_photos(f"{folder}/*.gif")


def test_a_file_whose_name_looks_like_a_glob(tmp_path):
    (tmp_path / "party[1].png").write_bytes(encode(FLAG))
    assert names(tmp_path / "party[1].png") == ["party[1].png"]


def test_a_file_whose_name_looks_like_a_home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "~nobody-of-that-name.png").write_bytes(encode(FLAG))
    assert names("~nobody-of-that-name.png") == ["~nobody-of-that-name.png"]
    assert read_photo("~nobody-of-that-name.png").shape == FLAG.shape


def test_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "flag.png").write_bytes(encode(FLAG))
    assert read_photo("~/flag.png").shape == FLAG.shape


def test_a_list_of_anything_keeps_its_order(folder):
    given = [FLAG, folder / "sub", str(folder / "a.png"), encode(FLAG), Photo("mine", FLAG)]
    assert names(given) == ["image-0", "c.jpeg", "a.png", "image-3", "mine"]
    assert names(each for each in given) == names(given)


def test_a_missing_file_in_a_list_is_kept_for_its_row(folder):
    assert names([folder / "a.png", folder / "gone.png"]) == ["a.png", "gone.png"]


@pytest.mark.parametrize("gone", ["gone.png", ["gone.png", "lost.png"]])
def test_nothing_there_at_all(gone):
    with pytest.raises(PhotoError, match=r"no such file or folder: gone\.png"):
        find_photos(gone)


def test_no_photos_given():
    with pytest.raises(PhotoError, match="no photos given"):
        find_photos([])


def test_an_empty_folder(tmp_path):
    with pytest.raises(PhotoError, match=f"no photos in {tmp_path}: expected .*\\.jpg"):
        find_photos(tmp_path)


def test_two_photos_of_one_name(folder):
    (folder / "sub" / "a.png").write_bytes(encode(FLAG))
    assert names(folder) == ["a.png", "b.PNG", "sub/a.png", "sub/c.jpeg"]
    with pytest.raises(PhotoError, match=r"two photos are named 'a\.png'.*folder above"):
        find_photos([folder / "a.png", folder / "sub" / "a.png"])


@pytest.mark.skipif(os.name == "nt", reason="symbolic links")
def test_a_ring_of_folders_ends(folder):
    (folder / "sub" / "up").symlink_to(folder)
    assert names(folder) == ["a.png", "b.PNG", "sub/c.jpeg"]


# --- what is no ordinary file ---


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_no_file_is_refused_and_not_read(tmp_path, kind):
    path = tmp_path / "photo.jpg"
    if kind == "pipe":
        os.mkfifo(path)  # reading would wait for ever
    elif kind == "device":
        path.symlink_to("/dev/zero")  # reading would fill the memory
    else:
        path.mkdir()
    with pytest.raises(PhotoError, match="not a file"):
        read_photo(path)


def test_a_name_too_long_for_a_file_is_a_missing_photo():
    with pytest.raises(PhotoError, match="no such file"):
        find_photos("x" * 300 + ".jpg")


def test_an_empty_path_is_not_the_current_folder():
    with pytest.raises(PhotoError, match="an empty path"):
        find_photos("")


def test_the_same_file_twice_says_so(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(encode(FLAG))
    with pytest.raises(PhotoError, match="given 2 times"):
        find_photos([path, str(path)])


def test_a_closed_file():
    file = io.BytesIO(encode(FLAG))
    file.close()
    with pytest.raises(PhotoError, match="closed"):
        read_photo(file)


def test_a_picture_opened_as_text(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(encode(FLAG))
    with open(path, encoding="utf-8") as file, pytest.raises(PhotoError, match="'rb'"):
        read_photo(file)


def test_a_program_for_a_printer_is_no_picture():
    with pytest.raises(PhotoError, match="not a picture"):
        read_photo(encode(BIG, "EPS"))


def test_the_first_picture_of_a_gif():
    moving = encode(BIG, "GIF", save_all=True, append_images=[Image.fromarray(BIG[::-1])])
    assert np.abs(blocks(read_photo(moving)) - blocks(BIG)).max() < 40


def test_an_array_stays_the_callers():
    pixels = np.zeros((4, 4, 3), np.uint8)
    with pytest.raises(ValueError, match="read-only"):
        read_photo(pixels)[:] = 1
    pixels[:] = 2  # still theirs to write


@pytest.mark.parametrize("made", [True, False])
def test_messages_can_be_written_whatever_the_name(tmp_path, made):
    path = tmp_path / os.fsdecode(b"\xff.jpg")  # Latin-1 on a UTF-8 disk
    if made:
        path.write_bytes(b"no picture")
    with pytest.raises(PhotoError) as caught:
        read_photo(path)
    assert b"\\xff.jpg" in str(caught.value).encode()
