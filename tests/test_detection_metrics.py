import contextlib
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from groupemo.errors import OptionError
from groupemo.labels import IGNORE, UNSURE
from groupemo.metrics import detection as ours
from groupemo.metrics.tally import Tally, tally


def at(x: float) -> list[float]:
    """Return a box of 10 x 10 at `x`: scenes here lie on one line."""
    return [x, 0, x + 10, 10]


@st.composite
def photos(draw):
    """Draw a crowded photo: labelled boxes, labels, complete, detected boxes, scores."""
    box = st.tuples(*[st.integers(0, 8)] * 2, *[st.integers(2, 8)] * 2).map(
        lambda b: [b[0], b[1], b[0] + b[2], b[1] + b[3]]
    )
    label = st.sampled_from([0, 0, 1, UNSURE, IGNORE])
    labelled = draw(st.lists(st.tuples(box, label), max_size=6))
    score = st.sampled_from([0.1, 0.5, 0.5, 0.9, 1.0])
    detected = draw(st.lists(st.tuples(box, score), max_size=8))
    return (
        [b for b, _ in labelled],
        [label for _, label in labelled],
        True,
        [b for b, _ in detected],
        [s for _, s in detected],
    )


def pycocotools_ap(scenes, min_iou: float) -> float:
    """Return the average precision pycocotools gives; -1 where no face is labelled."""

    def table(rows):
        coco = COCO()
        coco.dataset = {
            "images": [{"id": i} for i in range(len(scenes))],
            "categories": [{"id": 1}],
            "annotations": [
                {
                    "id": number,  # from 1: pycocotools takes 0 for "unmatched"
                    "image_id": image,
                    "category_id": 1,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": (x2 - x1) * (y2 - y1),
                    **more,
                }
                for number, (image, (x1, y1, x2, y2), more) in enumerate(rows, start=1)
            ],
        }
        coco.createIndex()
        return coco

    truth = [
        (image, box, {"iscrowd": int(label == IGNORE)})
        for image, (boxes, labels, *_) in enumerate(scenes)
        for box, label in zip(boxes, labels, strict=True)
    ]
    answers = [
        (image, box, {"iscrowd": 0, "score": score})
        for image, (*_, boxes, scores) in enumerate(scenes)
        for box, score in zip(boxes, scores, strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        run = COCOeval(table(truth), table(answers), "bbox")
        run.params.iouThrs = np.array([min_iou])
        run.evaluate()
        run.accumulate()
    return float(run.eval["precision"][0, :, 0, 0, -1].mean())


def test_faces_counted_by_hand():
    # x           0      20      40      60                80
    # labelled    happy  unsure  sad     unsure  [ignore]
    # detected    x      x       -       -       x         x  x    two phantoms
    labelled = [at(0), at(20), at(40), at(60), at(70)]
    detected = [at(0), at(20), at(70), at(90), at(110)]
    result, _ = tally(labelled, [3, UNSURE, 4, UNSURE, IGNORE], True, detected, np.eye(5, 7))
    assert (ours.found(result), ours.missed(result), ours.phantom(result)) == (2, 2, 2)
    assert ours.detection_precision(result) == 2 / 4
    assert ours.detection_recall(result) == 2 / 4
    assert ours.detection_f1(result) == 4 / 8


def test_abstaining_is_finding():
    # A face and a phantom, both detected, neither answered.
    result, _ = tally([at(0)], [3], True, [at(0), at(20)], np.full((2, 7), np.nan))
    assert (ours.found(result), ours.missed(result), ours.phantom(result)) == (1, 0, 1)


def test_no_face_and_no_detection_is_nan():
    nothing = Tally.zero(7)
    for score in (ours.detection_precision, ours.detection_recall, ours.detection_f1):
        assert np.isnan(score(nothing))


def test_stacked_tallies_score_as_one_by_one():
    tables = np.arange(75).reshape(3, 5, 5)
    tables[:, -1, -1] = 0
    many = Tally(tables)
    for score in (ours.found, ours.missed, ours.phantom, ours.detection_f1):
        assert score(many).tolist() == [score(Tally(table)) for table in tables]


def test_average_precision_by_hand():
    # Two faces. By score: .9 finds one, .8 finds none, .7 finds the other.
    # precision 1/1 up to recall 1/2 (recalls 0 .. .50: 51 points), 2/3 from there (50 points)
    photo = ([at(0), at(20)], [3, UNSURE], True, [at(0), at(40), at(20)], [0.9, 0.8, 0.7])
    want = (51 * 1 + 50 * 2 / 3) / 101
    assert ours.average_precision([photo]) == pytest.approx(want, abs=1e-12)


def test_average_precision_over_photos_ranks_all_detections_together():
    # The phantom of the second photo has the best score: precision is 1/2 at every recall.
    first = ([at(0)], [3], True, [at(0)], [0.6])
    second = ([], [], True, [at(0)], [0.7])
    assert ours.average_precision([first, second]) == pytest.approx(1 / 2)


def test_average_precision_leaves_out_what_is_not_judged():
    face = ([at(0)], [3], True, [at(0)], [0.6])
    region = ([at(0)], [IGNORE], True, [at(0)], [0.7])
    incomplete = ([], [], False, [at(0)], [0.8])
    assert ours.average_precision([face, region, incomplete]) == 1


def test_average_precision_without_faces_or_detections():
    assert np.isnan(ours.average_precision([]))
    assert np.isnan(ours.average_precision([([], [], True, [at(0)], [1.0])]))
    assert ours.average_precision([([at(0)], [3], True, [], [])]) == 0


def test_equal_scores_go_in_the_order_given():
    right, wrong = ([at(0)], [3], True, [at(0)], [1.0]), ([], [], True, [at(0)], [1.0])
    assert ours.average_precision([right, wrong]) == 1
    assert ours.average_precision([wrong, right]) == pytest.approx(1 / 2)


def test_a_detection_between_two_faces_takes_the_last_as_pycocotools_does():
    # labelled  0..10 and 8..18; the first detection lies between them, the second on the first.
    photo = ([at(0), at(8)], [3, 3], True, [at(4), at(0)], [0.9, 0.8])
    assert ours.average_precision([photo], min_iou=0.4) == 1
    assert pycocotools_ap([photo], 0.4) == pytest.approx(1)


def test_a_meaningless_min_iou_is_refused():
    with pytest.raises(OptionError, match="min_iou is 2"):
        ours.average_precision([], min_iou=2)


@given(st.lists(photos(), min_size=1, max_size=4), st.sampled_from([0.3, 0.5, 0.75]))
def test_average_precision_equals_pycocotools(scenes, min_iou):
    want = pycocotools_ap(scenes, min_iou)
    got = ours.average_precision(scenes, min_iou=min_iou)
    assert got == pytest.approx(np.nan if want == -1 else want, abs=1e-9, nan_ok=True)
