"""The command that takes in a net of one's own: `models import`."""

from __future__ import annotations

import ast
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

import groupemo.cli._options as opt
from groupemo.cli._console import plain, print_json, print_note, print_table

__all__ = ["import_net"]


def import_net(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="ONNX, Keras (.h5, .keras, model.json) or PyTorch (.pt, .pth)."
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder to make.")],
    weights: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Weights (.h5) of a model.json.", show_default=False),
    ] = None,
    class_path: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE:CLASS",
            help="The class of a state dict; the module is imported, so its code runs.",
            show_default=False,
        ),
    ] = None,
    class_arg: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE",
            help="What to call the class with. May be repeated.",
            show_default=False,
        ),
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...", help="What the outputs mean, in order.", show_default=False
        ),
    ] = None,
    color: Annotated[
        str | None, typer.Option(metavar="gray|rgb|bgr", help="Channels.", show_default=False)
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            metavar="S|H,W", help="Side of its pictures, or height and width.", show_default=False
        ),
    ] = None,
    layout: Annotated[
        str | None,
        typer.Option(metavar="nchw|nhwc", help="Channels first or last.", show_default=False),
    ] = None,
    range_: Annotated[
        str | None,
        typer.Option(
            "--range", metavar="LOW,HIGH", help="What black and white become.", show_default=False
        ),
    ] = None,
    mean: Annotated[
        str | None,
        typer.Option(
            metavar="X|R,G,B", help="Then subtracted, for each channel.", show_default=False
        ),
    ] = None,
    std: Annotated[
        str | None,
        typer.Option(metavar="X|R,G,B", help="Then divided by.", show_default=False),
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option(
            metavar="X", help="Added to each side of a box, as a fraction.", show_default=False
        ),
    ] = None,
    square: Annotated[bool, typer.Option("--square", help="Make boxes square.")] = False,
    output: Annotated[
        str | None,
        typer.Option(
            metavar="logits|probs", help="Is seen, too: an error if not so.", show_default=False
        ),
    ] = None,
    allow_pickle: Annotated[
        bool,
        typer.Option(
            "--allow-pickle", help="Let code in a PyTorch file run: it may do anything here."
        ),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace what an earlier import wrote.")
    ] = False,
    as_json: opt.Json = False,
) -> None:
    """Turn a net of your own into a backend.

    ONNX, Keras without TensorFlow, TorchScript, or a state dict with its class
    becomes DIR/net.onnx, checked and tried, with net.toml, which says how faces go
    in and what comes out, and card.md. What no file says is asked for, or assumed
    and printed. Files of PyTorch need groupemo[train].
    """
    from groupemo.importing import import_model

    net = import_model(
        file,
        out=out,
        weights=weights,
        class_path=class_path,
        class_args=dict(map(_pair, class_arg or [])),
        allow_pickle=allow_pickle,
        force=force,
        classes=None if classes is None else [one.strip() for one in classes.split(",")],
        color=color,
        size=_numbers("size", size),
        layout=layout,
        range=_numbers("range", range_),
        mean=_numbers("mean", mean),
        std=_numbers("std", std),
        margin=margin,
        square=square or None,
        output=output,
    )
    if as_json:
        print_json({**asdict(net), "spec": net.spec})
        return
    rows = [(fact.name, fact.value, fact.known) for fact in net.facts]
    print_table(f"A net from {net.kind}", ("What", "Value", "Known"), rows)
    for sentence in net.assumptions:
        print_note(f"Make sure: {sentence}")
    typer.echo(plain(f"Use it as: -b {net.spec}"))  # never folded: it is to be copied


def _numbers(name: str, text: str | None) -> Any:
    """Return one number, or a list where there are commas."""
    if text is None:
        return None
    try:
        values = [ast.literal_eval(part.strip()) for part in text.split(",")]
    except (SyntaxError, ValueError) as error:
        raise typer.BadParameter(f"--{name} {text}: expected numbers with commas") from error
    return values if len(values) > 1 else values[0]


def _pair(text: str) -> tuple[str, Any]:
    """Return name and value; a value that is no Python literal is a word."""
    name, equals, value = text.partition("=")
    if not (equals and name.isidentifier()):
        raise typer.BadParameter(f"--class-arg {text}: expected KEY=VALUE")
    try:
        return name, ast.literal_eval(value)
    except (SyntaxError, ValueError):
        return name, value
