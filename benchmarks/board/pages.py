"""The results as sections of words and tables, and these as Markdown, as a page, and in short."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import jinja2

import groupemo.report
from board.standings import Goal, Results, Span, Standing, faster, goals, quicker, ratio, standings
from groupemo import markdown

HERE = Path(__file__).parent
OPEN, CLOSE = "<!-- leaderboard -->", "<!-- /leaderboard -->"
"""Between these lines of the README stands the short form."""

IN_SHORT = ("deepface", "deepface yunet 0.7", "deepface yunet 0.7 unaligned", "fer", "fer mtcnn")
"""Peers of the short form."""

COMMAND = "python benchmarks/leaderboard.py"

ABOUT = """Every tool is given the same photo files and has to decode them, find faces and say an
expression for each. All may use all cores: groupemo runs one process with a worker a core, a
package runs in one process or in two that share the photos, whichever is quicker here, after a
warm-up. Contenders take turns, round by round. Perceived expressions."""

WORDS = """- *found*: share of the 463 faces WIDER FACE labels in these photos that are found at an
  IoU of 0.5 and answered; *precision*: share of the answers that are on a face.
- *right*: share of the faces labelled with an expression ([labels](../labels/README.md)) that are
  found and answered with it.
- *found/s*, *correct/s*: such faces a second of wall time. *times*: how many times as many faces
  the first row finds a second.
- *MB*: the most memory its processes held, added up.
- [low, high]: 95 % intervals; of shares over photos, of speeds over rounds."""


@dataclass(frozen=True)
class Table:
    """Columns that end in `>` stand to the right."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Section:
    """One question, answered.

    Parameters
    ----------
    id, title : str
    text : str
        Markdown: paragraphs and lists.
    table : Table, optional
    picture : bool
        The picture stands in it.
    """

    id: str
    title: str
    text: str = ""
    table: Table | None = None
    picture: bool = False


def sections(results: Results) -> Iterator[Section]:
    """Yield what was measured, part by part."""
    if "speed" in results:
        each = standings(results["speed"])
        yield Section("answer", "In short", answer(each), short(each), picture=True)
    yield Section("goals", "What was to be reached", "", _goals(goals(results)))
    if "speed" in results:
        yield _speed(results["speed"])
        yield from _twins(results["speed"])
    if "classifier" in results:
        yield _classifier(results["classifier"])
    if "cold" in results:
        yield _cold(results["cold"])
    if "growth" in results:
        yield _growth(results["growth"])
    if "faces" in results:
        yield _faces(results["faces"])
    if "share" in results:
        yield _share(results["share"])
    if "detectors" in results:
        yield _detectors(results["detectors"])
    if "backends" in results:
        yield _backends(results["backends"])
    if "size" in results or "naive" in results:
        yield _size(results)
    yield _machine(results)


def answer(each: Sequence[Standing]) -> str:
    """Return the short form's sentence."""
    first, *_ = each
    peers = [one for one in each if not one.ours]
    if not peers:
        return f"groupemo finds {first.recall.value:.0%} of the faces, no package ran beside it."
    best = max(peers, key=lambda one: one.found.value)
    return (
        f"On the same photos groupemo finds {first.recall.value:.0%} of the faces and answers"
        f" {first.found.value:.0f} of them a second; of {len(peers)} settings of other packages,"
        f" the quickest, `{best.name}`, finds {best.recall.value:.0%} and answers"
        f" {best.found.value:.0f} a second."
    )


def short(each: Sequence[Standing]) -> Table:
    """Return the table of the README: groupemo's presets and the best-known peers."""
    first, *_ = each
    chosen = [one for one in each if one is first or one.preset or one.name in IN_SHORT]
    return Table(
        ["", "found>", "precision>", "faces found / s>", "correct / s>", "groupemo against it>"],
        [
            [_bold(one), f"{one.recall.value:.1%}", f"{one.precision.value:.3f}",
             f"{one.found.value:.0f}", f"{one.correct.value:.0f}",
             "" if one.ours else f"{one.times.value:.1f} times"]
            for one in chosen
        ],
    )  # fmt: skip


def _bold(one: Standing) -> str:
    return f"**{one.name}**" if one.ours else one.name


def _goals(each: Sequence[Goal]) -> Table:
    return Table(
        ["what", "wanted", "seen", "reached"],
        [[one.what, one.wanted, one.seen, one.word] for one in each],
    )


