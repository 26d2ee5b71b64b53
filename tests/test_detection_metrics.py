import contextlib
import io

import numpy as np
import pytest
from faster_coco_eval import COCO as FasterCOCO
from faster_coco_eval import COCOeval_faster
from hypothesis import given
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from groupemo.errors import OptionError
from groupemo.labels import IGNORE, UNSURE
from groupemo.metrics import detection as ours
from groupemo.metrics.tally import Tally, tally

REFEREES = {"pycocotools": (COCO, COCOeval), "faster-coco-eval": (FasterCOCO, COCOeval_faster)}
ANY_AREA = (0, float("inf"))


def at(x: float) -> list[float]:
    """Return a box of 10 x 10 at `x`: scenes here lie on one line."""
    return [x, 0, x + 10, 10]


def box(width: float, height: float = 10, x: float = 0) -> list[float]:
    return [x, 0, x + width, height]


def ap(scenes, weights=None, **options) -> float:
    """Return the average precision of scenes that weigh 1, unless told otherwise."""
    weights = np.ones(len(scenes)) if weights is None else weights
    [value] = ours.average_precision(ours.ranking(scenes, **options), [weights])
    return value


@st.composite
def photos(draw):
    """Draw a crowded photo: labelled boxes, labels, complete, detected boxes, scores."""
    some = st.tuples(*[st.integers(0, 8)] * 2, *[st.integers(2, 8)] * 2).map(
        lambda b: [b[0], b[1], b[0] + b[2], b[1] + b[3]]
    )
    label = st.sampled_from([0, 0, 1, UNSURE, IGNORE])
    scores = st.sampled_from([0.1, 0.5, 0.5, 0.9, 1.0])
    labelled = draw(st.lists(st.tuples(some, label), max_size=6))
    detected = draw(st.lists(st.tuples(some, scores), max_size=8))
    return (
        [b for b, _ in labelled],
        [label for _, label in labelled],
        True,
        [b for b, _ in detected],
        [s for _, s in detected],
    )


def large_photo(rng):
    """Return a photo with faces of every size COCO knows, found more or less well."""
    m = rng.integers(1, 12)
    corner, side = rng.uniform(0, 400, (m, 2)), rng.uniform(10, 160, (m, 2))
    labelled = np.concatenate([corner, corner + side], axis=1)
    found = labelled[rng.random(m) < 0.8]
    found = found + rng.normal(0, 0.06, found.shape) * np.tile(found[:, 2:] - found[:, :2], 2)
    stray = rng.uniform(0, 400, (3, 2))
    phantoms = np.concatenate([stray, stray + rng.uniform(10, 160, (3, 2))], axis=1)
    detected = np.concatenate([found, phantoms])
    labels = rng.choice([0, 1, UNSURE, IGNORE], m, p=[0.5, 0.3, 0.1, 0.1])
    return labelled, labels, True, detected, rng.random(len(detected))


