"""Labels of other tools: files written out by hand, their faults, and the way there and back."""

import json

import numpy as np
import pytest
from PIL import Image

from groupemo.emotions import EMOTIONS
from groupemo.errors import LabelError, OptionError, OutputError, PhotoError
from groupemo.label_formats import export_labels, import_labels
from groupemo.labels import IGNORE, UNSURE, LabelledFaces, Labels

HAPPY, SAD = EMOTIONS.index("happy"), EMOTIONS.index("sad")


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    for name, size in {"a.jpg": (200, 100), "b.png": (64, 48), "sub/c.jpg": (30, 40)}.items():
        Image.new("RGB", size).save(folder / name)
    return folder


@pytest.fixture
def labels():
    return Labels(
        {
            "a.jpg": LabelledFaces(
                [[20, 10, 60, 50.5], [100, 20, 130, 60], [0, 0, 9, 9]], [HAPPY, UNSURE, IGNORE]
            ),
            "b.png": LabelledFaces.empty(),
            "sub/c.jpg": LabelledFaces([[0.1, 0.7, 20.3, 30.9]], [SAD]),
        }
    )


def assert_same(a, b):
    assert sorted(a) == sorted(b)
    for name in a:
        np.testing.assert_allclose(a[name].boxes, b[name].boxes, atol=2e-5)
        np.testing.assert_array_equal(a[name].labels, b[name].labels)


def write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
    return path


# --- COCO ---


def coco(**changes):
    return {
        "images": [{"id": 7, "file_name": "a.jpg"}, {"id": 9, "file_name": "empty.jpg"}],
        "categories": [{"id": 3, "name": "Happiness"}, {"id": 4, "name": "contempt"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 3, "bbox": [10, 20, 30, 40.5]},
            {"id": 2, "image_id": 7, "category_id": 3, "bbox": [0, 0, 5, 5], "iscrowd": 1},
        ],
        **changes,
    }