def _speed(speed: Results) -> Section:
    each = standings(speed)
    table = Table(
        ["contender", "call", "found>", "precision>", "right>", "found/s>", "correct/s>",
         "ms a photo>", "processes>", "MB>", "times>"],
        [
            [_bold(one), f"`{one.title}`", one.recall.shown(3), one.precision.shown(3),
             one.right.shown(3), one.found.shown(1), one.correct.shown(1),
             f"{one.milliseconds:.0f}", str(one.processes), f"{one.megabytes:.0f}",
             one.times.shown(1)]
            for one in each
        ],
    )  # fmt: skip
    stand_in = (
        "\n\nThe weights of deepface's net are a *stand-in* here, a net of the same shape trained"
        " for groupemo's tests: its speed is the package's, its expressions (*right*, *correct/s*)"
        " are not."
        if speed["stand_in"]
        else ""
    )
    photos = len(next(iter(speed["contenders"].values()))["counts"])
    about = f"{ABOUT}\n\n{photos} photos of `wider_groups`.\n\n{WORDS}{stand_in}"
    return Section("photos", "On group photos", about + _missing(speed["absent"]), table)


def _twins(speed: Results) -> Iterator[Section]:
    told = speed["contenders"]
    each = {one.name: one for one in standings(speed)}
    rows = [
        [one.name, f"**{one.twin}**",
         f"{one.recall.value:.3f}", f"{each[one.twin].recall.value:.3f}",
         faster(told[one.twin], told[one.name]).shown(1)]
        for one in each.values() if one.twin in each
    ]  # fmt: skip
    if rows:
        header = ["package", "groupemo with the same", "its found>", "found>", "times found/s>"]
        text = "What is left where groupemo runs the same detector and the same net."
        yield Section("twins", "The same detector and net", text, Table(header, rows))


def _missing(absent: dict[str, str]) -> str:
    if not absent:
        return ""
    rows = ("- {}: `{}`".format(name, why.replace("`", "'")) for name, why in absent.items())
    return "\n\nNot here:\n\n" + "\n".join(rows)


def _classifier(told: Results) -> Section:
    seconds = told["seconds"]
    pairs = {
        name: next((each for each in seconds if each.startswith(prefix)), None)
        for name, prefix in (("fer", "groupemo: fer"), ("deepface", "groupemo: deepface"))
    }
    rows = []
    for name, each in seconds.items():
        ours = pairs.get(name.partition(",")[0])
        same = quicker(seconds[ours], each).shown(1) if ours else ""
        rows.append([name, ratio([told["faces"]] * len(each), each).shown(0), same])
    text = (
        f"{told['faces']} crops of 224 x 224 pixels, from crops to probabilities, one process;"
        " groupemo takes one thread, the packages as many as they like. *loop*: a call of the net"
        " for each face, as the packages do it; FER's is TensorFlow Lite by default, *keras* with"
        " `use_tflite=False`. *groupemo's net of the same weights*: how many times as fast."
    )
    header = ["net", "faces a second>", "groupemo's net of the same weights, times>"]
    return Section("classifier", "The classifier alone", text + _missing(told["absent"]),
                   Table(header, rows))  # fmt: skip


def _cold(told: Results) -> Section:
    seconds = told["seconds"]
    first = seconds.get("groupemo")
    rows = [
        [name, f"{sorted(each)[len(each) // 2]:.2f}",
         "" if name == "groupemo" or not first else quicker(each, first).shown()]
        for name, each in seconds.items()
    ]  # fmt: skip
    text = (
        f"Fresh processes, in turn, from the start of Python to the faces of one photo"
        f" (`{told['photo']}`), files read before. *share*: of that time, what groupemo takes."
    )
    return Section("cold", "From nothing to the first result", text + _missing(told["absent"]),
                   Table(["contender", "seconds, median>", "share>"], rows))  # fmt: skip


def _growth(told: Results) -> Section:
    rows = [
        [f"{row['photos']:,}", str(row["workers"]), f"{row['seconds']:.2f}",
         f"{1000 * row['seconds'] / row['photos']:.0f}", f"{row['megabytes']:.0f}"]
        for row in told["rows"]
    ]  # fmt: skip
    text = (
        "groupemo's default, a process each, loaded and warm; beyond 60 the same photos come again."
    )
    header = ["photos>", "workers>", "seconds>", "ms a photo>", "peak MB>"]
    return Section("growth", "More photos, more workers", text, Table(header, rows))