def referee_ap(scenes, min_ious, area=ANY_AREA, referee="pycocotools") -> float:
    """Return another implementation's average precision; NaN where no face is labelled."""
    kind, evaluator = REFEREES[referee]

    def table(rows):
        coco = kind()
        coco.dataset = {
            "images": [{"id": i} for i in range(len(scenes))],
            "categories": [{"id": 1, "name": "face"}],
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
        (image, face, {"iscrowd": int(label == IGNORE)})
        for image, (boxes, labels, *_) in enumerate(scenes)
        for face, label in zip(boxes, labels, strict=True)
    ]
    answers = [
        (image, face, {"iscrowd": 0, "score": float(score)})
        for image, (*_, boxes, scores) in enumerate(scenes)
        for face, score in zip(boxes, scores, strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        run = evaluator(table(truth), table(answers), "bbox")
        run.params.iouThrs = np.array(min_ious)
        run.params.areaRng, run.params.areaRngLbl = [list(area)], ["all"]
        run.params.maxDets = [100]
        run.evaluate()
        run.accumulate()
    mean = float(run.eval["precision"][:, :, 0, 0, 0].mean())
    return np.nan if mean == -1 else mean


def lrp_by_loops(scenes, min_iou, least_score) -> float:
    """Return the error of the detections that score enough, face by face from the formula."""
    kept = []
    for boxes, labels, complete, detected, scores in scenes:
        rows = [row for row, score in enumerate(scores) if score >= least_score]
        kept.append(
            (boxes, labels, complete, [detected[r] for r in rows], [scores[r] for r in rows])
        )
    ranking = ours.ranking(kept, min_iou=min_iou)
    hits = [iou for iou in ranking.iou.tolist() if iou == iou]
    false_positives, false_negatives = len(ranking) - len(hits), ranking.faces.sum() - len(hits)
    total = len(hits) + false_positives + false_negatives
    off = sum((1 - iou) / (1 - min_iou) for iou in hits)
    return (off + false_positives + false_negatives) / total if total else np.nan


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
    assert ours.phantoms_per_photo(result, 1) == 2
    assert ours.phantoms_per_photo(result, 4) == 2 / 4


def test_abstaining_is_finding():
    # A face and a phantom, both detected, neither answered.
    result, _ = tally([at(0)], [3], True, [at(0), at(20)], np.full((2, 7), np.nan))
    assert (ours.found(result), ours.missed(result), ours.phantom(result)) == (1, 0, 1)


def test_no_face_and_no_detection_is_nan():
    nothing = Tally.zero(7)
    for score in (ours.detection_precision, ours.detection_recall, ours.detection_f1):
        assert np.isnan(score(nothing))
    assert np.isnan(ours.lrp(nothing, min_iou=0.5))
    assert np.isnan(ours.lrp_components(nothing)).all()
    assert np.isnan(ours.phantoms_per_photo(nothing, 0))


def test_stacked_tallies_score_as_one_by_one():
    tables = np.arange(75).reshape(3, 5, 5)
    tables[:, -1, -1] = 0
    many = Tally(tables)
    for score in (ours.found, ours.missed, ours.phantom, ours.detection_f1):
        assert score(many).tolist() == [score(Tally(table)) for table in tables]


# Localization Recall Precision


def test_lrp_by_hand():
    # labelled  10 x 10      10 x 10     10 x 10     least IoU .5
    # detected  10 x 10       8 x 10        -        a phantom
    # off          0        .2 / .5         1          1          2.4 of 4
    labelled, detected = [at(0), at(20), at(40)], [at(0), box(8, x=20), at(60)]
    result, _ = tally(labelled, [3, 3, UNSURE], True, detected, np.eye(3, 7))
    assert ours.lrp(result, min_iou=0.5) == pytest.approx(2.4 / 4, abs=1e-12)
    assert ours.lrp_components(result) == pytest.approx((0.2 / 2, 1 / 3, 1 / 3), abs=1e-12)


def test_lrp_is_undefined_where_no_box_may_be_off():
    found, _ = tally([at(0)], [3], True, [at(0)], np.eye(1, 7))
    ranking = ours.ranking([([at(0)], [3], True, [at(0)], [1])], min_iou=1)
    assert np.isnan(ours.lrp(found, min_iou=1))
    assert np.isnan(ours.optimal_lrp(ranking, [[1]]))


@given(photos(), st.sampled_from([0.3, 0.5, 0.75]))
def test_lrp_weighs_its_components_together(photo, min_iou):
    labelled, labels, complete, detected, _ = photo
    probs = np.eye(7)[np.zeros(len(detected), dtype=int)]
    total, outcome = tally(labelled, labels, complete, detected, probs, min_iou=min_iou)
    hits, seen = ours.found(total), ours.found(total) + ours.phantom(total)
    faces = hits + ours.missed(total)
    off, spurious, unfound = np.nan_to_num(ours.lrp_components(total))
    by_parts = (hits * off / (1 - min_iou) + seen * spurious + faces * unfound) / (
        hits + ours.missed(total) + ours.phantom(total) or np.nan
    )
    assert ours.lrp(total, min_iou=min_iou) == pytest.approx(by_parts, abs=1e-9, nan_ok=True)
    by_face = np.nansum((1 - outcome.iou) / (1 - min_iou)) + faces - hits + seen - hits
    whole = faces + seen - hits
    want = by_face / whole if whole else np.nan
    assert ours.lrp(total, min_iou=min_iou) == pytest.approx(want, abs=1e-9, nan_ok=True)


def test_optimal_lrp_by_hand():
    # By score: .9 is right (IoU 1), .8 is a phantom, .7 is right with IoU .8; two faces.
    # keep none: 1; .9: (0 + 1) / 2; .8: (0 + 1 + 1) / 3; .7: (.4 + 1) / 3 = .467
    photo = ([at(0), at(20)], [3, 3], True, [at(0), at(40), box(8, x=20)], [0.9, 0.8, 0.7])
    assert ours.optimal_lrp(ours.ranking([photo]), [[1]]) == pytest.approx([1.4 / 3], abs=1e-12)


def test_equal_scores_stay_or_go_together():
    # The right one cannot be kept without the phantom: (0 + 1) / 2, not 0.
    photo = ([at(0)], [3], True, [at(0), at(40)], [0.9, 0.9])
    assert ours.optimal_lrp(ours.ranking([photo]), [[1]]).tolist() == [1 / 2]


def test_keeping_nothing_may_be_best():
    photo = ([at(0)], [3], True, [at(20)], [0.9])
    assert ours.optimal_lrp(ours.ranking([photo]), [[1]]).tolist() == [1]


@given(st.lists(photos(), min_size=1, max_size=3), st.sampled_from([0.3, 0.5, 0.75]))
def test_optimal_lrp_equals_trying_every_threshold(scenes, min_iou):
    ranking = ours.ranking(scenes, min_iou=min_iou)
    thresholds = {np.inf, *(score for *_, scores in scenes for score in scores)}
    want = min(lrp_by_loops(scenes, min_iou, t) for t in sorted(thresholds, reverse=True))
    want = want if ranking.faces.sum() else np.nan
    [got] = ours.optimal_lrp(ranking, np.ones((1, len(scenes))))
    assert got == pytest.approx(want, abs=1e-9, nan_ok=True)


# Average precision


def test_average_precision_by_hand():
    # Two faces. By score: .9 finds one, .8 finds none, .7 finds the other.
    # precision 1/1 up to recall 1/2 (recalls 0 .. .50: 51 points), 2/3 from there (50 points)
    photo = ([at(0), at(20)], [3, UNSURE], True, [at(0), at(40), at(20)], [0.9, 0.8, 0.7])
    assert ap([photo]) == pytest.approx((51 * 1 + 50 * 2 / 3) / 101, abs=1e-12)


def test_a_ranking_by_hand():
    # Of the second photo: a face found, a region found, a face missed.
    first = ([at(0), at(20)], [3, UNSURE], True, [at(0), at(40), box(8, x=20)], [0.9, 0.8, 0.7])
    second = ([at(0), at(20), at(40)], [3, IGNORE, 3], True, [at(20), at(0)], [1.0, 0.75])
    ranking = ours.ranking([first, second])
    assert ranking.photo.tolist() == [0, 0, 1, 0]
    assert ranking.score.tolist() == [0.9, 0.8, 0.75, 0.7]
    assert ranking.iou.tolist() == pytest.approx([1, np.nan, 1, 0.8], nan_ok=True)
    assert ranking.hit.tolist() == [True, False, True, True]
    assert ranking.faces.tolist() == [2, 2]
    assert ranking.missed.tolist() == [0, 1]


def test_average_precision_over_photos_ranks_all_detections_together():
    # The phantom of the second photo has the best score: precision is 1/2 at every recall.
    first = ([at(0)], [3], True, [at(0)], [0.6])
    second = ([], [], True, [at(0)], [0.7])
    assert ap([first, second]) == pytest.approx(1 / 2)
    assert ap([first, second], [1, 0]) == 1
    assert ap([first, second], [1, 2]) == pytest.approx(1 / 3)


def test_average_precision_leaves_out_what_is_not_judged():
    face = ([at(0)], [3], True, [at(0)], [0.6])
    region = ([at(0)], [IGNORE], True, [at(0)], [0.7])
    incomplete = ([], [], False, [at(0)], [0.8])
    assert ap([face, region, incomplete]) == 1


def test_average_precision_without_faces_or_detections():
    assert np.isnan(ap([]))
    assert np.isnan(ap([([], [], True, [at(0)], [1.0])]))
    assert ap([([at(0)], [3], True, [], [])]) == 0
    face = ([at(0)], [3], True, [at(0)], [0.6])
    assert np.isnan(ap([face], [0]))
    assert ours.average_precision(ours.ranking([face]), np.empty((0, 1))).shape == (0,)


def test_all_found_is_1_however_photos_weigh():
    scenes = [([at(0)], [3], True, [at(0)], [score]) for score in np.linspace(0.1, 1, 30)]
    weights = np.random.default_rng(0).dirichlet(np.ones(30), size=500) * 30
    assert set(ours.average_precision(ours.ranking(scenes), weights)) == {1}


def test_equal_scores_go_in_the_order_given():
    right, wrong = ([at(0)], [3], True, [at(0)], [1.0]), ([], [], True, [at(0)], [1.0])
    assert ap([right, wrong]) == 1
    assert ap([wrong, right]) == pytest.approx(1 / 2)


def test_a_detection_between_two_faces_takes_the_last_as_pycocotools_does():
    # labelled  0..10 and 8..18; the first detection lies between them, the second on the first.
    photo = ([at(0), at(8)], [3, 3], True, [at(4), at(0)], [0.9, 0.8])
    assert ap([photo], min_iou=0.4) == 1
    assert referee_ap([photo], [0.4]) == pytest.approx(1)


def test_faces_of_another_size_are_spared():
    # Sizes up to 100 px count. labelled: 10 x 10 (found), 20 x 10 (found).
    # Detected besides: 10 x 10, a phantom; 30 x 10, of another size and therefore not judged.
    labelled, detected = [at(0), box(20, x=20)], [at(0), box(20, x=20), at(50), box(30, x=70)]
    photo = (labelled, [3, 3], True, detected, [0.7, 0.9, 0.8, 1.0])
    ranking = ours.ranking([photo], area=(0, 100))
    assert ranking.score.tolist() == [0.8, 0.7]
    assert ranking.hit.tolist() == [False, True]
    assert ranking.faces.tolist() == [1]
    assert ap([photo], area=(0, 100)) == pytest.approx(1 / 2)
    assert np.isnan(ap([photo], area=(400, 500)))


def test_a_face_that_counts_is_taken_before_a_spared_one():
    # The detection lies better on the large face (IoU 10/12) than on the small one (8/10).
    photo = ([box(8), box(12)], [3, 3], True, [box(10)], [1.0])
    assert ours.ranking([photo], area=(0, 80)).iou.tolist() == [0.8]
    assert ours.ranking([photo]).iou.tolist() == [pytest.approx(10 / 12)]


def test_a_meaningless_min_iou_is_refused():
    with pytest.raises(OptionError, match="min_iou is 2"):
        ours.ranking([], min_iou=2)


@pytest.mark.parametrize("referee", REFEREES)
@given(
    st.lists(photos(), min_size=1, max_size=4),
    st.sampled_from([0.3, 0.5, 0.75]),
    st.sampled_from([ANY_AREA, (0, 16), (16, 30), (30, 1e5)]),
)
def test_average_precision_equals_other_implementations(referee, scenes, min_iou, area):
    want = referee_ap(scenes, [min_iou], area, referee)
    assert ap(scenes, min_iou=min_iou, area=area) == pytest.approx(want, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("referee", REFEREES)
@pytest.mark.parametrize("area", [ANY_AREA, *ours.COCO_AREAS.values()])
def test_mean_average_precision_equals_other_implementations(referee, area):
    rng = np.random.default_rng(7)
    scenes = [large_photo(rng) for _ in range(60)]
    overlaps = ours.overlaps(scenes)
    rankings = [overlaps.ranking(min_iou=each, area=area) for each in ours.COCO_IOUS]
    want = referee_ap(scenes, ours.COCO_IOUS, area, referee)
    assert 0.05 < want < 0.95
    each = [ours.average_precision(one, np.ones((1, len(scenes)))) for one in rankings]
    assert np.mean(each) == pytest.approx(want, abs=1e-9)


def test_a_photo_that_weighs_2_is_two_photos(monkeypatch):
    rng = np.random.default_rng(3)
    scenes = [large_photo(rng) for _ in range(12)]
    weights = rng.integers(0, 4, (40, 12))
    copies = [[scene for scene, w in zip(scenes, row, strict=True) for _ in range(w)]
              for row in weights]  # fmt: skip
    monkeypatch.setattr(ours, "_CHUNK", 500)  # several draws at a time, several times
    ranking = ours.ranking(scenes)
    for figure in (ours.average_precision, ours.optimal_lrp):
        want = [figure(ours.ranking(each), np.ones((1, len(each))))[0] for each in copies]
        assert figure(ranking, weights) == pytest.approx(want, abs=1e-9)


def in_one_draw(ranking, weights):
    """Return average precision and optimal LRP by walking down the ranking."""
    right = seen = off = 0.0
    faces = float(ranking.faces @ weights)
    reached, errors = [], [1.0]
    for photo, score, iou, after in zip(
        ranking.photo, ranking.score, ranking.iou, [*ranking.score, None][1:], strict=True
    ):
        seen += weights[photo]
        if not np.isnan(iou):
            right += weights[photo]
            off += weights[photo] * (1 - iou) / (1 - ranking.min_iou)
            reached.append((right / faces, right / seen if seen else 0))
        if score != after:
            errors.append((off + seen - right + faces - right) / (seen + faces - right))
    heights = [
        max((height for recall, height in reached if recall >= level), default=0)
        for level in np.linspace(0, 1, 101)
    ]
    return np.mean(heights), min(errors)


@pytest.mark.parametrize("detections", [0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 60])
def test_a_ranking_of_any_length_in_many_draws(detections):
    rng = np.random.default_rng(detections)
    ranking = ours.Ranking(
        photo=rng.integers(0, 5, detections),
        score=-np.sort(-rng.integers(0, 20, detections) / 20),
        iou=np.where(rng.random(detections) < 0.6, rng.uniform(0.5, 1, detections), np.nan),
        faces=np.full(5, detections + 1),
        min_iou=0.5,
    )
    weights = rng.exponential(size=(19, 5)) * rng.integers(0, 2, (19, 5)) + [0, 0, 0, 0, 0.1]
    want = np.transpose([in_one_draw(ranking, row) for row in weights])
    got = [ours.average_precision(ranking, weights), ours.optimal_lrp(ranking, weights)]
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-12)
