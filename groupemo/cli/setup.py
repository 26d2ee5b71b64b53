"""Commands about what is here: `models`, `samples`, `doctor`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import groupemo.cli._options as opt
from groupemo.cli._console import (
    NONE,
    briefly,
    complain,
    counted,
    print_json,
    print_note,
    print_table,
)
from groupemo.cli.importing import import_net

if TYPE_CHECKING:
    from groupemo.doctor import Check
    from groupemo.models.store import ModelStatus

__all__ = ["doctor", "models", "samples"]

models = typer.Typer(no_args_is_help=True, help="Model files: list, get, check and find them.")
samples = typer.Typer(no_args_is_help=True, help="Sample photos: list and get them.")

models.command("import")(import_net)

Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="NAMES", help="Model files; all if not given.", show_default=False),
]


@models.command("list")
def list_all(as_json: opt.Json = False) -> None:
    """List detectors, backends and their model files, with licences."""
    from dataclasses import asdict

    from groupemo.catalog import list_backends, list_detectors
    from groupemo.models.store import list_models

    plugins, files = [*list_detectors(), *list_backends()], list_models()
    if as_json:
        told = [{**asdict(file.entry), "path": file.path, "state": _state(file)} for file in files]
        print_json({"plugins": [asdict(plugin) for plugin in plugins], "files": told})
        return
    print_table(
        "Detectors and backends",
        ("", "Name", "What it is", "Model files"),
        [(one.kind, one.name, one.summary, ", ".join(one.weights) or NONE) for one in plugins],
    )
    print_table(
        "Model files",
        ("Name", "State", "MB>", "Licence", "Trained on"),
        [
            (
                file.entry.name,
                _state(file),
                f"{file.entry.bytes / 1e6:.1f}" if file.entry.bytes else NONE,
                file.entry.licence,
                file.entry.about,
            )
            for file in files
        ],
    )


@models.command()
def pull(names: Names = None, as_json: opt.Json = False) -> None:
    """Get model files that are not here; ends with 1 if one cannot be had."""
    from groupemo.errors import ModelError
    from groupemo.models.store import MODELS, fetch

    paths, unreachable = {}, {}
    for name in names or MODELS.entries:
        try:
            paths[name] = fetch(name).path
        except ModelError as error:
            unreachable[name] = str(error)
    if as_json:
        print_json({"paths": paths, "out_of_reach": unreachable})
    else:
        print_table("Model files", ("Name", "Where"), list(paths.items()))
    for reason in unreachable.values():
        complain(f"error: {reason}")
    if unreachable:
        raise typer.Exit(1)


@models.command()
def verify(names: Names = None, as_json: opt.Json = False) -> None:
    """Check the model files that are here; ends with 1 if one is not what it should be."""
    files = _chosen(names)
    if as_json:
        told = {one.entry.name: {"state": _state(one), "problems": one.problems} for one in files}
        print_json(told)
    else:
        rows = [(file.entry.name, _state(file), "\n".join(file.problems)) for file in files]
        print_table("Model files", ("Name", "State", "Problem"), rows)
    if any(file.problems for file in files):
        raise typer.Exit(1)


@models.command()
def path(names: Names = None, as_json: opt.Json = False) -> None:
    """Print where model files are; one that is named and not here is an error."""
    from groupemo.errors import ModelError

    files = _chosen(names)
    here = {file.entry.name: file.path for file in files if file.path}
    if names and len(here) < len(files):
        lacking = " ".join(file.entry.name for file in files if not file.path)
        raise ModelError(f"not here: {lacking}; get with: groupemo models pull {lacking}")
    if as_json:
        print_json(here)
    else:
        for place in here.values():
            typer.echo(place)


def _chosen(names: Sequence[str] | None) -> list[ModelStatus]:
    from groupemo.models.store import MODELS, list_models

    wanted = [MODELS.entry(name).name for name in names or MODELS.entries]
    return [file for file in list_models() if file.entry.name in wanted]


def _state(file: ModelStatus) -> str:
    if file.problems:
        return "damaged"
    return "here" if file.path else "not here"


@samples.command("list")
def list_photos(as_json: opt.Json = False) -> None:
    """List the sample photos, with credit and terms."""
    from dataclasses import asdict

    from groupemo.samples import list_samples

    photos = list_samples()
    if as_json:
        print_json([asdict(photo) for photo in photos])
    else:
        rows = [(one.file, "yes" if one.group else "", one.licence, one.about) for one in photos]
        print_table("Sample photos", ("Photo", "Group", "Terms", "Credit"), rows)


@samples.command("pull")
def pull_photos(out: opt.Out = Path("data/samples"), as_json: opt.Json = False) -> None:
    """Get the sample photos; ends with 3 if some cannot be had."""
    from groupemo.samples import fetch_samples

    photos = fetch_samples(folder=out)
    if as_json:
        print_json({"paths": photos.paths, "out_of_reach": photos.unreachable})
    else:
        print_note(f"{counted(len(photos.paths), 'photo')} in {out}")
    for name, reason in photos.unreachable.items():
        complain(f"out of reach: {name}: {briefly(reason)}")
    if photos.unreachable:
        raise typer.Exit(3)


def _verdict(check: Check) -> str:
    if not check.ok:
        return "WRONG"
    return "note" if check.remedy else "ok"


def doctor(as_json: opt.Json = False) -> None:
    """Check this installation, and say the remedies; ends with 1 if anything is wrong."""
    from groupemo.doctor import examine

    checks = examine()
    if as_json:
        print_json([vars(check) for check in checks])
    else:
        rows = [(_verdict(one), one.name, one.detail, one.remedy) for one in checks]
        print_table("This installation", ("", "Looked at", "Found", "What to do"), rows)
    if not all(check.ok for check in checks):
        raise typer.Exit(1)
