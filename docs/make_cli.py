"""Write docs/cli.md from the help of the command line: `python docs/make_cli.py`."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from groupemo.cli import EXIT_CODES, app

PAGE = Path(__file__).with_name("cli.md")

INTRODUCTION = """\
# The command line

<!-- Made by docs/make_cli.py from the help: change the help, then run `make docs`. -->

Results go to standard output, progress and complaints to standard error. With
`--json` the result is one JSON value. `groupemo --install-completion` teaches
your shell the commands.

A detector or backend is a name, or a name with options:
`haar:scale_factor=1.2,min_neighbors=3`. `groupemo models list` lists the names.

## Exit codes
"""


def page() -> str:
    """Return the whole page."""
    codes = [f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items()]
    parts = [INTRODUCTION, "\n".join(["| code | meaning |", "|---|---|", *codes]) + "\n"]
    parts += sections(typer.main.get_command(app), "groupemo")
    return "\n".join(parts)


def sections(command: Any, name: str) -> Iterator[str]:
    """Yield a section for each command, those of groups included."""
    if inner := getattr(command, "commands", None):
        for word, each in inner.items():
            yield from sections(each, f"{name} {word}")
        return
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option"]
    usage = " ".join([name, *(spelled(one) for one in arguments), "[OPTIONS]"])
    told = "\n\n".join(
        " ".join(text.split()) for text in inspect.cleandoc(command.help).split("\n\n")
    )
    rows = [
        f"| `{in_cell(spelled(one))}` | {in_cell(meaning(one))} |" for one in (*arguments, *options)
    ]
    table = "\n".join(["| | |", "|---|---|", *rows])
    yield f"## {name}\n\n```\n{usage}\n```\n\n{told}\n\n{table}\n"


def in_cell(text: str) -> str:
    """Return text for a cell of a table, which a bare bar would end, even within code."""
    return text.replace("|", r"\|")


def spelled(parameter: Any) -> str:
    """Return how a parameter is written: `PHOTOS...`, `--out DIR`."""
    word = parameter.metavar or ""
    if parameter.param_type_name == "argument":
        word = word or parameter.name.upper()
        word += "..." * (parameter.nargs == -1)
        return word if parameter.required else f"[{word}]"
    return " ".join(filter(None, [", ".join(reversed(parameter.opts)), word]))


def meaning(parameter: Any) -> str:
    """Return a parameter's help, and its default or that it is required."""
    default = parameter.default
    if isinstance(default, list | tuple):
        default = " ".join(map(str, default))
    if parameter.required:
        return f"{parameter.help} Required."
    shown = default not in (None, False, "") and parameter.show_default is not False
    return f"{parameter.help} Default: `{default}`." if shown else str(parameter.help)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)
