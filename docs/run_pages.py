"""Run the code of the pages: `python docs/run_pages.py [PAGE...]` writes the outputs into them.

Pages are run in a folder with the sample photos as `photos/` and their labels as
`labels.csv`. Of a page's blocks,

- `console`: what follows `$` is run by bash, `>` goes on with a command; the rest is what
  it printed. A line `...` stands for any lines. A command may fail only if the next one is
  `echo $?`.
- `python`: run in one namespace a page; a `text` block right after it is what it printed.
  One that begins with `# NAME.py` is written to that file instead.
- `bash`: lines of `groupemo`, run without a look at the output.

A block after `<!-- not run: REASON -->` is left alone, and so is any other kind.
`tests/test_docs.py` holds what is printed to what is shown, numbers aside: those hang on
the machine and on the nets.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).resolve().parent
TUTORIAL = DOCS / "tutorial.md"
GALLERY = DOCS / "gallery"
"""Pictures that pages show after having saved them under the same name."""

OTHERS = {"training.md": "run by tests/test_training_page.py", "cli.md": "made from the help"}
"""Pages that are not run here, and why."""

_BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<why>.*?) -->\n)?"
    r"^```(?P<kind>console|python|bash)\n(?P<text>.*?)^```$"
    r"(?P<printed>\n\n```text\n(?P<shown>.*?)^```$)?",
    re.M | re.S,
)
_COMMAND = re.compile(r"^\$ (?P<command>.*\n(?:> .*\n)*)(?P<shown>(?:(?!\$ ).*\n)*)", re.M)
_END = "\x1e"
_INTERPRETER = """
import contextlib, io, json, sys, traceback
names, answers = {"__name__": "__main__"}, sys.stdout
for line in sys.stdin:
    error, printed = "", io.StringIO()
    with contextlib.redirect_stdout(printed):
        try:
            exec(json.loads(line), names)
        except Exception:
            error = traceback.format_exc()
    print(json.dumps([printed.getvalue(), error]), file=answers, flush=True)
