import html
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import takewhile

import numpy as np
import pandas as pd
import pytest
from report_scenes import HAPPY, ODD, analysis, evaluation, unread, voted

from groupemo import EMOTIONS, Evaluation, LabelledFaces, Labels, load_evaluation
from groupemo.analysis import Failure
from groupemo.errors import OutputError
from groupemo.figures import FIGURES
from groupemo.labels import IGNORE
from groupemo.report import write_report
from groupemo.report.content import LACKING, SECTIONS, describe
from groupemo.report.words import STAND_IN, number, span
from groupemo.testing import make_scene, write_scenes

VOID = {"meta", "img", "input", "br", "hr", "link", "line", "circle", "rect", "polyline"}
DASH = "\N{EN DASH}"


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
            self.tables.append((dict(attrs).get("class", ""), []))
        elif tag == "tr":
            self.tables[-1][1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][1][-1].append("")

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.words.append(data)
        if {"td", "th"} & set(self.open):
            self.tables[-1][1][-1][-1] += data.strip() + " "

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]

    def table(self, kind, place=0):
        """Return the rows of the tables of a class: each a list of the cells' words."""
        rows = [rows for name, rows in self.tables if kind in name.split()][place]
        return [[" ".join(cell.split()) for cell in row] for row in rows]

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return evaluation(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def rich(tmp_path_factory):
    return voted(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def out(made, tmp_path_factory):
    return write_report(made, tmp_path_factory.mktemp("report")).parent


@pytest.fixture(scope="module")
def rich_out(rich, tmp_path_factory):
    return write_report(rich, tmp_path_factory.mktemp("report")).parent


@pytest.fixture(scope="module")
def page(out):
    return read(out)


@pytest.fixture(scope="module")
def rich_page(rich_out):
    return read(rich_out)


def read(folder):
    return Page((folder / "index.html").read_text(encoding="utf-8"))


def page_of(evaluation, folder):
    return read(write_report(evaluation, folder).parent)


def test_the_page_needs_no_network(out, page):
    text = (out / "index.html").read_text()
    text = re.sub(r"data:image/jpeg;base64,[\w+/=]+", "", text)
    text = text.replace("http://www.w3.org/2000/svg", "")  # a name, not an address
    assert not re.search(r"https?:|//[a-z]|@import|url\(", text)
    assert not page.all("link")
    assert not any("src" in attrs for attrs in page.all("script"))
    sources = [attrs["src"] for attrs in page.all("img") if "src" in attrs]
    assert sources
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)


@pytest.mark.parametrize("name", ["out", "rich_out"])
def test_links_lead_somewhere_and_names_are_given_once(name, request):
    out = request.getfixturevalue(name)
    page = read(out)
    links = {attrs["href"] for attrs in page.all("a")}
    anchors = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(anchors) == len(set(anchors))
    files = {path.name for path in out.iterdir()}
    assert {link.removeprefix("#") for link in links} <= {*anchors, *files}
    assert files - {"index.html"} <= links
    for _, attrs in page.tags:
        for name in ("aria-labelledby", "aria-describedby", "for"):
            assert {*attrs.get(name, "").split()} <= {*anchors}


def test_sections_are_in_order_and_those_without_a_say_tell_why(page, rich_page):
    for each in (page, rich_page):
        assert [attrs["id"] for attrs in each.all("section")] == list(SECTIONS)
    silent = [name for name, why in LACKING.items() if why in page.text]
    assert silent == ["slices", "agreement"]  # few photos, no votes
    assert not any(why in rich_page.text for why in LACKING.values())


def test_names_of_photos_are_shown_and_never_run(made, tmp_path):
    text = write_report(made, tmp_path / "out", title="<b>t</b>").read_text()
    assert ODD not in text
    assert "<b>here" not in text
    assert "<b>t" not in text
    assert "<i>0" not in text
    assert ODD in Page(text).text
    markdown = (tmp_path / "out" / "report.md").read_text()
    assert "<script" not in markdown
    assert "<b>" not in markdown


def test_the_figures_are_those_of_the_tables(made, page):
    figures = made.figures().set_index(["detector", "backend", "figure"])
    shown = next(row for row in page.table("summary") if row[0] == "eye x mind")
    columns = [f"{over}_{name}" for over, name in (
        ("end_to_end", "macro_f1"), ("end_to_end", "accuracy"), ("matched", "macro_f1"),
        ("matched", "accuracy"), ("matched", "log_loss"), ("detection", "recall"),
        ("detection", "precision"), ("detection", "ap50"),
    )]  # fmt: skip
    for cell, name in zip(shown[1:-1], columns, strict=True):
        row = figures.loc[("eye", "mind", name)]
        bounds = span(row["low"], row["high"])
        expected = f"{number(row['value'])} {bounds or 'no interval'} n {row['n']}"
        assert cell == " ".join(expected.split()), name
    assert shown[-1] == number(made.table().loc[("eye", "mind"), "seconds_per_photo"])


def test_every_figure_is_shown_for_every_pair(made, page):
    words = " ".join(cell for _, rows in page.tables for row in rows for cell in row).lower()
    for figure in FIGURES.values():
        assert words.count(figure.title.lower()) >= len(made.scores), figure.name


def test_the_confusion_matrix_is_that_of_the_scores(made, tmp_path):
    head, *rows = page_of(made, tmp_path / "out").table("confusion")
    frame = made.scores[0].confusion().drop(index="unsure")  # nobody is: the row is left out
    assert head[1:-1] == list(frame.columns)
    assert [row[0] for row in rows] == list(frame.index)
    counts = np.array([[cell.split()[0] for cell in row[1:]] for row in rows], int)
    np.testing.assert_array_equal(counts[:, :-1], frame)
    np.testing.assert_array_equal(counts[:, -1], frame.sum(axis=1))
    happy = rows[EMOTIONS.index("happy")]
    assert happy[1 + EMOTIONS.index("happy")] == "1 50%"


def test_classes_have_their_figures_and_what_they_stand_on(made, tmp_path):
    rows = page_of(made, tmp_path / "out").table("classes")
    happy = rows[1 + EMOTIONS.index("happy")]  # found 1 of 2, and answered once for a sad face
    assert [happy[0], happy[1], *happy[3:]] == ["happy", "2", "0.50 of 2", "0.50", "0.67"]
    assert happy[2].startswith("0.50")
    assert rows[1 + EMOTIONS.index("fear")] == ["fear", "0", DASH, f"{DASH} of 0", DASH, DASH]


def test_the_tables_beside_the_page_hold_its_figures(rich, rich_out):
    made, out = rich, rich_out
    pd.testing.assert_frame_equal(
        pd.read_csv(out / "figures.csv", keep_default_na=False, na_values=[""]),
        made.figures().replace({"undefined": {"": np.nan}}),
        check_dtype=False,
    )
    pd.testing.assert_frame_equal(
        pd.read_csv(out / "comparisons.csv"), made.comparisons().frame(), check_dtype=False
    )
    content = describe(made)
    tables = {name: pd.read_csv(out / f"{name}.csv")
              for name in ("anatomy", "slices", "reliability")}  # fmt: skip
    counted = tables["anatomy"].groupby(["detector", "backend"])["count"].sum()
    assert counted["eye", "mind"] == 3 * 12 + 6  # three faces a photo, and six phantoms
    assert set(tables["slices"]["by"]) == {panel.by for panel in content["slices"].panels}
    assert tables["reliability"]["count"].sum() == sum(len(one.answers) for one in made.scores)


def test_what_an_earlier_report_left_is_removed_and_nothing_else(rich, made, tmp_path):
    write_report(rich, tmp_path)
    (tmp_path / "report.pdf").write_text("of an earlier report")
    (tmp_path / "mine.csv").write_text("")
    assert (tmp_path / "slices.csv").exists()
    with pytest.warns(UserWarning, match=r"report.pdf was of the earlier report and is removed"):
        text = write_report(made, tmp_path).read_text()
    left = {path.name for path in tmp_path.iterdir()}
    assert "mine.csv" in left
    assert not {"slices.csv", "slices.parquet", "report.pdf"} & left
    assert left - {"mine.csv", "index.html"} <= set(re.findall(r'href="([^"#]+)"', text))


def test_a_command_is_told_as_it_was_given(made, tmp_path):
    manifest = {**made.manifest, "command": "groupemo evaluate 'my photos' labels.csv"}
    page = page_of(replace(made, manifest=manifest), tmp_path / "out")
    assert page.text.count("groupemo evaluate 'my photos' labels.csv") == 1


def test_the_labelled_boxes_are_no_detector(rich, page, rich_page, rich_out):
    assert "detector and the labelled boxes 1" in rich_page.text
    assert "Detectors eye; labelled: the labelled boxes themselves" in rich_page.text
    assert "labelled boxes" not in page.text.partition("The answer")[0]


def test_markdown_has_every_section(rich, rich_out):
    content, text = describe(rich), (rich_out / "report.md").read_text()
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    titles = [title for name, (title, _) in SECTIONS.items() if name not in ("pairs", "gallery")]
    assert [one for one in headings if one in titles] == titles
    lines = text.splitlines()
    for start in (n for n, line in enumerate(lines) if line.startswith("|---")):
        rows = [lines[start - 1], *takewhile(lambda line: line.startswith("|"), lines[start:])]
        assert len({row.count("|") for row in rows}) == 1, rows[0]
    counts = {part.name: part.count for part in content["anatomy"].runs[0].parts}
    names = content["anatomy"].names
    row = next(line for line in lines if line.startswith("| eye x mind | 12 |"))
    assert [int(cell.split()[0]) for cell in row.split("|")[2:-1]] == [counts[n] for n in names]


def test_parquet_is_written_where_it_can_be(made, tmp_path):
    pytest.importorskip("pyarrow")
    write_report(made, tmp_path)
    frame = pd.read_parquet(tmp_path / "figures.parquet")
    pd.testing.assert_frame_equal(frame, made.figures(), check_dtype=False)


def test_the_report_is_made_again_from_its_folder(made, out):
    again = load_evaluation(out)
    pd.testing.assert_frame_equal(again.figures(), made.figures())


def test_markdown_says_the_same_as_the_page(made, out, page):
    markdown = (out / "report.md").read_text()
    shown = [row for row in page.table("summary") if row[0].startswith("eye")]
    summary = [
        [html.unescape(cell).strip() for cell in line.strip("|").split("|")]
        for line in markdown.splitlines()
        if line.startswith("| eye x mind") and "[" in line
    ]
    assert [[cell.split()[0] for cell in row[1:]] for row in summary] == [
        [cell.split()[0] for cell in row[1:]] for row in shown
    ]
    for sentence in describe(made)["answer"].sentences:
        assert sentence in page.text
    assert made.comparisons().sentence() in page.text
    assert made.comparisons().sentence() in markdown.replace("\\", "")


def test_what_is_undefined_is_a_dash_with_its_reason(made, page):
    reason = FIGURES["matched_kl"].undefined
    assert page.text.count(f"not defined, {reason}") == len(made.scores)
    for attrs in page.all("sup"):
        assert attrs == {}
    words = page.text.lower().split()
    assert "nan" not in words
    assert "inf" not in words


def test_no_faces_at_all_is_a_report_with_dashes(tmp_path):
    scene = make_scene([])
    labels = write_scenes([scene], tmp_path)
    empty = Evaluation.of(labels, [analysis(scene, tmp_path, [], [])])
    page = page_of(empty, tmp_path / "out")
    assert "cannot be said" in page.text
    assert "No face is labelled" in page.text
    assert page.table("summary")[2][1].split()[0] == DASH
    assert FIGURES["end_to_end_macro_f1"].undefined in page.text
    assert "nan" not in page.text.lower().split()
    assert "nan" not in (tmp_path / "out" / "report.md").read_text().lower().split()
    assert "nan" not in Page(f"<div>{empty._repr_html_()}</div>").text.lower().split()


def test_no_photo_that_could_be_read_is_a_report_too(tmp_path):
    grid = Evaluation.of(Labels({ODD: LabelledFaces.empty()}), [unread(ODD)])
    text = page_of(grid, tmp_path / "out").text
    assert "cannot be said" in text
    assert "cut off <b>here</b>" in text


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
    rows = page_of(grid, tmp_path / "out").table("summary")[2:]
    assert [row[0] for row in rows] == ["eye x mind", "eye x mute"]
    assert rows[1][3].split()[0] == DASH


def test_floors_references_and_the_ceiling_are_marked_and_never_first(rich_page):
    page = rich_page
    kinds = [attrs["class"] for attrs in page.all("svg") if "track" in attrs.get("class", "")]
    assert kinds[:6] == ["track candidate"] * 2 + ["track floor"] + ["track reference"] * 3
    lines = [attrs["class"] for attrs in page.all("line") if "mark" in attrs.get("class", "")]
    assert {"mark ceiling", "mark floor"} == {*lines}
    assert "annotators' ceiling" in page.text
    assert page.text.count("the labelled boxes were given") == 3


def test_stand_in_weights_are_noted_where_their_figures_are(made, out, page, tmp_path):
    assert page.text.lower().count(STAND_IN) >= 3
    assert STAND_IN.capitalize() in (out / "report.md").read_text()
    assert STAND_IN in html.unescape(made._repr_html_())
    alone = evaluation(tmp_path, pairs=[("eye", "mind")])
    assert STAND_IN not in page_of(alone, tmp_path / "out").text
    assert STAND_IN not in html.unescape(alone._repr_html_())


def test_photos_that_could_not_be_read_and_those_left_out_are_named(made, page, tmp_path):
    text = page.text
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


def test_a_region_to_leave_out_is_no_labelled_face(tmp_path):
    scene = make_scene(["happy"])
    labelled = LabelledFaces([*scene.labelled.boxes, [0, 0, 9, 9]], [HAPPY, IGNORE])
    write_scenes([scene], tmp_path)
    grid = Evaluation.of(Labels({scene.name: labelled}), [analysis(scene, tmp_path, [], [])])
    page = page_of(grid, tmp_path / "out")
    assert "face labelled by hand 1" in page.text
    assert "happy 1 left out 1" in page.text
    assert "1 faces labelled by hand" in (tmp_path / "out" / "report.md").read_text()


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
    assert page.tables[0][1][1][:2] == ["0 ", "happy 70% "]
    assert page.tables[0][1][2][1:] == ["no answer ", f"{DASH} "]
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
    cells = page.tables[0][1][1]
    assert cells[0].strip() == "eye x mind"
    assert cells[1].split()[0] == number(row["end_to_end_macro_f1"])
    assert cells[1].split()[-2:] == ["n", "4"]
    assert cells[6].split()[0] == number(row["detection_recall"])


def colors(scheme):
    from importlib.resources import files

    style = files("groupemo.report").joinpath("templates/style.css").read_text()
    light, dark = style.split("prefers-color-scheme: dark")[:2]
    found = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6})", light.split("}")[0]))
    if scheme == "dark":
        found |= dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6})", dark.split("}")[0]))
    return {name: [int(pair, 16) for pair in re.findall("..", full(color))]
            for name, color in found.items()}  # fmt: skip