def _faces(told: Results) -> Section:
    seconds, answered = told["seconds"], told["answered"]
    counts = list(next(iter(seconds.values())))
    rows = [
        [name, *(f"{1000 * mine[count]:.0f} ({answered[name][count]:.0f})" for count in counts)]
        for name, mine in seconds.items()
    ]
    wide, high = told["side"]
    text = (
        f"Milliseconds a photo of {wide} x {high} pixels with so many faces in it, cut from"
        " the labelled photos and set into gray; in brackets how many faces were answered,"
        " neighbours that show in a cut included. One process each; groupemo with one worker."
    )
    return Section("faces", "More faces a photo", text + _missing(told["absent"]),
                   Table(["contender", *(f"{count}>" for count in counts)], rows))  # fmt: skip


def _share(told: Results) -> Section:
    rows = [[kind, f"{part:.1%}"] for kind, part in told["kinds"].items()]
    rows.append(["all else", f"{1 - told['share']:.1%}"])
    text = "One worker's wall time on the photos, default detector and backend."
    return Section("share", "Where the time goes", text, Table(["in", "share>"], rows))


def _detectors(told: Results) -> Section:
    rows = [
        [name, *(Span(*row[key]).shown(3) for key in ("ap50", "precision", "recall")),
         *(f"{recall:.3f}" for recall in row["sizes"]), f"{row['milliseconds']:.0f}"]
        for name, row in told["rows"].items()
    ]  # fmt: skip
    edges = told["edges"]
    sizes = [
        f"below {edges[0]} px",
        *(f"{low} to {high}" for low, high in pairwise(edges)),
        f"{edges[-1]} and more",
    ]
    text = (
        f"{told['photos']} photos of `wider_groups`, IoU at least 0.5. AP over all scores; recall"
        " also by size, the square root of the labelled box's area. Processor time of one thread;"
        " more: [detectors](detectors.md)."
    )
    header = ["detector", "AP50>", "precision>", "recall>",
              *(f"recall, {size}>" for size in sizes), "ms a photo>"]  # fmt: skip
    absent = "".join(f"\n\n{why}" for why in told["absent"])
    return Section("detectors", "Detectors", text + absent, Table(header, rows))


def _backends(told: Results) -> Section:
    cells, photos = ("FER+ majority", "FER2013's own labels"), ("collages", "group_emotion_real9")
    shown = {cells[0]: ("accuracy", "UAR", "log-loss", "ECE"), cells[1]: ("accuracy", "UAR")}
    shown |= dict.fromkeys(photos, ("accuracy", "macro_f1"))
    header = ["backend"]
    header += [
        f"{title}: {name.replace('_f1', '-F1')}>" for title in shown for name in shown[title]
    ]
    rows = [
        [name, *(Span(*row[title][key]).shown(3) for title in shown for key in shown[title]),
         f"{row['milliseconds']:.2f}"]
        for name, row in told["rows"].items()
    ]  # fmt: skip
    text = (
        "FER2013's PublicTest without leaked faces, given the face: against the majority of ten"
        " taggers, and against FER2013's own labels. Collages and real9 end to end, behind"
        f" `{told['detector']}`: a missed face is a wrong one. A *stand-in* is not the published"
        " net. Log-loss in nats; more: [backends](backends.md), [accuracy](accuracy.md)."
    )
    return Section("backends", "Backends", text + _missing(told["absent"]),
                   Table([*header, "ms a face>"], rows))  # fmt: skip


def _size(results: Results) -> Section:
    rows = []
    if "size" in results:
        told = results["size"]
        rows.append(["`pip install groupemo`", f"{told['megabytes']:.0f}", f"{told['seconds']:.0f}",
                     told["made"]])  # fmt: skip
        rows += [
            [f"environment `tests/packages/{name}.txt`", f"{megabytes:.0f}", "", told["made"]]
            for name, megabytes in told["peers"].items()
        ]
    if "naive" in results:
        told = results["naive"]
        names = {"groupemo": "groupemo", "naive": "deepface fer ultralytics"}
        rows += [
            [f"`uv pip install --no-cache {names[key]}`", f"{told[key]['megabytes']:.0f}",
             f"{told[key]['seconds']:.0f}", told["made"]]
            for key in names
        ]  # fmt: skip
    text = "Into a fresh environment. Seconds hang on network and disk."
    return Section("size", "What an installation takes", text,
                   Table(["what", "MB>", "seconds>", "day"], rows))  # fmt: skip


