"""The command that writes a trained net as ONNX, with its cards: `export`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import groupemo.cli._options as opt
from groupemo.cli._console import NONE, counted, plain, print_json, print_note, print_table

if TYPE_CHECKING:
    from groupemo.training.onnx_export import Exported

__all__ = ["export"]


def export(
    folder: Annotated[
        Path,
        typer.Argument(metavar="RUN", help="The folder of a training.", show_default=False),
    ],
    precision: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="float32; float16: half the size, the same speed; int8: net.int8.onnx beside"
            " net.onnx, a quarter of the size, faster.",
        ),
    ] = "float32",
    temperature: Annotated[
        float | None,
        typer.Option(
            metavar="T",
            help="Divides the logits; fitted on the validation faces if not given.",
            show_default=False,
        ),
    ] = None,
    licence: Annotated[
        str, typer.Option(metavar="TEXT", help="The terms of the net, for its file and card.")
    ] = "not stated",
    as_json: opt.Json = False,
) -> None:
    """Write the net of a training as ONNX, with model card and data sheet.

    The file answers as the net does, or is not written. Softmax and temperature are
    inside; net.toml beside it is what --backend onnx:model=RUN/net.onnx needs.
    Needs: pip install 'groupemo[train]'.
    """
    from groupemo.models.pytorch import needs_train_extra

    with needs_train_extra():
        from groupemo.training.card import write_cards
        from groupemo.training.run import Run
        from groupemo.training.run_export import export_run

    run = Run.open(folder)
    files = export_run(run, precision=precision, temperature=temperature, licence=licence)  # type: ignore[arg-type]
    cards = write_cards(run, files)
    if as_json:
        print_json({"files": [asdict(file) for file in files], "cards": list(cards)})
    else:
        _print(files, cards)


def _print(files: tuple[Exported, ...], cards: tuple[Path, ...]) -> None:
    print_table(
        f"Exported to {files[0].path.parent}",
        ("File", "Precision", "Bytes>", "Furthest apart>", "Same answer>", "Accuracy before>",
         "Accuracy after>"),
        [
            (
                file.path.name,
                file.precision,
                f"{file.bytes:,}",
                f"{file.largest_difference:.1e}",
                f"{file.agreement:.2%}",
                *(f"{each:.3f}" if file.labelled else NONE
                  for each in (file.accuracy_before, file.accuracy_after)),
            )
            for file in files
        ],
    )  # fmt: skip
    net = files[0]
    print_note(
        f"Against PyTorch in float32, on {counted(net.faces, 'validation face')}; accuracy on the"
        f" {net.labelled} with a majority. Temperature {net.temperature:g}: above 1 makes answers"
        " less sure."
    )
    for path in (*(file.path for file in files), *cards):
        typer.echo(plain(path))
