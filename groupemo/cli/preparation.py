"""The command that makes a file of faces to train on: `prepare`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import groupemo.cli._options as opt
from groupemo.cli._console import counted, end, print_json, print_note, print_table

if TYPE_CHECKING:
    from groupemo.training.faces_file import FaceBatch, FacesFile

__all__ = ["prepare"]


def prepare(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="A FER2013 CSV, a folder of folders named by emotions, a label CSV, or the CSV"
            " beside a sheet of faces.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The HDF5 file to write: faces.h5.")],
    split: Annotated[
        str | None,
        typer.Option(
            metavar="PART",
            help="FER2013 CSV: training, publictest, privatetest or all; training if not given.",
            show_default=False,
        ),
    ] = None,
    votes: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="FER2013 CSV: FER+ votes, fer2013new.csv.", show_default=False
        ),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="WHOSE",
            help="Sheet: votes, or fer2013 for its own labels; votes if not given.",
            show_default=False,
        ),
    ] = None,
    keep_leaked: Annotated[
        bool, typer.Option("--keep-leaked", help="Sheet: keep faces that are in_train.")
    ] = False,
    photos: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Label CSV: where its photos are.", show_default=False),
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            help="Label CSV: added to a box on each side, as a fraction of it; 0 if not given.",
            show_default=False,
        ),
    ] = None,
    square: Annotated[
        bool | None,
        typer.Option(
            "--square/--as-labelled",
            help="Label CSV: whether boxes grow to squares first; they do if neither is given.",
            show_default=False,
        ),
    ] = None,
    side: Annotated[
        int,
        typer.Option(metavar="N", min=1, max=1024, help="Height and width of a face in pixels."),
    ] = 48,
    rgb: Annotated[bool, typer.Option("--rgb", help="RGB faces instead of gray ones.")] = False,
    terms: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="Under what terms the data may be used, for the data sheet.",
            show_default=False,
        ),
    ] = None,
    as_json: opt.Json = False,
) -> None:
    """Write faces with votes to one file, for training.

    What was left out, and why, is printed, and stands in the file beside the
    checksums of what was read. Votes for contempt, unknown and not a face have no
    class: where they are half of a face's votes and no class leads, it is left out.
    """
    from groupemo.training.faces_file import FacesFile, write_faces
    from groupemo.training.sources import read_source

    batches, provenance = read_source(
        source,
        side=side,
        gray=not rgb,
        terms=terms,
        split=split,
        votes=votes,
        labels=labels,
        keep_leaked=keep_leaked or None,
        photos=photos,
        margin=margin,
        square=square,
    )
    write_faces(out, _shown(batches), side=side, channels=3 if rgb else 1, provenance=provenance)
    with FacesFile(out) as file:
        told = {"out": out, "sha256": file.sha256, **file.provenance}
        print_json(told) if as_json else _print(file)
    end(told["failures"])


def _shown(batches: Iterable[FaceBatch]) -> Iterator[FaceBatch]:
    """Yield the batches, and show how many faces there were."""
    from tqdm.auto import tqdm

    with tqdm(unit="face", disable=None) as bar:
        for batch in batches:
            yield batch
            bar.update(len(batch))


def _print(file: FacesFile) -> None:
    told = file.provenance
    print_table(
        f"Faces in {file.path}",
        ("Perceived expression", "Faces>"),
        [(word, count) for word, count in told["classes"].items() if count],
    )
    color = "gray" if file.channels == 1 else "RGB"
    print_note(
        f"{counted(len(file), 'face')} of {file.side} x {file.side} pixels, {color}; brightness"
        f" {file.mean:.3f}, deviation {file.std:.3f} of 1"
    )
    left_out = (f"{reason} {count}" for reason, count in told["left_out"].items())
    print_note(f"left out: {'; '.join(left_out) or 'none'}")
    for source in told["sources"]:
        print_note(f"terms of {source['name']}: {source['terms']}")