def _machine(results: Results) -> Section:
    rows = [
        [name, told["made"], f"{told['took']:.0f}", told["command"], told["machine"],
         f"{told['load']:.1f}"]
        for name, told in results.items()
    ]  # fmt: skip
    versions = {
        f"{key} {value}"
        for one in results.get("speed", {}).get("contenders", {}).values()
        for key, value in one.get("versions", {}).items()
    }
    text = (
        "Each part as it was measured last. *load*: how many processes were busy on the machine"
        " as the command began; above 1 its times are worth little."
    )
    if versions:
        text += f"\n\nVersions: {', '.join(sorted(versions))}."
    header = ["part", "day", "took, s>", "command", "machine", "load>"]
    return Section("machine", "Machine and command", text, Table(header, rows))


def to_markdown(each: Sequence[Section], picture: str) -> str:
    """Return the sections as a Markdown page."""
    lines = [f"# Leaderboard\n\n`{COMMAND}`"]
    for section in each:
        lines.append(f"## {section.title}")
        lines += [section.text] if section.text else []
        lines += [markdown.table(section.table.header, section.table.rows)] if section.table else []
        lines += [f"![Faces found against correct faces a second]({picture})"] * section.picture
    return "\n\n".join(lines) + "\n"


def to_html(each: Sequence[Section], light: bytes, dark: bytes) -> str:
    """Return the sections as a page that needs no other file; it follows light and dark."""
    loader = jinja2.ChoiceLoader(
        [
            jinja2.FileSystemLoader(HERE),
            jinja2.FileSystemLoader(Path(groupemo.report.__file__).parent / "templates"),
        ]
    )
    around = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    around.filters |= {"blocks": _blocks, "inline": _inline}
    return around.get_template("board.html").render(
        sections=each, command=COMMAND, light=_address(light), dark=_address(dark)
    )


def _address(svg: bytes) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg).decode()


def _blocks(text: str) -> list[tuple[str, list[str]]]:
    """Return the paragraphs and lists of our own texts: kind ("p" or "ul") and its items."""
    found = []
    for block in text.split("\n\n"):
        items = re.split(r"(?:^|\n)- ", block)
        if len(items) > 1:
            found.append(("ul", [" ".join(item.split()) for item in items[1:]]))
        elif block:
            found.append(("p", [" ".join(block.split())]))
    return found


def _inline(text: str) -> jinja2.utils.markupsafe.Markup:
    """Return code, emphasis and links of our own texts as HTML."""
    safe = str(jinja2.utils.markupsafe.escape(text))
    safe = re.sub(r"`([^`]+)`", r"<code>\1</code>", safe)
    safe = re.sub(r"\*\*([^*]+)\*\*", r"<b>\1</b>", safe)
    safe = re.sub(r"\*([^*]+)\*", r"<em>\1</em>", safe)
    safe = re.sub(r"\[([^\]]+)\]\(([^)]+)\)", r'<a href="\2">\1</a>', safe)
    return jinja2.utils.markupsafe.Markup(safe)


def in_readme(readme: str, speed: Results) -> str:
    """Return the README with the short form between its two lines.

    Raises
    ------
    ValueError
        If the two lines are not in it, once each.
    """
    if readme.count(OPEN) != 1 or readme.count(CLOSE) != 1:
        raise ValueError(f"README.md: expected {OPEN} and {CLOSE}, once each")
    each = standings(speed)
    table = short(each)
    stand_in = " The net of deepface is a stand-in here: its *correct / s* is not the package's."
    body = "\n\n".join(
        [
            f"{OPEN}\n## Beside other packages",
            answer(each) + stand_in * bool(speed["stand_in"]),
            markdown.table(table.header, table.rows),
            "![Faces found against correct faces a second](reports/leaderboard.png)",
            "All of it, and how it was measured: [leaderboard](reports/leaderboard.md).",
            CLOSE,
        ]
    )
    before, rest = readme.split(OPEN)
    return before + body + rest.split(CLOSE)[1]