"""


@dataclass(frozen=True)
class Step:
    """A command, or a block of Python, and what the page shows of its output."""

    command: str
    shown: str


class Failed(Exception):
    """Something on a page did not end as it should."""


def pages() -> list[Path]:
    """Return the pages with code to run, the tutorial first: it makes what others use."""
    found = [page for page in sorted(DOCS.rglob("*.md")) if page.name not in OTHERS]
    with_code = [page for page in found if any(blocks(page))]
    return sorted(with_code, key=lambda page: page != TUTORIAL)


def blocks(page: Path) -> Iterator[re.Match[str]]:
    """Yield the blocks of a page that can be run, those that are left alone included."""
    return _BLOCK.finditer(page.read_text(encoding="utf-8"))


def steps(text: str) -> list[Step]:
    """Split a `console` block into its commands."""
    return [
        Step(one["command"].replace("\n> ", "\n").rstrip("\n"), one["shown"])
        for one in _COMMAND.finditer(text)
    ]


def furnish(folder: Path, photos: Path, labels: Path) -> None:
    """Put what the pages speak of into a folder."""
    from groupemo.emotions import EMOTIONS
    from groupemo.models.store import fetch

    for name in ("photos", "some", "others"):
        shutil.copytree(photos, folder / name)
    for name in ("labels.csv", "some.csv", "others.csv"):
        shutil.copy(labels, folder / name)
    shutil.copy(fetch("groupemo").path, folder / "my.onnx")
    (folder / "my.toml").write_text(f'color = "gray"\nclasses = {list(EMOTIONS)}\n')


def run_page(page: Path, folder: Path) -> Iterator[tuple[re.Match[str], list[tuple[Step, str]]]]:
    """Run a page's blocks in a folder; yield each with its steps and what they printed.

    Raises
    ------
    Failed
        If a command or a block fails.
    """
    with _python(folder) as python:
        for block in blocks(page):
            if block["why"]:
                continue
            text = block["text"]
            if block["kind"] == "python":
                made = [Step(text, block["shown"] or "")]
                printed = [_run_python(text, folder, python)]
            else:
                lines = [Step(line, "...\n") for line in text.splitlines() if _is_ours(line)]
                made = steps(text) if block["kind"] == "console" else lines
                printed = _run_commands(made, folder)
            yield block, list(zip(made, printed, strict=True))


def same(shown: str, printed: str) -> bool:
    """Say whether an output is the one shown, but for numbers, white space and `...`."""
    parts = re.split(r"^\.\.\.$", shown, flags=re.M)
    wanted = ".*".join(re.escape(_plain(part)) for part in parts)
    return re.fullmatch(rf"\s*{wanted}\s*", _plain(printed), re.S) is not None


def write_outputs(page: Path, folder: Path) -> None:
    """Run a page, and write what was printed in place of what was shown.

    What holds a `...` stays as it is. Pictures of `GALLERY` that the page shows are renewed.
    """
    text, done = page.read_text(encoding="utf-8"), 0
    pieces = []
    for block, ran in run_page(page, folder):
        pieces.append(text[done : block.start()])
        pieces.append(_rewritten(block, ran))
        done = block.end()
    page.write_text("".join([*pieces, text[done:]]), encoding="utf-8")
    for name in re.findall(r"\]\(gallery/(\w+\.\w+)\)", text):
        shutil.copy(folder / name, GALLERY / name)


def _rewritten(block: re.Match[str], ran: list[tuple[Step, str]]) -> str:
    old: str = block[0]
    if block["kind"] == "console":
        commands = ["$ " + step.command.replace("\n", "\n> ") + "\n" for step, _ in ran]
        outputs = [_kept(step.shown, printed) for step, printed in ran]
        made = "".join(each for pair in zip(commands, outputs, strict=True) for each in pair)
        return old.replace(block["text"], made)
    if block["printed"]:
        return old.replace(block["printed"], f"\n\n```text\n{_kept(block['shown'], ran[0][1])}```")
    return old


def _kept(shown: str, printed: str) -> str:
    if "...\n" in shown:
        return shown
    return "".join(line.rstrip() + "\n" for line in printed.strip("\n").splitlines())


def _plain(text: str) -> str:
    text = re.sub(r"─+", "─", text)
    text = re.sub(r"[+-]?(\d[\d,]*(\.\d+)?|\.\d+)", "0", text)
    return " ".join(text.split())


def _is_ours(line: str) -> bool:
    return line.startswith("groupemo ")


@contextlib.contextmanager
def _python(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Start an interpreter of a page's own, so that nothing it does outlasts the page."""
    python = subprocess.Popen(
        [sys.executable, "-c", _INTERPRETER],
        cwd=folder,
        env=_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with python:
        yield python


def _run_python(text: str, folder: Path, python: subprocess.Popen[str]) -> str:
    if named := re.match(r"# (\w+\.py)\n", text):
        (folder / named[1]).write_text(text, encoding="utf-8")
        return ""
    assert python.stdin
    assert python.stdout
    print(json.dumps(text), file=python.stdin, flush=True)
    printed, error = json.loads(python.stdout.readline() or '["", "ended the interpreter"]')
    if error:
        raise Failed(f"{text}\n{printed}\n{error}")
    return str(printed)


def _environment() -> dict[str, str]:
    return {
        **os.environ,
        "COLUMNS": "88",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONWARNINGS": "error",
    }


def _run_commands(made: list[Step], folder: Path) -> list[str]:
    """Run commands in one bash; return what each printed."""
    script = "".join(
        f"{step.command}\nrc=$?; printf '{_END}%s{_END}' $rc; (exit $rc)\n" for step in made
    )
    ended = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    outputs = ended.stdout.split(_END)
    printed, codes = outputs[0::2][: len(made)], outputs[1::2]
    if len(codes) < len(made):
        raise Failed(f"$ {made[len(codes)].command}\n{ended.stdout}\nended the shell")
    for at, (step, output, code) in enumerate(zip(made, printed, codes, strict=True)):
        asked = at + 1 < len(made) and "$?" in made[at + 1].command
        if code != "0" and not asked:
            raise Failed(f"$ {step.command}\n{output}\nended with {code}")
    return printed


def main(names: list[str]) -> None:
    """Write outputs into the pages named, or all."""
    import tempfile

    from groupemo.samples import fetch_samples

    chosen = [page for page in pages() if not names or page.stem in names or str(page) in names]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "pages"
        folder.mkdir()
        fetch_samples(folder=Path(place) / "samples")
        furnish(folder, Path(place) / "samples", DOCS.parent / "labels" / "samples.csv")
        if TUTORIAL not in chosen:
            list(run_page(TUTORIAL, folder))
        for page in chosen:
            print(page.relative_to(DOCS), flush=True)
            write_outputs(page, folder)


if __name__ == "__main__":
    main(sys.argv[1:])