def annotation(**changes):
    return {"annotations": [{"image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4], **changes}]}


def test_coco_is_read(tmp_path):
    labels = import_labels(write(tmp_path / "coco.json", coco()), format="coco")
    assert labels["a.jpg"].boxes.tolist() == [[10, 20, 40, 60.5], [0, 0, 5, 5]]
    assert labels["a.jpg"].labels.tolist() == [HAPPY, IGNORE]
    assert len(labels["empty.jpg"]) == 0


def test_coco_contempt_follows_the_rule(tmp_path):
    path = write(tmp_path / "coco.json", coco(**annotation(category_id=4)))
    assert import_labels(path, format="coco", contempt="drop")["a.jpg"].labels.tolist() == [UNSURE]
    with pytest.raises(LabelError, match=r"categories\[1\]: 'contempt' has no class"):
        import_labels(path, format="coco")


def test_coco_there_and_back(labels, photos, tmp_path):
    plain = export_labels(labels, tmp_path / "plain.json", format="coco")
    sized = export_labels(labels, tmp_path / "sized.json", format="coco", photos=photos)
    for path in (plain, sized):
        back = import_labels(path, format="coco")
        assert_same(back, labels)
        for name in labels:
            np.testing.assert_array_equal(back[name].boxes, labels[name].boxes)
    images = json.loads(sized.read_text())["images"]
    assert images[0] == {"id": 1, "file_name": "a.jpg", "width": 200, "height": 100}


def test_coco_written_here_is_read_by_pycocotools(labels, tmp_path, capsys):
    from pycocotools.coco import COCO

    data = COCO(export_labels(labels, tmp_path / "coco.json", format="coco"))
    ids = data.getAnnIds(imgIds=[1], iscrowd=False)
    words = [data.loadCats(item["category_id"])[0]["name"] for item in data.loadAnns(ids)]
    assert words == ["happy", "unsure"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("{", r"not JSON: .*line 1 column 2"),
        ("[]", r"coco\.json: no 'categories'"),
        ("[" * 100_000, r"not JSON"),
        ('["\\ud800.jpg"]', r"not JSON: .*surrogates"),
        (coco(images=None), r"coco\.json: no 'images'"),
        (coco(images=[{"id": 7}]), r"images\[0\]: no 'file_name'"),
        (coco(images=["a.jpg"]), r"images\[0\]: 'a\.jpg': expected an object"),
        (coco(annotations=[5]), r"annotations\[0\]: 5: expected an object"),
        (coco(annotations=[{}]), r"annotations\[0\]: no 'image_id'"),
        (coco(**annotation(image_id=8)), r"annotations\[0\]: no image 8"),
        (coco(**annotation(category_id=8)), r"annotations\[0\]: .*no category 8"),
        (coco(**annotation(bbox=None)), r"annotations\[0\]: no 'bbox'"),
        (coco(**annotation(bbox=[1, 2, 3])), r"annotations\[0\]: \[1, 2, 3\] is no box"),
        (coco(**annotation(bbox=[1, 2, 3, 0])), r"annotations\[0\]: \[1, 2, 3, 0\] is no box"),
        (coco(**annotation(bbox=[1, 2, 3, "w"])), r"annotations\[0\]: 'w' is not a finite number"),
        (coco(**annotation(bbox=[1, 2, 3, True])), r"annotations\[0\]: True is not a finite"),
        (coco(**annotation(bbox=[1, 2, 3, 1e999])), r"annotations\[0\]: inf is not a finite"),
        (coco(**annotation(bbox=[1e30, 0, 3, 3])), r"boxes\[0\] is"),
        (coco(**annotation(bbox=[1e300, 0, 3, 3])), r"boxes\[0\] is"),
        (coco(**annotation(bbox=[10**400, 0, 3, 3])), r"annotations\[0\]: .* is not a finite"),
        ('{"images": ' + "9" * 5000 + "}", r"not JSON"),
        (coco(categories=[{"id": 3, "name": "hapy"}]), r"categories\[0\]: .*mean 'happy'"),
        (coco(annotations=annotation()["annotations"] * 2), r"a\.jpg: .* twice"),
    ],
)
def test_coco_faults_are_named_with_their_place(tmp_path, data, message):
    path = write(tmp_path / "coco.json", data)
    with pytest.raises(LabelError, match=rf"coco\.json.*{message}|{message}"):
        import_labels(path, format="coco")


# --- YOLO ---


@pytest.fixture
def yolo(tmp_path):
    folder = tmp_path / "yolo"
    write(folder / "classes.txt", "joy\nignore\n")
    write(folder / "a.txt", "0 0.5 0.5 0.1 0.2\n1 0.25 0.25 0.5 0.5\n")
    write(folder / "sub" / "c.txt", "")
    return folder


def test_yolo_is_read(yolo, photos):
    labels = import_labels(yolo, format="yolo", photos=photos)
    assert list(labels) == ["a.jpg", "sub/c.jpg"]
    np.testing.assert_allclose(labels["a.jpg"].boxes, [[90, 40, 110, 60], [0, 0, 100, 50]])
    assert labels["a.jpg"].labels.tolist() == [HAPPY, IGNORE]
    assert len(labels["sub/c.jpg"]) == 0


def test_yolo_there_and_back(labels, photos, tmp_path):
    folder = export_labels(labels, tmp_path / "yolo", format="yolo", photos=photos)
    assert_same(import_labels(folder, format="yolo", photos=photos), labels)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "0 0.5 0.5 0.1", r"a\.txt, line 1: 4 numbers, expected class"),
        (
            "a.txt",
            "0 .5 .5 .1 .1\n2 .5 .5 .1 .1",
            r"a\.txt, line 2: class '2', but classes\.txt has 2",
        ),
        ("a.txt", "-1 .5 .5 .1 .1", r"a\.txt, line 1: class '-1'"),
        ("a.txt", "0 .5 x .1 .1", r"a\.txt, line 1: 'x' is not a finite number"),
        ("a.txt", "0 .5 nan .1 .1", r"a\.txt, line 1: 'nan' is not a finite number"),
        ("a.txt", "0 .5 .5 0 .1", r"a\.txt, line 1: .* is no box"),
        ("a.txt", "0 50 .5 .1 .1", r"a\.txt, line 1: .*expected fractions from 0 to 1"),
        ("d.txt", "", r"d\.txt: there is no photo named d among 3"),
        ("classes.txt", "joy\nhapy", r"classes\.txt, line 2: .*mean 'happy'"),
        ("classes.txt", "", r"classes\.txt: the file is empty"),
    ],
)
def test_yolo_faults_are_named_with_their_place(yolo, photos, name, text, message):
    write(yolo / name, text)
    with pytest.raises(LabelError, match=message):
        import_labels(yolo, format="yolo", photos=photos)


