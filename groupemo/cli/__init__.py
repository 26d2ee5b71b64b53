"""The command line: each command parses, calls the API, and prints.

Results go to standard output, progress and complaints to standard error. What
a command needs it imports itself, so that `groupemo --help` is quick.
"""

from __future__ import annotations

import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from groupemo._version import __version__
from groupemo.cli import (
    calibration,
    comparison,
    evaluation,
    export_net,
    labelling,
    photos,
    planning,
    preparation,
    setup,
    stress,
    training,
    tuning,
)
from groupemo.cli._console import complain
from groupemo.errors import GroupemoError

__all__ = ["EXIT_CODES", "app"]

EXIT_CODES = {
    0: "done",
    1: "an error, said in one line: nothing, or not everything, was done",
    2: "wrong usage",
    3: "finished, but some photos failed; each is named with its reason",
    comparison.FELL: "a watched figure fell by more than the margin, with its whole interval",
    130: "interrupted; what is kept, and how to go on, is said",
}
"""What a command's exit code means."""


class Root(TyperGroup):
    """Says whatever ends a command in one line, and by the exit code."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Run, even where nothing can be printed: a full disk, say."""
        try:
            with _terminated_as_interrupted():
                return super().main(*args, **options)
        except OSError as error:
            complain(f"error: {error.filename or 'standard output'}: {error.strerror or error}")
            sys.exit(1)

    def invoke(self, ctx: Any) -> Any:
        """Run the command asked for."""
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _show_warning
                return super().invoke(ctx)
        except GroupemoError as error:
            complain(f"error: {error}")
            raise typer.Exit(1) from error
        except KeyboardInterrupt as error:
            complain("interrupted")
            raise typer.Exit(130) from error


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Let SIGTERM end a command as Ctrl-C does, so that nothing half-written stays."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are handled in the main thread alone
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


app = typer.Typer(
    cls=Root,
    invoke_without_command=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes:\n\n"
    + "\n".join(f"- {code}: {meaning}" for code, meaning in EXIT_CODES.items()),
)


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    complain(f"warning: {message}")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"groupemo {__version__}")
        raise typer.Exit()


@app.callback()
def main(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """How far to trust emotion recognition on group photos."""
    if context.invoked_subcommand is None:
        from groupemo.cli.start import print_start

        print_start(Path())
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


app.command()(photos.detect)
app.command()(photos.analyze)
app.command()(evaluation.evaluate)
app.command()(evaluation.report)
app.command()(comparison.compare)
app.command()(planning.plan)
app.command()(labelling.label)
app.command()(stress.stress)
app.command()(calibration.calibrate)
app.command()(preparation.prepare)
app.command()(training.train)
app.command()(tuning.tune)
app.command()(export_net.export)
app.command()(evaluation.demo)
app.add_typer(setup.models, name="models")
app.add_typer(setup.samples, name="samples")
app.command()(setup.doctor)