def full(color):
    return color[1:] if len(color) == 7 else "".join(2 * digit for digit in color[1:])


def luminance(color):
    channels = [c / 255 for c in color]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return np.dot(linear, [0.2126, 0.7152, 0.0722])


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def mixed(share, color, back):
    return [share * a + (1 - share) * b for a, b in zip(color, back, strict=True)]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colors_of_text_have_contrast(scheme):
    found = colors(scheme)
    paper, ink = found["paper"], found["ink"]
    for text in ("ink", "quiet", "accent", "warn"):
        for back in ("paper", "raised"):
            assert contrast(found[text], found[back]) >= 4.5, (text, back)
    assert contrast(found["warn"], found["warn-back"]) >= 4.5
    assert contrast(ink, mixed(0.45, found["tint"], paper)) >= 4.5
    for mark in ("blue", "vermillion"):
        assert contrast(ink, mixed(0.22, found[mark], paper)) >= 4.5
    for mark in ("orange", "gray", "sky", "vermillion", "yellow", "purple"):
        assert contrast([0, 0, 0], found[mark]) >= 4.5, mark


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colors_of_marks_stand_out(scheme):
    found = colors(scheme)
    for mark in ("blue", "vermillion", "gray", "green"):
        assert contrast(found[mark], found["raised"]) >= (2.7 if mark == "gray" else 3), mark
