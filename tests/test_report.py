import base64
import html
import io
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from report_scenes import HAPPY, ODD, analysis, evaluation, unread

from groupemo import EMOTIONS, Evaluation, LabelledFaces, Labels, load_evaluation
from groupemo.analysis import Failure
from groupemo.errors import OutputError
from groupemo.labels import IGNORE
from groupemo.report import write_report
from groupemo.report.content import STAND_IN, describe, number
from groupemo.report.gallery import KINDS
from groupemo.testing import make_scene, write_scenes

VOID = {"meta", "img", "input", "br", "hr", "link", "line", "circle"}


class Page(HTMLParser):
    """Parses strictly: every tag closes the one that is open."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.words, self.tables = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.words.append(data)
        if {"td", "th"} & set(self.open):
            self.tables[-1][-1][-1] += data.strip() + " "

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


@pytest.fixture
def made(tmp_path):
    return evaluation(tmp_path)


def page_of(evaluation, folder, **options):
    return Page(write_report(evaluation, folder, **options).read_text(encoding="utf-8"))


def test_the_page_needs_no_network_and_no_script(made, tmp_path):
    text = write_report(made, tmp_path / "out").read_text()
    assert not re.search(r"https?:|//[a-z]|@import|url\(", text)
    page = Page(text)
    assert not page.all("link")
    assert not any("src" in attrs for attrs in page.all("script"))
    assert all(attrs["src"].startswith("data:image/jpeg;base64,") for attrs in page.all("img"))
    links = {attrs["href"] for attrs in page.all("a")}
    anchors = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert {link.removeprefix("#") for link in links} <= anchors | files


def test_names_of_photos_are_shown_and_never_run(made, tmp_path):
    text = write_report(made, tmp_path / "out", title="<b>t</b>").read_text()
    assert text.count("<script") == 1
    assert "<b>here" not in text
    assert "<i>0" not in text
    assert ODD in Page(text).text
    markdown = (tmp_path / "out" / "report.md").read_text()
    assert "<script" not in markdown
    assert "<b>" not in markdown


def test_the_figures_are_those_of_the_tables(made, tmp_path):
    page = page_of(made, tmp_path / "out")
    row = made.table().loc[("eye", "mind")]
    shown = next(cells for cells in page.tables[0] if cells[0].strip() == "eye x mind")
    for cell, name, of in (
        (1, "detection_recall", "3 of 4 faces"),
        (2, "detection_precision", "3 of 4 detections"),
        (3, "detection_ap50", "4 faces"),
        (4, "matched_accuracy", "1 of 2 faces"),
        (5, "matched_macro_f1", "2 faces 2 of 7 classes"),
        (6, "matched_log_loss", "2 faces"),
        (7, "end_to_end_accuracy", "1 of 4 faces"),
        (8, "end_to_end_macro_f1", "4 faces 3 of 7 classes"),
    ):
        words = shown[cell].split()
        assert words[0] == number(row[name]), name
        assert " ".join(words[1:]).startswith(of), name
        if f"{name}_low" in row:
            assert (
                shown[cell]
                .strip()
                .endswith(f"{row[f'{name}_low']:.2f} to {row[f'{name}_high']:.2f}")
            )


def test_the_confusion_matrix_is_that_of_the_scores(made, tmp_path):
    page = page_of(made, tmp_path / "out")
    rows = [[cell.split()[0] for cell in row[1:]] for row in page.tables[1][1:]]
    counts = made.scores[0].confusion().to_numpy()
    np.testing.assert_array_equal(np.array(rows, int)[:, :-1], counts)
    np.testing.assert_array_equal(np.array(rows, int)[:, -1], counts.sum(axis=1))
    happy = page.tables[1][1 + EMOTIONS.index("happy")]
    assert happy[1 + EMOTIONS.index("happy")].split() == ["1", "50%"]


def test_a_precision_stands_beside_how_often_the_class_was_answered(made, tmp_path):
    page = page_of(made, tmp_path / "out")
    happy = page.tables[2][2 + EMOTIONS.index("happy")]
    assert (happy[1].split(), happy[5].split()) == (["0.50", "of", "2"],) * 2
    assert "| happy | 0.50 (of 2) |" in (tmp_path / "out" / "report.md").read_text()


def test_the_tables_beside_the_page_are_those_of_the_evaluation(made, tmp_path):
    write_report(made, tmp_path / "out")
    read = pd.read_csv(tmp_path / "out" / "table.csv", index_col=[0, 1])
    pd.testing.assert_frame_equal(read, made.table(), check_dtype=False)
    again = load_evaluation(tmp_path / "out")
    pd.testing.assert_frame_equal(again.table(), made.table())


def test_markdown_says_the_same_as_the_page(made, tmp_path):
    page = page_of(made, tmp_path / "out")
    markdown = (tmp_path / "out" / "report.md").read_text()
    summary = [
        [html.unescape(cell).strip() for cell in line.strip("|").split("|")]
        for line in markdown.splitlines()
        if line.startswith("| eye x mind")
    ]
    shown = [row for row in page.tables[0] if row[0].startswith("eye")]
    assert [[cell.split()[0] for cell in row[1:]] for row in summary] == [
        [cell.split()[0] for cell in row[1:]] for row in shown
    ]
    for sentence in describe(made).answer:
        assert sentence in page.text


def test_every_error_is_in_the_gallery_with_its_photo(made, tmp_path):
    page = page_of(made, tmp_path / "out")
    alts = [attrs["alt"] for attrs in page.all("img")]
    assert alts[: len(alts) // 2] == [
        "Part of party.png: labelled sad, answered happy (0.70)",
        "Part of party.png: no labelled face, answered sad (score 0.50)",
        "Part of party.png: labelled neutral, not found",
        f"Part of {ODD}: labelled happy, no answer",
    ]


def pictures(page):
    for attrs in page.all("img"):
        with Image.open(io.BytesIO(base64.b64decode(attrs["src"].split(",")[1]))) as picture:
            yield attrs["alt"], np.asarray(picture, dtype=int)


def test_faces_are_blurred_unless_shown(made, tmp_path):
    hidden = dict(pictures(page_of(made, tmp_path / "a")))
    shown = dict(pictures(page_of(made, tmp_path / "b", show_faces=True)))
    for alt, picture in shown.items():
        if "no labelled face" not in alt:
            middle = (slice(48, 96), slice(48, 96))
            before, after = (p[middle].std(axis=(0, 1)).mean() for p in (picture, hidden[alt]))
            assert after < 0.6 * before, alt
    assert "blurred" in page_of(made, tmp_path / "a").text
    assert "Faces are shown" in page_of(made, tmp_path / "b", show_faces=True).text


def test_a_neighbour_at_the_edge_of_a_picture_is_blurred_too(tmp_path):
    scene = make_scene(["happy", "sad"])
    labels = write_scenes([scene], tmp_path)
    run = analysis(scene, tmp_path, scene.labelled.boxes[:1], ["sad"])
    grid = Evaluation.of(labels, [run])
    kinds = {
        show: dict(pictures(page_of(grid, tmp_path / "out", show_faces=show)))
        for show in (True, False)
    }
    wrong = next(alt for alt in kinds[True] if "answered sad" in alt)
    edge = (slice(48, 96), slice(130, 144))  # the left of the other face
    assert abs(kinds[True][wrong][edge] - kinds[False][wrong][edge]).max() > 40


def test_stand_in_weights_are_noted_where_their_figures_are(made, tmp_path):
    page = page_of(made, tmp_path / "out")
    note = STAND_IN.capitalize()
    assert page.text.lower().count(STAND_IN) >= 3
    assert note in (tmp_path / "out" / "report.md").read_text()
    assert STAND_IN in html.unescape(made._repr_html_())
    alone = evaluation(tmp_path, pairs=[("eye", "mind")])
    assert STAND_IN not in page_of(alone, tmp_path / "out").text
    assert STAND_IN not in html.unescape(alone._repr_html_())


def test_photos_that_could_not_be_read_and_those_left_out_are_named(made, tmp_path):
    text = page_of(made, tmp_path / "out").text
    assert "gone.jpg read: cut off <b>here</b> all" in text
    labels = Labels({**made.labels, "extra<1>.jpg": LabelledFaces.empty()})
    runs = [photo.analysis for scores in made.scores for photo in scores.photos]
    partial = Evaluation.of(labels, runs, partial=True)
    text = page_of(partial, tmp_path / "out").text
    assert "extra<1>.jpg" in text
    assert "gone.jpg" in text
    assert "extra&lt;1&gt;.jpg" in (tmp_path / "out" / "report.md").read_text()


def test_a_failure_after_reading_is_named_with_its_stage(tmp_path):
    scene = make_scene(["happy"])
    labels = write_scenes([scene], tmp_path)
    failed = analysis(scene, tmp_path, [], [], failure=Failure("detect", "no memory"))
    text = page_of(Evaluation.of(labels, [failed]), tmp_path / "out").text
    assert "scene.png detect: no memory" in text


def test_no_faces_at_all_is_a_report_with_dashes(tmp_path):
    scene = make_scene([])
    labels = write_scenes([scene], tmp_path)
    empty = Evaluation.of(labels, [analysis(scene, tmp_path, [], [])])
    page = page_of(empty, tmp_path / "out")
    assert "cannot be said" in page.text
    assert "No face is labelled" in page.text
    assert page.tables[0][2][1].split()[0] == "\N{EN DASH}"
    assert "nan" not in page.text.lower().split()
    assert "nan" not in (tmp_path / "out" / "report.md").read_text().lower().split()
    assert "nan" not in Page(f"<div>{empty._repr_html_()}</div>").text.lower().split()


def test_a_pair_without_any_answer_has_dashes_beside_one_with(tmp_path):
    scene = make_scene(["happy"])
    labels = write_scenes([scene], tmp_path)
    boxes = scene.labelled.boxes
    grid = Evaluation.of(
        labels,
        [
            analysis(scene, tmp_path, boxes, [None], ("eye", "mute")),
            analysis(scene, tmp_path, boxes, ["happy"], ("eye", "mind")),
        ],
    )
    page = page_of(grid, tmp_path / "out")
    assert [row[0].strip() for row in page.tables[0][2:]] == ["eye x mind", "eye x mute"]
    assert page.tables[0][3][4].split()[0] == "\N{EN DASH}"
    assert "No wrong expression" in page.text


def test_a_region_to_leave_out_is_no_labelled_face(tmp_path):
    scene = make_scene(["happy"])
    labelled = LabelledFaces([*scene.labelled.boxes, [0, 0, 9, 9]], [HAPPY, IGNORE])
    write_scenes([scene], tmp_path)
    grid = Evaluation.of(Labels({scene.name: labelled}), [analysis(scene, tmp_path, [], [])])
    page = page_of(grid, tmp_path / "out")
    assert "1 faces labelled by hand" in page.text
    assert "Labelled: happy 1, left out 1." in page.text
    assert "1 faces labelled by hand" in (tmp_path / "out" / "report.md").read_text()


def test_one_photo_has_no_interval(tmp_path):
    scene = make_scene(["happy"])
    labels = write_scenes([scene], tmp_path)
    boxes = scene.labelled.boxes
    runs = [analysis(scene, tmp_path, boxes, [word], ("eye", word)) for word in ("happy", "sad")]
    grid = Evaluation.of(labels, runs)
    said = " ".join(describe(grid).answer)
    assert "interval " not in said
    assert "Next is eye x sad, 1.00 lower." in said
    assert "One photo says nothing about others" in said
    assert " to " not in page_of(grid, tmp_path / "out").tables[0][2][1]


def test_photos_out_of_reach_leave_words_in_the_gallery(made, tmp_path):
    (tmp_path / "party.png").unlink()
    page = page_of(made, tmp_path / "out")
    assert page.text.count("photo out of reach") == 6
    assert len(page.all("img")) == 2


def test_a_page_holds_a_bounded_number_of_small_pictures(tmp_path):
    scene = make_scene(["sad"] * 40, face=64)
    labels = write_scenes([scene], tmp_path)
    boxes = scene.labelled.boxes
    grid = Evaluation.of(labels, [analysis(scene, tmp_path, boxes[:20], ["happy"] * 20)])
    path = write_report(grid, tmp_path / "out")
    page = Page(path.read_text())
    assert len(page.all("img")) == KINDS["wrong emotion"].most + KINDS["missed"].most
    assert sum(kind.most for kind in KINDS.values()) <= 24
    assert "10 of 20 shown" in page.text
    assert "6 of 20 shown" in page.text
    assert path.stat().st_size < 400_000


def test_the_answer_compares_the_best_with_the_next(made, tmp_path):
    sentences = " ".join(describe(made).answer)
    assert "eye x mind came closest to the hand labels: end-to-end macro-F1 0.17" in sentences
    assert "found 3 of 4 labelled faces" in sentences
    assert "0.00 lower" in sentences
    assert "no more than the choice of photos could explain" in sentences
    assert "With so few photos (2)" in sentences
    assert "Few faces stand for happy (2), sad (1), neutral (1): the macro-F1" in sentences


def test_no_class_is_called_rare_that_has_many_faces(tmp_path):
    scene = make_scene(["sad"] * 10)
    labels = write_scenes([scene], tmp_path)
    boxes = scene.labelled.boxes
    grid = Evaluation.of(labels, [analysis(scene, tmp_path, boxes, ["happy"] * 10)])
    assert "Few faces" not in " ".join(describe(grid).answer)


def test_a_folder_that_cannot_be_written_is_named(made, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        write_report(made, tmp_path / "file")


def test_an_analysis_shows_itself_with_its_photo(tmp_path):
    scene = make_scene(["happy", "sad"])
    write_scenes([scene], tmp_path)
    one = analysis(scene, tmp_path, scene.labelled.boxes, ["happy", None])
    page = Page(one._repr_html_())
    assert page.all("img")[0]["src"].startswith("data:image/jpeg;base64,")
    assert page.tables[0][1][:2] == ["0 ", "happy 70% "]
    assert page.tables[0][2][1:] == ["no answer ", "\N{EN DASH} "]
    assert len(page.all("img")) == 3  # the photo and a face a row
    (tmp_path / scene.name).unlink()
    page = Page(one._repr_html_())
    assert not page.all("img")
    assert "No picture: " in page.text


def test_an_analysis_that_failed_shows_why_and_escapes():
    page = Page(unread(ODD)._repr_html_())
    assert f"{ODD} : 0 faces" in page.text
    assert "Failed to read: cut off <b>here</b>" in page.text


def test_an_evaluation_shows_its_grid(made):
    page = Page(made._repr_html_())
    row = made.table().loc[("eye", "mind")]
    cells = page.tables[0][1]
    assert cells[0].strip() == "eye x mind"
    assert cells[1].split()[0] == number(row["detection_recall"])
    assert "3 of 4 faces" in cells[1]
    assert cells[-1].split()[0] == number(row["end_to_end_macro_f1"])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colors_of_text_have_contrast(scheme):
    from importlib.resources import files

    style = files("groupemo.report").joinpath("templates/style.css").read_text()
    block = style.split("prefers-color-scheme: dark")[scheme == "dark"]
    colors = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6})", block.split("}")[0]))

    def luminance(color):
        digits = color[1:] if len(color) == 7 else "".join(2 * c for c in color[1:])
        channels = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return np.dot(linear, [0.2126, 0.7152, 0.0722])

    def contrast(one, other):
        light, dark = sorted((luminance(one), luminance(other)), reverse=True)
        return (light + 0.05) / (dark + 0.05)

    def mixed(share):
        ends = [
            [int(c, 16) for c in re.findall("..", x[1:] if len(x) == 7 else x[1:] * 2)]
            for x in (colors["tint"], colors["paper"])
        ]
        blend = [round(share * a + (1 - share) * b) for a, b in zip(*ends, strict=True)]
        return "#" + "".join(f"{c:02x}" for c in blend)

    for ink in ("ink", "quiet", "accent"):
        for back in ("paper", "raised"):
            assert contrast(colors[ink], colors[back]) >= 4.5, (ink, back)
    assert contrast(colors["warn"], colors["warn-back"]) >= 4.5
    assert contrast(colors["warn"], colors["paper"]) >= 4.5
    assert contrast(colors["ink"], mixed(0.45)) >= 4.5