def test_yolo_needs_photos_and_classes(yolo, photos, labels, tmp_path):
    with pytest.raises(OptionError, match="photos=FOLDER"):
        import_labels(yolo, format="yolo")
    with pytest.raises(PhotoError):
        import_labels(yolo, format="yolo", photos=tmp_path / "none")
    (yolo / "classes.txt").unlink()
    with pytest.raises(LabelError, match=r"classes\.txt: cannot read"):
        import_labels(yolo, format="yolo", photos=photos)


def test_yolo_cannot_tell_photos_of_one_stem_apart(yolo, photos):
    Image.new("RGB", (9, 9)).save(photos / "a.png")
    with pytest.raises(LabelError, match=r"a\.jpg and a\.png would share the YOLO file a\.txt"):
        import_labels(yolo, format="yolo", photos=photos)


def test_yolo_is_not_written_over_other_files(labels, photos, yolo):
    with pytest.raises(OutputError, match="not empty: name a new folder"):
        export_labels(labels, yolo, format="yolo", photos=photos)


def test_yolo_appears_whole_or_not_at_all(labels, photos, tmp_path, monkeypatch):
    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full_disk)
    with pytest.raises(OutputError, match="No space left"):
        export_labels(labels, tmp_path / "yolo", format="yolo", photos=photos)
    assert [file.name for file in tmp_path.iterdir()] == ["photos"]


@pytest.mark.parametrize("form", ["yolo", "coco"])
def test_export_refuses_what_does_not_fit_the_photos(photos, tmp_path, form):
    outside = Labels({"b.png": LabelledFaces([[70, 5, 90, 20]], [SAD])})
    with pytest.raises(LabelError, match=r"b\.png: .* lies outside the photo, .*64 x 48"):
        export_labels(outside, tmp_path / "out", format=form, photos=photos)
    with pytest.raises(LabelError, match=r"d\.jpg: labelled, but not among the 3 photos"):
        export_labels(
            Labels({"d.jpg": LabelledFaces.empty()}), tmp_path / "out", format=form, photos=photos
        )


# --- Label Studio ---


def rectangle(**changes):
    value = {"x": 10, "y": 20, "width": 30, "height": 40, "rotation": 0, "rectanglelabels": ["Sad"]}
    return {
        "type": "rectanglelabels",
        "original_width": 200,
        "original_height": 100,
        "value": {**value, **changes},
    }


def task(*results, image="/data/upload/1/0a1b2c3d-party%20one.jpg", **changes):
    annotation = {"completed_by": 5, "was_cancelled": False, "result": list(results)}
    return {"data": {"image": image}, "annotations": [{**annotation, **changes}]}


def test_label_studio_is_read(tmp_path):
    skipped = task(rectangle(), image="skipped.jpg", was_cancelled=True)
    tasks = [
        task(rectangle(), {"type": "choices"}),
        task(image="/data/local-files/?d=set/none.jpg", completed_by={"id": 2, "email": "a@b.c"}),
        skipped,
        {"data": {"image": "later.jpg"}, "annotations": []},
    ]
    labels = import_labels(write(tmp_path / "ls.json", tasks), format="labelstudio")
    assert list(labels) == ["party one.jpg", "none.jpg"]
    assert labels["party one.jpg"].boxes.tolist() == [[20, 20, 80, 60]]
    assert labels["party one.jpg"].labels.tolist() == [SAD]
    assert labels["party one.jpg"].annotators == ("5",)


def test_label_studio_with_two_annotators_needs_a_choice(tmp_path):
    both = task(rectangle())
    both["annotations"] += task(rectangle(rectanglelabels=["happy"]), completed_by=6)["annotations"]
    path = write(tmp_path / "ls.json", [both])
    with pytest.raises(LabelError, match=r"tasks\[0\]: 2 annotations, by 5, 6: choose one"):
        import_labels(path, format="labelstudio")
    labels = import_labels(path, format="labelstudio", annotator="6")
    assert labels["party one.jpg"].labels.tolist() == [HAPPY]


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ({}, r"'tasks' is \{\}"),
        ([{"image": "a.jpg", "label": []}], r"tasks\[0\]: no 'annotations'"),
        ([{"annotations": [5]}], r"tasks\[0\], annotations\[0\]: 5: expected an obj"),
        ([task(result=None)], r"annotations\[0\]: no 'result'"),
        ([{**task(), "data": {"text": "a"}}], r"tasks\[0\], data: no 'image'"),
        ([task(), task()], r"tasks\[1\]: a second task for the photo 'party one\.jpg'"),
        ([task(rectangle(rotation=12))], r"result\[0\]: the box is rotated"),
        ([task(rectangle(x=None))], r"result\[0\]: None is not a finite number"),
        ([task(rectangle(width=0))], r"result\[0\]: .*is no box"),
        ([task({**rectangle(), "original_width": None})], r"original_width: None is not a finite"),
        ([task(rectangle(rectanglelabels=[]))], r"result\[0\]: the words are \[\]: expected one"),
        ([task(rectangle(rectanglelabels=["sadd"]))], r"result\[0\]: .*did you mean 'sad'"),
    ],
)
def test_label_studio_faults_are_named_with_their_place(tmp_path, tasks, message):
    with pytest.raises(LabelError, match=rf"ls\.json.*{message}"):
        import_labels(write(tmp_path / "ls.json", tasks), format="labelstudio")


# --- Pascal VOC ---

BOX = "<bndbox><xmin>10</xmin><ymin>20</ymin><xmax>40</xmax><ymax>60.5</ymax></bndbox>"
FACE = f"<object><name>Happy</name>{BOX}</object>"


def voc(objects=FACE, name="a.jpg"):
    return f"<?xml version='1.0'?><annotation><filename>{name}</filename>{objects}</annotation>"


def test_voc_is_read_from_a_folder_or_a_file(tmp_path):
    one = write(tmp_path / "voc" / "a.xml", voc())
    write(tmp_path / "voc" / "b.xml", voc("", "b.jpg"))
    labels = import_labels(tmp_path / "voc", format="voc")
    assert labels["a.jpg"].boxes.tolist() == [[10, 20, 40, 60.5]]
    assert labels["a.jpg"].labels.tolist() == [HAPPY]
    assert len(labels["b.jpg"]) == 0
    assert list(import_labels(one, format="voc")) == ["a.jpg"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<annotation>", r"not XML"),
        ('<!DOCTYPE a [<!ENTITY b "boo">]><annotation>&b;</annotation>', r"document type"),
        ("<annotation/>", r"no <filename>"),
        (voc(name=""), r"the filename '' is empty"),
        (voc("<object><name>happy</name></object>"), r"object 1: no <bndbox><xmin>"),
        (voc(f"<object>{BOX}</object>"), r"object 1: no <name>"),
        (voc(FACE + FACE.replace("Happy", "hapy")), r"object 2: .*did you mean 'happy'"),
        (voc(FACE.replace("60.5", "20")), r"object 1: 10, 20, 40, 20 is no box"),
        (voc(FACE.replace("60.5", "tall")), r"object 1: 'tall' is not a finite number"),
        (voc(FACE + FACE), r"a\.jpg: .* twice"),
    ],
)
def test_voc_faults_are_named_with_their_place(tmp_path, text, message):
    with pytest.raises(LabelError, match=rf"a\.xml.*{message}"):
        import_labels(write(tmp_path / "a.xml", text), format="voc")


def test_voc_needs_files_of_different_photos(tmp_path):
    with pytest.raises(LabelError, match=r"no \.xml files in the folder"):
        import_labels(tmp_path, format="voc")
    for name in ("one.xml", "two.xml"):
        write(tmp_path / name, voc())
    with pytest.raises(LabelError, match=r"two\.xml: the filename 'a\.jpg' .* in another file"):
        import_labels(tmp_path, format="voc")


# --- all of them ---


def test_an_unknown_format_and_rule_are_refused(labels, tmp_path):
    with pytest.raises(OptionError, match=r"format='csv': expected one of coco, yolo, labelstudio"):
        import_labels(tmp_path, format="csv")
    with pytest.raises(OptionError, match=r"format='voc': expected one of coco, yolo"):
        export_labels(labels, tmp_path / "x", format="voc")
    with pytest.raises(OptionError, match="contempt='keep'"):
        import_labels(tmp_path, format="coco", contempt="keep")


@pytest.mark.parametrize("form", ["coco", "labelstudio", "voc"])
def test_a_missing_file_is_named(tmp_path, form):
    with pytest.raises(LabelError, match=r"none: cannot read the labels"):
        import_labels(tmp_path / "none", format=form)
